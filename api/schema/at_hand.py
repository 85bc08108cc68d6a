"""Values of the root's fields that compiled operations may ask for, from strict reads: what a dispatcher asks all day.

Each is what the field's resolver would give. What takes more than that, or would be an error, is left to the executor.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from api.compiler import Bail, Call
from api.schema.mayor import Mayor
from api.schema.problems import UserError
from api.schema.resolution import AsOf, BeadResolution, Resolution, TaskInput
from api.schema.town import Town
from models.domain.errors import NotFound
from models.domain.resolution import Resolution as DomainResolution
from models.domain.tokens import Grant
from models.domain.vocabulary import MAX_BEADS
from models.services.resolver import Resolver


class AtHand:
    """What one operation asks for. `sources` counts what it resolved by the sources of the rules that matched."""

    __slots__ = ("_resolver", "_towns", "sources")

    def __init__(self, resolver: Resolver, grant: Grant) -> None:
        self._resolver = resolver
        self._towns = grant.towns
        self.sources: defaultdict[str, int] = defaultdict(int)

    async def values(self, calls: Sequence[Call]) -> list[Any]:
        """A value for each call. Raises `Bail`, `StorageUnavailableError` and `TimeoutError`."""
        return [await _ROOTS[name](self, **arguments) for name, arguments in calls]

    async def resolution(self, bead_id: str, as_of: AsOf | None = None) -> Resolution:
        if as_of is not None:
            raise Bail
        found = await self._resolver.bead(bead_id)
        if found is None or not self._may_see(found.table.town_id):
            raise Bail
        return self._answered(found, bead_id)

    async def resolutions(self, bead_ids: Sequence[str]) -> list[BeadResolution]:
        if len(bead_ids) > MAX_BEADS:
            raise Bail
        found = await self._resolver.beads(bead_ids)
        return [self._one_of_many(index, bead_id, found) for index, bead_id in enumerate(bead_ids)]

    async def task_resolution(self, town_id: str, task: TaskInput, as_of: AsOf | None = None) -> Resolution:
        if as_of is not None or not self._may_see(town_id):
            raise Bail
        found = await self._resolver.task(town_id, task.task)
        if found is None:
            raise Bail
        return self._answered(found)

    async def town(self, town_id: str) -> Town:
        found = await self._resolver.mayor(town_id) if self._may_see(town_id) else None
        if found is None:
            raise Bail
        mayor = Mayor(town=town_id, standing=found.standing, pair=found.pair)
        return Town(row=found.town, mayor_at_hand=mayor)

    def _one_of_many(self, index: int, bead_id: str, found: Mapping[str, DomainResolution]) -> BeadResolution:
        resolved = found.get(bead_id)
        if resolved is None or not self._may_see(resolved.table.town_id):
            problem = NotFound(kind="bead", name=bead_id, path=("beadIds", str(index)))
            return BeadResolution(bead_id=bead_id, error=UserError(problem=problem))  # type: ignore[arg-type]  # an ID
        return BeadResolution(bead_id=bead_id, resolution=self._answered(resolved, bead_id))  # type: ignore[arg-type]

    def _may_see(self, town_id: str) -> bool:
        return self._towns is None or town_id in self._towns

    def _answered(self, resolved: DomainResolution, bead: str | None = None) -> Resolution:
        self.sources[resolved.matched.source.name] += 1
        return Resolution(resolved=resolved, bead=bead)


_ROOTS: Final[Mapping[str, Callable[..., Awaitable[Any]]]] = {
    "resolution": AtHand.resolution,
    "resolutions": AtHand.resolutions,
    "taskResolution": AtHand.task_resolution,
    "town": AtHand.town,
}
ROOTS: Final = frozenset(_ROOTS)
