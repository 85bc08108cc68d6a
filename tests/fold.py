"""History a second time, from the record alone: what a town said at an instant, folded out of its audit entries.

Nothing here is shared with the service. Of an entry only `action`, `occurredAt`, `before` and `after` are read, as the
API shows them; tasks are resolved by `tests.reference`. An entry that does not follow from those before it fails the
test.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, Final, TypedDict

from tests.reference import LABELS, ROLES, ProfileJson, RuleJson, TaskJson, answer

Json = dict[str, Any]


class EntryJson(TypedDict):
    action: str
    occurredAt: str
    before: Any
    after: Any


class SetJson(TypedDict):
    profile: str
    profileVersion: int
    honorBeadModels: bool
    overrides: dict[str, str]
    contentHash: str


_BEGINNINGS: Final = ("TOWN_CREATED", "TOWN_IMPORTED")
_PUBLISHES: Final = (
    "OVERRIDE_SET_PUBLISHED",
    "PROFILE_SELECTED",
    "OVERRIDE_SET_REVERTED",
    "PROFILE_VERSION_ADOPTED",
)
_KEY: Final = re.compile(r"(?P<role>\*|[a-z]+)(\[(?P<label>[^\]]+)\])?(@(?P<rig>.+))?")


class Profiles:
    """Every version of every profile, by its owner: a town's id, or None.

    There is no instant to them: a version never changes, and a set names the one that it lies over.
    """

    def __init__(self, central: Iterable[EntryJson], towns: Iterable[Iterable[EntryJson]]) -> None:
        self._records: dict[tuple[str | None, str], list[Json]] = {}
        for entry in (entry for town in towns for entry in town if entry["action"] == "TOWN_IMPORTED"):
            self._take(entry["after"]["profile"])
        for entry in central:
            if entry["action"] == "PROFILE_VERSION_PUBLISHED":
                versions = self._take(entry["after"])
                assert entry["before"] == (versions[-2] if len(versions) > 1 else None), entry

    def _take(self, record: Json) -> list[Json]:
        versions = self._records.setdefault((record["townId"], record["name"]), [])
        versions.append(record)
        assert record["version"] == len(versions), record
        return versions

    def versions(self, name: str, town_id: str) -> Sequence[Json]:
        """All versions of what a town calls `name`, the first one first."""
        return self._records[town_id if name.startswith("custom") else None, name]


@dataclass(kw_only=True)
class Town:
    """A town that takes in its entries one by one. Version n of its override sets is the n-th of `sets`."""

    town_id: str
    profiles: Profiles
    sets: list[SetJson] = field(default_factory=list)
    beads: dict[str, Json] = field(default_factory=dict)

    def take(self, entry: EntryJson) -> None:
        action, before, after = entry["action"], entry["before"], entry["after"]
        if action in _BEGINNINGS:
            assert (self.sets, before) == ([], None), entry
            self.sets.append(_content(after["overrideSet"]))
        elif action in _PUBLISHES:
            assert before == self.sets[-1], entry
            self.sets.append(_content(after))
        elif action == "BEADS_SYNCED":
            assert before == {bead_id: self.beads.get(bead_id) for bead_id in after}, entry
            self.beads.update(after)

    def bead(self, bead_id: str) -> Json | None:
        """What the bead resolves to, as the API shows a resolution; None where there is no such bead."""
        bead = self.beads.get(bead_id)
        if bead is None:
            return None
        task: TaskJson = {
            "role": bead["role"],
            "type": bead["type"],
            "labels": bead["labels"],
            "rigId": bead["rigId"],
            "model": bead["model"],
        }
        return self.task(task, bead_id)

    def task(self, task: TaskJson, bead_id: str | None = None) -> Json:
        chosen = self.sets[-1]
        versions = self.profiles.versions(chosen["profile"], self.town_id)
        record = versions[chosen["profileVersion"] - 1]
        profile: ProfileJson = {
            "name": record["name"],
            "version": record["version"],
            "smallModel": record["smallModel"],
            "rules": _rules(record["rules"]),
        }
        found = answer(
            {
                "profile": profile,
                "honorBeadModels": chosen["honorBeadModels"],
                "overrides": _rules(chosen["overrides"]),
                "task": task,
            }
        )
        return {
            **found,
            "townId": self.town_id,
            "beadId": bead_id,
            "overrideSetVersion": len(self.sets),
            "profileName": chosen["profile"],
            "profileVersion": chosen["profileVersion"],
        }

    def diff(self, number: int, against: int) -> Json:
        """What differs between two versions of the town's sets."""
        before, after = self.sets[against - 1], self.sets[number - 1]
        return {
            "from": against,
            "to": number,
            "profileBefore": before["profile"],
            "profileAfter": after["profile"],
            "profileVersionBefore": before["profileVersion"],
            "profileVersionAfter": after["profileVersion"],
            "honorBeadModelsBefore": before["honorBeadModels"],
            "honorBeadModelsAfter": after["honorBeadModels"],
            "changes": changes(before["overrides"], after["overrides"]),
        }


def fold(town_id: str, entries: Iterable[EntryJson], profiles: Profiles, until: str) -> Town:
    """The town as it stood at an instant, spelt as the API spells it: such texts sort by time."""
    town = Town(town_id=town_id, profiles=profiles)
    for entry in takewhile(lambda entry: entry["occurredAt"] <= until, entries):
        town.take(entry)
    return town


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[Json]:
    """The keys whose model differs, most specific first."""
    return [
        {"key": key, "before": before.get(key), "after": after.get(key)}
        for key in sorted(before.keys() | after.keys(), key=_order)
        if before.get(key) != after.get(key)
    ]


def _content(record: Json) -> SetJson:
    """A set without why it was published, which is all that else is told of it."""
    return {
        "profile": record["profile"],
        "profileVersion": record["profileVersion"],
        "honorBeadModels": record["honorBeadModels"],
        "overrides": record["overrides"],
        "contentHash": record["contentHash"],
    }


def _rules(models: Mapping[str, str]) -> list[RuleJson]:
    return [_rule(key, model) for key, model in models.items()]


def _rule(key: str, model: str) -> RuleJson:
    parts = _KEY.fullmatch(key)
    assert parts is not None, key
    role = None if parts["role"] == "*" else parts["role"].upper()
    return {"role": role, "label": parts["label"], "rigId": parts["rig"], "model": model}


def _order(key: str) -> tuple[int, int, int, str]:
    rule = _rule(key, "")
    role, label, rig = rule["role"], rule["label"], rule["rigId"]
    specificity = 4 * (role is not None) + 2 * (label is not None) + (rig is not None)
    return (-specificity, ROLES.index(role), -1 if label is None else LABELS.index(label), rig or "")
