"""Rows that read like true ones, rows that nobody would miss, values in odd spellings: verification finds them too."""

from typing import Final

import pytest
from sqlalchemy import text

from tests.contract.true_history import TOWN
from tests.tampering import Owner

on_sqlite = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)  # PostgreSQL's types have one spelling each


@on_sqlite
@pytest.mark.parametrize(
    ("table", "column"),
    [("audit_entries", "occurred_at"), ("override_sets", "cause"), ("bead_revisions", "at"), ("beads", "labels")],
)
def test_row__that_holds_what_its_column_can_not_mean__is_found(owner: Owner, table: str, column: str) -> None:
    owner.tamper(text(f"UPDATE {table} SET {column} = 'nonsense'"))  # noqa: S608  # names of ours
    assert {code for code, _ in owner.faults().values()} == {"ROW_DIFFERS"}
    assert not owner.verified_one(TOWN).ok


SPELT_ANEW: Final = {
    "a_version_hidden_from_looks_back": ("override_sets", "created_at = replace(created_at, ' ', 'T')"),
    "entries_hidden_from_filters": ("audit_entries", "occurred_at = replace(occurred_at, ' ', 'T')"),
    "an_instant_with_an_offset": ("heads", "instant = instant || '+00:00'"),
    "when_an_override_was_set": ("overrides", "set_at = replace(set_at, ' ', 'T')"),
    "when_a_rig_was_registered": ("rigs", "registered_at = replace(registered_at, ' ', 'T')"),
    "when_a_mayor_was_observed": ("mayor_observations", "observed_at = replace(observed_at, ' ', 'T')"),
    "beads_that_no_count_finds": ("beads", "active = 2"),
    "revisions_that_no_count_finds": ("bead_revisions", "active = 2"),
    "a_flag_that_is_no_whole_number": ("override_sets", "honor_bead_models = 'f'"),
    "a_model_in_bytes": ("overrides", "model = CAST(model AS BLOB)"),
}


@on_sqlite
@pytest.mark.parametrize(("table", "change"), SPELT_ANEW.values(), ids=SPELT_ANEW)
def test_value__spelt_as_none_of_ours_is__is_found(owner: Owner, table: str, change: str) -> None:
    owner.tamper(text(f"UPDATE {table} SET {change}"))  # noqa: S608  # texts of ours
    assert TOWN in owner.faults()
    assert not owner.verified_one(TOWN).ok


SLIPPED_IN: Final = {
    "profile": "INSERT INTO profiles (owner, name, title, version) VALUES ('verified', 'custom-more', 'More', 1)",
    "profile_of_no_town": "INSERT INTO profiles (owner, name, title, version) VALUES ('ghost', 'custom', 'Ghost', 1)",
    "head": "INSERT INTO heads SELECT 'ghost', 7, instant, 0, audit_hash, 0, 0 FROM heads WHERE chain = '@central'",
    "rule_of_a_version_to_come": """INSERT INTO profile_rules (owner, name, version, key, model)
        VALUES ('@central', 'frugal', 2, '*', 'some/model')""",
    "signal_counter": "UPDATE heads SET signal_sequence = 99 WHERE chain = 'verified'",
    "signals_deleted": "DELETE FROM mayor_signals WHERE town_id = 'verified'",
    "bead_with_an_older_title": """UPDATE beads SET title = '', search_title = '', updated_at =
        (SELECT at FROM bead_revisions WHERE bead_id = 'v-2') WHERE bead_id = 'v-2'""",
}


@pytest.mark.parametrize("statement", SLIPPED_IN.values(), ids=SLIPPED_IN)
def test_row__slipped_in__is_found(owner: Owner, statement: str) -> None:
    owner.tamper(text(statement))
    assert owner.faults() != {}
