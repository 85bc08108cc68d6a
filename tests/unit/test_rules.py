import random

import pytest

from models.domain.errors import Code
from models.domain.rules import (
    DraftRule,
    Rule,
    RuleKey,
    check_override_rules,
    check_profile_rules,
    model_problems,
    ordered,
)
from models.domain.vocabulary import Role
from tests.reference import FRONTIER, HAIKU, OPUS, SONNET
from tests.refusals import Found, found, refusal
from tests.spelling import key, rule, rules

MODELS = frozenset({OPUS, SONNET, HAIKU, FRONTIER})
RIGS = frozenset({"web", "api"})
LABEL = "gt:rework"

LEGAL_KEYS = [
    (RuleKey(), "*", 0, "Any role (default)"),
    (RuleKey(rig_id="web"), "*@web", 1, "Any role — rig: web"),
    (RuleKey(role=Role.MAYOR), "mayor", 4, "Mayor"),
    (RuleKey(role=Role.POLECAT), "polecat", 4, "Polecat (default)"),
    (RuleKey(role=Role.REFINERY), "refinery", 4, "Refinery (default)"),
    (RuleKey(role=Role.POLECAT, rig_id="web"), "polecat@web", 5, "Polecat — rig: web"),
    (RuleKey(role=Role.REFINERY, label=LABEL), "refinery[gt:rework]", 6, "Refinery — label: gt:rework"),
    (
        RuleKey(role=Role.POLECAT, label=LABEL, rig_id="web"),
        "polecat[gt:rework]@web",
        7,
        "Polecat — label: gt:rework, rig: web",
    ),
]

ILLEGAL_KEYS: list[tuple[DraftRule, Found]] = [
    (DraftRule(label=LABEL, model=OPUS), [(Code.LABEL_NEEDS_ROLE, ("label",))]),
    (DraftRule(label=LABEL, rig_id="web", model=OPUS), [(Code.LABEL_NEEDS_ROLE, ("label",))]),
    (DraftRule(label="gt:urgent", model=OPUS), [(Code.UNKNOWN_LABEL, ("label",)), (Code.LABEL_NEEDS_ROLE, ("label",))]),
    (DraftRule(role=Role.POLECAT, label="gt:urgent", model=OPUS), [(Code.UNKNOWN_LABEL, ("label",))]),
    (DraftRule(role=Role.POLECAT, label="", model=OPUS), [(Code.UNKNOWN_LABEL, ("label",))]),
    (DraftRule(role=Role.MAYOR, label=LABEL, model=OPUS), [(Code.MAYOR_IS_TOWN_LEVEL, ("label",))]),
    (DraftRule(role=Role.MAYOR, rig_id="web", model=OPUS), [(Code.MAYOR_IS_TOWN_LEVEL, ("rigId",))]),
    (DraftRule(role=Role.POLECAT, rig_id="", model=OPUS), [(Code.UNKNOWN_RIG, ("rigId",))]),
    (DraftRule(rig_id="a|b", model=OPUS), [(Code.UNKNOWN_RIG, ("rigId",))]),
    (
        DraftRule(role=Role.MAYOR, label="gt:urgent", rig_id="not a rig", model=OPUS),
        [
            (Code.UNKNOWN_LABEL, ("label",)),
            (Code.MAYOR_IS_TOWN_LEVEL, ("label",)),
            (Code.UNKNOWN_RIG, ("rigId",)),
            (Code.MAYOR_IS_TOWN_LEVEL, ("rigId",)),
        ],
    ),
]


def check(*drafts: DraftRule, carried: dict[RuleKey, str] | None = None) -> tuple[Rule, ...]:
    return check_override_rules(drafts, models=MODELS, rigs=RIGS, carried=carried or {})


@pytest.mark.parametrize(("key", "spelling", "specificity", "title"), LEGAL_KEYS)
def test_key__legal__has_its_spelling_specificity_and_title(
    key: RuleKey, spelling: str, specificity: int, title: str
) -> None:
    assert (key.spelling, key.specificity, key.title) == (spelling, specificity, title)


@pytest.mark.parametrize(("draft", "problems"), ILLEGAL_KEYS)
def test_key__illegal__is_refused_with_every_problem(draft: DraftRule, problems: Found) -> None:
    assert refusal(draft.key) == problems


def test_key__drafted_legally__is_that_key() -> None:
    draft = DraftRule(role=Role.POLECAT, label=LABEL, rig_id="web", model=OPUS)
    assert draft.key() == key("polecat[gt:rework]@web")


@pytest.mark.parametrize("model", ["", "not a model", "m" * 201])
def test_rule__malformed_model__is_refused(model: str) -> None:
    assert refusal(lambda: Rule(key=RuleKey(), model=model)) == [(Code.INVALID_MODEL, ("model",))]


