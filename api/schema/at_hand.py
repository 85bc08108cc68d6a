"""Fields of the root that compiled operations may ask for, from one strict read each: what a dispatcher asks all day.

Each has the value that the field's resolver would give. What takes more than that, or would be an error, is left to the
executor.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, ClassVar, Final

from api.compiler import Bail, Call
from api.schema.mayor import Mayor
from api.schema.problems import UserError
from api.schema.resolution import AsOf, BeadResolution, Resolution, TaskInput
from api.schema.town import Town
from models.domain.errors import NotFound
from models.domain.resolution import Resolution as DomainResolution
from models.domain.tokens import Grant
from models.domain.vocabulary import MAX_BEADS, is_id
from models.services.resolver import ResolutionKey, Resolver
from models.store.strict import BEADS, TOWNS, Rows, Statement

_NOTHING_ELSE: Final[frozenset[tuple[str, str]]] = frozenset()


class NotKeptError(Exception):
    """What the rows name is not at hand; once it is loaded it is, as a rule."""


class Sources(dict[str, int]):
    """How many resolutions there are by the sources of the rules that matched."""

    def count(self, resolution: DomainResolution) -> None:
        source = resolution.matched.source.name
        self[source] = self.get(source, 0) + 1


class Look(ABC):
    """What a call asks of the database, by ids, and what the rows mean. Its methods raise `Bail`, and `NotKeptError`.

    `tells_more` are the fields, as (type, field), whose values depend on more than what it is `made_of`.
    """

    __slots__ = ("_resolver", "_towns", "keys")

    statement: ClassVar[Statement]
    tells_more: ClassVar[frozenset[tuple[str, str]]] = _NOTHING_ELSE
    keys: Sequence[str]

    def __init__(self, resolver: Resolver, grant: Grant) -> None:
        self._resolver = resolver
        self._towns = grant.towns

    @abstractmethod
    def made_of(self, rows: Rows) -> Hashable | None:
        """What never has another value; None where that would be too much."""

    @abstractmethod
    def value(self, rows: Rows, sources: Sources) -> Any:
        """The field's value, out of what is kept. Counts what it resolves in `sources`."""

    @abstractmethod
    async def load(self, rows: Rows) -> None:
        """Have what the rows name kept. Raises `StorageUnavailableError` and `TimeoutError`."""

    def _may_see(self, town_id: str) -> bool:
        return self._towns is None or town_id in self._towns

    def _resolved(self, key: ResolutionKey, sources: Sources, bead: str | None = None) -> Resolution:
        found = self._resolver.resolution(key)
        if found is None:
            raise NotKeptError
        sources.count(found)
        return Resolution(resolved=found, bead=bead)


class _Bead(Look):
    """`resolution`."""

    __slots__ = ()

    statement = BEADS
    tells_more = frozenset({("Resolution", "beadId")})

    def __init__(self, resolver: Resolver, grant: Grant, *, bead_id: str, as_of: AsOf | None = None) -> None:
        if as_of is not None or not is_id(bead_id):
            raise Bail
        super().__init__(resolver, grant)
        self.keys = (bead_id,)

    def made_of(self, rows: Rows) -> ResolutionKey:
        for _, town_id, version, signature in rows:
            if self._may_see(town_id):
                return town_id, version, signature
        raise Bail

    def value(self, rows: Rows, sources: Sources) -> Resolution:
        return self._resolved(self.made_of(rows), sources, self.keys[0])

    async def load(self, rows: Rows) -> None:
        await self._resolver.tables([self.made_of(rows)[:2]])


