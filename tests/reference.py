"""Resolution a second time, from the rules in prose alone: it scans and sorts where the core compiles and looks up.

It takes and gives plain JSON in the format of the corpus (``tests/cases``), described by the types below. Nothing here
is shared with the core, not even the label catalogue or the shipped profiles: both are written out once more.
"""

import hashlib
from dataclasses import dataclass
from typing import Final, TypedDict


class RuleJson(TypedDict):
    role: str | None
    label: str | None
    rigId: str | None
    model: str


class ProfileJson(TypedDict):
    name: str
    version: int
    smallModel: str
    rules: list[RuleJson]


class TaskJson(TypedDict):
    role: str | None
    type: str
    labels: list[str]
    rigId: str | None
    model: str | None


class MatchedJson(TypedDict):
    source: str
    key: str
    title: str
    role: str | None
    label: str | None
    rigId: str | None
    model: str
    specificity: int


class ConsideredJson(TypedDict):
    source: str
    key: str
    title: str
    model: str
    outcome: str


class Answer(TypedDict):
    role: str | None
    model: str
    smallModel: str
    because: str
    matchedRule: MatchedJson
    considered: list[ConsideredJson]
    fingerprint: str


class Question(TypedDict):
    """A configuration and a task. A shipped profile goes by its name; no task is the dispatch-agnostic default."""

    profile: ProfileJson | str
    honorBeadModels: bool
    overrides: list[RuleJson]
    task: TaskJson | None


class Case(Question):
    name: str
    expected: Answer


LABELS: Final = (
    "gt:triage",
    "gt:pr-conflict",
    "gt:rework",
    "gt:pr-feedback",
    "gt:pr-fixup",
    "gt:escalation",
    "gt:merge-request",
    "gt:convoy",
    "gt:molecule",
    "gt:message",
    "gt:held",
)
ROLES: Final = ("MAYOR", "POLECAT", "REFINERY", None)

OPUS: Final = "anthropic/claude-opus-4.7"
SONNET: Final = "anthropic/claude-sonnet-4.6"
HAIKU: Final = "anthropic/claude-haiku-4.5"
FRONTIER: Final = "kilo/kilo-auto/frontier"


def _profile(name: str, *rows: tuple[str | None, str | None, str]) -> ProfileJson:
    rules: list[RuleJson] = [
        {"role": role, "label": label, "rigId": None, "model": model} for role, label, model in rows
    ]
    return {"name": name, "version": 1, "smallModel": HAIKU, "rules": rules}


SHIPPED: Final = {
    "frugal": _profile(
        "frugal",
        (None, None, HAIKU),
        ("MAYOR", None, SONNET),
        ("POLECAT", None, SONNET),
        ("POLECAT", "gt:pr-fixup", HAIKU),
        ("POLECAT", "gt:pr-feedback", HAIKU),
        ("POLECAT", "gt:pr-conflict", HAIKU),
        ("POLECAT", "gt:rework", HAIKU),
        ("POLECAT", "gt:triage", HAIKU),
        ("REFINERY", None, HAIKU),
    ),
    "balanced": _profile(
        "balanced",
        (None, None, SONNET),
        ("MAYOR", None, OPUS),
        ("POLECAT", None, SONNET),
        ("POLECAT", "gt:pr-fixup", HAIKU),
        ("POLECAT", "gt:triage", HAIKU),
        ("REFINERY", None, SONNET),
    ),
    "premium": _profile(
        "premium",
        (None, None, OPUS),
        ("MAYOR", None, OPUS),
        ("POLECAT", None, OPUS),
        ("POLECAT", "gt:pr-fixup", SONNET),
        ("POLECAT", "gt:triage", SONNET),
        ("REFINERY", None, OPUS),
    ),
}


@dataclass(frozen=True, kw_only=True)
class _Row:
    """A line of `considered` before its outcome is known."""

    source: str
    key: str
    title: str
    because: str
    model: str
    specificity: int
    role: str | None = None
    label: str | None = None
    rig: str | None = None
    replaced: bool = False


