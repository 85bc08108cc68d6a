import pytest

from models.domain.errors import (
    AlreadyExists,
    Code,
    DuplicateRule,
    IdempotencyConflict,
    InvalidInput,
    InvalidModel,
    LabelNeedsRole,
    MayorIsTownLevel,
    NoChange,
    NotFound,
    Problem,
    ProfileKnowsNoRigs,
    Refused,
    TooMany,
    UnknownLabel,
    UnknownModel,
    UnknownProfile,
    UnknownRig,
    VersionConflict,
    refuse_if_any,
)

ONE_OF_EACH = [
    NotFound(kind="town", name="t-1"),
    AlreadyExists(kind="bead", name="b-1"),
    VersionConflict(expected=3, current=4),
    IdempotencyConflict(key="k-1"),
    NoChange(subject="Version 3"),
    InvalidInput(path=("first",), expected="from 1 to 200"),
    TooMany(kind="overrides", limit=500, given=501),
    UnknownProfile(name="golden"),
    UnknownLabel(label="gt:fixup"),
    UnknownRig(rig_id="docs"),
    UnknownModel(model="openai/gpt-9"),
    InvalidModel(model="not a model"),
    DuplicateRule(key="polecat"),
    LabelNeedsRole(label="gt:rework"),
    MayorIsTownLevel(path=("label",)),
    ProfileKnowsNoRigs(),
]


def test_codes__all__have_a_problem_each() -> None:
    assert [problem.code for problem in ONE_OF_EACH] == list(Code)
    kinds = {kind.__name__ for kind in Problem.__subclasses__()}
    assert {type(problem).__name__ for problem in ONE_OF_EACH} == kinds


@pytest.mark.parametrize("problem", ONE_OF_EACH, ids=lambda problem: problem.code)
def test_problem__each__says_a_sentence_of_its_own(problem: Problem) -> None:
    assert problem.message
    assert problem.message != problem.code


@pytest.mark.parametrize(
    ("problem", "path"),
    [
        (VersionConflict(expected=3, current=4), ("expectedVersion",)),
        (IdempotencyConflict(key="k-1"), ("idempotencyKey",)),
        (UnknownLabel(label="x"), ("label",)),
        (UnknownRig(rig_id="x"), ("rigId",)),
        (UnknownModel(model="x"), ("model",)),
        (InvalidModel(model=""), ("model",)),
        (LabelNeedsRole(label="x"), ("label",)),
        (ProfileKnowsNoRigs(), ("rigId",)),
        (NoChange(subject="Version 3"), ()),
    ],
)
def test_problem__where_nothing_else_is_said__lies_at_its_field(problem: Problem, path: tuple[str, ...]) -> None:
    assert problem.path == path


def test_problem__seen_from_further_out__has_a_longer_path_and_is_the_same_otherwise() -> None:
    assert UnknownRig(rig_id="x").under("overrides", 3) == UnknownRig(rig_id="x", path=("overrides", "3", "rigId"))


def test_problem__moved__has_the_other_path_and_is_the_same_otherwise() -> None:
    assert InvalidModel(model="").moved_to("smallModel") == InvalidModel(model="", path=("smallModel",))


def test_refused__for_one_problem__holds_it() -> None:
    problem = NotFound(kind="town", name="t-1")
    assert Refused(problem).problems == (problem,)


def test_refused__for_several__holds_them_in_order_and_says_each() -> None:
    refused = Refused(iter(ONE_OF_EACH))
    assert refused.problems == tuple(ONE_OF_EACH)
    assert all(problem.message in str(refused) for problem in ONE_OF_EACH)


def test_refuse_if_any__without_problems__goes_on() -> None:
    refuse_if_any([])


def test_refuse_if_any__with_problems__refuses_for_all() -> None:
    with pytest.raises(Refused) as caught:
        refuse_if_any(ONE_OF_EACH)
    assert caught.value.problems == tuple(ONE_OF_EACH)


def test_base_problem__without_a_sentence__says_its_code() -> None:
    class Bare(NotFound):
        message = Problem.message

    assert Bare(kind="town", name="t-1").message == "NOT_FOUND"


@pytest.mark.parametrize(("label", "meant"), [("gt:triag", "gt:triage"), ("gt:pr-fixups", "gt:pr-fixup")])
def test_unknown_label__near_a_known_one__names_it(label: str, meant: str) -> None:
    assert meant in UnknownLabel(label=label).message.split()[-1]


def test_unknown_label__like_none__names_none() -> None:
    assert "gt:" not in UnknownLabel(label="urgent!").message


@pytest.mark.parametrize("odd", ["\x00", "a\x1b[31mb", "\ud800", "\u202e", "line\nline"])
def test_message__about_odd_text__is_printable(odd: str) -> None:
    assert NotFound(kind="town", name=odd).message.isprintable()


def test_message__about_endless_text__is_short() -> None:
    assert len(UnknownLabel(label="x" * 1_000_000).message) < 300


def test_invalid_input__without_a_path__says_a_sentence_all_the_same() -> None:
    assert InvalidInput(expected="a JSON object").message[0].isupper()
