"""The README is true: its queries give what it shows, and its settings are those of the program."""

import asyncio
import json
import re
import sys
from pathlib import Path

import pytest

from api.cli import main
from api.demo import seed_demo
from api.settings import Settings
from models.store.engine import open_database
from models.store.unit import Store
from tests.client import serving
from tests.databases import Databases

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def shown_queries() -> list[tuple[str, str]]:
    """Each curl command's body with the JSON block that follows it."""
    return re.findall(r"-d '(\{\"query\":.*?\})'\n```\n\n```json\n(.*?)\n```", README, flags=re.DOTALL)


async def seed(url: str) -> None:
    store = Store(database=open_database(url))
    await seed_demo(store)
    await store.dispose()


def test_readme__its_queries_in_order__give_what_it_shows(databases: Databases) -> None:
    url = databases.fresh("sqlite")
    asyncio.run(seed(url))
    shown = shown_queries()
    assert len(shown) == README.count("curl ")
    with serving(url) as api:
        for body, answer in shown:
            got = api.http.post("/graphql", content=body.encode(), headers={"content-type": "application/json"})
            assert got.json() == json.loads(answer)


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_readme__each_setting__stands_there_with_its_default(name: str) -> None:
    default = Settings.model_fields[name].default
    written = default if isinstance(default, str) else json.dumps(default)
    shown = "none" if default is None else f"`{written}`"
    assert f"| `TOWNCLERK_{name.upper()}` | {shown} |" in README


@pytest.mark.parametrize(
    ("name", "value"), [("MAX_QUERY_DEPTH", "0"), ("ROLLOUT_INTERVAL_SECONDS", "inf"), ("LOG_LEVEL", "loud")]
)
def test_setting__of_a_value_that_can_not_be__is_named_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, value: str
) -> None:
    monkeypatch.setenv(f"TOWNCLERK_{name}", value)
    monkeypatch.setattr(sys, "argv", ["townclerk", "demo"])
    with pytest.raises(SystemExit) as ended:
        main()
    told = capsys.readouterr().err
    assert ended.value.code == 2
    assert told.startswith(f"townclerk: TOWNCLERK_{name}: ")
    assert told.count("\n") == 1
