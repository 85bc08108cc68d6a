"""How many requests are under way at once."""

from collections import defaultdict

from api.wire import for_now


class Turnstile:
    """Lets so many requests in at once, half of them of one credential, and sends the others away for nothing."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._most_of_one = max(1, most // 2)
        self._inside = 0
        self._inside_of: defaultdict[str | None, int] = defaultdict(int)

    def enter(self, whose: str | None) -> None:
        """Become one of those inside, who have to `leave`. Raises `BadRequestError` where there is no room."""
        if self._inside >= self._most:
            raise for_now(f"This process is at {self._most} requests already, its most.", "BUSY")
        if whose is not None and self._inside_of[whose] >= self._most_of_one:
            raise for_now(f"This credential has {self._most_of_one} requests under way, its most.", "BUSY")
        self._inside += 1
        self._inside_of[whose] += 1

    def leave(self, whose: str | None) -> None:
        """Be inside no more."""
        self._inside -= 1
        if self._inside_of[whose] == 1:
            del self._inside_of[whose]
        else:
            self._inside_of[whose] -= 1
