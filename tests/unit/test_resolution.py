"""What the corpus can't say of resolving: tasks, signatures, lookups and what a resolution knows of its table."""

import hashlib

import pytest

from models.domain.errors import Code
from models.domain.overrides import Choice, first_set
from models.domain.profiles import ProfileTable
from models.domain.resolution import NO_TASK, Table, Task, compile_table, fingerprint, resolve
from models.domain.vocabulary import BeadType, Role
from tests.corpus import AUTHOR, NOON, profile_table
from tests.reference import HAIKU, OPUS, SONNET
from tests.refusals import refusal
from tests.spelling import rules

BALANCED = profile_table("balanced")
FULL = Task(role=Role.POLECAT, labels=("gt:triage", "gt:rework"), rig_id="web", model="qwen/qwen3-coder:free")


def table(models: dict[str, str], *, profile: ProfileTable = BALANCED) -> Table:
    choice = Choice(profile=profile, honor_bead_models=False, rules=rules(models))
    return compile_table(first_set("town", choice, at=NOON, by=AUTHOR))


def task(role: Role | None = None, bead_type: BeadType | None = BeadType.ISSUE, labels: tuple[str, ...] = ()) -> Task:
    return Task.of(role=role, bead_type=bead_type, labels=labels, rig_id="web", model=OPUS)


def test_task__of_a_bead__holds_known_labels_once_in_order_of_precedence() -> None:
    assert task(labels=("gt:held", "urgent", "gt:triage", "gt:held")).labels == ("gt:triage", "gt:held")


@pytest.mark.parametrize(
    ("role", "bead_type", "expected"),
    [
        (None, None, Role.POLECAT),
        (None, BeadType.MERGE_REQUEST, Role.REFINERY),
        (Role.MAYOR, BeadType.MERGE_REQUEST, Role.MAYOR),
    ],
)
def test_task__of_a_bead__has_the_role_that_will_do_the_work(
    role: Role | None, bead_type: BeadType | None, expected: Role
) -> None:
    assert task(role, bead_type).role is expected


def test_tasks__of_beads_that_no_rule_can_tell_apart__are_equal() -> None:
    assert task(None, BeadType.ISSUE, ("gt:rework", "x")) == task(Role.POLECAT, BeadType.AGENT, ("gt:rework",))


@pytest.mark.parametrize(
    ("one", "signature"),
    [
        (NO_TASK, "|||"),
        (Task(role=Role.MAYOR), "mayor|||"),
        (FULL, "polecat|gt:triage,gt:rework|web|qwen/qwen3-coder:free"),
        (Task(role=Role.REFINERY, rig_id="a:b"), "refinery||a:b|"),
    ],
)
def test_task__as_a_signature__comes_back_the_same(one: Task, signature: str) -> None:
    assert one.signature == signature
    assert Task.from_signature(signature) == one


@pytest.mark.parametrize("signature", ["", "polecat", "polecat||web", "polecat||web||", "clerk|||"])
def test_signature__malformed__is_a_value_error(signature: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Task.from_signature(signature)


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (NO_TASK, [(None, None, None)]),
        (Task(role=Role.MAYOR, labels=("gt:triage",), rig_id="web"), [(Role.MAYOR, None, None), (None, None, None)]),
        (Task(role=Role.REFINERY), [(Role.REFINERY, None, None), (None, None, None)]),
        (
            FULL,
            [
                (Role.POLECAT, "gt:triage", "web"),
                (Role.POLECAT, "gt:rework", "web"),
                (Role.POLECAT, "gt:triage", None),
                (Role.POLECAT, "gt:rework", None),
                (Role.POLECAT, None, "web"),
                (Role.POLECAT, None, None),
                (None, None, "web"),
                (None, None, None),
            ],
        ),
    ],
)
def test_task__asks_for_keys__most_specific_first_and_none_in_vain(
    one: Task, expected: list[tuple[Role | None, str | None, str | None]]
) -> None:
    assert list(one.lookups()) == expected


def test_table__compiled__says_whose_it_is_and_over_what_it_lies() -> None:
    compiled = table({"*": OPUS}, profile=ProfileTable(name="custom", version=7, small_model=HAIKU, rules=()))
    said = (compiled.town_id, compiled.version, compiled.profile_name, compiled.profile_version, compiled.small_model)
    assert said == ("town", 1, "custom", 7, HAIKU)


def test_resolution__any__names_its_table_and_task() -> None:
    compiled = table({})
    resolution = resolve(compiled, FULL)
    assert resolution.table is compiled
    assert resolution.task is FULL


def test_considered__bead_model_equal_to_the_last_resort__is_told_apart_from_it() -> None:
    bare = table({}, profile=ProfileTable(name="custom", version=1, small_model=HAIKU, rules=()))
    resolution = resolve(bare, Task(role=Role.POLECAT, model=SONNET))
    assert [line.outcome.name for line in resolution.considered] == ["BEAD_MODEL_NOT_HONORED", "MATCHED"]


def test_fingerprint__any__is_the_digest_of_both_models() -> None:
    assert fingerprint(OPUS, HAIKU) == hashlib.sha256(f"{OPUS}\n{HAIKU}".encode()).hexdigest()
    assert resolve(table({}), Task(role=Role.MAYOR)).fingerprint == fingerprint(OPUS, HAIKU)


def test_fingerprint__models_swapped__differs() -> None:
    assert fingerprint(OPUS, HAIKU) != fingerprint(HAIKU, OPUS)


def test_task__rig_and_model_that_are_none__is_refused_for_both() -> None:
    assert refusal(lambda: Task(role=Role.POLECAT, rig_id="no rig", model="a|b")) == [
        (Code.UNKNOWN_RIG, ("rigId",)),
        (Code.INVALID_MODEL, ("model",)),
    ]


@pytest.mark.parametrize("labels", [("gt:held", "gt:triage"), ("gt:held", "gt:held"), ("urgent",)])
def test_task__labels_that_nobody_put_in_order__is_refused(labels: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="precedence"):
        Task(role=Role.POLECAT, labels=labels)


def test_task__without_a_role_but_with_a_rig__is_refused() -> None:
    with pytest.raises(ValueError, match="role"):
        Task(rig_id="web")
