"""Reads of the model catalogue, profiles, override sets, and of who follows what."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, and_, bindparam, func
from sqlalchemy import select as core_select
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.domain.rules import RuleKey
from models.domain.vocabulary import OverrideSetCause, Role, is_model_id
from models.store.mayor import MayorSignalRow
from models.store.paging import Page, Slice, fetch_known_page
from models.store.policies import (
    ModelRow,
    OverrideRow,
    OverrideSetRow,
    ProfileRow,
    ProfileRuleRow,
    ProfileVersionRow,
)
from models.store.queries.json_texts import given, is_among, is_among_given
from models.store.queries.keyed import one_of, rows_of
from models.store.rows import read_values, table_of
from models.store.towns import HeadRow

SetKey = tuple[str, int]
ProfileName = tuple[str, str]
VersionKey = tuple[str, str, int]

_VERSIONS_OF: Final = select(ProfileVersionRow).where(
    col(ProfileVersionRow.owner) == bindparam("owner"), col(ProfileVersionRow.name) == bindparam("name")
)
_SETS_OF: Final = select(OverrideSetRow).where(col(OverrideSetRow.town_id) == bindparam("town_id"))
_MODELS: Final = select(ModelRow).where(is_among_given(col(ModelRow.model_id), "model_ids"))

_CATALOGUE: Final = table_of(ModelRow).c
_KNOWN_MODELS: Final = core_select(_CATALOGUE.model_id).where(is_among_given(_CATALOGUE.model_id, "model_ids"))


async def models(session: AsyncSession, *, include_deprecated: bool = True) -> Sequence[ModelRow]:
    query = select(ModelRow).order_by(col(ModelRow.model_id))
    if not include_deprecated:
        query = query.where(col(ModelRow.deprecated_at).is_(None))
    return (await session.exec(query)).all()


async def models_by_id(session: AsyncSession, model_ids: Iterable[str]) -> dict[str, ModelRow]:
    possible = [model_id for model_id in model_ids if is_model_id(model_id)]
    return {row.model_id: row for row in await session.exec(_MODELS, params={"model_ids": given(possible)})}


async def known_models(session: AsyncSession, model_ids: Iterable[str]) -> frozenset[str]:
    """Those of the ids that are models of the catalogue."""
    possible = [model_id for model_id in model_ids if is_model_id(model_id)]
    return frozenset(row.model_id for row in await read_values(session, _KNOWN_MODELS, model_ids=given(possible)))


async def profiles(session: AsyncSession, keys: Iterable[ProfileName]) -> dict[ProfileName, ProfileRow]:
    """The profiles of `keys` (owner, name)."""
    rows = await rows_of(session, ProfileRow, keys, col(ProfileRow.owner), col(ProfileRow.name))
    return {(row.owner, row.name): row for row in rows}


async def profiles_of(session: AsyncSession, owners: Iterable[str]) -> Sequence[ProfileRow]:
    query = select(ProfileRow).where(col(ProfileRow.owner).in_(list(owners)))
    return (await session.exec(query.order_by(col(ProfileRow.owner), col(ProfileRow.name)))).all()


async def all_profiles(session: AsyncSession) -> Sequence[ProfileRow]:
    return (await session.exec(select(ProfileRow))).all()


async def locked_profile(session: AsyncSession, owner: str, name: str, *, share: bool) -> ProfileRow | None:
    """A profile that no one publishes (`share`), or even reads for a decision, until the transaction ends."""
    query = (
        select(ProfileRow)
        .where(ProfileRow.owner == owner, ProfileRow.name == name)
        .with_for_update(read=share)
        .execution_options(populate_existing=True)
    )
    return (await session.exec(query)).one_or_none()


async def profile_versions(session: AsyncSession, keys: Iterable[VersionKey]) -> dict[VersionKey, ProfileVersionRow]:
    """The profile versions of `keys` (owner, name, version)."""
    row = ProfileVersionRow
    rows = await rows_of(session, row, keys, col(row.owner), col(row.name), col(row.version))
    return {(found.owner, found.name, found.version): found for found in rows}


async def profile_rules(session: AsyncSession, keys: Iterable[VersionKey]) -> dict[VersionKey, list[ProfileRuleRow]]:
    row = ProfileRuleRow
    by_version: dict[VersionKey, list[ProfileRuleRow]] = {}
    for found in await rows_of(session, row, keys, col(row.owner), col(row.name), col(row.version)):
        by_version.setdefault((found.owner, found.name, found.version), []).append(found)
    return by_version


async def profile_versions_page(session: AsyncSession, owner: str, name: str, wanted: Slice) -> Page[ProfileVersionRow]:
    params, order = {"owner": owner, "name": name}, col(ProfileVersionRow.version)
    return await fetch_known_page(session, _VERSIONS_OF, params, order=order, wanted=wanted, descending=True)


async def override_sets(session: AsyncSession, keys: Iterable[SetKey]) -> dict[SetKey, OverrideSetRow]:
    """The override sets of `keys` (town id, version)."""
    rows = await rows_of(session, OverrideSetRow, keys, col(OverrideSetRow.town_id), col(OverrideSetRow.version))
    return {(row.town_id, row.version): row for row in rows}


async def overrides(session: AsyncSession, keys: Iterable[SetKey]) -> dict[SetKey, list[OverrideRow]]:
    return _by_set(await rows_of(session, OverrideRow, keys, col(OverrideRow.town_id), col(OverrideRow.version)))


def _by_set(rows: Iterable[OverrideRow]) -> dict[SetKey, list[OverrideRow]]:
    by_set: dict[SetKey, list[OverrideRow]] = {}
    for row in rows:
        by_set.setdefault((row.town_id, row.version), []).append(row)
    return by_set


async def mayor_overrides(session: AsyncSession, keys: Iterable[SetKey]) -> dict[SetKey, list[OverrideRow]]:
    """Of each override set only the rules that the mayor can meet."""
    met = (RuleKey(role=Role.MAYOR).spelling, RuleKey().spelling)
    rule_keys = [(*key, spelling) for key in keys for spelling in met]
    row = OverrideRow
    return _by_set(await rows_of(session, row, rule_keys, col(row.town_id), col(row.version), col(row.key)))


async def override_sets_page(session: AsyncSession, town_id: str, wanted: Slice) -> Page[OverrideSetRow]:
    params, order = {"town_id": town_id}, col(OverrideSetRow.version)
    return await fetch_known_page(session, _SETS_OF, params, order=order, wanted=wanted, descending=True)


async def override_sets_at(
    session: AsyncSession, keys: Iterable[tuple[str, datetime]]
) -> dict[tuple[str, datetime], OverrideSetRow]:
    """The override sets in force for keys (town id, instant): a statement each. None before the town was made."""
    found = {}
    for town_id, at in keys:
        query = (
            select(OverrideSetRow)
            .where(OverrideSetRow.town_id == town_id, OverrideSetRow.created_at <= at)
            .order_by(col(OverrideSetRow.created_at).desc())
            .limit(1)
        )
        row = (await session.exec(query)).one_or_none()
        if row is not None:
            found[town_id, at] = row
    return found


async def following(
    session: AsyncSession,
    owner: str,
    name: str,
    *,
    older_than: int | None = None,
    within: Collection[str] | None = None,
    after: str = "",
    limit: int,
) -> Sequence[SetKey]:
    """(town id, version) of towns whose current set lies over the profile, by town id.

    `older_than` keeps those that lie over an older version of it: the towns that are due. `within` are the towns that
    count, None for all.
    """
    query = (
        select(col(OverrideSetRow.town_id), col(OverrideSetRow.version))
        .join(HeadRow, _in_force())
        .where(
            OverrideSetRow.profile_owner == owner,
            OverrideSetRow.profile_name == name,
            col(OverrideSetRow.town_id) > after,
        )
        .order_by(col(OverrideSetRow.town_id))
        .limit(limit)
    )
    if older_than is not None:
        query = query.where(col(OverrideSetRow.profile_version) < older_than)
    if within is not None:
        query = query.where(is_among(col(OverrideSetRow.town_id), within))
    return (await session.exec(query)).all()


async def followers(
    session: AsyncSession, keys: Iterable[ProfileName], *, within: Collection[str] | None = None
) -> dict[ProfileName, dict[int, int]]:
    """For each profile (owner, name) that is followed: how many towns (of `within`) lie over which version of it."""
    owner, name = col(OverrideSetRow.profile_owner), col(OverrideSetRow.profile_name)
    version = col(OverrideSetRow.profile_version)
    found: dict[ProfileName, dict[int, int]] = {}
    for condition in one_of(keys, owner, name):
        query = (
            select(owner, name, version, func.count())
            .join(HeadRow, _in_force())
            .where(condition)
            .group_by(owner, name, version)
        )
        if within is not None:
            query = query.where(is_among(col(OverrideSetRow.town_id), within))
        for profile_owner, profile_name, profile_version, count in await session.exec(query):
            found.setdefault((profile_owner, profile_name), {})[profile_version] = count
    return found


def _in_force() -> ColumnElement[bool]:
    """That an override set is the one its town's head points at."""
    return and_(col(HeadRow.chain) == col(OverrideSetRow.town_id), col(HeadRow.version) == col(OverrideSetRow.version))


async def adoption_counts(session: AsyncSession, owner: str, name: str, version: int) -> tuple[int, int]:
    """How many towns a profile version was rolled out to, and in how many of them that raised a restart signal."""
    query = (
        select(func.count(), func.count(col(MayorSignalRow.sequence)))
        .select_from(OverrideSetRow)
        .outerjoin(
            MayorSignalRow,
            (col(MayorSignalRow.town_id) == col(OverrideSetRow.town_id))
            & (col(MayorSignalRow.override_set_version) == col(OverrideSetRow.version))
            & (col(MayorSignalRow.raised_at) == col(OverrideSetRow.created_at)),
        )
        .where(
            OverrideSetRow.profile_owner == owner,
            OverrideSetRow.profile_name == name,
            OverrideSetRow.profile_version == version,
            OverrideSetRow.cause == OverrideSetCause.PROFILE_UPDATED,
        )
    )
    return (await session.exec(query)).one()
