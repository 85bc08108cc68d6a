"""Bearer tokens of an OpenID Connect issuer: JWTs, verified with the keys that the issuer publishes.

What is checked follows RFC 7519 (JWT) and RFC 8725 (how to use it safely).
"""

import asyncio
import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPException
from typing import Any, Final

import jwt
import structlog

from api.issuer_keys import KEY_TYPES, Key, fetch_keys, may_be_fetched
from models.domain.tokens import MAX_TOWNS, Grant, Scope
from models.domain.vocabulary import is_id

FETCH_SECONDS: Final = 5.0  # what one fetch may take, discovery included
FRESH_SECONDS: Final = 300.0  # until keys are fetched anew
USABLE_SECONDS: Final = 3600.0  # until keys that could not be fetched anew are worth nothing
PAUSE_SECONDS: Final = 10.0  # between two fetches, so that made-up key ids don't become requests to the issuer
LEEWAY_SECONDS: Final = 30  # by which the issuer's clock may be off
MAX_TOKEN: Final = 16_384
MAX_NAME: Final = 128
EVERY_TOWN: Final = "*"

_LAST_SECOND: Final = 253_402_300_799  # of the year 9999
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_JTI: Final = re.compile("[A-Za-z0-9._:-]{1,64}")
_LOG: Final = structlog.get_logger("townclerk.oidc")


class BadTokenError(Exception):
    """The token is no good. The message holds nothing of it and can be logged."""


