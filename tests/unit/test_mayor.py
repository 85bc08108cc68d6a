import pytest

from models.domain.errors import Code
from models.domain.mayor import (
    ModelPair,
    NewSignal,
    SignalCause,
    SignalClosure,
    SignalStep,
    desired_pair,
    step_on_change,
    step_on_report,
)
from models.domain.overrides import Choice, first_set
from models.domain.profiles import ProfileTable
from models.domain.resolution import compile_table, fingerprint
from tests.corpus import AUTHOR, NOON
from tests.reference import FRONTIER, HAIKU, OPUS, SONNET
from tests.refusals import refusal
from tests.spelling import rules

A = ModelPair(model=OPUS, small_model=HAIKU)
B = ModelPair(model=SONNET, small_model=HAIKU)
C = ModelPair(model=OPUS, small_model=SONNET)
NOTHING = SignalStep()


def changed(before: ModelPair, after: ModelPair) -> NewSignal:
    return NewSignal(before=before, after=after, cause=SignalCause.CONFIG_CHANGED)


def drifted(before: ModelPair, after: ModelPair) -> NewSignal:
    return NewSignal(before=before, after=after, cause=SignalCause.OBSERVED_DRIFT)


def desired(profile_rules: dict[str, str], overrides: dict[str, str], small_model: str = HAIKU) -> ModelPair:
    profile = ProfileTable(name="custom", version=1, small_model=small_model, rules=rules(profile_rules))
    choice = Choice(profile=profile, honor_bead_models=True, rules=rules(overrides))
    return desired_pair(compile_table(first_set("town", choice, at=NOON, by=AUTHOR)))


def test_model_pair__both_malformed__is_refused_for_both() -> None:
    assert refusal(lambda: ModelPair(model="not a model", small_model="")) == [
        (Code.INVALID_MODEL, ("model",)),
        (Code.INVALID_MODEL, ("smallModel",)),
    ]


def test_model_pair__unregistered_models__is_taken() -> None:
    pair = ModelPair(model="openai/gpt-9", small_model="@cf/tiny")
    assert pair.fingerprint == fingerprint("openai/gpt-9", "@cf/tiny")


@pytest.mark.parametrize(
    ("profile", "overrides", "model"),
    [
        ({"mayor": OPUS, "*": SONNET}, {}, OPUS),
        ({"*": HAIKU}, {}, HAIKU),
        ({}, {}, SONNET),
        ({"mayor": OPUS}, {"mayor": FRONTIER}, FRONTIER),
        ({"mayor": OPUS}, {"*": FRONTIER, "*@web": FRONTIER, "polecat": FRONTIER}, OPUS),
        ({}, {"*@web": FRONTIER, "polecat@web": FRONTIER}, SONNET),
    ],
)
def test_desired_pair__any_table__follows_mayor_then_any_role(
    profile: dict[str, str], overrides: dict[str, str], model: str
) -> None:
    assert desired(profile, overrides) == ModelPair(model=model, small_model=HAIKU)


def test_desired_pair__small_model__is_the_profiles() -> None:
    assert desired({"mayor": OPUS}, {}, small_model=SONNET) == C


def test_desired_pair__default_spelt_out__is_no_change() -> None:
    assert desired({}, {}) == desired({}, {"mayor": SONNET})


@pytest.mark.parametrize("observed", [None, A, B])
@pytest.mark.parametrize("signal_open", [False, True])
def test_change__pair_unmoved__calls_for_nothing(observed: ModelPair | None, signal_open: bool) -> None:  # noqa: FBT001  # a table's column
    assert step_on_change(before=A, after=A, observed=observed, signal_open=signal_open) == NOTHING


def test_change__pair_moved_with_nothing_observed__opens_over_the_previous_pair() -> None:
    step = step_on_change(before=A, after=B, observed=None, signal_open=False)
    assert step == SignalStep(open=changed(A, B))


def test_change__pair_moved_again_with_nothing_observed__supersedes_and_opens() -> None:
    step = step_on_change(before=B, after=C, observed=None, signal_open=True)
    assert step == SignalStep(close=SignalClosure.SUPERSEDED, open=changed(B, C))


def test_change__pair_moved_back_with_nothing_observed__supersedes_and_opens() -> None:
    step = step_on_change(before=B, after=A, observed=None, signal_open=True)
    assert step == SignalStep(close=SignalClosure.SUPERSEDED, open=changed(B, A))


def test_change__pair_moved_away_from_the_observed__opens_over_the_observed() -> None:
    step = step_on_change(before=A, after=B, observed=A, signal_open=False)
    assert step == SignalStep(open=changed(A, B))


def test_change__pair_moved_further_away__supersedes_and_opens_over_the_observed() -> None:
    step = step_on_change(before=B, after=C, observed=A, signal_open=True)
    assert step == SignalStep(close=SignalClosure.SUPERSEDED, open=changed(A, C))


def test_change__pair_moved_back_to_the_observed__only_cancels() -> None:
    step = step_on_change(before=B, after=A, observed=A, signal_open=True)
    assert step == SignalStep(close=SignalClosure.CANCELLED)


def test_change__small_model_alone__opens() -> None:
    step = step_on_change(before=A, after=C, observed=A, signal_open=False)
    assert step == SignalStep(open=changed(A, C))


def test_change__pair_moved_to_the_observed_with_none_open__calls_for_nothing() -> None:
    assert step_on_change(before=B, after=A, observed=A, signal_open=False) == NOTHING


def test_report__differs_with_none_open__opens_a_drift() -> None:
    step = step_on_report(desired=B, observed=A, signal_open=False)
    assert step == SignalStep(open=drifted(A, B))


def test_report__differs_with_one_open__calls_for_nothing() -> None:
    assert step_on_report(desired=B, observed=A, signal_open=True) == NOTHING


def test_report__matches_with_one_open__closes_it() -> None:
    step = step_on_report(desired=A, observed=A, signal_open=True)
    assert step == SignalStep(close=SignalClosure.OBSERVED)


def test_report__matches_with_none_open__calls_for_nothing() -> None:
    assert step_on_report(desired=A, observed=A, signal_open=False) == NOTHING


@pytest.mark.parametrize(
    ("step", "was_open", "is_open"),
    [
        (NOTHING, False, False),
        (NOTHING, True, True),
        (SignalStep(close=SignalClosure.CANCELLED), True, False),
        (SignalStep(open=changed(A, B)), False, True),
        (SignalStep(close=SignalClosure.SUPERSEDED, open=changed(A, B)), True, True),
    ],
)
def test_step__done__leaves_a_signal_open_or_not(step: SignalStep, was_open: bool, is_open: bool) -> None:  # noqa: FBT001  # a table's columns
    assert step.leaves_open(was_open=was_open) is is_open
