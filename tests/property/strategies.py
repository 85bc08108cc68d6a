"""Random configurations and tasks, in the corpus' format: few rigs, labels and models, so that rules meet often."""

from typing import Final

from hypothesis import settings
from hypothesis import strategies as st

from models.domain.vocabulary import BeadType
from tests.reference import FRONTIER, HAIKU, OPUS, SHIPPED, SONNET, ProfileJson, Question, RuleJson, TaskJson

THOROUGH: Final = settings(max_examples=100, deadline=None)

RIGS: Final = ("web", "api")
RULE_LABELS: Final = ("gt:triage", "gt:rework", "gt:pr-fixup")
MODELS: Final = (OPUS, SONNET, HAIKU, FRONTIER)

_WORKERS: Final = ("POLECAT", "REFINERY")
_Key = tuple[str | None, str | None, str | None]
_PROFILE_KEYS: Final[list[_Key]] = [
    (None, None, None),
    ("MAYOR", None, None),
    *((role, label, None) for role in _WORKERS for label in (None, *RULE_LABELS)),
]
_OVERRIDE_KEYS: Final[list[_Key]] = [
    *_PROFILE_KEYS,
    *((None, None, rig) for rig in RIGS),
    *((role, label, rig) for role in _WORKERS for label in (None, *RULE_LABELS) for rig in RIGS),
]

models = st.sampled_from(MODELS)


def _rule(key: _Key, model: str) -> RuleJson:
    role, label, rig = key
    return {"role": role, "label": label, "rigId": rig, "model": model}


def _rules(keys: list[_Key]) -> st.SearchStrategy[list[RuleJson]]:
    """For each key a rule or none, about as often."""
    chosen = st.tuples(*(st.sampled_from([None, None, None, *MODELS]) for _ in keys))
    return chosen.map(lambda models: [_rule(key, model) for key, model in zip(keys, models, strict=True) if model])


override_rule = st.builds(_rule, st.sampled_from(_OVERRIDE_KEYS), models)
overrides = _rules(_OVERRIDE_KEYS)


def _profile(rules: list[RuleJson], small_model: str) -> ProfileJson:
    return {"name": "custom", "version": 1, "smallModel": small_model, "rules": rules}


profiles: st.SearchStrategy[ProfileJson | str] = st.one_of(
    st.sampled_from(sorted(SHIPPED)), st.builds(_profile, _rules(_PROFILE_KEYS), models)
)


def _task(role: str | None, bead_type: str, labels: list[str], rig: str | None, model: str | None) -> TaskJson:
    return {"role": role, "type": bead_type, "labels": labels, "rigId": rig, "model": model}


tasks = st.builds(
    _task,
    st.sampled_from([None, "MAYOR", "POLECAT", "REFINERY"]),
    st.sampled_from([bead_type.name for bead_type in BeadType]),
    st.lists(st.sampled_from([*RULE_LABELS, "gt:held", "gt:triage-request"]), max_size=4),
    st.sampled_from([None, *RIGS, "docs"]),
    st.sampled_from([None, None, OPUS, "qwen/qwen3-coder:free"]),
)


def _question(profile: ProfileJson | str, honor: bool, rules: list[RuleJson], task: TaskJson | None) -> Question:  # noqa: FBT001  # hypothesis hands it over
    return {"profile": profile, "honorBeadModels": honor, "overrides": rules, "task": task}


questions = st.builds(_question, profiles, st.booleans(), overrides, tasks)
questions_without_task = st.builds(_question, profiles, st.booleans(), overrides, st.none())
