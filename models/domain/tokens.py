"""API tokens: what they look like, and what they allow.

A token reads ``tck_<id>_<secret>``: 16 hex digits that may be shown and logged, then 64 that may not, and 8 that check
all of it, so that a scanner can tell a token from any other text. Of the secret its SHA-256 alone is kept.
"""

import hashlib
import hmac
import re
import zlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from models.domain.audit import CENTRAL_CHAIN
from models.domain.errors import InvalidInput, Problem, TooMany
from models.domain.vocabulary import is_id

MAX_TOWNS: Final = 1000
ID_BYTES: Final = 8
SECRET_BYTES: Final = 32
_TOKEN: Final = re.compile("tck_([0-9a-f]{16})_([0-9a-f]{64})([0-9a-f]{8})")


class Scope(StrEnum):
    """What a credential is for. Those of a credential add up."""

    READER = "reader"
    DISPATCHER = "dispatcher"
    EDITOR = "editor"
    AUDITOR = "auditor"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a credential allows: `towns` by their ids, None for all; whether it may name a person it acts for."""

    scopes: frozenset[Scope]
    towns: frozenset[str] | None = None
    may_act_for: bool = False

    def covers(self, town_id: str) -> bool:
        return self.towns is None or town_id in self.towns

    def concealed(self, chain: str) -> str:
        """`chain` as it is to be looked up: a town that is not covered by a name that no town has.

        So what is somebody else's is missed by the very statement that misses what is not there.
        """
        return chain if chain == CENTRAL_CHAIN or self.covers(chain) else f"{CENTRAL_CHAIN}/{chain}"

    def problems(self) -> list[Problem]:
        """What speaks against handing it out."""
        problems: list[Problem] = []
        if not self.scopes:
            problems.append(InvalidInput(path=("scopes",), expected="at least one scope"))
        if self.towns is not None:
            problems += _town_problems(self.towns)
        return problems


def _town_problems(towns: Collection[str]) -> list[Problem]:
    if not towns:
        return [InvalidInput(path=("towns",), expected="at least one town; leave it out for all of them")]
    if len(towns) > MAX_TOWNS:
        return [TooMany(kind="towns", limit=MAX_TOWNS, given=len(towns), path=("towns",))]
    if not all(map(is_id, towns)):
        return [InvalidInput(path=("towns",), expected="ids of towns")]
    return []


EVERYTHING: Final = Grant(scopes=frozenset(Scope), may_act_for=True)  # what Townclerk itself may, and a developer


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token as it is handed out, once."""

    token_id: str
    secret: str

    def __str__(self) -> str:
        return f"tck_{self.token_id}_{self.secret}{_checksum(self.token_id, self.secret)}"

    @property
    def secret_hash(self) -> str:
        """Hex SHA-256 of the secret's bytes. It can be shown: nobody guesses 32 random bytes."""
        return hashlib.sha256(bytes.fromhex(self.secret)).hexdigest()

    def has(self, secret_hash: str) -> bool:
        """Whether its secret has that hash; takes as long for any."""
        return hmac.compare_digest(self.secret_hash, secret_hash)


def read_token(text: str) -> Token | None:
    """The token that `text` spells; None where it spells none."""
    found = _TOKEN.fullmatch(text)
    if found is None or found[3] != _checksum(found[1], found[2]):
        return None
    return Token(token_id=found[1], secret=found[2])


def is_expired(expires_at: datetime | None, now: datetime) -> bool:
    return expires_at is not None and expires_at <= now


def _checksum(token_id: str, secret: str) -> str:
    return f"{zlib.crc32(f'{token_id}_{secret}'.encode()):08x}"
