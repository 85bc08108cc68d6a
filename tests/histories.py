"""Histories told entry by entry: the chains of two towns and the central one, with every action that there is."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from models.domain import export
from models.domain.audit import (
    CENTRAL_CHAIN,
    GENESIS,
    TARGET_TYPES,
    AuditAction,
    Change,
    Entry,
    entry_hash,
)
from models.domain.canonical import canonical_bytes
from models.domain.export import StoredEntry
from models.domain.verification import Head
from models.domain.vocabulary import Actor
from tests.reference import FRONTIER, HAIKU, OPUS, SONNET

Fields = dict[str, Any]
Link = tuple[bytes, str]

KILO: Final = "kilo/own"
MORNING: Final = datetime(2026, 11, 23, 6, 11, 38, tzinfo=UTC)
_MADE: Final = (None, 1)
_NO_VERSIONS: Final = (None, None)


class Teller:
    """Tells a chain: each entry a minute after the one before."""

    def __init__(self, chain: str) -> None:
        self.chain = chain
        self.entries: list[Entry] = []
        self._hash = GENESIS

    def tell(
        self,
        action: AuditAction,
        target_id: str,
        before: object = None,
        after: object = None,
        versions: tuple[int | None, int | None] = _NO_VERSIONS,
    ) -> None:
        change: Any = {"before": before, "after": after, "version_before": versions[0], "version_after": versions[1]}
        entry = Entry(
            chain=self.chain,
            sequence=len(self.entries) + 1,
            occurred_at=MORNING + timedelta(minutes=len(self.entries)),
            actor=Actor(actor_id="clerk", on_behalf_of="anna"),
            credential_id="cred-1",
            request_id=f"req-{len(self.entries) + 1}",
            change=Change(
                action=action, target_type=TARGET_TYPES[action], target_id=target_id, reason="größer", **change
            ),
            previous_hash=self._hash,
        )
        self._hash = entry_hash(self._hash, entry.canonical())
        self.entries.append(entry)


def links_of(entries: Iterable[Entry]) -> list[Link]:
    return [(entry.canonical(), entry_hash(entry.previous_hash, entry.canonical())) for entry in entries]


def head_of(links: Sequence[Link], *, first: int = 1) -> Head:
    return Head(sequence=first + len(links) - 1, hash=links[-1][1]) if links else Head()


def fields_of(link: Link) -> Fields:
    fields: Fields = json.loads(link[0])
    return fields


def relinked(links: Sequence[Link], start: int = 0) -> list[Link]:
    """The links with each hash made anew from index `start` on: what someone does who forges all that follows."""
    forged = list(links[:start])
    previous = forged[-1][1] if forged else fields_of(links[0])["previousHash"]
    for link in links[start:]:
        canonical = canonical_bytes({**fields_of(link), "previousHash": previous})
        previous = entry_hash(previous, canonical)
        forged.append((canonical, previous))
    return forged


def line_of(link: Link) -> bytes:
    return export.entry_line(StoredEntry(sequence=0, canonical=link[0], hash=link[1]))


def end_of(entries: int, head: Head) -> bytes:
    last = StoredEntry(sequence=head.sequence, canonical=b"", hash=head.hash) if entries else None
    return export.trailer(entries, last)


def exported(
    chain: str,
    links: Sequence[Link],
    *,
    first: int = 1,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[bytes]:
    """The lines of an export, or of a part of one that begins with the sequence `first`."""
    head = head_of(links, first=first)
    return [export.header(chain, since=since, until=until), *map(line_of, links), end_of(len(links), head)]


# ---------------------------------------------------------------- what entries hold


def override_set(
    overrides: Mapping[str, str], *, profile: str = "balanced", version: int = 1, honor: bool = False
) -> Fields:
    content: Fields = {
        "profile": profile,
        "profileVersion": version,
        "honorBeadModels": honor,
        "overrides": dict(overrides),
    }
    return {**content, "contentHash": hashlib.sha256(canonical_bytes(content)).hexdigest()}


def profile(name: str, version: int, rules: Mapping[str, str], *, town_id: str | None = None) -> Fields:
    content: Fields = {"rules": dict(rules), "smallModel": HAIKU}
    digest = hashlib.sha256(canonical_bytes(content)).hexdigest()
    return {
        "townId": town_id,
        "name": name,
        "title": name.capitalize(),
        "version": version,
        **content,
        "contentHash": digest,
    }


def bead(title: str, *labels: str, role: str | None = None, model: str | None = None) -> Fields:
    return {
        "type": "ISSUE",
        "status": "OPEN",
        "title": title,
        "labels": list(labels),
        "role": role,
        "rigId": "web",
        "model": model,
    }


def model(name: str, replaced_by: str | None = None, *, deprecated: bool = False) -> Fields:
    return {"displayName": name, "deprecated": deprecated, "replacedBy": replaced_by}


def pair(main: str) -> Fields:
    return {"model": main, "smallModel": HAIKU}


def rig(name: str, *, removed: bool = False) -> Fields:
    return {"name": name, "removed": removed}


def token(*, revoked: bool = False) -> Fields:
    return {
        "actor": "berta",
        "scopes": ["editor", "reader"],
        "towns": ["town-1"],
        "mayActFor": True,
        "secretHash": "ab" * 32,
        "expiresAt": "2027-01-01T00:00:00.000000Z",
        "revoked": revoked,
    }


# ---------------------------------------------------------------- the histories

TOKEN: Final = "0123456789abcdef"  # noqa: S105  # its id

IMPORTED: Final = "imported"
TOWN: Final = "town-1"

_FIRST: Final = override_set({})
_SECOND: Final = override_set({"mayor": FRONTIER, "polecat[gt:rework]@web": OPUS}, honor=True)
_THIRD: Final = override_set({"mayor": FRONTIER, "polecat[gt:rework]@web": OPUS}, honor=True, version=2)
_FOURTH: Final = override_set({"mayor": FRONTIER}, profile="frugal", honor=True)
_LAST: Final = override_set({}, version=2)


def _town() -> list[Entry]:
    told = Teller(TOWN)
    told.tell(AuditAction.TOWN_CREATED, TOWN, None, {"name": "Lindau", "overrideSet": _FIRST}, _MADE)
    told.tell(AuditAction.RIG_REGISTERED, "web", None, rig("Web"))
    beads = {"b-1": bead("Größe", "gt:rework", role="POLECAT"), "b-2": bead("Other")}
    told.tell(AuditAction.BEADS_SYNCED, TOWN, dict.fromkeys(beads), beads)
    told.tell(AuditAction.OVERRIDE_SET_PUBLISHED, "2", _FIRST, _SECOND, (1, 2))
    told.tell(AuditAction.MAYOR_OBSERVED, TOWN, None, pair(SONNET))
    told.tell(AuditAction.PROFILE_VERSION_ADOPTED, "3", _SECOND, _THIRD, (2, 3))
    told.tell(AuditAction.OVERRIDE_SET_PUBLISHED, "4", _THIRD, {**_THIRD, "renewed": ["mayor"]}, (3, 4))
    told.tell(AuditAction.MAYOR_OBSERVED, TOWN, pair(SONNET), pair(FRONTIER))
    told.tell(AuditAction.RIG_REMOVED, "web", rig("Web"), rig("Web", removed=True))
    told.tell(AuditAction.PROFILE_SELECTED, "5", _THIRD, _FOURTH, (4, 5))
    moved = {"b-1": bead("Größe", role="REFINERY", model=KILO), "b-2": bead("Another title")}
    told.tell(AuditAction.BEADS_SYNCED, TOWN, beads, moved)
    told.tell(AuditAction.RIG_REGISTERED, "web", rig("Web", removed=True), rig("Netz"))
    told.tell(AuditAction.OVERRIDE_SET_REVERTED, "6", _FOURTH, {**_LAST, "revertOf": 1}, (5, 6))
    return told.entries


def _imported() -> list[Entry]:
    told = Teller(IMPORTED)
    record = {
        "name": "Importiert",
        "rigs": {"lab": "Lab"},
        "profile": profile("custom", 1, {"*": SONNET}, town_id=IMPORTED),
        "overrideSet": override_set({"*@lab": HAIKU}, profile="custom"),
        "notes": ["role_models.scout was left out"],
    }
    told.tell(AuditAction.TOWN_IMPORTED, IMPORTED, None, record, _MADE)
    told.tell(AuditAction.RIG_REMOVED, "lab", rig("Lab"), rig("Lab", removed=True))
    return told.entries


def _central() -> list[Entry]:
    told = Teller(CENTRAL_CHAIN)
    models = {SONNET: model("Sonnet"), OPUS: model("Opus")}
    told.tell(AuditAction.MODELS_REGISTERED, "catalogue", dict.fromkeys(models), models)
    first, second = profile("tidy", 1, {"*": SONNET, "mayor": OPUS}), profile("tidy", 2, {"*": SONNET})
    told.tell(AuditAction.PROFILE_VERSION_PUBLISHED, "tidy", None, first, (0, 1))
    told.tell(AuditAction.MODEL_DEPRECATED, OPUS, model("Opus"), model("Opus", deprecated=True))
    told.tell(AuditAction.PROFILE_VERSION_PUBLISHED, "tidy", first, second, (1, 2))
    gone, replaced = model("Opus", deprecated=True), model("Opus", SONNET, deprecated=True)
    told.tell(AuditAction.MODEL_DEPRECATED, OPUS, gone, replaced)
    own = profile("custom", 1, {"*": SONNET}, town_id=IMPORTED)
    owns_next = profile("custom", 2, {"*": HAIKU}, town_id=IMPORTED)
    told.tell(AuditAction.PROFILE_VERSION_PUBLISHED, f"{IMPORTED}/custom", own, owns_next, (1, 2))
    told.tell(AuditAction.MODELS_REGISTERED, "catalogue", {OPUS: replaced}, {OPUS: model("Opus 4.7")})
    told.tell(AuditAction.ACTOR_FORGOTTEN, "anna", {"forgotten": False}, {"forgotten": True})
    told.tell(AuditAction.TOKEN_CREATED, TOKEN, None, token())
    told.tell(AuditAction.TOKEN_REVOKED, TOKEN, token(), token(revoked=True))
    return told.entries


HISTORIES: Final[Mapping[str, Sequence[Entry]]] = {
    entries[0].chain: entries for entries in (_central(), _imported(), _town())
}
LINKS: Final[Mapping[str, Sequence[Link]]] = {chain: links_of(entries) for chain, entries in HISTORIES.items()}
