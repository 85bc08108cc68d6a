"""Judges what clients were told: whether there is one order of things that explains all of it.

Clients log what they asked and heard, with the instants of one monotonic clock at which each request began and ended.
The record of a town is a register that is written conditionally: a publish names the version it builds on and makes
the next one. `check` knows nothing of how a server does that.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate
from typing import Final

from tests.reference import Answer, RuleJson, TaskJson, answer


class Wrong(StrEnum):
    """Ways in which what was told can't be true, or not of a service that loses nothing."""

    MADE_TWICE = "two acknowledged publishes made the same version"
    MISSING = "a version below the newest was acknowledged to nobody"
    WRONG_BASE = "a publish made another version than the one after its base"
    WENT_BACK = "a client saw a version older than one it had seen"
    STALE = "a request that began after an acknowledged publish did not see it"
    UNHEARD_OF = "a version was seen that nobody had begun to make"
    WRONG_ANSWER = "a read differs from what its version says"
    NO_CONFLICT = "a publish was refused though its base was in force"
    MALFUNCTION = "a client was told neither yes nor no"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a version says: overrides over the profile `balanced`."""

    honor_bead_models: bool
    overrides: tuple[RuleJson, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What a client asked about a town, and heard in the end. `begun` is that of the first attempt."""

    client: int
    town: str
    begun: float
    ended: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Published(Event):
    """An acknowledged publish of `setting` on the version `base`, which made `version`."""

    base: int
    version: int
    setting: Setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflicted(Event):
    """A publish on `base` that was refused, since `version` was in force."""

    base: int
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Read(Event):
    """A task resolved, by its name, at `version`."""

    version: int
    task: str
    answer: Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed(Event):
    """An answer that is none."""

    told: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    wrong: Wrong
    event: Event


Seen = Published | Conflicted | Read

FIRST: Final = Setting(honor_bead_models=False, overrides=())  # of every town, before anybody published


def check(history: Iterable[Event], tasks: Mapping[str, TaskJson]) -> list[Finding]:
    """What is wrong with a history; nothing, where it can be true. A town begins at version 1, which says `FIRST`."""
    towns: defaultdict[str, list[Event]] = defaultdict(list)
    for event in history:
        towns[event.town].append(event)
    return [finding for events in towns.values() for finding in _check_town(events, tasks)]


def _check_town(events: Sequence[Event], tasks: Mapping[str, TaskJson]) -> Iterator[Finding]:
    yield from (Finding(wrong=Wrong.MALFUNCTION, event=event) for event in events if isinstance(event, Failed))
    published = sorted((event for event in events if isinstance(event, Published)), key=lambda made: made.version)
    made: dict[int, Published] = {}
    for maker in published:
        made.setdefault(maker.version, maker)
    yield from _check_versions(published, made)
    seen = [event for event in events if isinstance(event, Published | Conflicted | Read)]
    yield from _check_order(seen)
    for event in seen:
        makes = made.get(event.version)
        if event.version != 1 and (makes is None or makes.begun > event.ended):
            yield Finding(wrong=Wrong.UNHEARD_OF, event=event)
            continue
        match event:
            case Read() if not _is_answer(event, FIRST if makes is None else makes.setting, tasks):
                yield Finding(wrong=Wrong.WRONG_ANSWER, event=event)
            case Conflicted() if event.version == event.base:
                yield Finding(wrong=Wrong.NO_CONFLICT, event=event)


def _check_versions(published: Sequence[Published], made: Mapping[int, Published]) -> Iterator[Finding]:
    """Each version once, none left out, each made on the one before."""
    for event in published:
        if made[event.version] is not event:
            yield Finding(wrong=Wrong.MADE_TWICE, event=event)
        if event.version > 2 and event.version - 1 not in made:
            yield Finding(wrong=Wrong.MISSING, event=event)
        if event.version != event.base + 1:
            yield Finding(wrong=Wrong.WRONG_BASE, event=event)


def _check_order(seen: Sequence[Seen]) -> Iterator[Finding]:
    """Nobody sees less than they saw before, nor less than had been acknowledged to anybody when they asked."""
    by_end = sorted((event for event in seen if isinstance(event, Published)), key=lambda event: event.ended)
    ends = [event.ended for event in by_end]
    newest = list(accumulate((event.version for event in by_end), max))
    last_seen: dict[int, int] = {}
    for event in sorted(seen, key=lambda event: event.ended):
        acknowledged = bisect_left(ends, event.begun)
        if acknowledged and event.version < newest[acknowledged - 1]:
            yield Finding(wrong=Wrong.STALE, event=event)
        if event.version < last_seen.get(event.client, 0):
            yield Finding(wrong=Wrong.WENT_BACK, event=event)
        last_seen[event.client] = max(event.version, last_seen.get(event.client, 0))


def _is_answer(read: Read, setting: Setting, tasks: Mapping[str, TaskJson]) -> bool:
    return read.answer == answer(
        {
            "profile": "balanced",
            "honorBeadModels": setting.honor_bead_models,
            "overrides": list(setting.overrides),
            "task": tasks[read.task],
        }
    )
