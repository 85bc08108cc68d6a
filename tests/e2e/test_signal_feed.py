"""`mayorRestartSignals` against a small model of when a mayor has to restart, over random changes and reports."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

import pytest

from tests.client import Api, Json
from tests.databases import Databases
from tests.e2e.process import serving_process
from tests.sizes import sized
from tests.streams import SIGNALS, event_stream, talking
from tests.towns import HAIKU, OPUS, SONNET, make_town, publish, rule

Signal = tuple[int, str, str | None]  # sequence, model to restart with, why it was closed

MODELS = (OPUS, SONNET, HAIKU)
BURSTS = sized("bursts", quick=2, ci=6)


@pytest.fixture(scope="module")
def servers(backend: str, databases: Databases) -> Iterator[tuple[Api, Api]]:
    url = databases.fresh(backend)
    with serving_process(url, feed_poll_seconds=0.1) as one, serving_process(url, feed_poll_seconds=0.1) as other:
        yield one.api, other.api


@dataclass
class Mayor:
    """What should happen. A signal is the model to restart with, and why it was closed or None."""

    desired: str
    observed: str | None = None
    signals: list[tuple[str, str | None]] = field(default_factory=list)

    @property
    def open(self) -> bool:
        return bool(self.signals) and self.signals[-1][1] is None

    def change(self, desired: str) -> None:
        if desired == self.desired:
            return
        self.desired = desired
        self._close("CANCELLED" if desired == self.observed else "SUPERSEDED")
        if desired != self.observed:
            self.signals.append((desired, None))

    def report(self, observed: str) -> None:
        if observed == self.observed:
            return
        self.observed = observed
        if observed == self.desired:
            self._close("OBSERVED")
        elif not self.open:
            self.signals.append((self.desired, None))

    def _close(self, why: str) -> None:
        if self.open:
            self.signals[-1] = (self.signals[-1][0], why)

    def last(self) -> Signal:
        return len(self.signals), *self.signals[-1]


class Town:
    """A town whose mayor's model changes, and the model of its mayor beside it."""

    def __init__(self, servers: tuple[Api, Api], seed: int) -> None:
        self._apis = servers
        self._random = Random(seed)  # noqa: S311  # a test's dice
        self.town_id = make_town(servers[0])
        query = "query ($t: ID!) { town(townId: $t) { mayor { desired { model smallModel } } } }"
        pair = servers[0].data(query, t=self.town_id)["town"]["mayor"]["desired"]
        self._small_model = pair["smallModel"]
        self.mayor = Mayor(desired=pair["model"])
        self._published: str | None = None

    def step(self) -> None:
        """One random change or report, by either process."""
        api = self._random.choice(self._apis)
        model = self._random.choice([each for each in MODELS if each != self._published])
        if self._random.random() < 0.5:
            publish(api, self.town_id, overrides=[rule(model, role="MAYOR")])
            self._published = model
            self.mayor.change(model)
        else:
            model = self._random.choice([model, self.mayor.desired])
            observed = {"model": model, "smallModel": self._small_model}
            answer = api.done("detectMayorChange", "restartRequired", townId=self.town_id, observed=observed)
            self.mayor.report(model)
            assert answer["restartRequired"] == self.mayor.open

    def until_open(self) -> None:
        while not self.mayor.open:
            self.step()

    def until_moved(self) -> None:
        """Steps until a signal is raised or closed."""
        before = list(self.mayor.signals)
        while self.mayor.signals == before:
            self.step()


def seen(signal: Json) -> Signal:
    assert (signal["closedAt"] is None) == (signal["closedBecause"] is None)
    return signal["sequence"], signal["after"]["model"], signal["closedBecause"]


def follow(town: Town, events: Iterator[Json], told: dict[int, Signal]) -> None:
    """Hear all that is new, and hold it against the model: in order, each signal open once at most, and closed once."""
    signal: Signal | None = None
    while signal != town.mayor.last():
        signal = seen(next(events))
        known = told.get(signal[0])
        assert known is None or (known[2] is None and signal[2] is not None), (known, signal)
        assert all(other[2] is not None for number, other in told.items() if number < signal[0])
        assert signal[0] >= max(told, default=1)
        told[signal[0]] = signal
    for number, (model, closed) in enumerate(town.mayor.signals, start=1):
        if number >= min(told):
            assert told[number] == (number, model, closed)


@pytest.mark.parametrize("seed", range(2))
def test_signals__over_random_changes_and_reports__are_those_of_the_model(servers: tuple[Api, Api], seed: int) -> None:
    town = Town(servers, seed)
    town.until_open()
    with talking(servers[seed % 2]) as made:
        made.subscribe(SIGNALS, t=town.town_id)
        events = made.events("mayorRestartSignals")
        first = seen(next(events))
        assert first == town.mayor.last()
        told = {first[0]: first}
        for moves in (1, 1, 3) * BURSTS:
            for _ in range(moves):
                town.until_moved()
            follow(town, events, told)


def test_signals__of_a_new_subscription__begin_with_the_open_one_alone(servers: tuple[Api, Api]) -> None:
    town = Town(servers, seed=3)
    for number in range(12):
        town.until_moved()
        told: dict[int, Signal] = {}
        with event_stream(servers[number % 2], SIGNALS, t=town.town_id) as stream:
            events = (answer["data"]["mayorRestartSignals"] for name, answer in stream if name and answer)
            if town.mayor.open:
                first = seen(next(events))
                assert first == town.mayor.last()
                told = {first[0]: first}
            town.until_moved()  # where none was open, this raises one, which is told however late the feed begins
            follow(town, events, told)
