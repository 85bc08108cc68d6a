"""Hooks are run as Strawberry runs them."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from strawberry.extensions import SchemaExtension
from strawberry.extensions.runner import SchemaExtensionsRunner

from api.schema.hooks import HooksRunner

STAGES = ("operation", "validation", "parsing", "executing")


class ToldError(Exception):
    """What a hook, or what runs within, raises."""


class Extension(SchemaExtension):
    """Takes down what its hooks see; `raises` says where they raise, `keeps` that an error goes no further."""

    def __init__(self, name: str, log: list[str], *, raises: str = "", keeps: bool = False) -> None:
        self.name, self.log, self.raises, self.keeps = name, log, raises, keeps

    def hook(self) -> Iterator[None]:
        self.note("before")
        try:
            yield
        except ToldError as error:
            self.log.append(f"{self.name} sees {error}")
            if not self.keeps:
                raise
        self.note("after")

    def note(self, when: str) -> None:
        self.log.append(f"{self.name} {when}")
        if when == self.raises:
            raise ToldError(f"{self.name} {when}")

    on_operation = on_validate = on_parse = on_execute = hook


class Silent(SchemaExtension):
    """Has no hooks."""


def ran(runner: type[SchemaExtensionsRunner], stage: str, *, raised: bool, **last: Any) -> list[str]:
    """What went on, and what came out of it in the end."""
    log: list[str] = []
    extensions = [Extension("outer", log), Silent(), Extension("middle", log, **last), Extension("inner", log)]

    async def within() -> None:
        async with getattr(runner(None, extensions), stage)():  # type: ignore[arg-type]  # no hook looks at it
            log.append("within")
            if raised:
                raise ToldError("within")

    try:
        asyncio.run(within())
    except ToldError as error:
        log.append(f"out comes {error}")
    return log


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("last", [{}, {"raises": "before"}, {"raises": "after"}, {"keeps": True}])
def test_hooks__of_several_extensions__run_as_strawberry_runs_them(stage: str, last: dict[str, Any]) -> None:
    for raised in (False, True):
        ours = ran(HooksRunner, stage, raised=raised, **last)
        assert ours == ran(SchemaExtensionsRunner, stage, raised=raised, **last)
        assert ours[0] == "outer before"
