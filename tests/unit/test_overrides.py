from datetime import timedelta

import pytest

from models.domain.errors import Code
from models.domain.overrides import Choice, Override, OverrideSet, RuleSource, first_set, never_matches, next_set
from models.domain.profiles import ProfileTable
from models.domain.rules import RuleKey
from models.domain.vocabulary import MAX_VERSION, Actor
from tests.corpus import NOON, profile_table
from tests.reference import FRONTIER, HAIKU, OPUS, SONNET
from tests.refusals import refusal
from tests.spelling import key, rules

LATER = NOON + timedelta(hours=1)
ANNA = Actor(actor_id="anna")
BERT = Actor(actor_id="bert", on_behalf_of="carla")
BALANCED = profile_table("balanced")
FRUGAL = profile_table("frugal")
BALANCED_2 = ProfileTable(
    name="balanced",
    version=2,
    small_model=HAIKU,
    rules=rules({"polecat[gt:rework]": HAIKU, "mayor": OPUS, "polecat": OPUS, "refinery": SONNET}),
)


def choice(
    models: dict[str, str],
    *,
    profile: ProfileTable = BALANCED,
    honor: bool = False,
    renewed: frozenset[RuleKey] = frozenset(),
) -> Choice:
    return Choice(profile=profile, honor_bead_models=honor, rules=rules(models), renewed=renewed)


def first(models: dict[str, str], *, profile: ProfileTable = BALANCED, honor: bool = False) -> OverrideSet:
    return first_set("town", choice(models, profile=profile, honor=honor), at=NOON, by=ANNA)


def following(current: OverrideSet, chosen: Choice) -> OverrideSet:
    return next_set(current, chosen, at=LATER, by=BERT)


def only(override_set: OverrideSet) -> Override:
    (override,) = override_set.overrides
    return override


def by_spelling(override_set: OverrideSet) -> dict[str, Override]:
    return {override.rule.key.spelling: override for override in override_set.overrides}


@pytest.mark.parametrize("version", [-1, 0, MAX_VERSION + 1])
def test_override_set__version_out_of_range__is_refused(version: int) -> None:
    def attempt() -> OverrideSet:
        return OverrideSet(town_id="town", version=version, profile=BALANCED, honor_bead_models=False, overrides=())

    assert refusal(attempt) == [(Code.INVALID_INPUT, ("version",))]


def test_override_set__key_twice__is_refused() -> None:
    twice = rules({"polecat": OPUS}) + rules({"polecat": HAIKU})
    chosen = Choice(profile=BALANCED, honor_bead_models=False, rules=twice)
    attempt = refusal(lambda: first_set("town", chosen, at=NOON, by=ANNA))
    assert attempt == [(Code.DUPLICATE_RULE, ("overrides",))]


def test_override_set__its_rules__are_found_by_key() -> None:
    found = first({"polecat": OPUS, "*@web": HAIKU}).models_by_key
    assert found == {key("polecat"): OPUS, key("*@web"): HAIKU}


def test_override_set__models__are_those_of_the_merged_table_and_the_small_model() -> None:
    profile = ProfileTable(name="custom", version=1, small_model=HAIKU, rules=rules({"polecat": SONNET, "*": OPUS}))
    assert first({"polecat": FRONTIER, "*@web": FRONTIER}, profile=profile).models == {FRONTIER, OPUS, HAIKU}


def test_first_set__any_choice__is_version_one_and_all_new() -> None:
    made = first({"*@web": FRONTIER, "polecat": OPUS}, honor=True)
    assert (made.town_id, made.version, made.profile, made.honor_bead_models) == ("town", 1, BALANCED, True)
    assert made.rules == rules({"polecat": OPUS, "*@web": FRONTIER})
    assert {(override.set_at, override.set_by) for override in made.overrides} == {(NOON, ANNA)}


def test_override__when_set__remembers_what_the_profile_said() -> None:
    made = by_spelling(first({"polecat": OPUS, "*@web": FRONTIER}))
    assert made["polecat"].profile_model_when_set == SONNET
    assert made["*@web"].profile_model_when_set is None


def test_next_set__any_choice__is_the_next_version_of_the_town() -> None:
    made = following(first({}), choice({"polecat": OPUS}, profile=FRUGAL, honor=True))
    assert (made.town_id, made.version, made.profile, made.honor_bead_models) == ("town", 2, FRUGAL, True)


