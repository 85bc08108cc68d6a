"""How often something may be done: a bucket for each of many, which fills up again by itself."""

import time
from collections.abc import Callable


class Buckets:
    """For each key `most` at once and `per_second` in the long run. The `size` keys that took last are known."""

    def __init__(
        self, *, most: float, per_second: float, size: int, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._most = most
        self._per_second = per_second
        self._size = size
        self._monotonic = monotonic
        self._levels: dict[str, tuple[float, float]] = {}  # what is left, and when that was; the longest ago first

    def wait(self, key: str) -> float:
        """Seconds until there is something to take; 0 where there is now."""
        return max(0.0, (1 - self._level(key)) / self._per_second)

    def take(self, key: str) -> float:
        """Take one, where there is one; seconds until there is, where there is none."""
        seconds = self.wait(key)
        if seconds == 0:
            level = self._level(key) - 1
            self._levels.pop(key, None)
            self._levels[key] = (level, self._monotonic())
            if len(self._levels) > self._size:
                del self._levels[next(iter(self._levels))]
        return seconds

    def _level(self, key: str) -> float:
        if key not in self._levels:
            return self._most
        level, at = self._levels[key]
        return min(self._most, level + (self._monotonic() - at) * self._per_second)