def test_rules__in_any_order__are_ordered_most_specific_first() -> None:
    spellings = [
        "polecat[gt:triage]@api",
        "polecat[gt:triage]@web",
        "polecat[gt:rework]@api",
        "refinery[gt:triage]@api",
        "polecat[gt:triage]",
        "polecat[gt:held]",
        "refinery[gt:triage]",
        "polecat@api",
        "polecat@web",
        "refinery@api",
        "mayor",
        "polecat",
        "refinery",
        "*@api",
        "*@web",
        "*",
    ]
    expected = rules(dict.fromkeys(spellings, OPUS))
    shuffled = random.Random(7).sample(expected, len(expected))  # noqa: S311  # any order will do
    assert ordered(shuffled) == expected


def test_profile_rules__legal__come_most_specific_first() -> None:
    drafts = [
        DraftRule(model=HAIKU),
        DraftRule(role=Role.MAYOR, model=OPUS),
        DraftRule(role=Role.POLECAT, label=LABEL, model=SONNET),
        DraftRule(role=Role.REFINERY, model=SONNET),
    ]
    assert check_profile_rules(drafts, models=MODELS) == rules(
        {"polecat[gt:rework]": SONNET, "mayor": OPUS, "refinery": SONNET, "*": HAIKU}
    )


@pytest.mark.parametrize(
    "draft",
    [
        DraftRule(rig_id="web", model=OPUS),
        DraftRule(role=Role.POLECAT, rig_id="web", model=OPUS),
        DraftRule(role=Role.REFINERY, label=LABEL, rig_id="web", model=OPUS),
    ],
)
def test_profile_rules__with_a_rig__are_refused(draft: DraftRule) -> None:
    attempt = refusal(lambda: check_profile_rules([draft], models=MODELS))
    assert attempt == [(Code.PROFILE_KNOWS_NO_RIGS, ("0", "rigId"))]


def test_profile_rules__with_many_faults__are_refused_with_every_problem() -> None:
    drafts = [
        DraftRule(role=Role.POLECAT, model=OPUS),
        DraftRule(role=Role.REFINERY, rig_id="web", model=OPUS),
        DraftRule(role=Role.POLECAT, model=SONNET),
        DraftRule(label="gt:urgent", model="openai/gpt-9"),
        DraftRule(model="not a model"),
    ]
    assert sorted(refusal(lambda: check_profile_rules(drafts, models=MODELS))) == [
        (Code.DUPLICATE_RULE, ("2",)),
        (Code.INVALID_MODEL, ("4", "model")),
        (Code.LABEL_NEEDS_ROLE, ("3", "label")),
        (Code.PROFILE_KNOWS_NO_RIGS, ("1", "rigId")),
        (Code.UNKNOWN_LABEL, ("3", "label")),
        (Code.UNKNOWN_MODEL, ("3", "model")),
    ]


def test_override_rules__legal__come_most_specific_first() -> None:
    drafts = [DraftRule(rig_id="web", model=HAIKU), DraftRule(role=Role.POLECAT, rig_id="api", model=OPUS)]
    assert check(*drafts) == rules({"polecat@api": OPUS, "*@web": HAIKU})


def test_override_rules__none__are_taken() -> None:
    assert check() == ()


@pytest.mark.parametrize(("draft", "problems"), ILLEGAL_KEYS)
def test_override_rules__illegal_key__is_refused_at_its_index(draft: DraftRule, problems: Found) -> None:
    at_index = [(code, ("1", *path)) for code, path in problems]
    assert refusal(lambda: check(DraftRule(model=OPUS), draft)) == at_index


def test_override_rules__unregistered_rig__is_refused() -> None:
    assert refusal(lambda: check(DraftRule(rig_id="docs", model=OPUS))) == [(Code.UNKNOWN_RIG, ("0", "rigId"))]


def test_override_rules__carried_for_a_removed_rig__stay_legal() -> None:
    kept = DraftRule(rig_id="docs", model=OPUS)
    assert check(kept, carried={key("*@docs"): OPUS}) == (rule("*@docs", OPUS),)


def test_override_rules__another_model_for_a_removed_rig__is_new_and_refused() -> None:
    attempt = refusal(lambda: check(DraftRule(rig_id="docs", model=SONNET), carried={key("*@docs"): OPUS}))
    assert attempt == [(Code.UNKNOWN_RIG, ("0", "rigId"))]


