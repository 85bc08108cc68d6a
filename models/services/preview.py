"""Previews: what publishing a draft would change, by the code that publishes it. Writes nothing."""

from dataclasses import dataclass, replace
from typing import Final

from sqlmodel.ext.asyncio.session import AsyncSession

from models.domain.changes import RuleChange, rule_changes
from models.domain.errors import NotFound, Refused, refuse_if_any
from models.domain.mayor import ModelPair, SignalStep, desired_pair, step_on_change
from models.domain.overrides import OverrideSet, next_set
from models.domain.profiles import ProfileTable
from models.domain.resolution import compile_table
from models.domain.tokens import Grant
from models.domain.vocabulary import Actor, is_id
from models.services.decisions import Desk, Draft
from models.services.profiles import ProfileDraft, check_profile_draft, compiled, latest_profile
from models.store import mapping
from models.store.queries import history, policies, towns
from models.store.tables import CompiledSet, profile_tables
from models.store.unit import Store

_BATCH: Final = 500
_NOBODY: Final = Actor(actor_id="nobody")  # set it, which no preview shows


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """A town's current set beside the one that the draft would make. They are the same where it changes nothing."""

    before: CompiledSet
    after: CompiledSet
    mayor_restart_required: bool


async def preview_draft(store: Store, grant: Grant, town_id: str, draft: Draft) -> Preview:
    """Lay `draft` over the town as it stands. Raises `Refused` just as publishing it would, but for `NO_CHANGE`."""

    async def look(session: AsyncSession) -> Preview:
        chain = grant.concealed(town_id)
        head = (await towns.heads(session, [chain])).get(chain) if is_id(town_id) else None
        if head is None or head.version == 0:
            raise Refused(NotFound(kind="town", name=town_id, path=("townId",)))
        before = await store.tables.one(session, town_id, head.version)
        desk = Desk(session=session, tables=store.tables, current=before, locking=False)
        choice = await desk.from_draft(draft)
        new = next_set(before.override_set, choice, at=store.clock(), by=_NOBODY)
        after = before
        if new.content_hash != before.override_set.content_hash:
            after = compiled(new)
        observed = (await history.observations(session, [town_id])).get(town_id)
        signal_open = town_id in await history.open_signals(session, [town_id])
        step: SignalStep = step_on_change(
            before=desired_pair(before.table),
            after=desired_pair(after.table),
            observed=None if observed is None else mapping.observed_pair(observed),
            signal_open=signal_open,
        )
        return Preview(before=before, after=after, mayor_restart_required=step.leaves_open(was_open=signal_open))

    return await store.fetch(look)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfilePreview:
    """What publishing a profile draft would do: `base_version` is 0 for a profile that is not there yet."""

    base_version: int
    changes: tuple[RuleChange, ...]
    towns_following: int
    mayors_moved: int


async def preview_profile(store: Store, grant: Grant, draft: ProfileDraft) -> ProfilePreview:
    """Compare a profile draft with the latest version. Raises `Refused` just as publishing it would.

    What is counted are towns of the grant.
    """
    refuse_if_any(draft.name_problems())

    async def look(session: AsyncSession) -> ProfilePreview:
        town_id = draft.town_id
        if town_id is not None and not (is_id(town_id) and await towns.towns(session, [grant.concealed(town_id)])):
            raise Refused(NotFound(kind="town", name=town_id, path=("townId",)))
        latest = await latest_profile(session, draft.owner, draft.name, locking=False)
        base_version = 0 if latest is None else latest.version
        table = await check_profile_draft(session, draft, version=base_version + 1)
        following, moved = await _mayors(session, grant, draft, table)
        before = {} if latest is None else latest.models_by_key
        return ProfilePreview(
            base_version=base_version,
            changes=rule_changes(before, table.models_by_key),
            towns_following=following,
            mayors_moved=moved,
        )

    return await store.search(look)


async def _mayors(session: AsyncSession, grant: Grant, draft: ProfileDraft, table: ProfileTable) -> tuple[int, int]:
    """How many towns of the grant follow the profile, and how many of their mayors would resolve to another pair."""
    following = moved = 0
    after = ""
    while keys := await policies.following(
        session, draft.owner, draft.name, within=grant.towns, after=after, limit=_BATCH
    ):
        rows = await policies.override_sets(session, keys)
        overrides = await policies.mayor_overrides(session, keys)
        versions = {(row.profile_owner, row.profile_name, row.profile_version) for row in rows.values()}
        profiles = await profile_tables(session, versions)
        for key, row in rows.items():
            now = mapping.override_set(
                row,
                overrides.get(key, []),
                profiles[row.profile_owner, row.profile_name, row.profile_version],
            )
            moved += _mayor_pair(now) != _mayor_pair(replace(now, profile=table))
        following += len(keys)
        after = keys[-1][0]
    return following, moved


def _mayor_pair(override_set: OverrideSet) -> ModelPair:
    return desired_pair(compile_table(override_set))
