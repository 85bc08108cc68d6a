from datetime import timedelta

from models.domain.overrides import Choice, OverrideSet, first_set, next_set
from models.domain.profiles import ProfileTable
from models.domain.warnings import ConfigWarningCode, config_warnings
from tests.corpus import AUTHOR, NOON, profile_table
from tests.reference import FRONTIER, HAIKU, OPUS, SONNET
from tests.spelling import rules

Said = list[tuple[ConfigWarningCode, str | None]]
BALANCED = profile_table("balanced")


def made(models: dict[str, str], profile: ProfileTable = BALANCED) -> OverrideSet:
    return first_set("town", Choice(profile=profile, honor_bead_models=False, rules=rules(models)), at=NOON, by=AUTHOR)


def custom(models: dict[str, str], version: int = 1) -> ProfileTable:
    return ProfileTable(name="custom", version=version, small_model=HAIKU, rules=rules(models))


def said(
    override_set: OverrideSet, *, rigs: frozenset[str] = frozenset({"web"}), deprecated: frozenset[str] = frozenset()
) -> Said:
    warnings = config_warnings(override_set, rigs=rigs, deprecated=deprecated)
    return [(warning.code, warning.key) for warning in warnings]


def test_warnings__nothing_odd__are_none() -> None:
    assert said(made({"polecat": OPUS, "polecat@web": FRONTIER})) == []


def test_warnings__override_says_what_the_profile_says__same_as_profile() -> None:
    assert said(made({"polecat": SONNET, "mayor": SONNET})) == [(ConfigWarningCode.SAME_AS_PROFILE, "polecat")]


def test_warnings__rigs_default_shut_out__never_matches() -> None:
    assert said(made({"*@web": FRONTIER})) == [(ConfigWarningCode.NEVER_MATCHES, "*@web")]


def test_warnings__rigs_default_within_reach__are_none() -> None:
    assert said(made({"*@web": FRONTIER}, custom({"*": HAIKU, "polecat": OPUS}))) == []


def test_warnings__profile_moved_under_an_override__stale_override() -> None:
    current = made({"polecat": OPUS, "refinery": OPUS}, custom({"polecat": SONNET, "refinery": SONNET}))
    moved = next_set(
        current,
        Choice(
            profile=custom({"polecat": HAIKU, "refinery": SONNET}, version=2),
            honor_bead_models=False,
            rules=current.rules,
        ),
        at=NOON + timedelta(hours=1),
        by=AUTHOR,
    )
    assert said(moved) == [(ConfigWarningCode.STALE_OVERRIDE, "polecat")]


def test_warnings__profile_took_the_override_over__stale_and_same() -> None:
    current = made({"polecat[gt:rework]": OPUS}, custom({}))
    moved = next_set(
        current,
        Choice(profile=custom({"polecat[gt:rework]": OPUS}, version=2), honor_bead_models=False, rules=current.rules),
        at=NOON + timedelta(hours=1),
        by=AUTHOR,
    )
    assert said(moved) == [
        (ConfigWarningCode.STALE_OVERRIDE, "polecat[gt:rework]"),
        (ConfigWarningCode.SAME_AS_PROFILE, "polecat[gt:rework]"),
    ]


def test_warnings__rig_not_there__rig_removed() -> None:
    removed = made({"polecat@web": OPUS, "polecat[gt:rework]@docs": OPUS, "refinery@docs": OPUS})
    assert said(removed) == [
        (ConfigWarningCode.RIG_REMOVED, "polecat[gt:rework]@docs"),
        (ConfigWarningCode.RIG_REMOVED, "refinery@docs"),
    ]


def test_warnings__model_deprecated__for_overrides_and_profile_rules_alike() -> None:
    override_set = made({"mayor": FRONTIER}, custom({"polecat": FRONTIER, "refinery": OPUS}))
    assert said(override_set, deprecated=frozenset({FRONTIER})) == [
        (ConfigWarningCode.DEPRECATED_MODEL, "mayor"),
        (ConfigWarningCode.DEPRECATED_MODEL, "polecat"),
    ]


def test_warnings__replaced_rule_asked_for_a_deprecated_model__are_none() -> None:
    assert said(made({"polecat": OPUS}, custom({"polecat": FRONTIER})), deprecated=frozenset({FRONTIER})) == []


def test_warnings__small_model_deprecated__for_no_key_and_last() -> None:
    override_set = made({"mayor": HAIKU}, custom({}))
    assert said(override_set, deprecated=frozenset({HAIKU})) == [
        (ConfigWarningCode.DEPRECATED_MODEL, "mayor"),
        (ConfigWarningCode.DEPRECATED_MODEL, None),
    ]


def test_warnings__of_every_kind__come_in_the_order_of_the_table() -> None:
    override_set = made({"*@docs": FRONTIER, "polecat": SONNET, "refinery@docs": OPUS})
    assert said(override_set, deprecated=frozenset({FRONTIER})) == [
        (ConfigWarningCode.RIG_REMOVED, "refinery@docs"),
        (ConfigWarningCode.SAME_AS_PROFILE, "polecat"),
        (ConfigWarningCode.NEVER_MATCHES, "*@docs"),
        (ConfigWarningCode.RIG_REMOVED, "*@docs"),
        (ConfigWarningCode.DEPRECATED_MODEL, "*@docs"),
    ]


def test_warnings__each__have_a_sentence_that_names_the_key() -> None:
    override_set = made({"*@docs": FRONTIER, "polecat": SONNET})
    warnings = config_warnings(override_set, rigs=(), deprecated={FRONTIER})
    assert all(warning.key is not None and warning.key in warning.message for warning in warnings)
