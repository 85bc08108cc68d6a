"""What carries over from a version to the next, whatever is chosen."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from models.domain.overrides import Override, OverrideSet, next_set
from models.domain.rules import RuleKey
from models.domain.vocabulary import Actor
from tests.corpus import NOON, choice_of, override_set
from tests.property.strategies import THOROUGH, questions
from tests.reference import Question

LATER = NOON + timedelta(hours=1)
SOMEONE = Actor(actor_id="someone")


def by_key(made: OverrideSet) -> dict[RuleKey, Override]:
    return {override.rule.key: override for override in made.overrides}


@THOROUGH
@given(questions, questions, st.booleans())
def test_next_set__any_choice__is_new_exactly_where_it_reads_otherwise(
    question: Question,
    other: Question,
    keep: bool,  # noqa: FBT001  # hypothesis hands it over
) -> None:
    if keep:
        other = {**other, "overrides": question["overrides"]}
    current, choice = override_set(question), choice_of(other)
    made = next_set(current, choice, at=LATER, by=SOMEONE)
    before = by_key(current)
    now = choice.profile.models_by_key
    assert made.models_by_key == {rule.key: rule.model for rule in choice.rules}
    for key, override in by_key(made).items():
        if key in before and before[key].rule == override.rule:
            same_profile = current.profile.name == choice.profile.name
            said = before[key].profile_model_when_set if same_profile else now.get(key)
            assert (override.set_at, override.set_by) == (before[key].set_at, before[key].set_by)
            assert override.profile_model_when_set == said
        else:
            assert (override.set_at, override.set_by) == (LATER, SOMEONE)
            assert override.profile_model_when_set == now.get(key)


@THOROUGH
@given(questions)
def test_effective_rules__any_set__hold_every_key_once_most_specific_first(question: Question) -> None:
    made = override_set(question)
    rows = made.effective_rules()
    keys = [row.rule.key for row in rows]
    assert keys == sorted(keys, key=lambda key: key.sort_key)
    assert {row.rule.key: row.rule.model for row in rows} == made.profile.models_by_key | made.models_by_key
    assert len(keys) == len(set(keys))