def test_next_set__kept_and_new_overrides__come_most_specific_first() -> None:
    made = following(first({"*": OPUS, "polecat@web": OPUS}), choice({"*": OPUS, "polecat@web": OPUS, "mayor": HAIKU}))
    assert made.rules == rules({"polecat@web": OPUS, "mayor": HAIKU, "*": OPUS})


def test_next_set__override_that_reads_as_before__keeps_when_by_whom_and_over_what() -> None:
    current = first({"polecat": HAIKU})
    assert only(following(current, choice({"polecat": HAIKU}))) == only(current)


def test_next_set__override_kept_over_a_new_profile_version__still_remembers_the_old() -> None:
    made = following(first({"polecat": HAIKU}), choice({"polecat": HAIKU}, profile=BALANCED_2))
    assert only(made).profile_model_when_set == SONNET
    assert only(made).set_at == NOON


def test_next_set__other_model_for_a_key__is_new() -> None:
    made = only(following(first({"polecat": HAIKU}), choice({"polecat": FRONTIER}, profile=BALANCED_2)))
    assert (made.set_at, made.set_by, made.profile_model_when_set) == (LATER, BERT, OPUS)


def test_next_set__new_key_beside_a_kept_one__is_new_alone() -> None:
    made = by_spelling(following(first({"polecat": HAIKU}), choice({"polecat": HAIKU, "mayor": HAIKU})))
    assert (made["polecat"].set_at, made["mayor"].set_at) == (NOON, LATER)
    assert (made["polecat"].set_by, made["mayor"].set_by) == (ANNA, BERT)


def test_next_set__left_out_and_put_back__is_new() -> None:
    without = following(first({"polecat": HAIKU}), choice({}))
    assert without.overrides == ()
    assert only(following(without, choice({"polecat": HAIKU}))).set_at == LATER


def test_next_set__renewed_key__is_new_though_it_reads_the_same() -> None:
    chosen = choice({"polecat": HAIKU, "mayor": HAIKU}, profile=BALANCED_2, renewed=frozenset({key("polecat")}))
    made = by_spelling(following(first({"polecat": HAIKU, "mayor": HAIKU}), chosen))
    assert (made["polecat"].set_at, made["polecat"].profile_model_when_set) == (LATER, OPUS)
    assert made["mayor"].set_at == NOON


def test_next_set__another_profile__renews_what_the_profile_said_and_nothing_else() -> None:
    current = first({"polecat[gt:rework]": OPUS, "refinery": OPUS, "*@web": OPUS})
    same_rules = choice({"polecat[gt:rework]": OPUS, "refinery": OPUS, "*@web": OPUS}, profile=FRUGAL)
    made = following(current, same_rules)
    said = {spelling: override.profile_model_when_set for spelling, override in by_spelling(made).items()}
    assert said == {"polecat[gt:rework]": HAIKU, "refinery": HAIKU, "*@web": None}
    assert {(override.set_at, override.set_by) for override in made.overrides} == {(NOON, ANNA)}


def test_override__profile_says_the_same_still__is_not_stale() -> None:
    assert first({"polecat": HAIKU, "*@web": HAIKU}).stale_keys() == frozenset()


def test_override__profile_says_another_model_now__is_stale() -> None:
    kept = {"polecat": HAIKU, "refinery": HAIKU}
    assert following(first(kept), choice(kept, profile=BALANCED_2)).stale_keys() == {key("polecat")}


def test_override__profile_lost_the_key__is_stale() -> None:
    kept = {"*": HAIKU, "polecat[gt:triage]": OPUS}
    made = following(first(kept), choice(kept, profile=BALANCED_2))
    assert made.stale_keys() == {key("*"), key("polecat[gt:triage]")}


def test_override__profile_gained_the_key__is_stale() -> None:
    kept = {"polecat[gt:rework]": OPUS}
    made = following(first(kept), choice(kept, profile=BALANCED_2))
    assert made.stale_keys() == {key("polecat[gt:rework]")}


def test_override__another_profile_selected__is_not_stale() -> None:
    kept = {"polecat[gt:rework]": OPUS, "refinery": OPUS}
    assert following(first(kept), choice(kept, profile=FRUGAL)).stale_keys() == frozenset()


