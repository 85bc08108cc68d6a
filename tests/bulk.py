"""Many rows at once, by plain SQL: what would take the API minutes.

To readers it is as if the API had written it long ago; only there are no audit entries of it, but for those
that `add_entries` and `add_history` add.
"""

import asyncio
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice, product
from typing import Any, Final

from sqlalchemy import insert, text, update
from sqlmodel import SQLModel, col

from models.domain.audit import AuditAction, Change, Entry, TargetType, entry_hash
from models.domain.mayor import ModelPair
from models.domain.overrides import Choice, OverrideSet, first_set, next_set
from models.domain.profiles import SHIPPED_MODELS, SHIPPED_PROFILES
from models.domain.rules import Rule, RuleKey
from models.domain.vocabulary import LABELS, Actor, BeadStatus, BeadType, OverrideSetCause, Role, effective_role
from models.services.profiles import profile_owner
from models.store import mapping
from models.store.audit import AuditEntryRow
from models.store.engine import open_database
from models.store.heads import new_head
from models.store.mayor import MayorObservationRow
from models.store.policies import OverrideRow, OverrideSetRow
from models.store.queries import towns
from models.store.towns import BeadRevisionRow, BeadRow, HeadRow, RigRow, TownRow
from models.store.unit import Store

RIGS: Final = ("web", "api", "docs", "ops", "lab")
TICK: Final = timedelta(milliseconds=1)  # from entry to entry

_SOMEONE: Final = Actor(actor_id="bulk")
_LONG_AGO: Final = datetime(2026, 1, 1, tzinfo=UTC)
_CHUNK: Final = 5_000
_BALANCED: Final = next(shipped.table for shipped in SHIPPED_PROFILES if shipped.table.name == "balanced")
_MODELS: Final = sorted(SHIPPED_MODELS)

_Row = dict[str, Any]


def add_towns(url: str, town_ids: Sequence[str]) -> None:
    """Make towns that follow the first version of `balanced` and have all `RIGS`."""
    at = _at(1)
    towns = [TownRow(town_id=it, name=it, search_name=it.casefold(), created_at=at) for it in town_ids]
    rigs = [RigRow(town_id=it, rig_id=rig, name=rig, registered_at=at) for it in town_ids for rig in RIGS]
    _insert(
        url,
        (TownRow, map(_row, towns)),
        (HeadRow, (asdict(replace(new_head(town_id, now=at), version=1)) for town_id in town_ids)),
        (RigRow, map(_row, rigs)),
        (OverrideSetRow, (_set_row(_first_set(town_id)) for town_id in town_ids)),
    )


def add_beads(url: str, town_ids: Sequence[str], count: int) -> None:
    """Give each town open beads, `{town_id}-0` and so on, of 300 signatures."""
    states = _bead_states()
    beads = [(it, number, states[number % len(states)]) for it in town_ids for number in range(count)]
    _insert(
        url,
        (BeadRow, itertools.starmap(_bead_row, beads)),
        (BeadRevisionRow, itertools.starmap(_revision_row, beads)),
    )


def add_revisions(url: str, town_id: str, latest: int) -> None:
    """Bring the first bead that `add_beads` gave a town to the revision `latest`; they are a second apart."""
    states = _bead_states()
    revisions = [
        {**_revision_row(town_id, 0, states[number % len(states)]), "revision": number, "at": _at(number)}
        for number in range(2, latest + 1)
    ]
    now = {**states[latest % len(states)], "revision": latest, "updated_at": _at(latest)}
    bead = update(BeadRow).where(col(BeadRow.bead_id) == f"{town_id}-0").values(**now)
    _insert(url, (BeadRevisionRow, revisions), then=(bead,))


