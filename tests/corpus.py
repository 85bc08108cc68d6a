"""The corpus, loaded, and the way from its plain JSON to the core's values and back.

Cases are the same for every way of asking: the core takes them through `override_set` and `task_of`, a GraphQL test
sends their fields as they are, for enums are spelt as GraphQL spells them.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from models.domain.overrides import Choice, OverrideSet, first_set
from models.domain.profiles import SHIPPED_PROFILES, ProfileTable
from models.domain.resolution import NO_TASK, Resolution, Task
from models.domain.rules import Rule, RuleKey, ordered
from models.domain.vocabulary import Actor, BeadType, Role
from tests.reference import Answer, Case, ProfileJson, Question, RuleJson

DIRECTORY: Final = Path(__file__).parent / "cases"
NOON: Final = datetime(2026, 11, 23, 12, tzinfo=UTC)
AUTHOR: Final = Actor(actor_id="corpus")


def load(path: Path) -> list[Case]:
    cases: list[Case] = json.loads(path.read_text(encoding="utf-8"))
    return cases


def files() -> list[Path]:
    return sorted(DIRECTORY.glob("*.json"))


def cases_by_id() -> dict[str, Case]:
    """Every case of every file; its id is the file's stem and the case's name."""
    return {f"{path.stem}: {case['name']}": case for path in files() for case in load(path)}


def role_of(role: str | None) -> Role | None:
    return None if role is None else Role[role]


def key_of(rule: RuleJson) -> RuleKey:
    return RuleKey(role=role_of(rule["role"]), label=rule["label"], rig_id=rule["rigId"])


def rules_of(rules: Sequence[RuleJson]) -> tuple[Rule, ...]:
    return tuple(Rule(key=key_of(rule), model=rule["model"]) for rule in rules)


def profile_table(profile: ProfileJson | str) -> ProfileTable:
    if isinstance(profile, str):
        return next(shipped.table for shipped in SHIPPED_PROFILES if shipped.table.name == profile)
    return ProfileTable(
        name=profile["name"],
        version=profile["version"],
        small_model=profile["smallModel"],
        rules=ordered(rules_of(profile["rules"])),
    )


def choice_of(question: Question) -> Choice:
    return Choice(
        profile=profile_table(question["profile"]),
        honor_bead_models=question["honorBeadModels"],
        rules=rules_of(question["overrides"]),
    )


def override_set(question: Question) -> OverrideSet:
    """Version 1 of a town that is configured as `question` says."""
    return first_set("corpus", choice_of(question), at=NOON, by=AUTHOR)


def task_of(question: Question) -> Task:
    task = question["task"]
    if task is None:
        return NO_TASK
    return Task.of(
        role=role_of(task["role"]),
        bead_type=BeadType[task["type"]],
        labels=task["labels"],
        rig_id=task["rigId"],
        model=task["model"],
    )


def answer_of(resolution: Resolution) -> Answer:
    """A resolution of the core in the corpus' format."""
    matched = resolution.matched
    key = matched.rule_key or RuleKey()
    role = resolution.task.role
    return {
        "role": None if role is None else role.name,
        "model": resolution.model,
        "smallModel": resolution.small_model,
        "because": resolution.because,
        "matchedRule": {
            "source": matched.source.name,
            "key": matched.key,
            "title": matched.title,
            "role": None if key.role is None else key.role.name,
            "label": key.label,
            "rigId": key.rig_id,
            "model": matched.model,
            "specificity": matched.specificity,
        },
        "considered": [
            {
                "source": considered.candidate.source.name,
                "key": considered.candidate.key,
                "title": considered.candidate.title,
                "model": considered.candidate.model,
                "outcome": considered.outcome.name,
            }
            for considered in resolution.considered
        ],
        "fingerprint": resolution.fingerprint,
    }
