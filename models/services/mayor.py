"""Change detection for mayors: restart signals, raised and closed in the transaction of what caused them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import update

from models.domain.audit import AuditAction, Change, TargetType
from models.domain.mayor import ModelPair, SignalStep, desired_pair, step_on_change, step_on_report
from models.domain.resolution import Table
from models.services.heads import lock_town
from models.services.history import Caller, record
from models.store import mapping
from models.store.heads import Head
from models.store.mayor import MayorObservationRow, MayorSignalRow
from models.store.queries import history
from models.store.unit import Store, WriteUnit


@dataclass(frozen=True, slots=True, kw_only=True)
class TableMove:
    """A locked town that goes from one table to another."""

    head: Head
    before: Table
    after: Table


async def move_desired(unit: WriteUnit, moves: Iterable[TableMove]) -> None:
    """Raise, supersede or cancel each town's restart signal as its move from table to table asks for."""
    pairs = [(move.head, desired_pair(move.before), desired_pair(move.after)) for move in moves]
    moved = {head.chain: (head, before, after) for head, before, after in pairs if before != after}
    if not moved:
        return
    observed = await history.observations(unit.session, moved)
    signals = await history.open_signals(unit.session, moved)
    steps = []
    for town_id, (head, before, after) in moved.items():
        seen, signal = observed.get(town_id), signals.get(town_id)
        step = step_on_change(
            before=before,
            after=after,
            observed=None if seen is None else mapping.observed_pair(seen),
            signal_open=signal is not None,
        )
        steps.append((head, step, signal))
    await _take(unit, steps)


async def detect_mayor_change(store: Store, caller: Caller, town_id: str, observed: ModelPair) -> None:
    """Take note of what the town's mayor runs on, and open or close the restart signal accordingly.

    A report like the last one writes nothing. Raises `Refused` with `NOT_FOUND` for the town.
    """

    async def work(unit: WriteUnit) -> None:
        head = await lock_town(unit, caller, town_id)
        last = (await history.observations(unit.session, [town_id])).get(town_id)
        if last is not None and mapping.observed_pair(last) == observed:
            return
        current = await store.tables.one(unit.session, town_id, head.version)
        signal = (await history.open_signals(unit.session, [town_id])).get(town_id)
        head.observation_sequence += 1
        unit.session.add(
            MayorObservationRow(
                town_id=town_id,
                sequence=head.observation_sequence,
                model=observed.model,
                small_model=observed.small_model,
                observed_at=head.instant,
            )
        )
        await unit.session.flush()
        step = step_on_report(desired=desired_pair(current.table), observed=observed, signal_open=signal is not None)
        await _take(unit, [(head, step, signal)])
        change = Change(
            action=AuditAction.MAYOR_OBSERVED,
            target_type=TargetType.MAYOR,
            target_id=town_id,
            before=None if last is None else _pair_record(mapping.observed_pair(last)),
            after=_pair_record(observed),
        )
        await record(unit, head, caller, change)

    await store.write(work)


async def _take(unit: WriteUnit, steps: Sequence[tuple[Head, SignalStep, MayorSignalRow | None]]) -> None:
    """Carry out steps on towns' signals, each given with the one that is open."""
    closings = [
        {
            "town_id": signal.town_id,
            "sequence": signal.sequence,
            "closed_at": head.instant,
            "closed_because": step.close,
        }
        for head, step, signal in steps
        if step.close is not None and signal is not None
    ]
    if closings:
        await unit.session.exec(update(MayorSignalRow), params=closings)
    for head, step, _ in steps:
        if step.open is not None:
            head.signal_sequence += 1
            unit.session.add(
                MayorSignalRow(
                    town_id=head.chain,
                    sequence=head.signal_sequence,
                    before_model=step.open.before.model,
                    before_small_model=step.open.before.small_model,
                    after_model=step.open.after.model,
                    after_small_model=step.open.after.small_model,
                    cause=step.open.cause,
                    override_set_version=head.version,
                    raised_at=head.instant,
                )
            )
    await unit.session.flush()


def _pair_record(pair: ModelPair) -> dict[str, object]:
    return {"model": pair.model, "smallModel": pair.small_model}