def test_override_rules__another_key_for_a_removed_rig__is_new_and_refused() -> None:
    draft = DraftRule(role=Role.POLECAT, rig_id="docs", model=OPUS)
    attempt = refusal(lambda: check(draft, carried={key("*@docs"): OPUS}))
    assert attempt == [(Code.UNKNOWN_RIG, ("0", "rigId"))]


def test_override_rules__a_key_twice__are_refused_at_the_second() -> None:
    twice = [DraftRule(role=Role.POLECAT, model=OPUS), DraftRule(role=Role.POLECAT, model=OPUS)]
    assert refusal(lambda: check(*twice)) == [(Code.DUPLICATE_RULE, ("1",))]


def test_override_rules__with_many_faults__are_refused_with_every_problem() -> None:
    drafts = [
        DraftRule(model="not a model"),
        DraftRule(role=Role.POLECAT, rig_id="docs", model="openai/gpt-9"),
        DraftRule(role=Role.MAYOR, label=LABEL, rig_id="web", model=OPUS),
        DraftRule(role=Role.REFINERY, model=OPUS),
        DraftRule(role=Role.REFINERY, model=SONNET),
    ]
    assert refusal(lambda: check(*drafts)) == [
        (Code.INVALID_MODEL, ("0", "model")),
        (Code.UNKNOWN_MODEL, ("1", "model")),
        (Code.UNKNOWN_RIG, ("1", "rigId")),
        (Code.MAYOR_IS_TOWN_LEVEL, ("2", "label")),
        (Code.MAYOR_IS_TOWN_LEVEL, ("2", "rigId")),
        (Code.DUPLICATE_RULE, ("4",)),
    ]


@pytest.mark.parametrize(
    ("model", "problems"),
    [
        (OPUS, []),
        ("openai/gpt-9", [(Code.UNKNOWN_MODEL, ("smallModel",))]),
        ("not a model", [(Code.INVALID_MODEL, ("smallModel",))]),
    ],
)
def test_model__as_a_choice__is_well_formed_and_registered(model: str, problems: Found) -> None:
    assert found(model_problems(model, models=MODELS, path=("smallModel",))) == problems


def test_profile_rules__the_mayor_with_a_rig__is_told_what_the_mayor_is() -> None:
    drafts = [DraftRule(role=Role.MAYOR, rig_id="web", model=OPUS)]
    assert refusal(lambda: check_profile_rules(drafts, models={OPUS})) == [(Code.MAYOR_IS_TOWN_LEVEL, ("0", "rigId"))]


def test_profile_rules__one_with_a_rig_beside_one_without__are_no_duplicates() -> None:
    drafts = [DraftRule(role=Role.POLECAT, rig_id="web", model=OPUS), DraftRule(role=Role.POLECAT, model=OPUS)]
    assert refusal(lambda: check_profile_rules(drafts, models={OPUS})) == [(Code.PROFILE_KNOWS_NO_RIGS, ("0", "rigId"))]


def test_profile_rules__a_key_twice_with_a_malformed_model__are_refused_for_both() -> None:
    drafts = [DraftRule(role=Role.POLECAT, model="no model"), DraftRule(role=Role.POLECAT, model=OPUS)]
    assert refusal(lambda: check_profile_rules(drafts, models={OPUS})) == [
        (Code.INVALID_MODEL, ("0", "model")),
        (Code.DUPLICATE_RULE, ("1",)),
    ]


@pytest.mark.parametrize("key", [key for key, *_ in LEGAL_KEYS], ids=lambda key: key.spelling)
def test_key__from_its_spelling__is_read_as_it_was(key: RuleKey) -> None:
    assert RuleKey.read(key.spelling) == key


@pytest.mark.parametrize(
    "spelling",
    [
        "",
        "*[",
        "polecat[]",
        "polecat[gt:rework",
        "polecat@",
        "Polecat",
        "scout",
        "polecat web",
        "@web",
        "**",
        "mayor\n",
        "*@web\n",
    ],
)
def test_key__from_what_spells_none__is_refused(spelling: str) -> None:
    with pytest.raises(ValueError, match="spells"):
        RuleKey.read(spelling)


@pytest.mark.parametrize(
    ("spelling", "problems"),
    [
        ("*[gt:rework]", [(Code.LABEL_NEEDS_ROLE, ("label",))]),
        ("polecat[gt:none]", [(Code.UNKNOWN_LABEL, ("label",))]),
        ("mayor@web", [(Code.MAYOR_IS_TOWN_LEVEL, ("rigId",))]),
        ("polecat@a@b", [(Code.UNKNOWN_RIG, ("rigId",))]),
    ],
)
def test_key__from_the_spelling_of_what_can_be_none__is_refused(spelling: str, problems: Found) -> None:
    assert refusal(lambda: RuleKey.read(spelling)) == problems
