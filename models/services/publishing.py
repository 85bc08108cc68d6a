"""Publishing: a town's next override set, with its audit entry and its restart signal, in one transaction."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial

from models.domain import checks
from models.domain.audit import AuditAction, Change, TargetType
from models.domain.errors import NoChange, Path, Problem, Refused, refuse_if_any
from models.domain.mayor import may_move
from models.domain.overrides import Choice, OverrideSet, next_set
from models.domain.resolution import compile_table
from models.domain.rules import DraftKey, DraftRule, RuleKey
from models.domain.vocabulary import OverrideSetCause
from models.services.decisions import Desk, Draft
from models.services.heads import lock_town
from models.services.history import Caller, record_all
from models.services.idempotency import Attempt, Outcome, once
from models.services.mayor import TableMove, move_desired
from models.services.profiles import compiled, profile_owner
from models.store import mapping
from models.store.heads import Head
from models.store.policies import OverrideRow, OverrideSetRow
from models.store.rows import insert_rows
from models.store.tables import CompiledSet
from models.store.unit import Store, WriteUnit

_ACTIONS = {
    OverrideSetCause.PUBLISHED: AuditAction.OVERRIDE_SET_PUBLISHED,
    OverrideSetCause.PROFILE_SELECTED: AuditAction.PROFILE_SELECTED,
    OverrideSetCause.REVERTED: AuditAction.OVERRIDE_SET_REVERTED,
    OverrideSetCause.PROFILE_UPDATED: AuditAction.PROFILE_VERSION_ADOPTED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """What every publish says besides what it wants: where, on which base, and why."""

    town_id: str
    expected_version: int
    reason: str
    idempotency_key: str | None = None

    def problems(self) -> list[Problem]:
        return [
            *checks.version_problems(self.expected_version, "expectedVersion"),
            *checks.reason_problems(self.reason),
            *checks.key_problems(self.idempotency_key),
        ]

    def attempt(self, operation: str, body: Callable[[], Mapping[str, object]]) -> Attempt:
        """The request that asks for it; `body` tells what it wants."""

        def whole() -> Mapping[str, object]:
            return {**body(), "publication": asdict(self)}

        return Attempt(operation=operation, town_id=self.town_id, key=self.idempotency_key, body=whole)


async def publish_override_set(store: Store, caller: Caller, publication: Publication, draft: Draft) -> Outcome:
    """Publish `draft` laid over the current set.

    Like all publishes, gives the version made and raises `Refused`: with every problem of the draft, with
    `VERSION_CONFLICT` where the base moved, with `NO_CHANGE` where the next set would say what the current one says.
    """
    return await _publish(
        store,
        caller,
        publication,
        publication.attempt("publishOverrideSet", partial(asdict, draft)),
        lambda desk: desk.from_draft(draft),
        subject=("draft",),
    )


async def select_profile(store: Store, caller: Caller, publication: Publication, profile: str) -> Outcome:
    """Follow another profile, or the latest version of the same one."""
    return await _publish(
        store,
        caller,
        publication,
        publication.attempt("selectProfile", lambda: {"profile": profile}),
        lambda desk: desk.with_profile(profile),
        cause=OverrideSetCause.PROFILE_SELECTED,
        subject=("profile",),
    )


async def set_override(store: Store, caller: Caller, publication: Publication, rule: DraftRule) -> Outcome:
    """Add an override, change its model, or renew it where it is stale."""
    return await _publish(
        store,
        caller,
        publication,
        publication.attempt("setOverride", partial(asdict, rule)),
        lambda desk: desk.with_override(rule),
        subject=("override",),
    )


async def remove_override(store: Store, caller: Caller, publication: Publication, key: DraftKey) -> Outcome:
    """Remove the override with that key. Raises `Refused` with `NOT_FOUND` where there is none."""

    async def decide(desk: Desk) -> Choice:
        return desk.without_override(key)

    attempt = publication.attempt("removeOverride", partial(asdict, key))
    return await _publish(store, caller, publication, attempt, decide)


async def revert_override_set(store: Store, caller: Caller, publication: Publication, to_version: int) -> Outcome:
    """Publish what an earlier version said, over the latest version of its profile."""
    refuse_if_any(checks.version_problems(to_version, "toVersion"))
    return await _publish(
        store,
        caller,
        publication,
        publication.attempt("revertOverrideSet", lambda: {"toVersion": to_version}),
        lambda desk: desk.reverted(to_version),
        cause=OverrideSetCause.REVERTED,
        revert_of=to_version,
        subject=("toVersion",),
    )


async def _publish(
    store: Store,
    caller: Caller,
    publication: Publication,
    attempt: Attempt,
    decide: Callable[[Desk], Awaitable[Choice]],
    *,
    cause: OverrideSetCause = OverrideSetCause.PUBLISHED,
    revert_of: int | None = None,
    subject: Path = (),
) -> Outcome:
    refuse_if_any(publication.problems())

    async def work(unit: WriteUnit) -> Outcome:
        async def act() -> Outcome:
            head = await lock_town(unit, caller, publication.town_id, expected=publication.expected_version)
            current = await store.tables.one(unit.session, head.chain, head.version)
            desk = Desk(session=unit.session, tables=store.tables, current=current, locking=True)
            choice = await decide(desk)
            new = next_set(current.override_set, choice, at=head.instant, by=caller.actor)
            if new.content_hash == current.override_set.content_hash and not choice.renewed:
                raise Refused(NoChange(subject=f"Version {head.version}", path=subject))
            installation = Installation(
                cause=cause, revert_of=revert_of, reason=publication.reason, renewed=choice.renewed
            )
            await install(unit, caller, [Successor(head=head, current=current, new=new)], installation)
            return Outcome(subject=head.chain, version=new.version)

        return await once(unit, caller, attempt, act)

    return await store.write(work)


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """Why a set comes into force, and which of its overrides count as set anew though they read the same."""

    cause: OverrideSetCause
    reason: str | None
    revert_of: int | None = None
    renewed: frozenset[RuleKey] = frozenset()

    def record(self) -> dict[str, object]:
        """What an audit entry has to tell of it, so that a replay gives the very rows that were stored."""
        told: dict[str, object] = {}
        if self.revert_of is not None:
            told["revertOf"] = self.revert_of
        if self.renewed:
            told["renewed"] = sorted(key.spelling for key in self.renewed)
        return told


@dataclass(frozen=True, slots=True, kw_only=True)
class Successor:
    """A set that comes into force after `current` in the town whose head is locked."""

    head: Head
    current: CompiledSet
    new: OverrideSet


async def install(unit: WriteUnit, caller: Caller, successors: Sequence[Successor], why: Installation) -> None:
    """Bring sets into force, each in a town of its own: rows, signals, entries. More towns take no more statements."""
    await insert_sets(unit, caller, [(each.head, each.new) for each in successors], why)
    moves = []
    for each in successors:
        unit.makes((each.new.town_id, each.new.version), compiled(each.new))
        if may_move(each.current.override_set, each.new):
            moves.append(TableMove(head=each.head, before=each.current.table, after=compile_table(each.new)))
    await move_desired(unit, moves)
    await record_all(unit, caller, [(each.head, _change(each, why)) for each in successors])


def _change(successor: Successor, why: Installation) -> Change:
    current, new = successor.current.override_set, successor.new
    return Change(
        action=_ACTIONS[why.cause],
        target_type=TargetType.OVERRIDE_SET,
        target_id=str(new.version),
        reason=why.reason,
        version_before=current.version,
        version_after=new.version,
        before=set_record(current),
        after={**set_record(new), **why.record()},
    )


async def insert_sets(
    unit: WriteUnit, caller: Caller, sets: Sequence[tuple[Head, OverrideSet]], why: Installation
) -> None:
    """Insert the rows of sets and point their towns' heads at them."""
    rows = []
    for head, new in sets:
        row = mapping.override_set_row(
            new,
            profile_owner=profile_owner(new.town_id, new.profile.name),
            cause=why.cause,
            revert_of=why.revert_of,
            reason=why.reason,
            at=head.instant,
            by=caller.actor,
        )
        rows.append(row)
        head.version = new.version
    await insert_rows(unit.session, OverrideSetRow, rows)
    await insert_rows(unit.session, OverrideRow, [row for _, new in sets for row in mapping.override_rows(new)])


def set_record(override_set: OverrideSet) -> dict[str, object]:
    """An override set as audit entries tell of it."""
    return {**override_set.content, "contentHash": override_set.content_hash}
