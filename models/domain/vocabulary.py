"""The glossary: roles, bead types, the label catalogue, ids and the limits that everything else speaks in."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Role(StrEnum):
    """Who does the work. Triage is no role: it is a polecat bead labelled ``gt:triage``."""

    MAYOR = "mayor"
    POLECAT = "polecat"
    REFINERY = "refinery"


class BeadType(StrEnum):
    ISSUE = "issue"
    MERGE_REQUEST = "merge_request"
    ESCALATION = "escalation"
    MESSAGE = "message"
    CONVOY = "convoy"
    MOLECULE = "molecule"
    AGENT = "agent"


class BeadStatus(StrEnum):
    OPEN = "open"
    IN_PROGRESS = "in_progress"
    IN_REVIEW = "in_review"
    CLOSED = "closed"
    FAILED = "failed"

    @property
    def active(self) -> bool:
        """Whether the bead may still be dispatched, so that a change of its model matters."""
        return self in {BeadStatus.OPEN, BeadStatus.IN_PROGRESS, BeadStatus.IN_REVIEW}


class OverrideSetCause(StrEnum):
    """Why a town got its next override set."""

    TOWN_CREATED = "town_created"
    PUBLISHED = "published"
    PROFILE_SELECTED = "profile_selected"
    REVERTED = "reverted"
    PROFILE_UPDATED = "profile_updated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """A label that rules may name. A lower ``precedence`` wins where two rules tie."""

    name: str
    description: str
    precedence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who did it: an opaque id, and the opaque id of the person it acted for, if any."""

    actor_id: str
    on_behalf_of: str | None = None


_CATALOGUE: Final = (
    ("gt:triage", "A batch of events that a polecat sorts into beads."),
    ("gt:pr-conflict", "A pull request that no longer merges cleanly."),
    ("gt:rework", "Work that a review sent back."),
    ("gt:pr-feedback", "Answers to a reviewer's comments."),
    ("gt:pr-fixup", "A small repair of an open pull request: lint, a failing check, a typo."),
    ("gt:escalation", "A problem that an agent could not settle itself."),
    ("gt:merge-request", "A branch that is ready for the refinery."),
    ("gt:convoy", "Several beads that land together."),
    ("gt:molecule", "A workflow of several steps."),
    ("gt:message", "Mail between agents."),
    ("gt:held", "Work that is kept from dispatch for now."),
)

LABELS: Final = tuple(
    Label(name=name, description=description, precedence=precedence)
    for precedence, (name, description) in enumerate(_CATALOGUE)
)
PRECEDENCE: Final = MappingProxyType({label.name: label.precedence for label in LABELS})

SYSTEM_MODEL: Final = "anthropic/claude-sonnet-4.6"
SYSTEM_SMALL_MODEL: Final = "anthropic/claude-haiku-4.5"

MAX_OVERRIDES: Final = 500
MAX_BEADS: Final = 1000
MAX_MODELS: Final = 1000
MAX_BEAD_LABELS: Final = 100
MAX_PAGE: Final = 200
MAX_FILTER: Final = 1000
MAX_REASON: Final = 500
MAX_NAME: Final = 200
MAX_TITLE: Final = 1000
MAX_IDEMPOTENCY_KEY: Final = 200
MAX_VERSION: Final = 2**31 - 1
OWN_PROFILE_PREFIX: Final = "custom"

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
_MODEL_ID = re.compile(r"[A-Za-z0-9@~][A-Za-z0-9._:@/+~-]{0,199}")
_PROFILE_NAME = re.compile(r"[a-z][a-z0-9._:-]{0,63}")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def is_id(text: str) -> bool:
    """Whether `text` can be the id of a town, a rig or a bead."""
    return _ID.fullmatch(text) is not None


def is_model_id(text: str) -> bool:
    """Whether `text` is well formed as a model id; whether it is registered is another question."""
    return _MODEL_ID.fullmatch(text) is not None


def is_profile_name(text: str) -> bool:
    return _PROFILE_NAME.fullmatch(text) is not None


def is_storable(text: str) -> bool:
    """Whether both databases can hold `text`: no NUL character and no lone surrogate."""
    return _UNSTORABLE.search(text) is None


def known_labels(labels: Iterable[str]) -> tuple[str, ...]:
    """Those of `labels` that the catalogue knows, each once, in order of precedence."""
    return tuple(sorted(PRECEDENCE.keys() & set(labels), key=PRECEDENCE.__getitem__))


def effective_role(role: Role | None, bead_type: BeadType | None) -> Role:
    """The role that will do the work: as the host says, else merge requests are the refinery's, else a polecat's."""
    if role is not None:
        return role
    return Role.REFINERY if bead_type is BeadType.MERGE_REQUEST else Role.POLECAT
