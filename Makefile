# make serve: set up and run. make test: set up and run every test. make soak: the proofs of docs/reliability.md, in full.
# make bench: what requests cost on this machine, into docs/performance.md.
# All of it lives in .venv; nothing has to be installed beforehand but make and Python 3.11 or newer (another one than
# python3: make PYTHON=python3.13).
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: serve test soak bench install pages lint style types imports lock

serve: $(READY) pages
	$(BIN)/townclerk serve --dev

# Compiled code is kept, also where the environment has it thrown away: many processes take part, and each reads it.
test: $(READY) pages
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest

SOAK ?= full
soak: $(READY)
	SOAK=$(SOAK) $(BIN)/python -m tests.reliability.soak

# Takes about twenty minutes, on a machine that does nothing else. Some of it: make bench BENCH="--only hot publish"
BENCH ?=
bench: $(READY)
	$(BIN)/python -m bench.dispatch $(BENCH)

install: $(READY)

# The install builds the pages; this builds them anew where their sources have changed since.
pages: $(READY)
	@$(BIN)/python hatch_build.py || echo "The settings pages were not built; the API works without them." >&2

lint: style types imports

style: $(READY)
	$(BIN)/ruff format --check
	$(BIN)/ruff check

types: $(READY)
	$(BIN)/mypy

imports: $(READY)
	$(BIN)/lint-imports --no-logo

# Keeps the versions that still fit. To take the newest of everything: make lock UV_FLAGS=--upgrade
LOCK_TO ?= requirements.lock
lock: $(READY)
	$(BIN)/uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --quiet --output-file $(LOCK_TO) $(UV_FLAGS)

# Compiled at once, so that no start pays for it, also where the environment has Python keep nothing of what it compiles.
# The stamp is taken away first and set last: a set-up that was interrupted leaves none, and is then done anew.
IS_NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PIP_INSTALL := $(BIN)/python -m pip --disable-pip-version-check --no-input install -qq --no-deps

$(READY): pyproject.toml requirements.lock
	@if ! { test -e $@ && $(BIN)/python -c '$(IS_NEW_ENOUGH)'; } 2>/dev/null; then \
		if ! command -v $(PYTHON) >/dev/null; then \
			echo "There is no $(PYTHON). Townclerk needs Python 3.11 or newer: make PYTHON=/path/to/it" >&2; exit 1; \
		elif ! $(PYTHON) -c '$(IS_NEW_ENOUGH)'; then \
			echo "$(PYTHON) is $$($(PYTHON) --version 2>&1). Townclerk needs 3.11 or newer: make PYTHON=/path/to/it" >&2; \
			exit 1; \
		elif ! $(PYTHON) -c 'import venv, ensurepip' 2>/dev/null; then \
			echo "$(PYTHON) can make no virtual environment. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; \
		fi; \
		echo "Making .venv with $$($(PYTHON) --version)"; \
		$(PYTHON) -m venv --clear .venv; \
	fi
	@rm -f $@
	@echo "Installing what requirements.lock names into .venv (about a minute the first time)"
	@$(PIP_INSTALL) --require-hashes --only-binary :all: --requirement requirements.lock
	@$(PIP_INSTALL) --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q api models
	@touch $@