def add_override_sets(url: str, town_id: str, latest: int, *, overrides: int = 20) -> None:
    """Bring a town made by `add_towns` to the version `latest`; each set has that many overrides, at most twenty."""
    sets = [_first_set(town_id)]
    while sets[-1].version < latest:
        version = sets[-1].version + 1
        sets.append(next_set(sets[-1], _choice(_overrides(version)[:overrides]), at=_at(version), by=_SOMEONE))
    head = update(HeadRow).where(col(HeadRow.chain) == town_id).values(version=latest, instant=_at(latest))
    _insert(
        url,
        (OverrideSetRow, map(_set_row, sets[1:])),
        (OverrideRow, (dict(row) for made in sets[1:] for row in mapping.override_rows(made))),
        then=(head,),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What there is to an entry before it has its place in a chain."""

    actor_id: str
    request_id: str
    change: Change


def add_history(url: str, chain: str, told: Iterable[Told]) -> None:
    """Lengthen a chain by entries a millisecond apart, whatever else they would have changed."""
    growing = _Chain(_read_head(url, chain))
    _insert(url, (AuditEntryRow, map(growing.grow, told)), then=growing.ending())


def add_entries(url: str, town_id: str, count: int) -> None:
    """Lengthen a town's chain by observations of its mayor, on one pair and on another in turns.

    They are as a replay expects them, where the town has no other observations.
    """
    head = _read_head(url, town_id)
    began, last = head.instant, head.observation_sequence
    numbers = range(last + 1, last + count + 1)
    growing = _Chain(head, observation_sequence=last + count)
    observed = (_observation(town_id, number, began + (number - last) * TICK) for number in numbers)
    told = (
        Told(actor_id=_SOMEONE.actor_id, request_id=f"bulk-{number}", change=_observed(town_id, number))
        for number in numbers
    )
    _insert(
        url,
        (MayorObservationRow, observed),
        (AuditEntryRow, map(growing.grow, told)),
        then=growing.ending(),
    )


class _Chain:
    """The rows of a chain that grows from `head` on; `moved` are other columns of the head as they are in the end."""

    def __init__(self, head: HeadRow, **moved: Any) -> None:
        self._head = head
        self._moved = moved

    def grow(self, told: Told) -> _Row:
        head, change = self._head, told.change
        entry = Entry(
            chain=head.chain,
            sequence=head.audit_sequence + 1,
            occurred_at=head.instant + TICK,
            actor=Actor(actor_id=told.actor_id),
            credential_id=None,
            request_id=told.request_id,
            change=change,
            previous_hash=head.audit_hash,
        )
        canonical = entry.canonical()
        head.audit_sequence, head.instant = entry.sequence, entry.occurred_at
        head.audit_hash = entry_hash(entry.previous_hash, canonical)
        return {
            "chain": entry.chain,
            "sequence": entry.sequence,
            "occurred_at": entry.occurred_at,
            "action": change.action,
            "actor_id": told.actor_id,
            "target_type": change.target_type,
            "target_id": change.target_id,
            "request_id": told.request_id,
            "canonical": canonical,
            "hash": head.audit_hash,
        }

    def ending(self) -> Iterator[Any]:
        """The statement that moves the head to the last entry; to be asked for once all have grown."""
        values = {**self._head.model_dump(), **self._moved}
        yield update(HeadRow).where(col(HeadRow.chain) == self._head.chain).values(**values)


def _pair(number: int) -> ModelPair:
    return ModelPair(model=_MODELS[number % 2], small_model=_MODELS[0])


def _pair_record(number: int) -> dict[str, object]:
    pair = _pair(number)
    return {"model": pair.model, "smallModel": pair.small_model}


def _observation(town_id: str, number: int, at: datetime) -> _Row:
    return {"town_id": town_id, "sequence": number, "observed_at": at, **asdict(_pair(number))}


def _observed(town_id: str, number: int) -> Change:
    return Change(
        action=AuditAction.MAYOR_OBSERVED,
        target_type=TargetType.MAYOR,
        target_id=town_id,
        before=None if number == 1 else _pair_record(number - 1),
        after=_pair_record(number),
    )


def _read_head(url: str, town_id: str) -> HeadRow:
    async def work() -> HeadRow:
        store = Store(database=open_database(url))
        try:
            async with store.read() as session:
                return (await towns.heads(session, [town_id]))[town_id]
        finally:
            await store.dispose()

    return asyncio.run(work())


def analyze(url: str) -> None:
    """Have the database look at how its rows are spread."""
    _insert(url, then=(text("ANALYZE"),))


def _insert(url: str, *tables: tuple[type[SQLModel], Iterable[_Row]], then: Iterable[Any] = ()) -> None:
    async def work() -> None:
        database = open_database(url)
        try:
            async with database.writer.begin() as connection:
                for table, rows in tables:
                    left = iter(rows)
                    while chunk := list(islice(left, _CHUNK)):
                        await connection.execute(insert(table), chunk)
                for statement in then:
                    await connection.execute(statement)
        finally:
            await database.dispose()

    asyncio.run(work())


def _row(row: SQLModel) -> _Row:
    return row.model_dump()


def _at(version: int) -> datetime:
    return _LONG_AGO + timedelta(seconds=version - 1)


def _choice(rules: tuple[Rule, ...]) -> Choice:
    return Choice(profile=_BALANCED, honor_bead_models=False, rules=rules)


def _first_set(town_id: str) -> OverrideSet:
    return first_set(town_id, _choice(()), at=_at(1), by=_SOMEONE)


def _overrides(version: int) -> tuple[Rule, ...]:
    """Twenty rules, each with another model from version to version."""
    keys = [RuleKey(role=Role.POLECAT, label=label.name, rig_id=rig) for label in LABELS[:4] for rig in RIGS]
    return tuple(Rule(key=key, model=_MODELS[(version + n) % len(_MODELS)]) for n, key in enumerate(keys))


def _set_row(made: OverrideSet) -> _Row:
    first = made.version == 1
    row = mapping.override_set_row(
        made,
        profile_owner=profile_owner(made.town_id, made.profile.name),
        cause=OverrideSetCause.TOWN_CREATED if first else OverrideSetCause.PUBLISHED,
        revert_of=None,
        reason=None,
        at=_at(made.version),
        by=_SOMEONE,
    )
    return dict(row)


def _bead_states() -> list[_Row]:
    labels = [[], *([label.name] for label in LABELS[:9])]
    types = (BeadType.ISSUE, BeadType.MERGE_REQUEST)
    return [
        _row(
            mapping.bead_state(
                bead_type=bead_type,
                status=BeadStatus.OPEN,
                labels=bead_labels,
                role=None,
                rig_id=rig,
                model=model,
            )
        )
        for bead_labels, rig, bead_type, model in product(labels, RIGS, types, (None, *_MODELS[:2]))
    ]


def _bead_row(town_id: str, number: int, state: _Row) -> _Row:
    title = f"Bead {number}"
    return {
        **state,
        "town_id": town_id,
        "bead_id": f"{town_id}-{number}",
        "title": title,
        "search_title": title.casefold(),
        "effective_role": effective_role(None, state["type"]),
        "revision": 1,
        "updated_at": _LONG_AGO,
    }


def _revision_row(town_id: str, number: int, state: _Row) -> _Row:
    named = {"town_id": town_id, "bead_id": f"{town_id}-{number}", "revision": 1, "at": _LONG_AGO}
    return {**state, **named, "actor_id": _SOMEONE.actor_id, "on_behalf_of": None}
