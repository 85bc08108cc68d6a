"""Everything that Townclerk refuses, as values: a stable code, typed fields, and where in the input it lies.

No HTTP and no GraphQL here: `api.schema.problems` gives these their shape on the wire.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from enum import StrEnum
from typing import ClassVar, Self

from models.domain.vocabulary import PRECEDENCE

Path = tuple[str, ...]


class Code(StrEnum):
    """The closed list of refusals that a caller can mend."""

    NOT_FOUND = "NOT_FOUND"
    ALREADY_EXISTS = "ALREADY_EXISTS"
    VERSION_CONFLICT = "VERSION_CONFLICT"
    IDEMPOTENCY_CONFLICT = "IDEMPOTENCY_CONFLICT"
    NO_CHANGE = "NO_CHANGE"
    INVALID_INPUT = "INVALID_INPUT"
    TOO_MANY = "TOO_MANY"
    UNKNOWN_PROFILE = "UNKNOWN_PROFILE"
    UNKNOWN_LABEL = "UNKNOWN_LABEL"
    UNKNOWN_RIG = "UNKNOWN_RIG"
    UNKNOWN_MODEL = "UNKNOWN_MODEL"
    INVALID_MODEL = "INVALID_MODEL"
    DUPLICATE_RULE = "DUPLICATE_RULE"
    LABEL_NEEDS_ROLE = "LABEL_NEEDS_ROLE"
    MAYOR_IS_TOWN_LEVEL = "MAYOR_IS_TOWN_LEVEL"
    PROFILE_KNOWS_NO_RIGS = "PROFILE_KNOWS_NO_RIGS"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong with a request. `path` leads from the input's root to the field at fault."""

    code: ClassVar[Code]
    path: Path = ()

    @property
    def message(self) -> str:
        """What is wrong and how to mend it, in one sentence for people."""
        return self.code

    def under(self, *prefix: str | int) -> Self:
        """The same problem, seen from further out in the input."""
        return replace(self, path=(*map(str, prefix), *self.path))

    def moved_to(self, *path: str) -> Self:
        """The same problem at another place of the input."""
        return replace(self, path=path)


class Refused(Exception):  # noqa: N818  # a refusal is an answer, not a malfunction
    """A request that can't be carried out as it stands, with every problem found. Nothing was written."""

    def __init__(self, problems: Problem | Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__("; ".join(problem.message for problem in self.problems))


def refuse_if_any(problems: Sequence[Problem]) -> None:
    if problems:
        raise Refused(problems)


def _quoted(text: str) -> str:
    """`text` safe to show in a sentence, however long or odd it is."""
    longest = 80
    shown = text if len(text) <= longest else f"{text[:longest]}…"
    return "“" + "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in shown) + "”"


@dataclass(frozen=True, slots=True, kw_only=True)
class NotFound(Problem):
    code = Code.NOT_FOUND
    kind: str
    name: str

    @property
    def message(self) -> str:
        return f"There is no {self.kind} {_quoted(self.name)}."


@dataclass(frozen=True, slots=True, kw_only=True)
class AlreadyExists(Problem):
    code = Code.ALREADY_EXISTS
    kind: str
    name: str

    @property
    def message(self) -> str:
        return f"The {self.kind} id {_quoted(self.name)} is taken; choose another."


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionConflict(Problem):
    """The base moved: `current` is the version in force, `expected` the one that the writer saw."""

    code = Code.VERSION_CONFLICT
    path: Path = ("expectedVersion",)
    expected: int
    current: int

    @property
    def message(self) -> str:
        return (
            f"Version {self.current} is in force, not {self.expected}; look at what changed and send it again "
            f"with expectedVersion {self.current}."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class IdempotencyConflict(Problem):
    code = Code.IDEMPOTENCY_CONFLICT
    path: Path = ("idempotencyKey",)
    key: str

    @property
    def message(self) -> str:
        return f"The key {_quoted(self.key)} was used for another request; use a new key for each change."


@dataclass(frozen=True, slots=True, kw_only=True)
class NoChange(Problem):
    """`subject` is what already stands as asked: ``Version 3``."""

    code = Code.NO_CHANGE
    subject: str

    @property
    def message(self) -> str:
        return f"{self.subject} already says exactly this; there is nothing to change."


@dataclass(frozen=True, slots=True, kw_only=True)
class InvalidInput(Problem):
    code = Code.INVALID_INPUT
    expected: str

    @property
    def message(self) -> str:
        return f"{'.'.join(self.path) or 'The input'} must be {self.expected}."


@dataclass(frozen=True, slots=True, kw_only=True)
class TooMany(Problem):
    code = Code.TOO_MANY
    kind: str
    limit: int
    given: int

    @property
    def message(self) -> str:
        return f"{self.given} {self.kind} were given, at most {self.limit} are taken; send fewer."


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownProfile(Problem):
    code = Code.UNKNOWN_PROFILE
    name: str

    @property
    def message(self) -> str:
        return f"The town can follow no profile {_quoted(self.name)}; the query profiles(townId) lists those it can."


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownLabel(Problem):
    code = Code.UNKNOWN_LABEL
    path: Path = ("label",)
    label: str

    @property
    def message(self) -> str:
        near = get_close_matches(self.label[:100], PRECEDENCE, n=1)
        mend = f"did you mean {near[0]}?" if near else "the query labels lists those that are."
        return f"{_quoted(self.label)} is no known label; {mend}"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownRig(Problem):
    code = Code.UNKNOWN_RIG
    path: Path = ("rigId",)
    rig_id: str

    @property
    def message(self) -> str:
        return f"The town has no rig {_quoted(self.rig_id)}; register it first."


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownModel(Problem):
    code = Code.UNKNOWN_MODEL
    path: Path = ("model",)
    model: str

    @property
    def message(self) -> str:
        return f"The model {_quoted(self.model)} is not in the catalogue; register it first."


@dataclass(frozen=True, slots=True, kw_only=True)
class InvalidModel(Problem):
    code = Code.INVALID_MODEL
    path: Path = ("model",)
    model: str

    @property
    def message(self) -> str:
        return (
            f"{_quoted(self.model)} is no model id; use the gateway's own name, like anthropic/claude-sonnet-4.6: "
            "1 to 200 letters, digits and . _ : @ / + ~ -"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicateRule(Problem):
    code = Code.DUPLICATE_RULE
    key: str

    @property
    def message(self) -> str:
        return f"The key {self.key} has a rule already; leave one of the two out."


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelNeedsRole(Problem):
    code = Code.LABEL_NEEDS_ROLE
    path: Path = ("label",)
    label: str

    @property
    def message(self) -> str:
        return f"A rule for the label {_quoted(self.label)} needs a role beside it: polecat or refinery."


@dataclass(frozen=True, slots=True, kw_only=True)
class MayorIsTownLevel(Problem):
    code = Code.MAYOR_IS_TOWN_LEVEL

    @property
    def message(self) -> str:
        return "The mayor works for the whole town: leave label and rig out of its rule."


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileKnowsNoRigs(Problem):
    code = Code.PROFILE_KNOWS_NO_RIGS
    path: Path = ("rigId",)

    @property
    def message(self) -> str:
        return "A profile serves many towns and knows no rigs: set this as an override of the town."
