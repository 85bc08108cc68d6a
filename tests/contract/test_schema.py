"""The schema against the contract that frontends, dispatchers and auditors rely on."""

from pathlib import Path

from graphql import build_schema, find_breaking_changes

from api.schema import build_schema as build_townclerk_schema

CONTRACT = Path(__file__).parent / "contract.graphql"
COMMITTED = Path(__file__).parents[2] / "api" / "schema" / "schema.graphql"

# What later issues bring; each leaves this list as it lands.
STILL_TO_COME: set[str] = set()


def test_schema__against_the_contract__breaks_nothing() -> None:
    ours = build_schema(build_townclerk_schema().as_str())
    contract = build_schema(CONTRACT.read_text(encoding="utf-8"))
    assert {change.description for change in find_breaking_changes(contract, ours)} == STILL_TO_COME


def test_schema__as_printed__is_the_committed_one() -> None:
    assert build_townclerk_schema().as_str().strip() == COMMITTED.read_text(encoding="utf-8").strip()
