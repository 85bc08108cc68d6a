"""Batched reads for one request: each `read()` serves all fields that asked in the same turn of the event loop."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime
from functools import partial
from typing import Final, TypeVar, TypeVarTuple

from strawberry.dataloader import DataLoader

from models.domain.profiles import ProfileTable
from models.domain.tokens import Grant
from models.domain.vocabulary import is_storable
from models.services.heads import settle
from models.store.access import ActorRow
from models.store.policies import ModelRow, OverrideSetRow, ProfileRow, ProfileVersionRow
from models.store.queries import history, policies, towns
from models.store.queries.history import MayorStanding, SignalsAt
from models.store.tables import CompiledSet, profile_tables
from models.store.towns import BeadRevisionRow, BeadRow, HeadRow, RigRow, TownRow
from models.store.unit import Read, Session, Store

K = TypeVar("K")
Rest = TypeVarTuple("Rest")
V = TypeVar("V")

_MAX_BATCH: Final = 1000


def _by_key(
    read: Read[Mapping[K, V]],
    query: Callable[[Session, Iterable[K]], Awaitable[Mapping[K, V]]],
    looked_up: Callable[[K], K] = lambda key: key,
) -> DataLoader[K, V | None]:
    """What `query` finds by each key, which is looked up as `looked_up` has it; None where it finds nothing."""

    async def load(keys: list[K]) -> list[V | None]:
        asked = [looked_up(key) for key in keys]
        storable = [key for key in asked if _is_storable(key)]
        found: Mapping[K, V] = {}
        if storable:
            found = await read(lambda session: query(session, storable))
        return [found.get(key) for key in asked]

    return DataLoader(load_fn=load, max_batch_size=_MAX_BATCH)


def _is_storable(key: object) -> bool:
    """Whether a database could hold `key` at all; what it could not is not there."""
    parts = key if isinstance(key, tuple) else (key,)
    return all(is_storable(part) for part in parts if isinstance(part, str))


def _settled(store: Store, grant: Grant) -> DataLoader[tuple[str, datetime], datetime]:
    async def load(keys: list[tuple[str, datetime]]) -> list[datetime]:
        now = await settle(store, {grant.concealed(town_id) for town_id, _ in keys})
        return [now] * len(keys)

    return DataLoader(load_fn=load, max_batch_size=_MAX_BATCH)


class Loaders:
    """What a request has read so far. A write makes it outdated: the context begins anew after each.

    What belongs to a town that `grant` is not for is not there.
    """

    def __init__(self, store: Store, grant: Grant) -> None:
        def town(town_id: str) -> str:
            return grant.concealed(town_id)

        def of_town(key: tuple[str, *Rest]) -> tuple[str, *Rest]:
            return (grant.concealed(key[0]), *key[1:])

        beads = partial(towns.beads, within=grant.towns)
        standings = partial(towns.standings, within=grant.towns)
        followers = partial(policies.followers, within=grant.towns)
        self.town: DataLoader[str, TownRow | None] = _by_key(store.fetch, towns.towns, town)
        self.head: DataLoader[str, HeadRow | None] = _by_key(store.fetch, towns.heads, town)
        self.settled = _settled(store, grant)  # until when its history moves no more, by (town id, instant asked about)
        self.rig: DataLoader[tuple[str, str], RigRow | None] = _by_key(store.fetch, towns.rigs, of_town)
        self.rigs: DataLoader[str, list[RigRow] | None] = _by_key(store.fetch, towns.rigs_of, town)
        self.bead: DataLoader[str, BeadRow | None] = _by_key(store.fetch, beads)
        self.standing: DataLoader[str, tuple[BeadRow, int] | None] = _by_key(store.fetch, standings)
        self.state_at: DataLoader[tuple[str, str, datetime], BeadRevisionRow | None] = _by_key(
            store.fetch, towns.states_at, of_town
        )
        self.compiled: DataLoader[tuple[str, int], CompiledSet | None] = _by_key(store.fetch, store.tables.get, of_town)
        self.override_set: DataLoader[tuple[str, int], OverrideSetRow | None] = _by_key(
            store.fetch, policies.override_sets, of_town
        )
        self.set_at: DataLoader[tuple[str, datetime], OverrideSetRow | None] = _by_key(
            store.fetch, policies.override_sets_at, of_town
        )
        self.profile: DataLoader[tuple[str, str], ProfileRow | None] = _by_key(store.fetch, policies.profiles, of_town)
        self.profile_version: DataLoader[tuple[str, str, int], ProfileVersionRow | None] = _by_key(
            store.fetch, policies.profile_versions, of_town
        )
        self.profile_table: DataLoader[tuple[str, str, int], ProfileTable | None] = _by_key(
            store.fetch, profile_tables, of_town
        )
        self.followers: DataLoader[tuple[str, str], dict[int, int] | None] = _by_key(store.search, followers, of_town)
        self.actor: DataLoader[str, ActorRow | None] = _by_key(store.fetch, history.actors)
        self.signals_at: DataLoader[tuple[str, datetime], SignalsAt | None] = _by_key(
            store.fetch, history.signals_at, of_town
        )
        self.model: DataLoader[str, ModelRow | None] = _by_key(store.fetch, policies.models_by_id)
        self.mayor: DataLoader[str, MayorStanding | None] = _by_key(store.fetch, history.mayors, town)
