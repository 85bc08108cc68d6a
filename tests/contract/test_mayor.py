"""Mayor restart: desired against observed, step by step and on random walks."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.client import Api, Json
from tests.contract.recipes import REASON, own_profile, profile_input
from tests.sizes import sized
from tests.towns import HAIKU, KILO, OPUS, SONNET, make_town, rule

Pair = tuple[str, str]

PAIR: Final = "{ model smallModel }"
SIGNAL: Final = f"""sequence cause before {PAIR} after {PAIR} overrideSetVersion raisedAt closedAt closedBecause"""
MAYOR: Final = f"""mayor {{
    desired {PAIR} observed {PAIR} observedAt restartRequired overrideSetVersion
    signal {{ sequence }} signals {{ edges {{ node {{ {SIGNAL} }} }} }}
}}"""
DETECTION: Final = f"""changeDetection {{
    mayorChanged mayorRestartRequired mayorBefore {PAIR} mayorAfter {PAIR} signal {{ sequence }}
}}"""


PUBLISHED: Final = f"{DETECTION} overrideSet {{ createdAt town {{ {MAYOR} }} }}"
REPORTED: Final = f"restartRequired {MAYOR}"


def pair(found: Json | None) -> Pair | None:
    return None if found is None else (found["model"], found["smallModel"])


@dataclass(frozen=True)
class Signal:
    """What a restart signal says, without when."""

    sequence: int
    cause: str
    before: Pair | None
    after: Pair | None
    version: int
    closed: str | None = None


@dataclass(frozen=True)
class Standing:
    """How a mayor stands: all that a host or a frontend acts upon. `signals` are oldest first."""

    desired: Pair | None
    observed: Pair | None
    restart_required: bool
    open_sequence: int | None
    signals: tuple[Signal, ...]
    version: int


def standing(mayor: Json) -> Standing:
    signals = [edge["node"] for edge in mayor["signals"]["edges"]][::-1]
    return Standing(
        desired=pair(mayor["desired"]),
        observed=pair(mayor["observed"]),
        restart_required=mayor["restartRequired"],
        open_sequence=None if mayor["signal"] is None else mayor["signal"]["sequence"],
        signals=tuple(
            Signal(
                sequence=each["sequence"],
                cause=each["cause"],
                before=pair(each["before"]),
                after=pair(each["after"]),
                version=each["overrideSetVersion"],
                closed=each["closedBecause"],
            )
            for each in signals
        ),
        version=mayor["overrideSetVersion"],
    )


@dataclass
class Town:
    """A town over HTTP. It counts its versions itself."""

    api: Api
    town_id: str
    version: int = 1

    def mayor(self) -> Json:
        query = f"query ($t: ID!) {{ town(townId: $t) {{ {MAYOR} }} }}"
        found: Json = self.api.data(query, t=self.town_id)["town"]["mayor"]
        return found

    def publish(self, fields: str = PUBLISHED, **draft: Any) -> Json:
        """The payload of the next publish, with the mayor as it leaves him."""
        common = {"townId": self.town_id, "expectedVersion": self.version, "reason": REASON}
        payload = self.api.done("publishOverrideSet", fields, **common, draft=draft)
        self.version += 1
        return payload

    def runs_on(self, model: str, small_model: str = HAIKU, fields: str = REPORTED) -> Json:
        """The payload of a report."""
        observed = {"model": model, "smallModel": small_model}
        return self.api.done("detectMayorChange", fields, townId=self.town_id, observed=observed)


@pytest.fixture
def town(shared_api: Api) -> Town:
    """A town over balanced, whose mayor should run on opus with haiku beside it."""
    return Town(shared_api, make_town(shared_api, rigs=()))


def mayor_rule(model: str) -> Json:
    return rule(model, "MAYOR")


# ---------------------------------------------------------------- courses of events

ON_OPUS, ON_SONNET, ON_KILO = ((model, HAIKU) for model in (OPUS, SONNET, KILO))
MOVED, DRIFT = "CONFIG_CHANGED", "OBSERVED_DRIFT"

# Steps are ("want", model): an override of the mayor, or ("runs", model): a report. Then the signals that are left.
COURSES: Final[dict[str, tuple[list[tuple[str, str]], list[Signal]]]] = {
    "nothing_observed_and_a_move": ([("want", SONNET)], [Signal(1, MOVED, ON_OPUS, ON_SONNET, 2)]),
    "nothing_observed_and_two_moves": (
        [("want", SONNET), ("want", KILO)],
        [Signal(1, MOVED, ON_OPUS, ON_SONNET, 2, "SUPERSEDED"), Signal(2, MOVED, ON_SONNET, ON_KILO, 3)],
    ),
    "nothing_observed_and_back_again": (
        [("want", SONNET), ("want", OPUS)],
        [Signal(1, MOVED, ON_OPUS, ON_SONNET, 2, "SUPERSEDED"), Signal(2, MOVED, ON_SONNET, ON_OPUS, 3)],
    ),
    "first_report_of_what_is_desired": ([("runs", OPUS)], []),
    "first_report_of_something_else": ([("runs", SONNET)], [Signal(1, DRIFT, ON_SONNET, ON_OPUS, 1)]),
    "first_report_closes_what_a_move_opened": (
        [("want", SONNET), ("runs", SONNET)],
        [Signal(1, MOVED, ON_OPUS, ON_SONNET, 2, "OBSERVED")],
    ),
    "first_report_of_the_old_pair_leaves_it_open": (
        [("want", SONNET), ("runs", OPUS)],
        [Signal(1, MOVED, ON_OPUS, ON_SONNET, 2)],
    ),
    "observed_and_moved_away": ([("runs", OPUS), ("want", SONNET)], [Signal(1, MOVED, ON_OPUS, ON_SONNET, 2)]),
    "observed_and_moved_away_twice": (
        [("runs", OPUS), ("want", SONNET), ("want", KILO)],
        [Signal(1, MOVED, ON_OPUS, ON_SONNET, 2, "SUPERSEDED"), Signal(2, MOVED, ON_OPUS, ON_KILO, 3)],
    ),
    "observed_and_brought_back": (
        [("runs", OPUS), ("want", SONNET), ("want", OPUS)],
        [Signal(1, MOVED, ON_OPUS, ON_SONNET, 2, "CANCELLED")],
    ),
    "observed_and_spelt_out": ([("runs", OPUS), ("want", OPUS)], []),
    "drift_that_a_publish_settles": (
        [("runs", SONNET), ("want", SONNET)],
        [Signal(1, DRIFT, ON_SONNET, ON_OPUS, 1, "CANCELLED")],
    ),
    "drift_superseded_by_a_move": (
        [("runs", SONNET), ("want", KILO)],
        [Signal(1, DRIFT, ON_SONNET, ON_OPUS, 1, "SUPERSEDED"), Signal(2, MOVED, ON_SONNET, ON_KILO, 2)],
    ),
    "drift_to_yet_another_pair": ([("runs", SONNET), ("runs", KILO)], [Signal(1, DRIFT, ON_SONNET, ON_OPUS, 1)]),
    "drift_that_a_restart_settles": (
        [("runs", SONNET), ("runs", OPUS)],
        [Signal(1, DRIFT, ON_SONNET, ON_OPUS, 1, "OBSERVED")],
    ),
    "drift_again_after_it_was_settled": (
        [("runs", SONNET), ("runs", OPUS), ("runs", KILO)],
        [Signal(1, DRIFT, ON_SONNET, ON_OPUS, 1, "OBSERVED"), Signal(2, DRIFT, ON_KILO, ON_OPUS, 1)],
    ),
    "moved_restarted_moved_restarted": (
        [("want", SONNET), ("runs", SONNET), ("want", KILO), ("runs", KILO)],
        [Signal(1, MOVED, ON_OPUS, ON_SONNET, 2, "OBSERVED"), Signal(2, MOVED, ON_SONNET, ON_KILO, 3, "OBSERVED")],
    ),
    "moved_while_the_old_move_was_under_way": (
        [("runs", OPUS), ("want", SONNET), ("want", KILO), ("runs", SONNET)],
        [Signal(1, MOVED, ON_OPUS, ON_SONNET, 2, "SUPERSEDED"), Signal(2, MOVED, ON_OPUS, ON_KILO, 3)],
    ),
    "cancelled_and_moved_again": (
        [("runs", OPUS), ("want", SONNET), ("want", OPUS), ("want", KILO)],
        [Signal(1, MOVED, ON_OPUS, ON_SONNET, 2, "CANCELLED"), Signal(2, MOVED, ON_OPUS, ON_KILO, 4)],
    ),
}


@pytest.mark.parametrize(("steps", "signals"), COURSES.values(), ids=COURSES)
def test_signals__after_a_course_of_events__are_these(
    town: Town, steps: list[tuple[str, str]], signals: list[Signal]
) -> None:
    for kind, model in steps:
        if kind == "want":
            town.publish("currentVersion", overrides=[mayor_rule(model)])
        else:
            town.runs_on(model, fields="restartRequired")
    found = standing(town.mayor())
    still_open = [signal.sequence for signal in signals if signal.closed is None]
    assert list(found.signals) == signals
    assert (found.restart_required, found.open_sequence) == (bool(still_open), still_open[0] if still_open else None)
    assert found.version == town.version


# ---------------------------------------------------------------- single traits


def test_mayor__of_a_new_town__has_been_told_nothing(town: Town) -> None:
    found = town.mayor()
    assert (found["observed"], found["observedAt"]) == (None, None)
    assert standing(found) == Standing(ON_OPUS, None, False, None, (), 1)  # noqa: FBT003  # compared field by field


def test_report__of_a_pair__is_answered_with_the_mayor_as_it_leaves_him(town: Town) -> None:
    payload = town.runs_on(SONNET)
    assert payload["restartRequired"] is True
    assert payload["mayor"] == town.mayor()
    assert pair(payload["mayor"]["observed"]) == ON_SONNET
    assert town.runs_on(OPUS)["restartRequired"] is False


@pytest.mark.parametrize("model", [OPUS, SONNET], ids=["as_desired", "drifted"])
def test_report__repeated__writes_nothing(town: Town, model: str) -> None:
    first = town.runs_on(model)
    entries = town.api.entries(town.town_id)
    assert town.runs_on(model) == first
    assert town.api.entries(town.town_id) == entries


def test_report__of_models_that_nobody_registered__is_taken_byte_for_byte(town: Town) -> None:
    payload = town.runs_on("Some/Unheard-Of:free", "~other@small+1")
    assert pair(payload["mayor"]["observed"]) == ("Some/Unheard-Of:free", "~other@small+1")


def test_report__of_another_spelling_of_the_same_model__is_a_drift(town: Town) -> None:
    assert town.runs_on(OPUS.upper())["restartRequired"] is True


def test_report__with_another_small_model__is_a_drift(town: Town) -> None:
    found = standing(town.runs_on(OPUS, SONNET)["mayor"])
    assert found.signals == (Signal(1, DRIFT, (OPUS, SONNET), ON_OPUS, 1),)


@pytest.mark.parametrize(("field_", "model"), [("model", ""), ("smallModel", " "), ("model", "two words")])
def test_report__of_what_is_no_model__is_refused_and_changes_nothing(town: Town, field_: str, model: str) -> None:
    observed = {"model": OPUS, "smallModel": HAIKU, field_: model}
    refused = town.api.refusals("detectMayorChange", townId=town.town_id, observed=observed)
    assert refused == [("INVALID_MODEL", ["observed", field_])]
    assert town.mayor()["observed"] is None


def test_report__for_an_unknown_town__is_not_found(shared_api: Api) -> None:
    observed = {"model": OPUS, "smallModel": HAIKU}
    payload = shared_api.change("detectMayorChange", "restartRequired", townId="nowhere", observed=observed)
    assert [(error["code"], error["path"]) for error in payload["userErrors"]] == [("NOT_FOUND", ["townId"])]
    assert payload["restartRequired"] is None


def test_signal__raised_and_closed__bears_the_instants_of_what_did_so(town: Town) -> None:
    raised_by = town.publish(overrides=[mayor_rule(SONNET)])["overrideSet"]["createdAt"]
    closed_by = town.runs_on(SONNET)["mayor"]
    signal = closed_by["signals"]["edges"][0]["node"]
    assert (signal["raisedAt"], signal["closedAt"]) == (raised_by, closed_by["observedAt"])


def test_pair__of_the_mayor__has_the_fingerprint_of_its_resolution(town: Town) -> None:
    query = """query ($t: ID!) {
        town(townId: $t) { mayor { desired { model smallModel fingerprint } } }
        taskResolution(townId: $t, task: {role: MAYOR}) { model smallModel fingerprint }
    }"""
    found = town.api.data(query, t=town.town_id)
    desired = found["town"]["mayor"]["desired"]
    assert desired == found["taskResolution"]
    assert desired["fingerprint"] == hashlib.sha256(f"{OPUS}\n{HAIKU}".encode()).hexdigest()


IRRELEVANT: Final[dict[str, Json]] = {
    "default_spelt_out": {"overrides": [mayor_rule(OPUS)]},
    "another_role": {"overrides": [rule(KILO, "POLECAT")]},
    "any_role_below_a_mayor_rule": {"overrides": [rule(KILO)]},
    "a_place": {"overrides": [rule(KILO, rig="web")]},
    "flag": {"honorBeadModels": True},
    "a_profile_with_the_same_mayor": {"profile": "premium"},
}


def detection(payload: Json) -> tuple[bool, bool, int | None]:
    """Whether the mayor's pair moved, whether he must restart now, and the signal that this raised."""
    found = payload["changeDetection"]
    assert found["mayorChanged"] == (found["mayorBefore"] != found["mayorAfter"])
    signal = found["signal"]
    return found["mayorChanged"], found["mayorRestartRequired"], None if signal is None else signal["sequence"]


