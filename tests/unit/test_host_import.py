import pytest

from models.domain.errors import Code
from models.domain.host_import import HostImport, HostRig, read_host_config
from models.domain.vocabulary import SYSTEM_SMALL_MODEL
from tests.reference import FRONTIER, HAIKU, OPUS, SONNET
from tests.refusals import Found, refusal
from tests.spelling import rules


def imported(config: object, **rigs: object) -> HostImport:
    return read_host_config(config, [HostRig(rig_id=rig_id, config=rig) for rig_id, rig in rigs.items()])


def test_import__empty_configuration__is_an_empty_profile_of_the_towns_own() -> None:
    made = imported({})
    assert (made.profile.name, made.profile.version, made.profile.rules) == ("custom", 1, ())
    assert made.profile.small_model == SYSTEM_SMALL_MODEL
    assert (made.overrides, made.notes) == ((), ())


def test_import__town_settings__become_rules_of_the_profile_most_specific_first() -> None:
    config = {
        "default_model": HAIKU,
        "small_model": SONNET,
        "role_models": {"refinery": FRONTIER, "polecat": SONNET, "mayor": OPUS},
    }
    made = imported(config)
    assert made.profile.rules == rules({"mayor": OPUS, "polecat": SONNET, "refinery": FRONTIER, "*": HAIKU})
    assert made.profile.small_model == SONNET


def test_import__rig_settings__become_overrides_most_specific_first() -> None:
    made = imported(
        {},
        web={"default_model": HAIKU, "role_models": {"refinery": FRONTIER, "polecat": SONNET}},
        api={"role_models": {"polecat": OPUS}},
    )
    assert made.profile.rules == ()
    assert made.overrides == rules(
        {"polecat@api": OPUS, "polecat@web": SONNET, "refinery@web": FRONTIER, "*@web": HAIKU}
    )


def test_import__other_settings__are_left_alone_without_a_note() -> None:
    made = imported({"default_model": OPUS, "max_polecats": 7, "theme": None}, web={"branch": "main", "small_model": 3})
    assert made.profile.rules == rules({"*": OPUS})
    assert (made.overrides, made.notes) == ((), ())


@pytest.mark.parametrize("unset", [None, "", " ", "\t\n"])
def test_import__blank_or_null_models__count_as_not_set(unset: str | None) -> None:
    config = {"default_model": unset, "small_model": unset, "role_models": {"mayor": unset, "polecat": unset}}
    made = imported(config, web={"default_model": unset, "role_models": {"refinery": unset}})
    assert (made.profile.rules, made.profile.small_model, made.overrides) == ((), SYSTEM_SMALL_MODEL, ())


@pytest.mark.parametrize("rig", [None, {}, {"role_models": None}, {"role_models": {}}])
def test_import__rig_without_settings__has_no_overrides(rig: object) -> None:
    assert imported({}, web=rig).overrides == ()


def test_import__rigs_mayor__is_left_out_and_told() -> None:
    made = imported({}, web={"role_models": {"mayor": OPUS, "polecat": SONNET}})
    assert made.overrides == rules({"polecat@web": SONNET})
    assert ["web" in note for note in made.notes] == [True]


def test_import__unknown_roles__are_left_out_and_told() -> None:
    made = imported({"role_models": {"triage": OPUS}}, web={"role_models": {"witness": OPUS}})
    assert (made.profile.rules, made.overrides) == ((), ())
    assert ["triage" in made.notes[0], "witness" in made.notes[1], "web" in made.notes[1]] == [True] * 3


def test_import__odd_name_of_a_role__is_told_in_printable_characters() -> None:
    (note,) = imported({"role_models": {"\x07" + "x" * 500: OPUS}}).notes
    assert note.isprintable()
    assert len(note) < 200


def test_import__models__are_every_one_named_once_and_sorted() -> None:
    made = imported(
        {"default_model": OPUS, "small_model": FRONTIER}, web={"default_model": SONNET}, api={"default_model": OPUS}
    )
    assert made.models == (OPUS, SONNET, FRONTIER)


@pytest.mark.parametrize(
    ("config", "rig", "problems"),
    [
        (None, None, [(Code.INVALID_INPUT, ("config",))]),
        ([], None, [(Code.INVALID_INPUT, ("config",))]),
        ("{}", None, [(Code.INVALID_INPUT, ("config",))]),
        ({"role_models": []}, None, [(Code.INVALID_INPUT, ("config", "role_models"))]),
        ({"default_model": 7}, None, [(Code.INVALID_INPUT, ("config", "default_model"))]),
        ({"default_model": "not a model"}, None, [(Code.INVALID_MODEL, ("config", "default_model"))]),
        ({"small_model": "not a model"}, None, [(Code.INVALID_MODEL, ("config", "small_model"))]),
        ({"small_model": False}, None, [(Code.INVALID_INPUT, ("config", "small_model"))]),
        ({"role_models": {"mayor": {}}}, None, [(Code.INVALID_INPUT, ("config", "role_models", "mayor"))]),
        ({}, 7, [(Code.INVALID_INPUT, ("rigs", "0", "config"))]),
        ({}, {"role_models": "polecat"}, [(Code.INVALID_INPUT, ("rigs", "0", "config", "role_models"))]),
        ({}, {"default_model": " x"}, [(Code.INVALID_MODEL, ("rigs", "0", "config", "default_model"))]),
        (
            {},
            {"role_models": {"polecat": "a b"}},
            [(Code.INVALID_MODEL, ("rigs", "0", "config", "role_models", "polecat"))],
        ),
    ],
)
def test_import__what_is_no_configuration__is_refused_where_it_stands(
    config: object, rig: object, problems: Found
) -> None:
    assert refusal(lambda: imported(config, web=rig)) == problems


def test_import__with_many_faults__is_refused_with_every_problem() -> None:
    config = {"default_model": 1, "small_model": "a b", "role_models": {"mayor": "c d"}}
    attempt = refusal(lambda: imported(config, web=[], api={"default_model": "e f", "role_models": {"refinery": 2}}))
    assert attempt == [
        (Code.INVALID_MODEL, ("config", "small_model")),
        (Code.INVALID_INPUT, ("config", "default_model")),
        (Code.INVALID_MODEL, ("config", "role_models", "mayor")),
        (Code.INVALID_INPUT, ("rigs", "0", "config")),
        (Code.INVALID_MODEL, ("rigs", "1", "config", "default_model")),
        (Code.INVALID_INPUT, ("rigs", "1", "config", "role_models", "refinery")),
    ]


@pytest.mark.parametrize("unset", ["", "  ", None])
def test_import__unset_models_of_no_role__make_no_notes(unset: str | None) -> None:
    rigs = [HostRig(rig_id="web", config={"role_models": {"mayor": unset, "witness": unset}})]
    assert read_host_config({"role_models": {"triage": unset}}, rigs).notes == ()


def test_import__a_model_of_no_role_that_is_none__is_left_out_not_refused() -> None:
    assert len(read_host_config({"role_models": {"triage": 5}}, []).notes) == 1
