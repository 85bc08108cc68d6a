"""Writes the mechanical part of the corpus: ``python -m tests.cases.generate``.

``matrix.json`` is made here from nothing: every shape of key as the only override, against every shape of bead. The
other files are written by hand, as question and name; where a case of theirs lacks ``expected``, the reference's answer
is filled in, for the author to read against the rules before it is committed.
"""

import json
from collections.abc import Iterator, Sequence
from itertools import cycle, product
from typing import Final

from tests.corpus import DIRECTORY, files, load
from tests.reference import FRONTIER, HAIKU, Case, ProfileJson, Question, TaskJson, answer
from tests.spelling import rules_json

MATRIX: Final = DIRECTORY / "matrix.json"

_LABEL: Final = "gt:pr-fixup"
_KEYS: Final = (
    "*",
    "mayor",
    "polecat",
    "refinery",
    f"polecat[{_LABEL}]",
    f"refinery[{_LABEL}]",
    "polecat@web",
    "refinery@web",
    f"polecat[{_LABEL}]@web",
    f"refinery[{_LABEL}]@web",
    "*@web",
)
_BARE: Final[ProfileJson] = {"name": "custom-bare", "version": 1, "smallModel": HAIKU, "rules": []}
_TYPES: Final = ("ISSUE", "MERGE_REQUEST", "ESCALATION", "MESSAGE", "CONVOY", "MOLECULE", "AGENT")


def matrix() -> list[Case]:
    """Each key against each role, label and rig; then against derived roles and beads with a model of their own.

    Under the profile balanced every role has a rule, so nothing comes down to the keys for any role: those are asked
    for once more under a profile without rules.
    """
    polecat_types = cycle(name for name in _TYPES if name != "MERGE_REQUEST")
    cases: list[Case] = []
    for spelling in _KEYS:
        tasks = (*_plain(), *_derived(next(polecat_types), next(polecat_types)), *_own())
        cases.extend(_case("balanced", spelling, task, honored=honored) for task, honored in tasks)
    for spelling in ("*", "*@web"):
        cases.extend(_case(_BARE, spelling, task, honored=honored) for task, honored in _plain())
    return cases


def _plain() -> Iterator[tuple[TaskJson, bool]]:
    """Explicit roles, which win over whatever the type says."""
    types = cycle(_TYPES)
    for role, label, rig in product(
        ("MAYOR", "POLECAT", "REFINERY"), (None, _LABEL, "gt:rework"), (None, "web", "api")
    ):
        yield _task(role, next(types), label, rig), False


def _derived(*polecat_types: str) -> Iterator[tuple[TaskJson, bool]]:
    """Roles that follow from the type: with nothing known besides, and with all that the keys ask for."""
    for bead_type, (label, rig) in zip(
        ("MERGE_REQUEST", polecat_types[0], "MERGE_REQUEST", polecat_types[1]),
        ((None, None), (None, None), (_LABEL, "web"), (_LABEL, "web")),
        strict=True,
    ):
        yield _task(None, bead_type, label, rig), False


def _own() -> Iterator[tuple[TaskJson, bool]]:
    """Beads that match all that the keys ask for, and bring a model, which is honoured or not."""
    for role, honored in product(("MAYOR", "POLECAT", "REFINERY"), (False, True)):
        yield _task(role, "ISSUE", _LABEL, "web", model="qwen/qwen3-coder:free"), honored


def _task(role: str | None, bead_type: str, label: str | None, rig: str | None, model: str | None = None) -> TaskJson:
    labels = [] if label is None else [label]
    return {"role": role, "type": bead_type, "labels": labels, "rigId": rig, "model": model}


def _case(profile: ProfileJson | str, spelling: str, task: TaskJson, *, honored: bool) -> Case:
    who = task["role"].lower() if task["role"] is not None else f"{task['type'].lower()} without a role"
    what = "".join(f", {label}" for label in task["labels"])
    where = "" if task["rigId"] is None else f", in {task['rigId']}"
    own = "" if task["model"] is None else f", own model {'honoured' if honored else 'not honoured'}"
    question: Question = {
        "profile": profile,
        "honorBeadModels": honored,
        "overrides": rules_json({spelling: FRONTIER}),
        "task": task,
    }
    bare = "" if profile == "balanced" else " over a bare profile"
    return {"name": f"{spelling}{bare} for {who}{what}{where}{own}", **question, "expected": answer(question)}


def compact(cases: Sequence[Case]) -> str:
    """One case a line."""
    lines = ",\n".join(json.dumps(case, ensure_ascii=False, separators=(",", ":")) for case in cases)
    return f"[\n{lines}\n]\n"


def readable(cases: Sequence[Case]) -> str:
    """One field a line, and one rule a line."""
    spread = ",\n".join(f"  {_spread(case, 2)}" for case in cases)
    return f"[\n{spread}\n]\n"


def _spread(value: object, depth: int) -> str:
    """`value` on lines of its own as far as it is a case, its answer, or a list of rules; else on this line."""
    inner = " " * (depth + 2)
    if isinstance(value, dict) and not value.keys().isdisjoint({"expected", "considered"}):
        parts = [f"{inner}{json.dumps(name)}: {_spread(item, depth + 2)}" for name, item in value.items()]
        return "{\n" + ",\n".join(parts) + "\n" + " " * depth + "}"
    if isinstance(value, dict) and "rules" in value:
        parts = [f"{json.dumps(name)}: {_spread(item, depth)}" for name, item in value.items()]
        return "{" + ", ".join(parts) + "}"
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        return "[\n" + ",\n".join(f"{inner}{_spread(item, depth + 2)}" for item in value) + "\n" + " " * depth + "]"
    return json.dumps(value, ensure_ascii=False)


def main() -> None:
    MATRIX.write_text(compact(matrix()), encoding="utf-8")
    for path in files():
        if path != MATRIX:
            cases = load(path)
            for case in cases:
                case.setdefault("expected", answer(case))
            path.write_text(readable(cases), encoding="utf-8")


if __name__ == "__main__":
    main()
