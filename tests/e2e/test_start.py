"""What a command loads before it begins: what it needs, and not all that there is. No times are measured here."""

import json
import os
import subprocess
import sys
from typing import Final

import pytest

from api.cli import main
from api.cli.audit import audit
from api.cli.group import Commands, cli
from tests.databases import Databases
from tests.tokens import make_token

# One process runs the commands one after the other: what is not loaded after the last one was loaded by none.
LOADING: Final = """
import gc, json, sys
from api.cli import main

told = {}

def run(*arguments):
    sys.argv = ["townclerk", *arguments]
    try:
        main()
    except SystemExit as ended:
        assert not ended.code, ended.code
    assert gc.isenabled()  # it was off while things were loaded
    told[arguments[0]] = list(sys.modules)

run("--help")
run("token", "list")

import uvicorn

def only_load(server, sockets=None):
    server.config.load()
    server.started = True

uvicorn.Server.run = only_load
run("serve", "--port", "0")
assert gc.get_freeze_count() > 100_000  # nothing goes through what was loaded again
print(json.dumps(told))
"""
NEEDLESS: Final = {
    "--help": {"sqlalchemy", "sqlmodel", "pydantic", "rich", "structlog", "api.settings", "asyncio"},
    "token": {"graphql", "strawberry", "starlette", "uvicorn", "alembic", "jwt", "cryptography"},
    "serve": {"alembic", "mako", "jwt", "cryptography", "opentelemetry"},
}


def test_commands__load_what_they_need(databases: Databases) -> None:
    url = databases.fresh("sqlite")
    make_token(url, "reader")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    done = subprocess.run(
        [sys.executable, "-c", LOADING],
        env={**environment, "TOWNCLERK_DATABASE_URL": url},
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    loaded = json.loads(done.stdout.splitlines()[-1])
    assert {command: NEEDLESS[command].intersection(loaded[command]) for command in NEEDLESS} == {
        command: set() for command in NEEDLESS
    }


@pytest.mark.parametrize("group", [cli, audit], ids=["townclerk", "audit"])
def test_help__of_a_group__says_of_each_command_what_it_says_itself(
    group: Commands, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["townclerk", *(["audit"] if group is audit else []), "--help"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    shown = " ".join(capsys.readouterr().out.split())
    with group.make_context("townclerk", [], resilient_parsing=True) as context:
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            assert command is not None
            sentence = group.homes[name][1].removesuffix(".")
            assert " ".join((command.help or "").split()).startswith(sentence)
            assert f" {name} {sentence}" in shown
