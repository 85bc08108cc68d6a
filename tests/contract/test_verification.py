"""Verification of a database: a true history holds, and whatever is done to it behind the service's back is found."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from random import Random
from threading import Event
from typing import Any, Final

import pytest
from sqlalchemy import delete, insert, update
from sqlmodel import SQLModel, col

from models.domain.audit import CENTRAL_CHAIN, entry_hash
from models.domain.verification import Head
from models.store.access import TokenRow
from models.store.audit import AuditEntryRow
from models.store.mayor import MayorObservationRow
from models.store.policies import ModelRow, OverrideRow, OverrideSetRow, ProfileRow, ProfileRuleRow, ProfileVersionRow
from models.store.towns import BeadRevisionRow, BeadRow, HeadRow, RigRow, TownRow
from tests.client import Api, serving
from tests.contract.recipes import RECIPES, codes, send
from tests.contract.true_history import IMPORTED, LAST, TOWN
from tests.sizes import sized
from tests.tampering import Owner, Row, columns, entry, entry_update, faults, owning, primary_key
from tests.towns import HAIKU, KILO

# ---------------------------------------------------------------- true histories


def test_history__that_no_one_touched__holds(owner: Owner) -> None:
    found = owner.verified()
    assert {chain: each.fault for chain, each in found.items()} == dict.fromkeys([CENTRAL_CHAIN, IMPORTED, TOWN])
    assert (found[TOWN].entries, found[TOWN].head) == (LAST, owner.head(TOWN))


def make_every_mutation(api: Api) -> None:
    for recipe in RECIPES:
        assert codes(send(api, recipe.mutation, recipe.prepare(api))) == []


def test_history__of_every_mutation__holds(shared_api: Api) -> None:
    make_every_mutation(shared_api)
    with owning(shared_api.url) as owner:
        assert owner.faults() == {}


def test_history__verified_while_it_is_written__holds_each_time(shared_api: Api) -> None:
    looked = Event()

    def write() -> None:
        while not looked.is_set():
            make_every_mutation(shared_api)

    with ThreadPoolExecutor(1) as pool:
        written = pool.submit(write)
        try:
            found = [faults(shared_api.url) for _ in range(3)]
        finally:
            looked.set()
        written.result()
    assert found == [{}] * 3


@pytest.mark.parametrize("chain", [CENTRAL_CHAIN, TOWN, IMPORTED])
def test_chain__with_heads_noted_before__contains_each_of_them(owner: Owner, chain: str) -> None:
    for row in owner.entries(chain):
        assert owner.verified_one(chain, Head(sequence=row["sequence"], hash=row["hash"])).ok


def test_chain__with_a_head_of_another_chain__does_not_contain_it(owner: Owner) -> None:
    found = owner.verified_one(TOWN, Head(sequence=1, hash=owner.head(CENTRAL_CHAIN).hash))
    assert found.fault is not None
    assert (found.fault.code.name, found.fault.sequence) == ("HEAD_DIFFERS", 1)


def test_verify__of_an_unknown_town__is_not_found(shared_api: Api) -> None:
    assert shared_api.codes('{ verifyAudit(townId: "nowhere") { ok } }') == ["NOT_FOUND"]


# ---------------------------------------------------------------- entries tampered with


def canonical(owner: Owner, sequence: int, chain: str = TOWN) -> bytes:
    found: bytes = owner.entries(chain)[sequence - 1]["canonical"]
    return found


def changed(owner: Owner) -> None:
    owner.tamper(entry_update(TOWN, 11, canonical=canonical(owner, 11).replace(b"Cheaper.", b"Cheapen.")))


def changed_with_its_hash(owner: Owner) -> None:
    forged = canonical(owner, 11).replace(b'"credential":null', b'"credential":"other"')
    forged_hash = entry_hash(json.loads(forged)["previousHash"], forged)
    owner.tamper(entry_update(TOWN, 11, canonical=forged, hash=forged_hash))


def nonsense(owner: Owner) -> None:
    owner.tamper(entry_update(TOWN, 3, canonical=b"\xff\x00"))


def spaced_out(owner: Owner) -> None:
    spaced = json.dumps(json.loads(canonical(owner, 3))).encode()
    owner.tamper(entry_update(TOWN, 3, canonical=spaced, hash=entry_hash(owner.entries(TOWN)[1]["hash"], spaced)))


def deleted(owner: Owner) -> None:
    owner.tamper(delete(AuditEntryRow).where(*entry(TOWN, 8)))


def first_deleted(owner: Owner) -> None:
    owner.tamper(delete(AuditEntryRow).where(*entry(TOWN, 1)))


def all_deleted(owner: Owner) -> None:
    owner.tamper(delete(AuditEntryRow).where(col(AuditEntryRow.chain) == TOWN))


def tail_cut(owner: Owner) -> None:
    owner.tamper(delete(AuditEntryRow).where(col(AuditEntryRow.chain) == TOWN, col(AuditEntryRow.sequence) > 12))


def tail_cut_with_its_head(owner: Owner) -> None:
    tail_cut(owner)
    last = owner.entries(TOWN)[-1]
    owner.tamper(
        update(HeadRow)
        .where(col(HeadRow.chain) == TOWN)
        .values(audit_sequence=12, audit_hash=last["hash"], instant=last["occurred_at"], version=5),
    )


def swapped(owner: Owner) -> None:
    two, three = owner.entries(TOWN)[1:3]
    names = ("canonical", "hash")
    owner.tamper(
        entry_update(TOWN, 2, **{name: three[name] for name in names}),
        entry_update(TOWN, 3, **{name: two[name] for name in names}),
    )


def transplanted(owner: Owner) -> None:
    other = owner.entries(IMPORTED)[0]
    owner.tamper(entry_update(TOWN, 1, canonical=other["canonical"], hash=other["hash"]))


def appended(owner: Owner) -> None:
    last = owner.entries(TOWN)[-1]
    owner.tamper(insert(AuditEntryRow).values(**{**last, "sequence": LAST + 1}))


def backdated(owner: Owner) -> None:
    def earlier(said: Row) -> None:
        said["occurredAt"] = "2020-01-01T00:00:00.000000Z"

    owner.rewrite(TOWN, 11, earlier)


def rewritten(owner: Owner) -> None:
    owner.rewrite(TOWN, 11, lambda said: said.update(reason="Dearer."))


def rewritten_before(owner: Owner) -> None:
    owner.rewrite(TOWN, 11, lambda said: said["before"].update(honorBeadModels=True))


def rewritten_content(owner: Owner) -> None:
    owner.rewrite(TOWN, 5, lambda said: said["after"]["overrides"].update(mayor=HAIKU))


def rewritten_action(owner: Owner) -> None:
    owner.rewrite(TOWN, 12, lambda said: said.update(action="MODEL_DEPRECATED"))
    owner.tamper(entry_update(TOWN, 12, action="model_deprecated"))


def rewritten_into_the_past(owner: Owner) -> None:
    owner.rewrite(TOWN, 6, lambda said: said.update(before={"model": KILO, "smallModel": HAIKU}))


ENTRIES: Final[dict[Callable[[Owner], None], tuple[str, int | None]]] = {
    changed: ("CHANGED", 11),
    changed_with_its_hash: ("BROKEN_LINK", 12),
    nonsense: ("UNREADABLE", 3),
    spaced_out: ("UNREADABLE", 3),
    deleted: ("GAP", 8),
    first_deleted: ("GAP", 1),
    all_deleted: ("ROW_UNEXPLAINED", None),
    tail_cut: ("ROW_UNEXPLAINED", None),
    tail_cut_with_its_head: ("ROW_UNEXPLAINED", None),
    swapped: ("GAP", 2),
    transplanted: ("TRANSPLANTED", 1),
    appended: ("FORK", LAST),
    backdated: ("OUT_OF_TIME", 11),
    rewritten: ("ROW_DIFFERS", 11),
    rewritten_before: ("CONTRADICTION", 11),
    rewritten_content: ("CONTRADICTION", 5),
    rewritten_action: ("CONTRADICTION", 12),
    rewritten_into_the_past: ("CONTRADICTION", 6),
}


@pytest.mark.parametrize(("done", "found"), ENTRIES.items(), ids=[done.__name__ for done in ENTRIES])
def test_entry__tampered_with__is_found_at_its_sequence(
    owner: Owner, done: Callable[[Owner], None], found: tuple[str, int | None]
) -> None:
    head = owner.head(TOWN)
    done(owner)
    assert owner.faults() == {TOWN: found}
    assert not owner.verified_one(TOWN, head).ok


def test_verify_audit__of_a_chain_tampered_with__names_the_first_bad_sequence(owner: Owner) -> None:
    changed(owner)
    query = """query ($t: ID) { verifyAudit(townId: $t) {
        townId ok entries firstBadSequence problemCode problem head { sequence hash }
    } }"""
    with serving(owner.url) as api:
        bad, good = api.data(query, t=TOWN)["verifyAudit"], api.data(query)["verifyAudit"]
    assert bad.pop("problem")
    before = owner.entries(TOWN)[9]
    assert bad == {
        "townId": TOWN,
        "ok": False,
        "entries": LAST,
        "firstBadSequence": 11,
        "problemCode": "CHANGED",
        "head": {"sequence": 10, "hash": before["hash"]},
    }
    head = owner.head(CENTRAL_CHAIN)
    assert good == {
        "townId": None,
        "ok": True,
        "entries": head.sequence,
        "firstBadSequence": None,
        "problemCode": None,
        "problem": None,
        "head": {"sequence": head.sequence, "hash": head.hash},
    }


COLUMNS: Final[dict[str, Any]] = {
    "actor_id": "someone",
    "action": "rig_removed",
    "target_type": "town",
    "target_id": "elsewhere",
    "request_id": "another",
    "occurred_at": datetime.fromisoformat("2026-01-01T00:00:00+00:00"),
}


@pytest.mark.parametrize(("name", "value"), COLUMNS.items(), ids=COLUMNS)
def test_column__that_belies_the_entry__is_found(owner: Owner, name: str, value: Any) -> None:
    owner.tamper(entry_update(TOWN, 5, **{name: value}))
    assert owner.faults() == {TOWN: ("COLUMNS_DIFFER", 5)}


def test_columns__of_the_table__are_all_put_to_the_test() -> None:
    names = {column.name for column in columns(AuditEntryRow)}
    assert names == {*COLUMNS, "chain", "sequence", "canonical", "hash"}


def test_tail__cut_so_well_that_nothing_is_left_of_it__is_found_by_a_head_noted_before(owner: Owner) -> None:
    head, before, seen = owner.head(TOWN), owner.entries(TOWN)[-2], MayorObservationRow
    here = {"audit_sequence": LAST - 1, "audit_hash": before["hash"], "instant": before["occurred_at"]}
    owner.tamper(
        delete(AuditEntryRow).where(*entry(TOWN, LAST)),
        delete(seen).where(col(seen.town_id) == TOWN, col(seen.sequence) == 2),
        update(HeadRow).where(col(HeadRow.chain) == TOWN).values(**here, observation_sequence=1),
    )
    assert owner.faults() == {}
    found = owner.verified_one(TOWN, head)
    assert found.fault is not None
    assert (found.fault.code.name, found.fault.sequence) == ("TAIL_CUT", LAST)


# ---------------------------------------------------------------- rows tampered with


ALTERED: Final = sized("altered", quick=1, ci=2)  # rows of each table
DELETED: Final = sized("deleted", quick=2, ci=100)
TABLES: Final = [
    OverrideSetRow,
    OverrideRow,
    ProfileVersionRow,
    ProfileRuleRow,
    MayorObservationRow,
    BeadRevisionRow,
    BeadRow,
    RigRow,
    ModelRow,
    ProfileRow,
    TownRow,
    HeadRow,
    TokenRow,
]
COARSE: Final = "last_used_at"  # which is no part of the record
WORDS: Final = {
    "role": "mayor",
    "type": "convoy",
    "status": "failed",
    "effective_role": "mayor",
    "cause": "reverted",
    "labels": '["gt:held"]',
}
every_table = pytest.mark.parametrize("table", TABLES, ids=[table.__name__ for table in TABLES])


def here(table: type[SQLModel], row: Row) -> list[Any]:
    """The conditions that a row meets."""
    return [getattr(table, name) == row[name] for name in primary_key(table)]


def another(column: Any, value: Any) -> Any:
    """Another value that could stand in a column as well."""
    if column.name in WORDS:
        return WORDS[column.name]
    kinds: dict[type, Callable[[], Any]] = {
        bool: lambda: not value,
        int: lambda: (value or 0) + 100,
        str: lambda: f"{value}x",
        datetime: lambda: (value or datetime.fromisoformat("2026-01-01T00:00:00+00:00")) + timedelta(microseconds=1),
    }
    return kinds[getattr(column.type, "impl", column.type).python_type]()


@every_table
def test_row__any_column_of_it_altered__is_found(owner: Owner, table: type[SQLModel]) -> None:
    stored = owner.stored(table)
    missed = []
    for row in (stored[-1], stored[0])[:ALTERED]:
        for column in columns(table):
            name, value = column.name, row[column.name]
            other = another(column, value)
            if name == COARSE or other == value:
                continue
            owner.tamper(update(table).where(*here(table, row)).values(**{name: other}))
            if not owner.finds_a_fault():
                missed.append((row, name, other))
            owner.tamper(update(table).where(*here(table, {**row, name: other})).values(**{name: value}))
    assert missed == []
    assert owner.faults() == {}


@every_table
def test_row__deleted__is_found(owner: Owner, table: type[SQLModel]) -> None:
    for row in Random(1).sample(rows := owner.stored(table), min(len(rows), DELETED)):  # noqa: S311
        owner.tamper(delete(table).where(*here(table, row)))
        assert owner.finds_a_fault(), row
        owner.tamper(insert(table).values(**row))
    assert owner.faults() == {}


@every_table
def test_row__that_no_entry_tells_of__is_found(owner: Owner, table: type[SQLModel]) -> None:
    row = owner.stored(table)[-1]
    last = columns(table)[[column.name for column in columns(table)].index(primary_key(table)[-1])]
    owner.tamper(insert(table).values(**{**row, last.name: another(last, row[last.name])}))
    codes_found = {code for code, _ in owner.faults().values()}
    assert codes_found
    assert codes_found <= {"ROW_UNEXPLAINED", "ROW_DIFFERS", "TAIL_CUT"}