def answer(question: Question) -> Answer:
    """What a resolution says, every field of it."""
    profile = question["profile"]
    if isinstance(profile, str):
        profile = SHIPPED[profile]
    task = question["task"]
    role = effective_role(task)

    rows = [_row(rule, "OVERRIDE", "override") for rule in question["overrides"]]
    replaced = {row.key for row in rows}
    rows += [_row(rule, "PROFILE", f"profile {profile['name']}", replaced) for rule in profile["rules"]]
    if task is not None and task["model"] is not None:
        rows.append(_bead_row(task["model"]))
    rows.sort(key=_order)

    fitting = [row for row in rows if _obstacle(row, question, role) is None]
    if not fitting:
        fitting = [_SYSTEM_ROW]
        rows.append(_SYSTEM_ROW)
    winner = fitting[0]
    text = f"{winner.model}\n{profile['smallModel']}"
    return {
        "role": role,
        "model": winner.model,
        "smallModel": profile["smallModel"],
        "because": winner.because,
        "matchedRule": {
            "source": winner.source,
            "key": winner.key,
            "title": winner.title,
            "role": winner.role,
            "label": winner.label,
            "rigId": winner.rig,
            "model": winner.model,
            "specificity": winner.specificity,
        },
        "considered": [
            {
                "source": row.source,
                "key": row.key,
                "title": row.title,
                "model": row.model,
                "outcome": _obstacle(row, question, role) or _rank(row, winner),
            }
            for row in rows
        ],
        "fingerprint": hashlib.sha256(text.encode("utf-8")).hexdigest(),
    }


def effective_role(task: TaskJson | None) -> str | None:
    if task is None:
        return None
    if task["role"] is not None:
        return task["role"]
    return "REFINERY" if task["type"] == "MERGE_REQUEST" else "POLECAT"


def fits(rule: RuleJson, task: TaskJson | None) -> bool:
    """Whether `rule` could decide `task` in a table that holds nothing else."""
    question: Question = {"profile": "balanced", "honorBeadModels": False, "overrides": [], "task": task}
    return _obstacle(_row(rule, "OVERRIDE", "override"), question, effective_role(task)) is None


def _row(rule: RuleJson, source: str, origin: str, replaced: set[str] | frozenset[str] = frozenset()) -> _Row:
    role, label, rig = rule["role"], rule["label"], rule["rigId"]
    key = "*" if role is None else role.lower()
    key += "" if label is None else f"[{label}]"
    key += "" if rig is None else f"@{rig}"
    title = "Any role" if role is None else role.capitalize()
    if label is not None and rig is not None:
        title += f" — label: {label}, rig: {rig}"
    elif label is not None:
        title += f" — label: {label}"
    elif rig is not None:
        title += f" — rig: {rig}"
    elif role != "MAYOR":
        title += " (default)"
    return _Row(
        source=source,
        key=key,
        title=title,
        because=f"{origin} “{title}”",
        model=rule["model"],
        specificity=(role is not None) * 4 + (label is not None) * 2 + (rig is not None) * 1,
        role=role,
        label=label,
        rig=rig,
        replaced=key in replaced,
    )


def _bead_row(model: str) -> _Row:
    title = "The bead's own model"
    return _Row(source="BEAD", key="bead", title=title, because="the bead's own model", model=model, specificity=8)


_SYSTEM_ROW = _Row(
    source="SYSTEM_DEFAULT",
    key="system",
    title="System default",
    because="system default",
    model=SONNET,
    specificity=-1,
)


def _order(row: _Row) -> tuple[int, int, int, str, bool]:
    label = -1 if row.label is None else LABELS.index(row.label)
    return (-row.specificity, ROLES.index(row.role), label, row.rig or "", row.source != "OVERRIDE")


def _obstacle(row: _Row, question: Question, role: str | None) -> str | None:
    """Why `row` can't decide the task at all; None where it could."""
    task = question["task"]
    labels = [] if task is None else task["labels"]
    rig = None if task is None else task["rigId"]
    obstacles = {
        "REPLACED_BY_OVERRIDE": row.replaced,
        "OTHER_ROLE": row.role is not None and row.role != role,
        "IGNORED_FOR_MAYOR": role == "MAYOR" and (row.source == "BEAD" or row.rig is not None),
        "OTHER_RIG": row.rig is not None and row.rig != rig,
        "LABEL_NOT_ON_BEAD": row.label is not None and row.label not in labels,
        "BEAD_MODEL_NOT_HONORED": row.source == "BEAD" and not question["honorBeadModels"],
    }
    return next((outcome for outcome, applies in obstacles.items() if applies), None)


def _rank(row: _Row, winner: _Row) -> str:
    if row is winner:
        return "MATCHED"
    return "LOST_TO_LABEL" if row.specificity == winner.specificity else "LESS_SPECIFIC"
