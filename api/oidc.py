"""Bearer tokens of an OpenID Connect issuer: JWTs, verified with the keys that the issuer publishes.

The libraries that do so are loaded once there is an issuer: they take a while, and memory, and most have none.
"""

import asyncio
import math
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPException
from typing import TYPE_CHECKING, Any, Final

import structlog

from api.issuers import KEY_TYPES, may_be_fetched
from api.settings import Settings
from models.domain.tokens import MAX_TOWNS, Grant, Scope
from models.domain.vocabulary import is_id

if TYPE_CHECKING:
    from api.issuer_keys import Key

FETCH_SECONDS: Final = 5.0  # what one fetch may take, discovery included
FRESH_SECONDS: Final = 300.0  # until keys are fetched anew
USABLE_SECONDS: Final = 3600.0  # until keys that could not be fetched anew are worth nothing
PAUSE_SECONDS: Final = 10.0  # between two fetches, so that made-up key ids don't become requests to the issuer
LEEWAY_SECONDS: Final = 30  # by which the issuer's clock may be off
MAX_NAME: Final = 128
EVERY_TOWN: Final = "*"

_LAST_SECOND: Final = 253_402_300_799  # of the year 9999
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
        from api import issuer_keys, jwts  # noqa: PLC0415  # see above

        self._issuer_keys, self._jwts = issuer_keys, jwts
        self._options = options
        self._clock = clock
        self._monotonic = monotonic
        self._fetch_seconds = fetch_seconds
        self._keys: tuple[Key, ...] = ()
        self._fetched_at = self._tried_at = -math.inf
        self._fetch: asyncio.Task[None] | None = None

    async def verify(self, token: str) -> SignedIn:
        """What the token says. Raises `BadTokenError` and `IssuerUnavailableError`."""
        kid, algorithm = self._jwts.read_header(token, self._options.algorithms)
        key = self._jwts.choose_key(await self._keys_with(kid), kid, algorithm)
        return signed_in(self._jwts.read_claims(token, key, self._options), self._options, self._clock())

    async def _keys_with(self, kid: str | None) -> "tuple[Key, ...]":
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
                    self._issuer_keys.fetch_keys,
                    options.issuer,
                    options.jwks_url,
                    options.algorithms,
                    self._fetch_seconds,
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


def oidc_options(settings: Settings) -> OidcOptions | None:
    """Whose tokens are taken besides ours; None where nobody's are. Raises `ValueError`."""
    if settings.oidc_issuer is None or settings.oidc_audience is None:
        return None
    return OidcOptions(
        issuer=settings.oidc_issuer,
        audience=settings.oidc_audience,
        jwks_url=settings.oidc_jwks_url,
        algorithms=settings.oidc_algorithms,
        name_claim=settings.oidc_name_claim,
        scopes_claim=settings.oidc_scopes_claim,
        towns_claim=settings.oidc_towns_claim,
        scope_names=settings.oidc_scope_names,
    )
