"""Restart signals after one random change after another: those of the model; a host that obeys is left in peace."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import pytest

from tests.client import Api, Json
from tests.contract.recipes import REASON
from tests.reliability.signal_model import Overrides, Pair, Profile, Signal, Town
from tests.reliability.stored import verified
from tests.sizes import report, sized
from tests.towns import HAIKU, KILO, OPUS, SONNET, make_town, rule

CHANGES: Final = sized("changes", quick=15, ci=40, full=1_000)
MODELS: Final = (OPUS, SONNET, HAIKU, KILO)
MODELS_OR_NONE: Final = (OPUS, SONNET, None)
PROFILES: Final = ("ebb", "flood")
KEYS: Final = {"mayor": "MAYOR", "anyone": None, "other": "POLECAT"}

PAIR: Final = "{ model smallModel }"
SIGNAL: Final = f"sequence before {PAIR} after {PAIR} cause overrideSetVersion closedBecause"
LOOK: Final = f"""query ($t: ID!, $first: Int!, $after: String) {{ town(townId: $t) {{ mayor {{
    desired {PAIR} observed {PAIR} restartRequired overrideSetVersion signal {{ {SIGNAL} }}
    signals(first: $first, after: $after) {{ edges {{ node {{ {SIGNAL} }} }} pageInfo {{ hasNextPage endCursor }} }}
}} }} }}"""


@dataclass
class Change:
    """A town, the model of it, and whatever may happen to both."""

    api: Api
    town_id: str
    town: Town
    pick: random.Random

    def any(self) -> None:
        """Some change of what the mayor should run on, or of something else."""
        kinds: list[Callable[[], None]] = [self.draft, self.draft, self.one, self.select, self.revert, self.profile]
        self.pick.choice(kinds)()

    def draft(self) -> None:
        name, pick = self.pick.choice(PROFILES), self.pick.choice
        overrides = Overrides(pick(MODELS_OR_NONE), pick(MODELS_OR_NONE), pick(MODELS_OR_NONE))
        rules = [rule(model, KEYS[key]) for key, model in overrides._asdict().items() if model is not None]
        self._publish("publishOverrideSet", name, overrides, draft={"profile": name, "overrides": rules})

    def one(self) -> None:
        """Set one override or, where it says so already, remove it."""
        name, now = self.town.versions[-1]
        key, model = self.pick.choice(Overrides._fields), self.pick.choice(MODELS)
        if getattr(now, key) == model:
            self._publish("removeOverride", name, now._replace(**{key: None}), role=KEYS[key])
        else:
            override = rule(model, KEYS[key])
            self._publish("setOverride", name, now._replace(**{key: model}), override=override)

    def select(self) -> None:
        name = self.pick.choice(PROFILES)
        self._publish("selectProfile", name, self.town.versions[-1][1], profile=name)

    def revert(self) -> None:
        number = self.pick.randint(1, self.town.version)
        self._publish("revertOverrideSet", *self.town.versions[number - 1], toVersion=number)

    def profile(self) -> None:
        name, pick = self.pick.choice(PROFILES), self.pick.choice
        latest = self.api.data("query ($n: String!) { profile(name: $n) { current { version } } }", n=name)
        profile = Profile(pick(MODELS_OR_NONE), pick(MODELS_OR_NONE), pick((HAIKU, KILO)))
        if profile != self.town.profiles[name]:
            publish_profile(self.api, name, profile, latest["profile"]["current"]["version"])
            self.town.publish_profile(name, profile)

    def report(self, observed: Pair) -> bool:
        """Tell what the mayor runs on; whether it must restart."""
        self.town.report(observed)
        given = {"model": observed.model, "smallModel": observed.small_model}
        payload = self.api.done("detectMayorChange", "restartRequired", townId=self.town_id, observed=given)
        required: bool = payload["restartRequired"]
        assert required is (self.town.open is not None)
        return required

    def _publish(self, mutation: str, profile: str, overrides: Overrides, /, **given: Any) -> None:
        if (profile, overrides) == self.town.versions[-1]:
            return  # it would be refused, since it changes nothing
        version = self.town.version
        self.api.done(mutation, townId=self.town_id, expectedVersion=version, reason=REASON, **given)
        self.town.publish(profile, overrides)


def publish_profile(api: Api, name: str, profile: Profile, expected_version: int) -> None:
    rules = [(profile.mayor, "MAYOR"), (profile.anyone, None), (SONNET, "POLECAT")]
    api.done(
        "publishProfileVersion",
        name=name,
        expectedVersion=expected_version,
        smallModel=profile.small_model,
        rules=[rule(model, role) for model, role in rules if model is not None],
        reason=REASON,
    )


@pytest.fixture
def change(api: Api, backend: str) -> Change:
    profiles = {"ebb": Profile(OPUS, SONNET, HAIKU), "flood": Profile(None, KILO, HAIKU)}
    for name, profile in profiles.items():
        publish_profile(api, name, profile, 0)
    town_id = make_town(api, rigs=(), profile="ebb")
    return Change(api, town_id, Town(profiles=profiles, versions=[("ebb", Overrides())]), random.Random(backend))


def told(pair: Pair | None) -> Json | None:
    return None if pair is None else {"model": pair.model, "smallModel": pair.small_model}


def told_signal(signal: Signal) -> Json:
    return {
        "sequence": signal.sequence,
        "before": told(signal.before),
        "after": told(signal.after),
        "cause": signal.cause,
        "overrideSetVersion": signal.version,
        "closedBecause": signal.closed,
    }


def assert_as_modelled(change: Change) -> None:
    """The town is as the model has it; of its signals, the newest three: a change touches no more than two."""
    town = change.town
    mayor = change.api.data(LOOK, t=change.town_id, first=3)["town"]["mayor"]
    assert [edge["node"] for edge in mayor["signals"]["edges"]] == [
        told_signal(signal) for signal in town.signals[:-4:-1]
    ]
    assert mayor["overrideSetVersion"] == town.version
    assert (mayor["desired"], mayor["observed"]) == (told(town.desired), told(town.observed))
    assert mayor["restartRequired"] is (town.open is not None)
    assert mayor["signal"] == (None if town.open is None else told_signal(town.open))


def all_signals(change: Change) -> list[Json]:
    """Every signal of the town, the oldest first."""
    found: list[Json] = []
    after = None
    while True:
        page = change.api.data(LOOK, t=change.town_id, first=200, after=after)["town"]["mayor"]["signals"]
        found += [edge["node"] for edge in page["edges"]]
        if not page["pageInfo"]["hasNextPage"]:
            return found[::-1]
        after = page["pageInfo"]["endCursor"]


def test_signals__after_random_changes_and_reports__are_those_of_the_model(change: Change, backend: str) -> None:
    reports = 0
    for _ in range(CHANGES):
        if change.pick.random() < 0.3:
            pairs = [Pair(change.pick.choice(MODELS), HAIKU), change.town.desired, change.town.observed]
            change.report(change.pick.choice([pair for pair in pairs if pair is not None]))
            reports += 1
        else:
            change.any()
        assert_as_modelled(change)
    signals = all_signals(change)
    assert signals == [told_signal(signal) for signal in change.town.signals]
    counts = {"changes and reports": CHANGES, "reports": reports, "versions": change.town.version}
    counts |= {"signals": len(signals), "other than the model's": 0}
    report("Restart signals against the model", backend, counts | {"entries verified": verified(change.api.url)})


def test_host__that_obeys__restarts_once_for_a_real_change_and_never_for_another(change: Change, backend: str) -> None:
    """It looks now and then: says what its mayor runs on, and restarts it when it is told to."""
    running = change.town.desired
    change.report(running)
    restarts, real_changes = 0, 0
    for _ in range(CHANGES):
        was = change.town.desired
        change.any()
        real_changes += change.town.desired != was
        if change.pick.random() < 0.5:
            continue  # it looks later
        if change.report(running):
            assert running != change.town.desired, "a restart for nothing"
            running = change.town.desired
            restarts += 1
            if change.pick.random() < 0.5:
                assert not change.report(running), "it would restart again at once"
    if change.report(running):
        running = change.town.desired
        restarts += 1
    assert not change.report(running)
    assert running == change.town.desired
    assert 0 < restarts <= real_changes
    raised = [signal["sequence"] for signal in all_signals(change)]
    assert all(after == before + 1 for before, after in pairwise(raised))
    counts = {"changes": CHANGES, "of them real": real_changes, "restarts": restarts, "restarts for nothing": 0}
    report("A host that obeys", backend, counts | {"entries verified": verified(change.api.url)})
