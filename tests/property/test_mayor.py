"""Restart signals, whatever is published and reported, in any order."""

from hypothesis import given
from hypothesis import strategies as st

from models.domain.mayor import (
    ModelPair,
    SignalClosure,
    SignalStep,
    desired_pair,
    may_move,
    step_on_change,
    step_on_report,
)
from models.domain.resolution import compile_table
from tests.corpus import override_set
from tests.property.strategies import THOROUGH, models, override_rule, questions
from tests.reference import Question, RuleJson

pairs = st.builds(lambda model, small: ModelPair(model=model, small_model=small), models, models)
events = st.lists(st.tuples(st.sampled_from(["publish", "report"]), pairs), max_size=20)


@THOROUGH
@given(pairs, events)
def test_signals__any_course_of_events__are_open_exactly_while_desired_differs_from_observed(
    start: ModelPair, course: list[tuple[str, ModelPair]]
) -> None:
    desired, observed, signal_open = start, None, False
    for event, pair in course:
        if event == "publish":
            step = step_on_change(before=desired, after=pair, observed=observed, signal_open=signal_open)
            desired = pair
        else:
            observed = pair
            step = step_on_report(desired=desired, observed=observed, signal_open=signal_open)
        assert step.close is None or signal_open, "only an open signal can be closed"
        assert step.open is None or not signal_open or step.close is SignalClosure.SUPERSEDED, "at most one is open"
        assert step.open is None or step.open.after == desired
        signal_open = step.leaves_open(was_open=signal_open)
        assert observed is None or signal_open == (desired != observed)


@THOROUGH
@given(pairs, pairs, st.booleans())
def test_report__repeated__calls_for_nothing(desired: ModelPair, observed: ModelPair, was_open: bool) -> None:  # noqa: FBT001  # hypothesis hands it over
    first = step_on_report(desired=desired, observed=observed, signal_open=was_open)
    now_open = first.leaves_open(was_open=was_open)
    assert step_on_report(desired=desired, observed=observed, signal_open=now_open) == SignalStep()


@THOROUGH
@given(questions, override_rule)
def test_pair__that_no_rule_of_the_mayor_s_moves__stays_as_it_is(question: Question, rule: RuleJson) -> None:
    key = (rule["role"], rule["label"], rule["rigId"])
    others = [each for each in question["overrides"] if (each["role"], each["label"], each["rigId"]) != key]
    before, after = (override_set({**question, "overrides": rules}) for rules in (others, [*others, rule]))
    assert may_move(before, after) == (key in {("MAYOR", None, None), (None, None, None)})
    if not may_move(before, after):
        assert desired_pair(compile_table(before)) == desired_pair(compile_table(after))


@THOROUGH
@given(questions, questions)
def test_pair__of_sets_that_can_not_move_it__is_the_same(one: Question, other: Question) -> None:
    before, after = override_set(one), override_set({**other, "profile": one["profile"]})
    assert may_move(before, after) or desired_pair(compile_table(before)) == desired_pair(compile_table(after))
