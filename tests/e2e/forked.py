"""What the processes of `tests.e2e.process` fork from has done for all of them."""

import gc
from importlib import import_module

import tests.e2e.process  # noqa: F401  # what they run is in it
from api.cli import audit, group
from api.schema import build_schema

for module, _ in (*group.HOMES.values(), *audit.HOMES.values()):  # as a command is asked for
    import_module(f"api.cli.{module}")
for module in ("alembic.command", "api.app", "api.hatched", "uvicorn.loops.auto"):  # or as a server starts
    import_module(module)
build_schema()  # which keeps the types
gc.freeze()  # or each of them would go through all of this again, and copy it
