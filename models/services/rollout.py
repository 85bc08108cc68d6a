"""Publishing profile versions, and bringing them to every town that follows the profile.

The rollout is level-triggered. A town is due as long as its current set lies over an older version than the latest, so
there is no record of progress to lose: whoever looks next carries on. One process at a time is at a profile's rollout;
its turn lasts as long as the transaction of a batch, so it ends with the process that took it.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from typing import Final

from models.domain import checks
from models.domain.audit import CENTRAL_CHAIN, AuditAction, Change, TargetType
from models.domain.errors import NoChange, Problem, Refused, UnknownProfile, VersionConflict, refuse_if_any
from models.domain.overrides import Choice, next_set
from models.domain.permissions import ADMINISTER, EDIT, Need, require
from models.domain.profiles import ProfileTable
from models.domain.tokens import EVERYTHING
from models.domain.vocabulary import Actor, OverrideSetCause
from models.services.heads import lock_central, lock_town
from models.services.history import Caller, record
from models.services.idempotency import Attempt, Outcome, once
from models.services.profiles import ProfileDraft, check_profile_draft, insert_profile_version, profile_record
from models.services.publishing import Installation, Successor, install
from models.store.heads import Head, lock_heads
from models.store.policies import ProfileRow, ProfileVersionRow
from models.store.queries import policies
from models.store.tables import profile_tables
from models.store.turns import take_turn
from models.store.unit import Session, StorageUnavailableError, Store, WriteUnit

BATCH: Final = 50
_PATIENCE_SECONDS: Final = 30.0
_PAUSE_SECONDS: Final = 0.1
_SQLITE_TURN_SECONDS: Final = 0.5
_SQLITE_GAP_SECONDS: Final = 0.15  # whoever waits for SQLite's one writer to end looks every 0.1 seconds


class AnotherAtWorkError(Exception):
    """It is another process's turn at the rollout."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfilePublication:
    """`expected_version` is the profile's latest as the writer saw it; 0 makes a new profile."""

    draft: ProfileDraft
    title: str | None
    expected_version: int
    reason: str
    idempotency_key: str | None = None

    @property
    def need(self) -> Need:
        """What it takes to publish it."""
        return ADMINISTER if self.draft.town_id is None else EDIT

    def problems(self) -> list[Problem]:
        return [
            *self.draft.name_problems(),
            *checks.version_problems(self.expected_version, "expectedVersion"),
            *([] if self.title is None else checks.name_problems(self.title, "title")),
            *checks.reason_problems(self.reason),
            *checks.key_problems(self.idempotency_key),
        ]


def _never() -> bool:
    return False


async def publish_profile_version(
    store: Store, caller: Caller, publication: ProfilePublication, *, stopping: Callable[[], bool] = _never
) -> Outcome:
    """Publish a profile's next version and bring it to all towns that follow it.

    A town's own profile moves its town in the same transaction; a central one its towns right after, in batches, until
    `stopping()` is true: whoever looks next for unfinished rollouts brings it to the others.
    Raises `Refused` with every problem, `VERSION_CONFLICT` or `NO_CHANGE`; `ForbiddenError`.
    """
    draft = publication.draft
    require(caller.grant, publication.need)
    refuse_if_any(publication.problems())
    body, key = partial(asdict, publication), publication.idempotency_key
    attempt = Attempt(operation="publishProfileVersion", town_id=draft.town_id, key=key, body=body)

    async def work(unit: WriteUnit) -> Outcome:
        async def act() -> Outcome:
            town_head = None if draft.town_id is None else await lock_town(unit, caller, draft.town_id)
            table = await _next_version(unit, caller, publication)
            if town_head is not None:
                await _adopt(unit, [town_head], caller, draft.owner, table, publication.reason)
            return Outcome(subject=draft.name, version=table.version)

        return await once(unit, caller, attempt, act)

    outcome = await store.write(work)
    if draft.town_id is None:
        with suppress(StorageUnavailableError):  # whoever looks next for unfinished rollouts carries on
            ending = store.ending.is_set
            await roll_out(store, draft.name, patience=_PATIENCE_SECONDS, stopping=lambda: ending() or stopping())
    return outcome


async def _next_version(unit: WriteUnit, caller: Caller, publication: ProfilePublication) -> ProfileTable:
    draft = publication.draft
    head = await lock_central(unit)
    profile = await policies.locked_profile(unit.session, draft.owner, draft.name, share=False)
    latest = 0 if profile is None else profile.version
    if publication.expected_version != latest:
        if profile is None:
            raise Refused(UnknownProfile(name=draft.name, path=("name",)))
        raise Refused(VersionConflict(expected=publication.expected_version, current=latest))
    table = await check_profile_draft(unit.session, draft, version=latest + 1)
    before: dict[str, object] | None = None
    if profile is None:
        title = publication.title or draft.name.capitalize()
        profile = ProfileRow(owner=draft.owner, name=draft.name, title=title, version=table.version)
        unit.session.add(profile)
    else:
        key = (draft.owner, draft.name, latest)
        earlier = (await profile_tables(unit.session, [key]))[key]
        if earlier.content_hash == table.content_hash:
            raise Refused(NoChange(subject=f"Version {latest}", path=("rules",)))
        before = profile_record(draft.owner, profile.title, earlier)
        profile.title = publication.title or profile.title
        profile.version = table.version
    await unit.session.flush()
    await insert_profile_version(unit, head, caller, owner=draft.owner, table=table, reason=publication.reason)
    change = Change(
        action=AuditAction.PROFILE_VERSION_PUBLISHED,
        target_type=TargetType.PROFILE,
        target_id=draft.name if draft.town_id is None else f"{draft.town_id}/{draft.name}",
        reason=publication.reason,
        version_before=latest,
        version_after=table.version,
        before=before,
        after=profile_record(draft.owner, profile.title, table),
    )
    await record(unit, head, caller, change)
    return table


