"""The rows that a chain's entries call for, made anew from the entries alone: what verification compares with."""

from collections.abc import Sequence
from typing import Final

from sqlmodel.ext.asyncio.session import AsyncSession

from models.domain.audit import Entry
from models.domain.overrides import Choice, OverrideSet, first_set, next_set
from models.domain.profiles import ProfileTable
from models.domain.replay import Replay
from models.domain.told import BeadTold, ObservationTold, ProfileTold, SetTold
from models.domain.vocabulary import BeadStatus, BeadType, Role, effective_role
from models.services.profiles import profile_owner
from models.store import mapping
from models.store.access import TokenRow
from models.store.mayor import MayorObservationRow
from models.store.policies import ModelRow, OverrideRow, OverrideSetRow, ProfileRow, ProfileRuleRow, ProfileVersionRow
from models.store.queries import policies
from models.store.tables import ProfileKey, profile_tables
from models.store.towns import BeadRevisionRow, BeadRow, RigRow, TownRow

_PROFILES_KEPT: Final = 1000


class ProfileShelf:
    """Profile versions as they are stored; a thousand at most are kept."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session
        self._kept: dict[ProfileKey, ProfileTable] = {}

    async def get(self, owner: str, name: str, version: int) -> ProfileTable:
        """Raises `LookupError` where there is no such version, `ValueError` where its rules are not those it had."""
        key = (owner, name, version)
        if key not in self._kept:
            if len(self._kept) >= _PROFILES_KEPT:
                self._kept.clear()
            self._kept[key] = await self._load(key)
        return self._kept[key]

    async def _load(self, key: ProfileKey) -> ProfileTable:
        owner, name, version = key
        rows = await policies.profile_versions(self._session, [key])
        if key not in rows:
            raise LookupError(f"profile_versions {owner} {name} {version} is missing")
        table = (await profile_tables(self._session, [key]))[key]
        if table.content_hash != rows[key].content_hash:
            raise ValueError(f"profile_rules {owner} {name} {version} do not give the version's content hash")
        return table


class SetHistory:
    """A town's override sets, each made of the one before as a publish makes it."""

    def __init__(self, town_id: str, profiles: ProfileShelf) -> None:
        self._town_id = town_id
        self._profiles = profiles
        self._current: OverrideSet | None = None

    async def rows(self, entry: Entry, told: SetTold) -> tuple[OverrideSetRow, Sequence[OverrideRow]]:
        """The rows of the set that `entry` tells of. Raises `LookupError` where its profile version is not stored."""
        owner = profile_owner(self._town_id, told.profile)
        choice = Choice(
            profile=await self._profiles.get(owner, told.profile, told.profile_version),
            honor_bead_models=told.honor_bead_models,
            rules=told.rules,
            renewed=told.renewed,
        )
        at, by = entry.occurred_at, entry.actor
        if self._current is None:
            self._current = first_set(self._town_id, choice, at=at, by=by)
        else:
            self._current = next_set(self._current, choice, at=at, by=by)
        row = mapping.override_set_row(
            self._current,
            profile_owner=owner,
            cause=told.cause,
            revert_of=told.revert_of,
            reason=entry.change.reason,
            at=at,
            by=by,
        )
        return OverrideSetRow(**row), [OverrideRow(**each) for each in mapping.override_rows(self._current)]


def profile_rows(entry: Entry, told: ProfileTold) -> tuple[ProfileVersionRow, Sequence[ProfileRuleRow]]:
    table = told.table
    row = ProfileVersionRow(
        owner=told.owner,
        name=table.name,
        version=table.version,
        small_model=table.small_model,
        content_hash=table.content_hash,
        reason=entry.change.reason,
        published_at=entry.occurred_at,
        actor_id=entry.actor.actor_id,
        on_behalf_of=entry.actor.on_behalf_of,
        credential_id=entry.credential_id,
        request_id=entry.request_id,
    )
    return row, mapping.profile_rule_rows(told.owner, table)


def observation_row(entry: Entry, told: ObservationTold) -> MayorObservationRow:
    return MayorObservationRow(
        town_id=entry.chain,
        sequence=told.sequence,
        model=told.pair.model,
        small_model=told.pair.small_model,
        observed_at=entry.occurred_at,
    )


def bead_rows(entry: Entry, told: BeadTold) -> tuple[BeadRow, BeadRevisionRow]:
    """The bead as it stands after the entry, and its revision; both but for the number of the revision."""
    record = told.record
    role = None if record["role"] is None else Role[record["role"]]
    state = mapping.bead_state(
        bead_type=BeadType[record["type"]],
        status=BeadStatus[record["status"]],
        labels=record["labels"],
        role=role,
        rig_id=record["rigId"],
        model=record["model"],
    )
    bead = BeadRow(
        **state.model_dump(),
        town_id=entry.chain,
        bead_id=told.bead_id,
        title=record["title"],
        search_title=record["title"].casefold(),
        effective_role=effective_role(role, state.type),
        revision=0,
        updated_at=entry.occurred_at,
    )
    revision = BeadRevisionRow(
        **state.model_dump(),
        town_id=entry.chain,
        bead_id=told.bead_id,
        revision=0,
        at=entry.occurred_at,
        actor_id=entry.actor.actor_id,
        on_behalf_of=entry.actor.on_behalf_of,
    )
    return bead, revision


def town_rows(replay: Replay) -> Sequence[TownRow]:
    """The row of the town; none for a chain that does not tell how its town was made."""
    if replay.created_at is None:
        return []
    name = replay.name
    return [
        TownRow(town_id=replay.chain, name=name, search_name=name.casefold(), created_at=replay.created_at),
    ]


def rig_rows(replay: Replay) -> Sequence[RigRow]:
    return [
        RigRow(
            town_id=replay.chain,
            rig_id=rig_id,
            name=rig.name,
            registered_at=rig.registered_at,
            removed_at=rig.removed_at,
        )
        for rig_id, rig in replay.rigs.items()
    ]


def model_rows(replay: Replay) -> Sequence[ModelRow]:
    return [
        ModelRow(
            model_id=model_id,
            display_name=model.record["displayName"],
            deprecated_at=model.deprecated_at,
            replaced_by=model.record["replacedBy"],
        )
        for model_id, model in replay.models.items()
    ]


def token_rows(replay: Replay) -> Sequence[TokenRow]:
    return [
        TokenRow(
            token_id=token_id,
            actor_id=token.record["actor"],
            scopes=mapping.array_text(token.record["scopes"]),
            towns=None if token.record["towns"] is None else mapping.array_text(token.record["towns"]),
            may_act_for=token.record["mayActFor"],
            secret_hash=token.record["secretHash"],
            created_at=token.created_at,
            expires_at=token.expires_at,
            revoked_at=token.revoked_at,
        )
        for token_id, token in replay.tokens.items()
    ]


def latest_profile_rows(replay: Replay) -> Sequence[ProfileRow]:
    """The rows of the profiles that the chain tells of, at the last version that it tells of."""
    return [
        ProfileRow(owner=owner, name=name, title=record["title"], version=record["version"])
        for (owner, name), record in replay.profiles.items()
    ]
