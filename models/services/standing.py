"""How things stand over all towns, in numbers for those who operate the service."""

from dataclasses import dataclass

from models.services.rollout import unfinished
from models.store.queries import history
from models.store.unit import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """`towns_due` lie over an older version of their profile than its latest: the rollouts' lag."""

    open_signals: int
    towns_due: int


async def standing(store: Store) -> Standing:
    """Raises `StorageUnavailableError`."""
    due = await unfinished(store)
    return Standing(open_signals=await store.search(history.count_open_signals), towns_due=sum(due.values()))