async def roll_out(store: Store, name: str, *, patience: float = 0.0, stopping: Callable[[], bool] = _never) -> None:
    """Bring the latest version of a central profile to every town that is due, a batch a transaction.

    May be begun at any time and in several processes at once. Where another is at it, it is left to that one after
    `patience` seconds in which no turn was to be had. On SQLite, which has one writer at a time, others get their turn
    now and then. Ends between two batches once `stopping()` is true.
    """
    after = ""
    now = asyncio.get_running_loop().time
    give_up = now() + patience
    rested = now()
    while not stopping():

        async def work(unit: WriteUnit, after: str = after) -> str | None:
            return await _roll_out_batch(unit, name, after)

        try:
            last = await store.write(work)
        except AnotherAtWorkError:
            if now() >= give_up:
                return
            await asyncio.sleep(random.uniform(0, _PAUSE_SECONDS))  # noqa: S311  # jitter, no secret
            continue
        if last is None:
            if after == "":
                return  # a whole pass found nothing due
            last = ""
        after = last
        give_up = now() + patience
        if store.database.is_sqlite and now() - rested > _SQLITE_TURN_SECONDS:
            await asyncio.sleep(_SQLITE_GAP_SECONDS)  # other writers' turn
            rested = now()


async def roll_out_all(store: Store, *, stopping: Callable[[], bool] = _never) -> None:
    """Finish every rollout that was begun and not finished and that no other process is at."""
    for name in await unfinished(store):
        await roll_out(store, name, stopping=stopping)


async def unfinished(store: Store) -> dict[str, int]:
    """How many towns are due, by the name of each central profile that has any."""

    async def look(session: Session) -> dict[str, int]:
        profiles = await policies.profiles_of(session, [CENTRAL_CHAIN])
        followers = await policies.followers(session, [(row.owner, row.name) for row in profiles])
        found = {}
        for row in profiles:
            by_version = followers.get((row.owner, row.name), {})
            if due := sum(towns for version, towns in by_version.items() if version < row.version):
                found[row.name] = due
        return found

    return await store.search(look)


async def _roll_out_batch(unit: WriteUnit, name: str, after: str) -> str | None:
    """Move the next due towns. Gives the last town's id, or None where none is due after `after`.

    Raises `AnotherAtWorkError`.
    """
    if not await take_turn(unit.session, f"rollout of {name}"):
        raise AnotherAtWorkError(name)
    profile = (await policies.profiles(unit.session, [(CENTRAL_CHAIN, name)]))[CENTRAL_CHAIN, name]
    due = await policies.following(
        unit.session, CENTRAL_CHAIN, name, older_than=profile.version, after=after, limit=BATCH
    )
    if not due:
        return None
    key = (CENTRAL_CHAIN, name, profile.version)
    version = (await policies.profile_versions(unit.session, [key]))[key]
    table = (await profile_tables(unit.session, [key]))[key]
    heads = await lock_heads(unit.session, [town_id for town_id, _ in due], clock=unit.store.clock)
    await _adopt(unit, heads, _publisher(version), CENTRAL_CHAIN, table, version.reason)
    return due[-1][0]


def _publisher(version: ProfileVersionRow) -> Caller:
    """Whoever published a version, as the caller on whose account its rollout runs."""
    return Caller(
        actor=Actor(actor_id=version.actor_id, on_behalf_of=version.on_behalf_of),
        display_name=None,
        credential_id=version.credential_id,
        request_id=version.request_id,
        grant=EVERYTHING,
    )


async def _adopt(
    unit: WriteUnit, heads: Sequence[Head], caller: Caller, owner: str, table: ProfileTable, reason: str | None
) -> None:
    """Lay the locked towns' sets over the profile version `table`, unless they lie elsewhere or there already."""
    sets = await unit.store.tables.get(unit.session, [(head.chain, head.version) for head in heads])
    successors = []
    for head in heads:
        current = sets[head.chain, head.version]
        then = current.override_set
        follows = current.profile_owner == owner and then.profile.name == table.name
        if follows and then.profile.version < table.version:
            choice = Choice(profile=table, honor_bead_models=then.honor_bead_models, rules=then.rules)
            new = next_set(then, choice, at=head.instant, by=caller.actor)
            successors.append(Successor(head=head, current=current, new=new))
    if successors:
        why = Installation(cause=OverrideSetCause.PROFILE_UPDATED, reason=reason)
        await install(unit, caller, successors, why)
