"""What holds of resolving, whatever the configuration and the task."""

from collections.abc import Sequence
from datetime import timedelta
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from models.domain.changes import changed_signatures
from models.domain.mayor import ModelPair, desired_pair
from models.domain.overrides import OverrideSet, next_set
from models.domain.resolution import Resolution, Table, Task, compile_table, resolve
from models.domain.vocabulary import BeadType, Role
from tests.corpus import AUTHOR, NOON, answer_of, choice_of, key_of, override_set, task_of
from tests.property.strategies import THOROUGH, override_rule, overrides, questions, questions_without_task, tasks
from tests.reference import Answer, Question, RuleJson, TaskJson, answer, fits


def table_of(question: Question) -> Table:
    return compile_table(override_set(question))


def resolved(question: Question) -> Resolution:
    return resolve(table_of(question), task_of(question))


def following(current: OverrideSet, question: Question) -> OverrideSet:
    return next_set(current, choice_of(question), at=NOON + timedelta(hours=current.version), by=AUTHOR)


def with_rule(question: Question, rule: RuleJson) -> Question:
    """`question` with `rule` among its overrides, in the place of any other for its key."""
    others = [other for other in question["overrides"] if key_of(other) != key_of(rule)]
    return {**question, "overrides": [*others, rule]}


def deciding(said: Answer) -> tuple[str, str, str, str]:
    return (said["model"], said["smallModel"], said["matchedRule"]["key"], said["matchedRule"]["source"])


@settings(THOROUGH, max_examples=300)
@given(questions)
def test_core__any_question__answers_as_the_reference_does(question: Question) -> None:
    assert answer_of(resolved(question)) == answer(question)


@THOROUGH
@given(questions_without_task)
def test_core__no_task_at_all__answers_as_the_reference_does(question: Question) -> None:
    assert answer_of(resolved(question)) == answer(question)


@THOROUGH
@given(questions, st.randoms(use_true_random=False))
def test_overrides__in_another_order__say_the_same(question: Question, chance: Random) -> None:
    shuffled: Question = {**question, "overrides": chance.sample(question["overrides"], len(question["overrides"]))}
    assert answer_of(resolved(shuffled)) == answer_of(resolved(question))
    assert override_set(shuffled).content_hash == override_set(question).content_hash


@THOROUGH
@given(questions, override_rule)
def test_rule__that_does_not_match_the_task__never_changes_what_decides(question: Question, rule: RuleJson) -> None:
    before, after = resolved(question), resolved(with_rule(question, rule))
    if not fits(rule, question["task"]):
        assert (after.model, after.because, after.matched.key) == (before.model, before.because, before.matched.key)


@THOROUGH
@given(questions, override_rule)
def test_rule__added__decides_or_leaves_what_decided(question: Question, rule: RuleJson) -> None:
    before, after = resolved(question), resolved(with_rule(question, rule))
    if after.matched.rule_key != key_of(rule):
        assert (after.model, after.matched.key) == (before.model, before.matched.key)


@THOROUGH
@given(questions, override_rule)
def test_rule__added_and_removed__leaves_the_old_answers(question: Question, rule: RuleJson) -> None:
    old = override_set(question)
    added = following(old, with_rule(question, rule))
    back = following(added, question)
    assert back.content_hash == old.content_hash
    assert back.version == 3
    task = task_of(question)
    assert answer_of(resolve(compile_table(back), task)) == answer_of(resolve(compile_table(old), task))


@THOROUGH
@given(questions, st.lists(tasks, max_size=3))
def test_mayor__whatever_else_is_known__has_one_pair(question: Question, described: list[TaskJson]) -> None:
    table = table_of(question)
    for task in described:
        mayors: Question = {**question, "task": {**task, "role": "MAYOR"}}
        said = resolve(table, task_of(mayors))
        assert ModelPair(model=said.model, small_model=said.small_model) == desired_pair(table)


@THOROUGH
@given(
    st.sampled_from([None, *Role]),
    st.sampled_from([None, *BeadType]),
    st.lists(st.sampled_from(["gt:triage", "gt:rework", "gt:held", "", "|", ",", "urgent"]), max_size=4),
    st.none() | st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,20}", fullmatch=True),
    st.none() | st.from_regex(r"[A-Za-z0-9@~][A-Za-z0-9._:@/+~-]{0,20}", fullmatch=True),
)
def test_task__as_a_signature__comes_back_the_same(
    role: Role | None, bead_type: BeadType | None, labels: list[str], rig_id: str | None, model: str | None
) -> None:
    task = Task.of(role=role, bead_type=bead_type, labels=labels, rig_id=rig_id, model=model)
    assert Task.from_signature(task.signature) == task


@THOROUGH
@given(questions)
def test_task__however_many_labels__asks_for_few_keys(question: Question) -> None:
    task = task_of(question)
    asked = list(task.lookups())
    assert len(asked) == len(set(asked)) <= 2 * len(task.labels) + 4


@THOROUGH
@given(questions, overrides, st.booleans(), st.lists(tasks, max_size=6))
def test_changed_signatures__of_many_beads__are_those_found_one_by_one(
    question: Question,
    other: list[RuleJson],
    honor: bool,  # noqa: FBT001  # hypothesis hands it over
    beads: Sequence[TaskJson],
) -> None:
    after: Question = {**question, "overrides": other, "honorBeadModels": honor}
    asked = {task_of({**question, "task": bead}).signature: bead for bead in beads}
    one_by_one = {
        signature
        for signature, bead in asked.items()
        if deciding(answer({**question, "task": bead})) != deciding(answer({**after, "task": bead}))
    }
    assert changed_signatures(table_of(question), table_of(after), asked) == one_by_one