class IssuerUnavailableError(Exception):
    """Whether the token is good can't be told: the issuer's keys can't be had, and none are kept that still count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcOptions:
    """Whose tokens are taken, and which of their claims say what.

    `issuer` is `iss` to the letter; `jwks_url` is where its keys are, discovered where it is None. `name_claim` should
    be one that the issuer never gives to another person: `sub` is (OpenID Connect Core section 5.7), most others are
    not. `scope_names` says what a value of the scopes claim stands for; where it is empty, scopes have their own names.
    Raises `ValueError`, also for algorithms that are not asymmetric and for URLs that keys must not come from.
    """

    issuer: str
    audience: str
    jwks_url: str | None
    algorithms: tuple[str, ...]
    name_claim: str
    scopes_claim: str
    towns_claim: str
    scope_names: Mapping[str, Scope]

    def __post_init__(self) -> None:
        if not all((self.issuer, self.audience, self.name_claim, self.scopes_claim, self.towns_claim)):
            raise ValueError("the issuer, the audience and the names of claims must not be empty")
        if not self.algorithms or not KEY_TYPES.keys() >= set(self.algorithms):
            raise ValueError(f"algorithms must be some of {', '.join(KEY_TYPES)}")
        if not may_be_fetched(self.issuer if self.jwks_url is None else self.jwks_url):
            raise ValueError("keys must come from an https URL; http is for loopback")


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """What a good token says. `expires_at` is its `exp`, without leeway, in UTC."""

    name: str
    grant: Grant
    expires_at: datetime
    credential_id: str


class Oidc:
    """Verifies the tokens of one issuer, whose keys it keeps. `monotonic` counts seconds, `clock` tells the time."""

    def __init__(
        self,
        options: OidcOptions,
        *,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
        fetch_seconds: float = FETCH_SECONDS,
    ) -> None:
        self._options = options
        self._clock = clock
        self._monotonic = monotonic
        self._fetch_seconds = fetch_seconds
        self._keys: tuple[Key, ...] = ()
        self._fetched_at = self._tried_at = -math.inf
        self._fetch: asyncio.Task[None] | None = None

    async def verify(self, token: str) -> SignedIn:
        """What the token says. Raises `BadTokenError` and `IssuerUnavailableError`."""
        kid, algorithm = read_header(token, self._options.algorithms)
        key = choose_key(await self._keys_with(kid), kid, algorithm)
        return signed_in(read_claims(token, key, self._options), self._options, self._clock())

    async def _keys_with(self, kid: str | None) -> tuple[Key, ...]:
        """The keys that count, the one called `kid` among them if the issuer has it by now."""
        if self._age >= FRESH_SECONDS:
            await self._fetch_unless_just_tried()
        if self._age >= USABLE_SECONDS:
            raise IssuerUnavailableError("the issuer's keys can't be fetched")
        if kid is not None and all(key.kid != kid for key in self._keys):
            await self._fetch_unless_just_tried()
        return self._keys

    @property
    def _age(self) -> float:
        return self._monotonic() - self._fetched_at

    async def _fetch_unless_just_tried(self) -> None:
        """Take part in the fetch that is under way or due. It goes on when who waits for it is cancelled."""
        if self._fetch is None or self._fetch.done():
            if self._monotonic() - self._tried_at < PAUSE_SECONDS:
                return
            self._fetch = asyncio.create_task(self._fetch_keys())
        await asyncio.shield(self._fetch)

    async def _fetch_keys(self) -> None:
        """Put what the issuer publishes now in the place of the keys; where that fails, leave them and say so."""
        begun, options = self._monotonic(), self._options
        try:
            async with asyncio.timeout(self._fetch_seconds):
                keys = await asyncio.to_thread(
                    fetch_keys, options.issuer, options.jwks_url, options.algorithms, self._fetch_seconds
                )
        except (OSError, HTTPException, ValueError, RecursionError) as error:
            _LOG.warning(
                "the issuer's keys could not be fetched",
                error=type(error).__name__,
                reason=str(error),
                kept_for_seconds=round(max(0.0, USABLE_SECONDS - self._age)),
            )
        else:
            self._keys, self._fetched_at = keys, begun
            if not keys:
                _LOG.warning("the issuer publishes no key that tokens could be verified with")
        finally:
            self._tried_at = self._monotonic()


def read_header(token: str, algorithms: Sequence[str]) -> tuple[str | None, str]:
    """The key's id and the algorithm as the token's header has them: so far nobody's word. Raises `BadTokenError`.

    Whatever a header says of where keys are (`jku`, `jwk`, `x5u`) is ignored (RFC 8725 section 3.10).
    """
    if len(token) > MAX_TOKEN or _TOKEN.fullmatch(token) is None:
        raise BadTokenError(f"the token is no signed JWT of at most {MAX_TOKEN} characters")
    try:
        header = jwt.get_unverified_header(token)
    except jwt.PyJWTError as error:
        raise _refusal(error) from None
    if "crit" in header:
        raise BadTokenError("the token's header asks for extensions, and there are none here")
    if header.get("alg") not in algorithms:
        raise BadTokenError("the token's algorithm is not among those that are taken")
    return header.get("kid"), header["alg"]


def choose_key(keys: Sequence[Key], kid: str | None, algorithm: str) -> jwt.PyJWK:
    """The one key that is meant, which needs no name where it is the only one. Raises `BadTokenError`."""
    if kid is None and len(keys) != 1:
        raise BadTokenError("the token does not say which of the issuer's keys it was signed with")
    named = [key for key in keys if kid in {None, key.kid}]
    if not named:
        raise BadTokenError("the issuer has no key of the id that the token names")
    fitting = [key.by_algorithm[algorithm] for key in named if algorithm in key.by_algorithm]
    if len(fitting) != 1:
        raise BadTokenError("the token's algorithm does not fit the key that it names")
    return fitting[0]


def read_claims(token: str, key: jwt.PyJWK, options: OidcOptions) -> dict[str, Any]:
    """The claims, once signature, issuer and audience are found to be right. Raises `BadTokenError`."""
    try:
        return jwt.decode(
            token,
            key,
            algorithms=options.algorithms,
            issuer=options.issuer,
            audience=options.audience,
            # PyJWT would take times from strings and judge them by the machine's clock: `signed_in` does that.
            options={"verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_jti": False},
        )
    except jwt.PyJWTError as error:
        raise _refusal(error) from None


def signed_in(claims: Mapping[str, Any], options: OidcOptions, now: datetime) -> SignedIn:
    """What the claims of a verified token come to at `now`. Raises `BadTokenError`."""
    expires = _seconds(claims, "exp")
    if expires + LEEWAY_SECONDS <= now.timestamp():
        raise BadTokenError("the token has expired")
    if any(_seconds(claims, name) - LEEWAY_SECONDS > now.timestamp() for name in ("nbf", "iat") if name in claims):
        raise BadTokenError("the token is not valid yet")
    name, jti = claims.get(options.name_claim), claims.get("jti")
    if not isinstance(name, str) or not name:
        raise BadTokenError(f"the claim {options.name_claim} must be a string that is not empty")
    name = f"oidc:{name}"
    if len(name) > MAX_NAME or not name.isprintable():
        raise BadTokenError(f"the claim {options.name_claim} is too long for a name or can't be printed")
    return SignedIn(
        name=name,
        grant=_grant(claims, options),
        expires_at=datetime.fromtimestamp(expires, UTC),
        credential_id=f"oidc:{jti}" if isinstance(jti, str) and _JTI.fullmatch(jti) else "oidc",
    )


def _grant(claims: Mapping[str, Any], options: OidcOptions) -> Grant:
    names = options.scope_names or {scope.value: scope for scope in Scope}
    scopes = frozenset(names[word] for word in _words(claims, options.scopes_claim) if word in names)
    words = frozenset(_words(claims, options.towns_claim))
    towns = None if EVERY_TOWN in words else frozenset(filter(is_id, words))
    if towns is not None and len(towns) > MAX_TOWNS:
        raise BadTokenError(f"the claim {options.towns_claim} names more than {MAX_TOWNS} towns")
    return Grant(scopes=scopes, towns=towns)


def _words(claims: Mapping[str, Any], name: str) -> list[str]:
    """A claim that is a list of strings, or one of them with spaces in between (RFC 6749 section 3.3)."""
    value = claims.get(name)
    words = [] if value is None else value.split(" ") if isinstance(value, str) else value
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise BadTokenError(f"the claim {name} must be a list of strings, or a string")
    return words


def _seconds(claims: Mapping[str, Any], name: str) -> float:
    """A claim that is a NumericDate (RFC 7519 section 2)."""
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LAST_SECOND:  # NaN isn't
        raise BadTokenError(f"the claim {name} must be a time in seconds since 1970")
    return value


def _refusal(error: jwt.PyJWTError) -> BadTokenError:
    return BadTokenError(f"the token was refused: {type(error).__name__}")  # whose message may quote it
