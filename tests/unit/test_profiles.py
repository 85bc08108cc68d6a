import pytest

from models.domain.errors import Code
from models.domain.profiles import SHIPPED_MODELS, SHIPPED_PROFILES, ProfileTable, is_own
from tests import reference
from tests.reference import FRONTIER, HAIKU, OPUS, SONNET
from tests.refusals import refusal
from tests.spelling import key, rules, rules_json


def profile(
    models: dict[str, str], *, name: str = "custom", version: int = 1, small_model: str = HAIKU
) -> ProfileTable:
    return ProfileTable(name=name, version=version, small_model=small_model, rules=rules(models))


@pytest.mark.parametrize("table", [shipped.table for shipped in SHIPPED_PROFILES], ids=lambda table: table.name)
def test_shipped_profile__each__says_what_the_rules_say(table: ProfileTable) -> None:
    expected = reference.SHIPPED[table.name]
    said = rules_json({rule.key.spelling: rule.model for rule in table.rules})
    assert sorted(map(str, said)) == sorted(map(str, expected["rules"]))
    assert (table.version, table.small_model) == (expected["version"], expected["smallModel"])


@pytest.mark.parametrize("table", [shipped.table for shipped in SHIPPED_PROFILES], ids=lambda table: table.name)
def test_shipped_profile__each__is_most_specific_first(table: ProfileTable) -> None:
    assert list(table.rules) == sorted(table.rules, key=lambda rule: rule.key.sort_key)


def test_shipped_profiles__together__are_the_three_central_ones() -> None:
    assert [shipped.table.name for shipped in SHIPPED_PROFILES] == ["frugal", "balanced", "premium"]
    assert not any(is_own(shipped.table.name) for shipped in SHIPPED_PROFILES)


def test_shipped_models__all__are_the_seeded_catalogue() -> None:
    assert SHIPPED_MODELS.keys() == {OPUS, SONNET, HAIKU, FRONTIER}


@pytest.mark.parametrize(
    ("name", "own"), [("custom", True), ("custom-2", True), ("balanced", False), ("accustomed", False)]
)
def test_profile__name__tells_whether_a_town_owns_it(name: str, own: bool) -> None:  # noqa: FBT001  # a table's column
    assert is_own(name) is own


def test_profile__malformed_small_model__is_refused() -> None:
    assert refusal(lambda: profile({}, small_model="not a model")) == [(Code.INVALID_MODEL, ("smallModel",))]


@pytest.mark.parametrize("spelling", ["*@web", "polecat@web", "refinery[gt:rework]@web"])
def test_profile__rule_with_a_rig__is_refused(spelling: str) -> None:
    assert refusal(lambda: profile({"*": OPUS, spelling: OPUS})) == [(Code.PROFILE_KNOWS_NO_RIGS, ("rules",))]


def test_profile__rules__are_found_by_key() -> None:
    found = profile({"polecat[gt:rework]": OPUS, "*": HAIKU}).models_by_key
    assert found == {key("polecat[gt:rework]"): OPUS, key("*"): HAIKU}


def test_content_hash__equal_rules_and_small_model__is_equal_whatever_the_name_and_version() -> None:
    first = profile({"polecat": OPUS, "*": HAIKU}, version=1)
    later = profile({"*": HAIKU, "polecat": OPUS}, name="custom-2", version=7)
    assert first.content_hash == later.content_hash


@pytest.mark.parametrize(
    "other",
    [
        profile({"polecat": OPUS}),
        profile({"polecat": OPUS, "*": SONNET}),
        profile({"polecat": OPUS, "refinery": HAIKU}),
        profile({"polecat": OPUS, "*": HAIKU}, small_model=SONNET),
    ],
)
def test_content_hash__other_content__differs(other: ProfileTable) -> None:
    assert other.content_hash != profile({"polecat": OPUS, "*": HAIKU}).content_hash


def test_profile__of_nonsense__is_refused_with_every_problem() -> None:
    def build() -> ProfileTable:
        twice = (*rules({"polecat": OPUS}), *rules({"polecat": HAIKU}))
        return ProfileTable(name="Nonsense!", version=-3, small_model=HAIKU, rules=twice)

    assert refusal(build) == [
        (Code.INVALID_INPUT, ("name",)),
        (Code.INVALID_INPUT, ("version",)),
        (Code.DUPLICATE_RULE, ("rules",)),
    ]


def test_profile__rules_in_any_order__are_kept_most_specific_first() -> None:
    table = profile({"*": OPUS, "polecat[gt:rework]": HAIKU, "polecat": SONNET})
    assert [rule.key.spelling for rule in table.rules] == ["polecat[gt:rework]", "polecat", "*"]
