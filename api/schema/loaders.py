"""Batched reads for one request: each `read()` serves all fields that asked in the same turn of the event loop."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime
from functools import cached_property, partial
from typing import Final, TypeVar, TypeVarTuple

from api.schema.batches import Batches
from models.domain.profiles import ProfileTable
from models.domain.tokens import Grant
from models.domain.vocabulary import is_storable
from models.services.heads import settle
from models.store.access import ActorRow
from models.store.kept import Kept
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
    kept: Kept[K, V] | None = None,
) -> Batches[K, V | None]:
    """What `query` finds by each key, which is looked up as `looked_up` has it; None where it finds nothing.

    What is `kept` is not asked for, and what is found is kept there.
    """

    async def load(keys: list[K]) -> list[V | None]:
        asked = [looked_up(key) for key in keys]
        storable = [key for key in asked if _is_storable(key)]
        found: Mapping[K, V] = {}
        if storable:
            found = await read(lambda session: query(session, storable))
            if kept is not None:
                for key, row in found.items():
                    kept.keep(key, row)
        return [found.get(key) for key in asked]

    if kept is None:
        return Batches(load, most=_MAX_BATCH)
    return Batches(load, most=_MAX_BATCH, known=lambda key: kept.get(looked_up(key)))


def _is_storable(key: object) -> bool:
    """Whether a database could hold `key` at all; what it could not is not there."""
    parts = key if isinstance(key, tuple) else (key,)
    return all(is_storable(part) for part in parts if isinstance(part, str))


def _settled(store: Store, grant: Grant) -> Batches[tuple[str, datetime], datetime]:
    async def load(keys: list[tuple[str, datetime]]) -> list[datetime]:
        now = await settle(store, {grant.concealed(town_id) for town_id, _ in keys})
        return [now] * len(keys)

    return Batches(load, most=_MAX_BATCH)


class Loaders:
    """What a request has read so far, each kind from when it is first asked for.

    A write makes it outdated: the context begins anew after each. What belongs to a town that `grant` is not for is not
    there.
    """

    def __init__(self, store: Store, grant: Grant) -> None:
        self._store = store
        self._grant = grant

    def _town(self, town_id: str) -> str:
        return self._grant.concealed(town_id)

    def _of_town(self, key: tuple[str, *Rest]) -> tuple[str, *Rest]:
        return (self._grant.concealed(key[0]), *key[1:])

    @cached_property
    def town(self) -> Batches[str, TownRow | None]:
        return _by_key(self._store.fetch, towns.towns, self._town, self._store.rows.towns)

    @cached_property
    def head(self) -> Batches[str, HeadRow | None]:
        return _by_key(self._store.fetch, towns.heads, self._town)

    @cached_property
    def settled(self) -> Batches[tuple[str, datetime], datetime]:
        """Until when a town's history moves no more, by (town id, instant asked about)."""
        return _settled(self._store, self._grant)

    @cached_property
    def rig(self) -> Batches[tuple[str, str], RigRow | None]:
        return _by_key(self._store.fetch, towns.rigs, self._of_town)

    @cached_property
    def rigs(self) -> Batches[str, list[RigRow] | None]:
        return _by_key(self._store.fetch, towns.rigs_of, self._town)

    @cached_property
    def bead(self) -> Batches[str, BeadRow | None]:
        return _by_key(self._store.fetch, partial(towns.beads, within=self._grant.towns))

    @cached_property
    def standing(self) -> Batches[str, tuple[BeadRow, int] | None]:
        return _by_key(self._store.fetch, partial(towns.standings, within=self._grant.towns))

    @cached_property
    def state_at(self) -> Batches[tuple[str, str, datetime], BeadRevisionRow | None]:
        return _by_key(self._store.fetch, towns.states_at, self._of_town)

    @cached_property
    def compiled(self) -> Batches[tuple[str, int], CompiledSet | None]:
        return _by_key(self._store.fetch, self._store.tables.get, self._of_town)

    @cached_property
    def override_set(self) -> Batches[tuple[str, int], OverrideSetRow | None]:
        kept = self._store.rows.override_sets
        return _by_key(self._store.fetch, policies.override_sets, self._of_town, kept)

    @cached_property
    def set_at(self) -> Batches[tuple[str, datetime], OverrideSetRow | None]:
        return _by_key(self._store.fetch, policies.override_sets_at, self._of_town)

    @cached_property
    def profile(self) -> Batches[tuple[str, str], ProfileRow | None]:
        return _by_key(self._store.fetch, policies.profiles, self._of_town)

    @cached_property
    def profile_version(self) -> Batches[tuple[str, str, int], ProfileVersionRow | None]:
        return _by_key(self._store.fetch, policies.profile_versions, self._of_town)

    @cached_property
    def profile_table(self) -> Batches[tuple[str, str, int], ProfileTable | None]:
        return _by_key(self._store.fetch, profile_tables, self._of_town)

    @cached_property
    def followers(self) -> Batches[tuple[str, str], dict[int, int] | None]:
        return _by_key(self._store.search, partial(policies.followers, within=self._grant.towns), self._of_town)

    @cached_property
    def actor(self) -> Batches[str, ActorRow | None]:
        return _by_key(self._store.fetch, history.actors)

    @cached_property
    def signals_at(self) -> Batches[tuple[str, datetime], SignalsAt | None]:
        return _by_key(self._store.fetch, history.signals_at, self._of_town)

    @cached_property
    def model(self) -> Batches[str, ModelRow | None]:
        return _by_key(self._store.fetch, policies.models_by_id)

    @cached_property
    def mayor(self) -> Batches[str, MayorStanding | None]:
        return _by_key(self._store.fetch, history.mayors, self._town)
