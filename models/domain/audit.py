"""Audit entries: what is recorded of a change, in which bytes, and how entries are chained.

One chain per town and one for what is central. An entry's hash covers the previous entry's hash and the entry's
canonical bytes; exactly those bytes are stored, so that nothing has to be rebuilt in order to check them.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from models.domain.canonical import canonical_bytes
from models.domain.vocabulary import Actor

CENTRAL_CHAIN: Final = "@central"  # no town id begins with an @
GENESIS: Final = "0" * 64
SCHEMA_VERSION: Final = 1
_HASH: Final = re.compile("[0-9a-f]{64}")
_DOMAIN_TAG: Final = b"townclerk-audit-v1\n"


class AuditAction(StrEnum):
    """The closed list of what can happen."""

    TOWN_CREATED = "town_created"
    TOWN_IMPORTED = "town_imported"
    RIG_REGISTERED = "rig_registered"
    RIG_REMOVED = "rig_removed"
    BEADS_SYNCED = "beads_synced"
    OVERRIDE_SET_PUBLISHED = "override_set_published"
    PROFILE_SELECTED = "profile_selected"
    OVERRIDE_SET_REVERTED = "override_set_reverted"
    PROFILE_VERSION_ADOPTED = "profile_version_adopted"
    MAYOR_OBSERVED = "mayor_observed"
    PROFILE_VERSION_PUBLISHED = "profile_version_published"
    MODELS_REGISTERED = "models_registered"
    MODEL_DEPRECATED = "model_deprecated"
    ACTOR_FORGOTTEN = "actor_forgotten"
    TOKEN_CREATED = "token_created"  # noqa: S105  # no secret, a word
    TOKEN_REVOKED = "token_revoked"  # noqa: S105


class TargetType(StrEnum):
    """The kind of thing that an entry tells of; its id is the glossary's."""

    TOWN = "town"
    RIG = "rig"
    BEADS = "beads"
    OVERRIDE_SET = "override_set"
    MAYOR = "mayor"
    PROFILE = "profile"
    MODELS = "models"
    MODEL = "model"
    ACTOR = "actor"
    TOKEN = "token"  # noqa: S105


# What each action is done to, so that whoever looks for a kind of target looks for actions.
TARGET_TYPES: Final = MappingProxyType(
    {
        AuditAction.TOWN_CREATED: TargetType.TOWN,
        AuditAction.TOWN_IMPORTED: TargetType.TOWN,
        AuditAction.RIG_REGISTERED: TargetType.RIG,
        AuditAction.RIG_REMOVED: TargetType.RIG,
        AuditAction.BEADS_SYNCED: TargetType.BEADS,
        AuditAction.OVERRIDE_SET_PUBLISHED: TargetType.OVERRIDE_SET,
        AuditAction.PROFILE_SELECTED: TargetType.OVERRIDE_SET,
        AuditAction.OVERRIDE_SET_REVERTED: TargetType.OVERRIDE_SET,
        AuditAction.PROFILE_VERSION_ADOPTED: TargetType.OVERRIDE_SET,
        AuditAction.MAYOR_OBSERVED: TargetType.MAYOR,
        AuditAction.PROFILE_VERSION_PUBLISHED: TargetType.PROFILE,
        AuditAction.MODELS_REGISTERED: TargetType.MODELS,
        AuditAction.MODEL_DEPRECATED: TargetType.MODEL,
        AuditAction.ACTOR_FORGOTTEN: TargetType.ACTOR,
        AuditAction.TOKEN_CREATED: TargetType.TOKEN,
        AuditAction.TOKEN_REVOKED: TargetType.TOKEN,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What happened, without who, when and where in the chain. Before and after hold values of `canonical` only."""

    action: AuditAction
    target_type: TargetType
    target_id: str
    reason: str | None = None
    version_before: int | None = None
    version_after: int | None = None
    before: Mapping[str, object] | None = None
    after: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One link of a chain."""

    chain: str
    sequence: int
    occurred_at: datetime
    actor: Actor
    credential_id: str | None
    request_id: str
    change: Change
    previous_hash: str

    def canonical(self) -> bytes:
        """The bytes that are stored and hashed."""
        change = self.change
        return canonical_bytes(
            {
                "schema": SCHEMA_VERSION,
                "chain": self.chain,
                "sequence": self.sequence,
                "occurredAt": instant_text(self.occurred_at),
                "actor": self.actor.actor_id,
                "onBehalfOf": self.actor.on_behalf_of,
                "credential": self.credential_id,
                "requestId": self.request_id,
                "action": change.action.name,
                "targetType": change.target_type.value,
                "targetId": change.target_id,
                "versionBefore": change.version_before,
                "versionAfter": change.version_after,
                "before": change.before,
                "after": change.after,
                "reason": change.reason,
                "previousHash": self.previous_hash,
            }
        )


def read_entry(canonical: bytes) -> Entry:
    """The entry whose canonical bytes these are, to the last byte. Raises `ValueError` for any others."""
    try:
        fields: Any = json.loads(canonical)
        entry = Entry(
            chain=fields["chain"],
            sequence=fields["sequence"],
            occurred_at=datetime.fromisoformat(fields["occurredAt"]),
            actor=Actor(actor_id=fields["actor"], on_behalf_of=fields["onBehalfOf"]),
            credential_id=fields["credential"],
            request_id=fields["requestId"],
            change=Change(
                action=AuditAction[fields["action"]],
                target_type=TargetType(fields["targetType"]),
                target_id=fields["targetId"],
                reason=fields["reason"],
                version_before=fields["versionBefore"],
                version_after=fields["versionAfter"],
                before=fields["before"],
                after=fields["after"],
            ),
            previous_hash=fields["previousHash"],
        )
        if entry.canonical() == canonical and _is_well_typed(entry):
            return entry
    except (KeyError, TypeError, OverflowError, RecursionError) as error:
        raise ValueError(f"not an entry of schema {SCHEMA_VERSION}") from error
    raise ValueError(f"not the canonical bytes of an entry of schema {SCHEMA_VERSION}")


def _is_well_typed(entry: Entry) -> bool:
    change = entry.change
    texts = (entry.chain, entry.actor.actor_id, entry.request_id, change.target_id)
    optional_texts = (entry.actor.on_behalf_of, entry.credential_id, change.reason)
    return (
        all(type(text) is str for text in texts)
        and all(text is None or type(text) is str for text in optional_texts)
        and type(entry.sequence) is int
        and entry.sequence > 0
        and all(version is None or type(version) is int for version in (change.version_before, change.version_after))
        and all(value is None or type(value) is dict for value in (change.before, change.after))
        and _HASH.fullmatch(entry.previous_hash) is not None
    )


def entry_hash(previous_hash: str, canonical: bytes) -> str:
    """Hex SHA-256 over a domain tag, the previous hash (32 bytes) and the entry's canonical bytes."""
    return hashlib.sha256(_DOMAIN_TAG + bytes.fromhex(previous_hash) + canonical).hexdigest()


def instant_text(instant: datetime) -> str:
    """An instant as Townclerk writes it: UTC, always six digits of a second, ``2026-11-23T06:11:38.000000Z``.

    Raises `ValueError` for one without a time zone: what it means would depend on the machine.
    """
    if instant.tzinfo is None:
        raise ValueError(f"{instant} has no time zone")
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
