"""Servers of one database, each of which can be killed and is replaced by another one then."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from tests.e2e.process import Server, serving_process
from tests.reliability.wire import Hall


class Fleet:
    """`count` servers; clients find them through `hall`."""

    def __init__(self, url: str, count: int) -> None:
        self._url = url
        self._stacks = [ExitStack() for _ in range(count)]
        self.servers: list[Server] = []
        try:
            for stack in self._stacks:
                self.servers.append(stack.enter_context(serving_process(url)))
        except BaseException:
            self.close()
            raise
        self.hall = Hall(*self.servers)

    def replace(self, number: int) -> None:
        """Kill a server on the spot, and start another one."""
        self.servers[number].kill()
        self.hall.put(number, None)
        self._stacks[number].close()
        self.servers[number] = self._stacks[number].enter_context(serving_process(self._url))
        self.hall.put(number, self.servers[number])

    def close(self) -> None:
        for stack in self._stacks:
            stack.close()


@contextmanager
def fleet_of(url: str, count: int) -> Iterator[Fleet]:
    fleet = Fleet(url, count)
    try:
        yield fleet
    finally:
        fleet.close()