@pytest.mark.parametrize("draft", IRRELEVANT.values(), ids=IRRELEVANT)
def test_publish__that_leaves_the_effective_pair__raises_nothing(shared_api: Api, draft: Json) -> None:
    town = Town(shared_api, make_town(shared_api, rigs=("web",)))
    payload = town.publish(**draft)
    assert detection(payload) == (False, False, None)
    assert standing(payload["overrideSet"]["town"]["mayor"]).signals == ()


def test_publish__of_another_thing_while_a_signal_is_open__leaves_it_open(town: Town) -> None:
    moved = town.publish(overrides=[mayor_rule(SONNET)])
    unrelated = town.publish(honorBeadModels=True)
    assert [detection(payload) for payload in (moved, unrelated)] == [(True, True, 1), (False, True, None)]


def test_change_detection__of_earlier_versions__stays_what_it_was(town: Town) -> None:
    town.runs_on(OPUS)
    drafts: tuple[Json, ...] = ({"overrides": [mayor_rule(SONNET)]}, {"honorBeadModels": True}, {"overrides": []})
    told = [detection(town.publish(**draft)) for draft in drafts]
    town.publish(overrides=[mayor_rule(KILO)])
    town.runs_on(KILO)
    assert told == [(True, True, 1), (False, True, None), (True, False, None)]
    query = f"""query ($t: ID!) {{ town(townId: $t) {{ overrideSets {{ edges {{ node {{
        version {DETECTION}
    }} }} }} }} }}"""
    found = [edge["node"] for edge in town.api.data(query, t=town.town_id)["town"]["overrideSets"]["edges"]][::-1]
    assert found[0]["changeDetection"] is None
    assert [detection(each) for each in found[1:]] == [*told, (True, True, 2)]
    detected = [each["changeDetection"] for each in found[1:]]
    pairs = [(pair(each["mayorBefore"]), pair(each["mayorAfter"])) for each in detected]
    assert pairs == [(ON_OPUS, ON_SONNET), (ON_SONNET, ON_SONNET), (ON_SONNET, ON_OPUS), (ON_OPUS, ON_KILO)]