def test_stale_override__renewed__is_stale_no_longer() -> None:
    kept = {"polecat": HAIKU}
    stale = following(first(kept), choice(kept, profile=BALANCED_2))
    renewed = following(stale, choice(kept, profile=BALANCED_2, renewed=stale.stale_keys()))
    assert renewed.stale_keys() == frozenset()


def test_content__any_set__is_profile_version_flag_and_models_by_spelling() -> None:
    assert first({"*@web": OPUS, "polecat[gt:rework]": HAIKU}, honor=True).content == {
        "profile": "balanced",
        "profileVersion": 1,
        "honorBeadModels": True,
        "overrides": {"polecat[gt:rework]": HAIKU, "*@web": OPUS},
    }


def test_content_hash__same_choice_again__is_equal_whatever_version_time_and_author() -> None:
    current = first({"polecat": OPUS})
    renewed = following(current, choice({"polecat": OPUS}, renewed=frozenset({key("polecat")})))
    assert renewed.content_hash == current.content_hash


@pytest.mark.parametrize(
    "other",
    [
        choice({}),
        choice({"polecat": HAIKU}),
        choice({"refinery": OPUS}),
        choice({"polecat": OPUS, "mayor": OPUS}),
        choice({"polecat": OPUS}, honor=True),
        choice({"polecat": OPUS}, profile=FRUGAL),
        choice({"polecat": OPUS}, profile=BALANCED_2),
    ],
)
def test_content_hash__another_choice__differs(other: Choice) -> None:
    current = first({"polecat": OPUS})
    assert following(current, other).content_hash != current.content_hash


def test_effective_rules__same_key__replaces_and_tells_what() -> None:
    rows = {row.rule.key.spelling: row for row in first({"polecat": OPUS}).effective_rules()}
    assert (rows["polecat"].rule.model, rows["polecat"].source) == (OPUS, RuleSource.OVERRIDE)
    assert rows["polecat"].replaces == rules({"polecat": SONNET})[0]


def test_effective_rules__new_key__adds() -> None:
    rows = {row.rule.key.spelling: row for row in first({"*@web": OPUS}).effective_rules()}
    assert (rows["*@web"].source, rows["*@web"].replaces) == (RuleSource.OVERRIDE, None)
    assert rows.keys() - {"*@web"} == {rule.key.spelling for rule in BALANCED.rules}


def test_effective_rules__profiles_own__have_the_profile_as_source() -> None:
    rows = first({}).effective_rules()
    assert tuple(row.rule for row in rows) == BALANCED.rules
    assert {(row.source, row.replaces) for row in rows} == {(RuleSource.PROFILE, None)}


def test_effective_rules__merged__are_most_specific_first() -> None:
    rows = first({"*@web": OPUS, "refinery[gt:rework]@web": OPUS}).effective_rules()
    keys = [row.rule.key for row in rows]
    assert keys == sorted(keys, key=lambda key: key.sort_key)


@pytest.mark.parametrize(
    "table",
    [
        ["*@web", "polecat", "refinery"],
        ["*@web", "polecat@web", "refinery@web"],
        ["*@web", "polecat", "refinery@web"],
        ["*@web", "polecat", "refinery", "polecat@web", "*"],
    ],
)
def test_any_role_in_a_rig__both_workers_have_rules_of_their_own__never_matches(table: list[str]) -> None:
    assert never_matches(key("*@web"), map(key, table))


@pytest.mark.parametrize(
    "table",
    [
        ["*@web"],
        ["*@web", "polecat", "mayor", "*"],
        ["*@web", "refinery", "polecat@api"],
        ["*@web", "polecat[gt:rework]", "polecat[gt:rework]@web", "refinery"],
    ],
)
def test_any_role_in_a_rig__a_worker_without_a_rule_of_its_own__can_match(table: list[str]) -> None:
    assert not never_matches(key("*@web"), map(key, table))


@pytest.mark.parametrize("spelling", ["*", "mayor", "polecat", "polecat[gt:rework]@web", "refinery@web"])
def test_any_other_key__in_a_full_table__can_match(spelling: str) -> None:
    table = ["*", "mayor", "polecat", "refinery", "polecat@web", "refinery@web", "*@web", spelling]
    assert not never_matches(key(spelling), map(key, table))