class _Beads(Look):
    """`resolutions`."""

    __slots__ = ("_asked",)

    statement = BEADS

    def __init__(self, resolver: Resolver, grant: Grant, *, bead_ids: Sequence[str]) -> None:
        super().__init__(resolver, grant)
        self._asked = bead_ids
        self.keys = [bead_id for bead_id in bead_ids if is_id(bead_id)]
        if len(bead_ids) > MAX_BEADS:
            raise Bail

    def made_of(self, _rows: Rows) -> None:
        return None

    def value(self, rows: Rows, sources: Sources) -> list[BeadResolution]:
        keys: dict[str, ResolutionKey] = {
            bead_id: (town_id, version, signature)
            for bead_id, town_id, version, signature in rows
            if self._may_see(town_id)
        }
        return [self._one(index, bead_id, keys, sources) for index, bead_id in enumerate(self._asked)]

    async def load(self, rows: Rows) -> None:
        await self._resolver.tables({(town_id, version) for _, town_id, version, _ in rows})

    def _one(self, index: int, bead_id: str, keys: Mapping[str, ResolutionKey], sources: Sources) -> BeadResolution:
        key = keys.get(bead_id)
        if key is None:
            problem = NotFound(kind="bead", name=bead_id, path=("beadIds", str(index)))
            return BeadResolution(bead_id=bead_id, error=UserError(problem=problem))  # type: ignore[arg-type]  # an ID
        resolution = self._resolved(key, sources, bead_id)
        return BeadResolution(bead_id=bead_id, resolution=resolution)  # type: ignore[arg-type]


class _OfTown(Look):
    """What a town's id leads to."""

    __slots__ = ()

    statement = TOWNS

    def __init__(self, resolver: Resolver, grant: Grant, town_id: str) -> None:
        super().__init__(resolver, grant)
        if not is_id(town_id) or not self._may_see(town_id):
            raise Bail
        self.keys = (town_id,)


class _Task(_OfTown):
    """`taskResolution`."""

    __slots__ = ("_task",)

    def __init__(
        self, resolver: Resolver, grant: Grant, *, town_id: str, task: TaskInput, as_of: AsOf | None = None
    ) -> None:
        super().__init__(resolver, grant, town_id)
        if as_of is not None:
            raise Bail
        self._task = task.task

    def made_of(self, rows: Rows) -> ResolutionKey:
        key = self._key(rows)
        if not self._resolver.has_rig(key[0], self._task.rig_id):
            raise NotKeptError
        return key

    def value(self, rows: Rows, sources: Sources) -> Resolution:
        return self._resolved(self.made_of(rows), sources)

    async def load(self, rows: Rows) -> None:
        key = self._key(rows)
        await self._resolver.load_rig(key[0], self._task.rig_id)
        await self._resolver.tables([key[:2]])

    def _key(self, rows: Rows) -> ResolutionKey:
        for town_id, version, _, _ in rows:
            return town_id, version, self._task.signature
        raise Bail


class _Town(_OfTown):
    """`town`, with its mayor."""

    __slots__ = ()

    def __init__(self, resolver: Resolver, grant: Grant, *, town_id: str) -> None:
        super().__init__(resolver, grant, town_id)

    def made_of(self, rows: Rows) -> tuple[str, int, int, int | None]:
        for town_id, version, observation, signal in rows:
            return town_id, version, observation, signal
        raise Bail

    def value(self, rows: Rows, _sources: Sources) -> Town:
        found = self._resolver.mayor(self.made_of(rows))
        if found is None:
            raise NotKeptError
        mayor = Mayor(town=found.town.town_id, standing=found.standing, pair=found.pair)
        return Town(row=found.town, mayor_at_hand=mayor)

    async def load(self, rows: Rows) -> None:
        await self._resolver.load_mayor(self.made_of(rows)[0])


_LOOKS: Final[Mapping[str, Callable[..., Look]]] = {
    "resolution": _Bead,
    "resolutions": _Beads,
    "taskResolution": _Task,
    "town": _Town,
}
ROOTS: Final = frozenset(_LOOKS)
OF_ELSEWHEN: Final = frozenset({"asOf"})  # arguments for which a look at how things stand now is not enough


def look_of(call: Call, resolver: Resolver, grant: Grant) -> Look:
    """The look that a call takes. Raises `Bail`."""
    return _LOOKS[call.field](resolver, grant, **call.arguments)
