"""What is kept because it never changes: nothing of it can go stale, in any number of processes."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from models.store.policies import OverrideSetRow
from models.store.towns import TownRow

K = TypeVar("K")
V = TypeVar("V")

_SIZE: Final = 16_384


class Kept(Generic[K, V]):
    """The `size` values that were kept last, by keys that tell all that they depend on."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: OrderedDict[K, V] = OrderedDict()  # as the first of a dict takes long to find, once many are gone
        self.get: Callable[[K], V | None] = self._values.get

    def keep(self, key: K, value: V) -> V:
        """Keep a value, in place of the one that was kept longest ago."""
        self._values[key] = value
        if len(self._values) > self._size:
            self._values.popitem(last=False)
        return value


class KeptRows:
    """Rows that are only ever inserted, as far as they were committed: of towns, and of override sets by version.

    `homes` are the towns that beads belong to, which they never leave.
    """

    def __init__(self, size: int = _SIZE) -> None:
        self.towns: Kept[str, TownRow] = Kept(size)
        self.override_sets: Kept[tuple[str, int], OverrideSetRow] = Kept(size)
        self.homes: Kept[str, str] = Kept(size)