def test_publish__of_an_own_profile__moves_the_mayor_of_its_town(town: Town) -> None:
    own_profile(town.api, town.town_id)
    town.runs_on(OPUS)
    for expected, small_model in ((1, KILO), (2, HAIKU)):
        given = profile_input("custom", expected, townId=town.town_id, smallModel=small_model)
        town.api.done("publishProfileVersion", "mayorRestartsSignalled", **given)
    assert standing(town.mayor()).signals == (Signal(1, MOVED, ON_OPUS, (OPUS, KILO), 3, "CANCELLED"),)


def test_mayor__without_a_rule_of_his_own__runs_on_what_any_role_runs_on(town: Town) -> None:
    own_profile(town.api, town.town_id, rules=[])
    town.version = 2
    assert standing(town.mayor()).desired == (SONNET, HAIKU), "the last resort"
    payload = town.publish(overrides=[rule(KILO), rule(OPUS, "POLECAT")])
    assert standing(payload["overrideSet"]["town"]["mayor"]).desired == ON_KILO


# ---------------------------------------------------------------- random walks


@dataclass
class Model:
    """The section “desired against observed”, once more. Signals are only ever added, and closed in place."""

    desired: Pair = ON_OPUS
    observed: Pair | None = None
    signals: list[Signal] = field(default_factory=list)
    version: int = 1

    @property
    def open(self) -> Signal | None:
        return next((signal for signal in self.signals if signal.closed is None), None)

    def close(self, why: str) -> None:
        self.signals = [replace(signal, closed=why) if signal.closed is None else signal for signal in self.signals]

    def raise_signal(self, cause: str, before: Pair) -> None:
        self.signals.append(Signal(len(self.signals) + 1, cause, before, self.desired, self.version))

    def move(self, desired: Pair) -> None:
        before, self.desired = self.desired, desired
        self.version += 1
        if desired == before:
            return
        self.close("CANCELLED" if desired == self.observed else "SUPERSEDED")
        if desired != self.observed:
            self.raise_signal(MOVED, before if self.observed is None else self.observed)

    def report(self, observed: Pair) -> None:
        self.observed = observed
        if observed == self.desired:
            self.close("OBSERVED")
        elif self.open is None:
            self.raise_signal(DRIFT, observed)

    def standing(self) -> Standing:
        still_open = self.open
        return Standing(
            desired=self.desired,
            observed=self.observed,
            restart_required=still_open is not None,
            open_sequence=None if still_open is None else still_open.sequence,
            signals=tuple(self.signals),
            version=self.version,
        )


