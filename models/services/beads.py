"""Bead sync: the host tells how its beads stand, before it dispatches them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from models.domain import checks
from models.domain.audit import AuditAction, Change, TargetType
from models.domain.errors import (
    AlreadyExists,
    InvalidInput,
    InvalidModel,
    Problem,
    TooMany,
    UnknownRig,
    refuse_if_any,
)
from models.domain.vocabulary import (
    MAX_BEAD_LABELS,
    MAX_BEADS,
    Actor,
    BeadStatus,
    BeadType,
    Role,
    effective_role,
    is_model_id,
)
from models.services.heads import lock_town
from models.services.history import Caller, record
from models.store import mapping
from models.store.heads import Head
from models.store.queries import towns
from models.store.towns import BeadRevisionRow, BeadRow, BeadState
from models.store.unit import Store, WriteUnit


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncedBead:
    """A bead's whole state, as the host has it."""

    bead_id: str
    rig_id: str | None
    type: BeadType
    status: BeadStatus
    title: str
    labels: tuple[str, ...]
    role: Role | None
    model: str | None

    def problems(self) -> list[Problem]:
        """What is wrong with it by itself; paths start at the bead."""
        problems = [*checks.id_problems(self.bead_id, "beadId"), *checks.title_problems(self.title, "title")]
        if len(self.labels) > MAX_BEAD_LABELS:
            given = len(self.labels)
            problems.append(TooMany(kind="labels", limit=MAX_BEAD_LABELS, given=given, path=("labels",)))
        for index, label in enumerate(self.labels[:MAX_BEAD_LABELS]):
            problems.extend(checks.label_problems(label, "labels", str(index)))
        if self.model is not None and not is_model_id(self.model):
            problems.append(InvalidModel(model=self.model))
        return problems

    def state(self) -> BeadState:
        return mapping.bead_state(
            bead_type=self.type,
            status=self.status,
            labels=self.labels,
            role=self.role,
            rig_id=self.rig_id,
            model=self.model,
        )


async def sync_beads(store: Store, caller: Caller, town_id: str, beads: Sequence[SyncedBead]) -> None:
    """Replace the whole state of each bead; all of them or none, and one entry that tells of those that changed.

    Raises `Refused` with every problem: `TOO_MANY`, `UNKNOWN_RIG`, `INVALID_MODEL`, `ALREADY_EXISTS` for a bead id of
    another town.
    """
    refuse_if_any(_problems(beads))

    async def work(unit: WriteUnit) -> None:
        head = await lock_town(unit, caller, town_id)
        rows = await towns.beads(unit.session, [bead.bead_id for bead in beads])
        refuse_if_any(await _misplaced(unit, town_id, beads, rows))
        before: dict[str, object] = {}
        after: dict[str, object] = {}
        for bead in beads:
            row = rows.get(bead.bead_id)
            was = None if row is None else _bead_record(row)
            row = _apply(unit, head, caller.actor, bead, row)
            if was != _bead_record(row):
                before[bead.bead_id], after[bead.bead_id] = was, _bead_record(row)
        if not after:
            return
        await unit.session.flush()
        change = Change(
            action=AuditAction.BEADS_SYNCED,
            target_type=TargetType.BEADS,
            target_id=town_id,
            before=before,
            after=after,
        )
        await record(unit, head, caller, change)

    await store.write(work)


def _problems(beads: Sequence[SyncedBead]) -> list[Problem]:
    if len(beads) > MAX_BEADS:
        return [TooMany(kind="beads", limit=MAX_BEADS, given=len(beads), path=("beads",))]
    problems: list[Problem] = []
    seen: set[str] = set()
    for index, bead in enumerate(beads):
        problems.extend(problem.under("beads", index) for problem in bead.problems())
        if bead.bead_id in seen:
            path = ("beads", str(index), "beadId")
            problems.append(InvalidInput(path=path, expected="a bead named once in the list"))
        seen.add(bead.bead_id)
    return problems


async def _misplaced(
    unit: WriteUnit, town_id: str, beads: Sequence[SyncedBead], rows: Mapping[str, BeadRow]
) -> list[Problem]:
    """Beads of other towns, and beads in rigs that the town does not have now."""
    rigs = (await towns.rigs_of(unit.session, [town_id])).get(town_id, [])
    there = {rig.rig_id for rig in rigs if rig.removed_at is None}
    problems: list[Problem] = []
    for index, bead in enumerate(beads):
        row = rows.get(bead.bead_id)
        if row is not None and row.town_id != town_id:
            problems.append(AlreadyExists(kind="bead", name=bead.bead_id, path=("beads", str(index), "beadId")))
        if bead.rig_id is not None and bead.rig_id not in there:
            problems.append(UnknownRig(rig_id=bead.rig_id, path=("beads", str(index), "rigId")))
    return problems


def _apply(unit: WriteUnit, head: Head, actor: Actor, bead: SyncedBead, row: BeadRow | None) -> BeadRow:
    """Bring a bead's row to what was synced, with a revision where that counts for resolution."""
    state = bead.state().model_dump()
    named: dict[str, Any] = {
        "title": bead.title,
        "search_title": bead.title.casefold(),
        "effective_role": effective_role(bead.role, bead.type),
        "updated_at": head.instant,
    }
    if row is None:
        row = BeadRow(town_id=head.chain, bead_id=bead.bead_id, revision=1, **state, **named)
        unit.session.add(row)
    elif any(getattr(row, field) != value for field, value in state.items()):
        row.sqlmodel_update({**state, **named, "revision": row.revision + 1})
    else:
        if row.title != bead.title:
            row.sqlmodel_update(named)
        return row
    unit.session.add(
        BeadRevisionRow(
            **state,
            town_id=head.chain,
            bead_id=bead.bead_id,
            revision=row.revision,
            at=head.instant,
            actor_id=actor.actor_id,
            on_behalf_of=actor.on_behalf_of,
        )
    )
    return row


def _bead_record(row: BeadRow) -> dict[str, object]:
    """A bead as audit entries tell of it."""
    return {
        "type": row.type.name,
        "status": row.status.name,
        "title": row.title,
        "labels": mapping.labels_of(row),
        "role": None if row.role is None else row.role.name,
        "rigId": row.rig_id,
        "model": row.model,
    }
