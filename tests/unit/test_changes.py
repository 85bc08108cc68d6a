import pytest

from models.domain.changes import RuleChange, changed_signatures, differs, rule_changes, spread, total
from models.domain.overrides import Choice, first_set
from models.domain.profiles import ProfileTable
from models.domain.resolution import NO_TASK, Table, Task, compile_table, resolve
from models.domain.vocabulary import Role
from tests.corpus import AUTHOR, NOON
from tests.reference import FRONTIER, HAIKU, OPUS, SONNET
from tests.spelling import key, rules

POLECAT = Task(role=Role.POLECAT)
REWORK = Task(role=Role.POLECAT, labels=("gt:rework",))
REFINERY = Task(role=Role.REFINERY)
OWN = Task(role=Role.POLECAT, model=FRONTIER)


def table(
    profile_rules: dict[str, str], overrides: dict[str, str], *, small_model: str = HAIKU, honor: bool = False
) -> Table:
    profile = ProfileTable(name="custom", version=1, small_model=small_model, rules=rules(profile_rules))
    choice = Choice(profile=profile, honor_bead_models=honor, rules=rules(overrides))
    return compile_table(first_set("town", choice, at=NOON, by=AUTHOR))


BASE = table({"polecat": SONNET}, {})


def test_rule_changes__equal_tables__are_none() -> None:
    same = {key("polecat"): OPUS}
    assert rule_changes(same, dict(same)) == ()


def test_rule_changes__added_removed_and_moved__are_told_most_specific_first() -> None:
    before = {key("*"): HAIKU, key("polecat"): OPUS, key("refinery"): SONNET}
    after = {key("polecat[gt:rework]@web"): HAIKU, key("polecat"): SONNET, key("refinery"): SONNET}
    assert rule_changes(before, after) == (
        RuleChange(key="polecat[gt:rework]@web", before=None, after=HAIKU),
        RuleChange(key="polecat", before=OPUS, after=SONNET),
        RuleChange(key="*", before=HAIKU, after=None),
    )


@pytest.mark.parametrize(
    "after",
    [
        table({"polecat": OPUS}, {}),
        table({"polecat": SONNET}, {}, small_model=SONNET),
        table({"*": SONNET}, {}),
        table({"polecat": SONNET}, {"polecat": SONNET}),
    ],
    ids=["model", "small model", "key", "source"],
)
def test_bead__one_part_of_its_answer_moved__changed(after: Table) -> None:
    assert differs(resolve(BASE, POLECAT), resolve(after, POLECAT))


@pytest.mark.parametrize(
    "after",
    [
        table({"polecat": SONNET}, {}),
        table({"polecat": SONNET, "mayor": OPUS}, {"*": OPUS, "polecat@web": OPUS}),
        table({"polecat": SONNET}, {}, honor=True),
    ],
    ids=["equal tables", "other rules", "a flag that does not reach it"],
)
def test_bead__its_answer_as_before__did_not_change(after: Table) -> None:
    assert not differs(resolve(BASE, POLECAT), resolve(after, POLECAT))


def test_changed_signatures__of_many__are_those_that_resolve_differently() -> None:
    after = table({"polecat": SONNET}, {"polecat[gt:rework]": SONNET}, honor=True)
    asked = [one.signature for one in (POLECAT, REWORK, REFINERY, OWN, NO_TASK)]
    assert changed_signatures(BASE, after, asked) == {REWORK.signature, OWN.signature}


def test_changed_signatures__of_none__are_none() -> None:
    assert changed_signatures(BASE, table({}, {}), []) == frozenset()


def test_spread__beads_by_signature__counts_models_most_used_first_then_by_id() -> None:
    beads = {POLECAT.signature: 2, REWORK.signature: 3, OWN.signature: 1, REFINERY.signature: 4}
    resolved_on = table({"polecat": SONNET, "polecat[gt:rework]": HAIKU}, {"refinery": OPUS}, honor=True)
    assert list(spread(resolved_on, beads).items()) == [(OPUS, 4), (HAIKU, 3), (SONNET, 2), (FRONTIER, 1)]


def test_spread__equal_counts__are_in_order_of_model_id() -> None:
    beads = {POLECAT.signature: 2, REWORK.signature: 2}
    resolved_on = table({"polecat": SONNET, "polecat[gt:rework]": HAIKU}, {})
    assert list(spread(resolved_on, beads).items()) == [(HAIKU, 2), (SONNET, 2)]


def test_spread__several_signatures_on_one_model__adds_them_up() -> None:
    assert spread(BASE, {POLECAT.signature: 2, REWORK.signature: 3}) == {SONNET: 5}


def test_total__of_some_signatures__is_their_beads() -> None:
    assert total({"polecat|||": 2, "refinery|||": 5, "mayor|||": 1}, {"polecat|||", "mayor|||"}) == 3