Step = tuple[str, Any]
few_models = st.sampled_from([OPUS, SONNET, KILO])
steps = st.one_of(
    st.tuples(st.just("want"), few_models),
    st.tuples(st.just("want"), few_models),
    st.tuples(st.just("runs"), st.tuples(few_models, st.sampled_from([HAIKU, HAIKU, KILO]))),
    st.tuples(st.just("flag"), st.none()),
)


def walk(town: Town, course: Sequence[Step]) -> Iterator[tuple[Model, Standing, bool | None]]:
    """Model and mayor after each step, and what change detection said of it where it was a publish."""
    model, flag, desired = Model(), False, OPUS
    wanted: str | None = None
    for kind, value in course:
        if kind == "runs":
            model.report(value)
            yield model, standing(town.runs_on(*value)["mayor"]), None
            continue
        if kind == "flag" or value == wanted:
            flag = not flag
            payload = town.publish(honorBeadModels=flag)
        else:
            wanted = desired = value
            payload = town.publish(overrides=[mayor_rule(value)])
        model.move((desired, HAIKU))
        found = standing(payload["overrideSet"]["town"]["mayor"])
        yield model, found, payload["changeDetection"]["mayorRestartRequired"]


@settings(
    max_examples=sized("walks", quick=3, ci=8, full=50), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
@given(course=st.lists(steps, min_size=6, max_size=15))
def test_signals__on_any_walk__are_those_of_the_rules(shared_api: Api, course: list[Step]) -> None:
    town = Town(shared_api, make_town(shared_api, rigs=()))
    for model, found, detected in walk(town, course):
        expected = model.standing()
        assert found == expected
        assert detected in {None, expected.restart_required}
        assert found.observed is None or found.restart_required == (found.desired != found.observed)
        assert [signal.sequence for signal in found.signals] == list(range(1, len(found.signals) + 1))
