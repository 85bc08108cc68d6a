"""Who is at the door: looked at before anything else of a request is."""

import asyncio
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Final, Never

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from api.addresses import names_loopback, network_of
from api.buckets import Buckets
from api.oidc import BadTokenError, IssuerUnavailableError, Oidc
from api.wire import BadRequestError, for_now, header
from models.domain.permissions import ForbiddenError
from models.domain.tokens import read_token
from models.services.access import BUILT_IN, DEVELOPER, Asker, named_asker
from models.services.credentials import Holder, TokenBook, mark_of
from models.store.unit import Clock, StorageUnavailableError

_LONGEST_NAME: Final = 128
_AT_ONCE: Final = 8  # sign-ins that a process looks up
_CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="townclerk"'}
_HOST: Final = re.compile(r"(\[[0-9a-f:]+\]|[a-z0-9.-]+)(:[0-9]{1,5})?")
_LOG: Final = structlog.get_logger("townclerk.auth")


class Doorkeeper:
    """Tells who asks, by a token of ours or of an issuer; in dev mode by the name given, where there is neither.

    `failures` slows down addresses that fail to say who they are; `rate` bounds what a credential asks, None does not.
    """

    def __init__(
        self, book: TokenBook, oidc: Oidc | None, *, clock: Clock, dev: bool, failures: Buckets, rate: Buckets | None
    ) -> None:
        self._book = book
        self._oidc = oidc
        self._clock = clock
        self._dev = dev
        self._failures = failures
        self._rate = rate
        self._at_once = asyncio.Semaphore(_AT_ONCE)

    async def admit(self, scope: Scope) -> Asker:
        """Who sends a request. Raises `BadRequestError`, whose status and code say why nobody was let in."""
        asker = await self.identify(scope)
        self.spend(asker.counted_as)
        return asker

    def known(self, mark: bytes) -> Holder | None:
        """Who holds the credential of that mark, where it can be told at once: a token that was taken a moment ago."""
        return self._book.remembered(mark)

    def recalled(self, scope: Scope, heads: Mapping[bytes, bytes]) -> Asker | None:
        """Who sends a request with those headers, by their names, where it can be told at once, or the hatch has."""
        state, given = scope["state"], heads.get(b"authorization")
        holder: Holder | None = state.get("holder")
        if holder is None and given is not None and b"x-on-behalf-of" not in heads:
            holder = self.known(mark_of(given))
        return None if holder is None else _holding(holder, state["request_id"], None)

    async def identify(self, scope: Scope) -> Asker:
        """Who opens a connection, by its headers. Raises `BadRequestError`."""
        given = header(scope, b"authorization")
        if not given and self._dev:
            return _developer(scope)
        if len(given) != 1:
            raise _unauthenticated("Send one header Authorization: Bearer TOKEN.")
        asker = await self.sign_in(scope, given[0], person=_name(scope, "x-on-behalf-of"))
        if asker.revocable and asker.credential_id is not None:
            self._book.learn(mark_of(given[0].encode("latin-1")), asker.credential_id)
        return asker

    def may_wait(self, scope: Scope) -> bool:
        """Whether a WebSocket may open without a word about who opens it, to say so in its first message."""
        return not self._dev and not header(scope, b"authorization")

    async def sign_in(self, scope: Scope, authorization: str, *, person: str | None = None) -> Asker:
        """Who holds the credential that `authorization` spells, and acts for `person`. Raises `BadRequestError`."""
        scheme, _, credential = authorization.strip().partition(" ")
        if scheme.lower() != "bearer":
            raise _unauthenticated("Send Authorization: Bearer TOKEN; there is no other scheme.")
        request_id: str = scope["state"]["request_id"]
        address = _network(scope)
        try:
            async with self._at_once:  # so that those who wait are told by what came of those before them
                slowed = self._failures.wait(address) > 0
                asker = await self._asker(credential.strip(), request_id, person, known_only=slowed)
        except StorageUnavailableError as error:
            _LOG.warning("storage unavailable", exc_info=error)
            message = "The database can't be reached to see what the token is worth. Try again later."
            raise for_now(message, "STORAGE_UNAVAILABLE") from error
        if asker is None:
            self._refuse(address)
        elif person is not None and not asker.grant.may_act_for:
            message = "Leave X-On-Behalf-Of out, or use a token that was made with --may-act-for."
            raise BadRequestError(message, status=403, code="FORBIDDEN")
        return asker

    def spend(self, whose: str | None) -> None:
        """Count a request under what an asker is `counted_as`. Raises `BadRequestError` for one too many."""
        if self._rate is None or whose is None:
            return
        if seconds := self._rate.take(whose):
            raise _too_often("This credential asks too often.", seconds)

    @contextmanager
    def until_over(self, asker: Asker) -> Iterator[asyncio.Event]:
        """An event that is set once the asker's credential is worth nothing any more."""
        with ExitStack() as stack:
            over = asyncio.Event()
            if asker.revocable and asker.credential_id is not None:
                over = stack.enter_context(self._book.watched(asker.credential_id))
            if asker.expires_at is not None:
                left = (asker.expires_at - self._clock()).total_seconds()
                expiry = asyncio.get_running_loop().call_later(max(left, 0), over.set)
                stack.callback(expiry.cancel)
            yield over

    async def _asker(self, credential: str, request_id: str, person: str | None, *, known_only: bool) -> Asker | None:
        token = read_token(credential)
        if token is not None:
            holder = None if known_only and not self._book.has_known(token) else await self._book.holder(token)
            return None if holder is None else _holding(holder, request_id, person)
        if self._oidc is None:
            return None
        try:
            signed_in = await self._oidc.verify(credential)
        except BadTokenError as error:
            _LOG.info("token refused", why=str(error))
            return None
        except IssuerUnavailableError as error:
            message = "The issuer's keys can't be had just now. Try again later."
            raise for_now(message, "ISSUER_UNAVAILABLE", seconds=5) from error
        return Asker(
            request_id=request_id,
            grant=signed_in.grant,
            name=signed_in.name,
            credential_id=signed_in.credential_id,
            person=person,
            expires_at=signed_in.expires_at,
        )

    def _refuse(self, address: str) -> Never:
        if seconds := self._failures.take(address):
            raise _too_often("Too many sign-ins from this address have failed.", seconds)
        _LOG.warning("sign-in refused", address=address)
        raise _unauthenticated("The token is not valid: it is mistyped, expired or revoked, or was never made.")


class ThisMachineOnly:
    """Middleware of dev mode, where no one is asked who they are: pages of elsewhere must not reach it by a name.

    A page whose own name is made to lead to this machine (DNS rebinding) sends that name as the Host.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or _is_from_here(scope):
            await self.app(scope, receive, send)
            return
        message = "Dev mode is for this machine alone: ask from it, for localhost, 127.0.0.1 or [::1]."
        refusal = BadRequestError(message, status=403, code="FORBIDDEN").response()
        if scope["type"] == "websocket":
            await WebSocket(scope, receive, send).send_denial_response(refusal)
        else:
            await refusal(scope, receive, send)


def _is_from_here(scope: Scope) -> bool:
    """Whether someone on this machine asks for it by its own name."""
    hosts = header(scope, b"host")
    return names_loopback(_address(scope)) and _names_this_machine(hosts[0] if hosts else "")


def _names_this_machine(host: str) -> bool:
    found = _HOST.fullmatch(host.lower())
    return found is not None and names_loopback(found[1].strip("[]"))


def forbidden(error: ForbiddenError) -> BadRequestError:
    """What is told to those who lack what a whole endpoint takes."""
    return BadRequestError(str(error), status=403, code="FORBIDDEN")


def _unauthenticated(message: str) -> BadRequestError:
    return BadRequestError(message, status=401, code="UNAUTHENTICATED", headers=_CHALLENGE)


def _too_often(message: str, seconds: float) -> BadRequestError:
    wait = math.ceil(seconds)
    told = f"{message} Wait {wait} seconds."
    return BadRequestError(told, status=429, code="RATE_LIMIT", headers={"Retry-After": str(wait)})


def _holding(holder: Holder, request_id: str, person: str | None) -> Asker:
    return Asker(
        request_id=request_id,
        grant=holder.grant,
        actor_id=holder.actor_id,
        credential_id=holder.token_id,
        revocable=True,
        person=person,
        expires_at=holder.expires_at,
    )


def _developer(scope: Scope) -> Asker:
    name = _name(scope, "x-actor")
    person = _name(scope, "x-on-behalf-of")
    return named_asker(name or BUILT_IN[DEVELOPER], request_id=scope["state"]["request_id"], person=person)


def _name(scope: Scope, name_header: str) -> str | None:
    """The name that a header says. Raises `BadRequestError` for what can't be one."""
    given = header(scope, name_header.encode("ascii"))
    if not given:
        return None
    name = given[0].strip()
    if name_header == "x-on-behalf-of" and name in BUILT_IN.values():
        raise BadRequestError(f"{name_header.title()} must be the name of a person; this one is Townclerk's own.")
    if len(given) > 1 or not (0 < len(name) <= _LONGEST_NAME and name.isprintable() and name.isascii()):
        told = f"{name_header.title()} must be given once: 1 to {_LONGEST_NAME} printable ASCII characters."
        raise BadRequestError(told)
    return name


def _network(scope: Scope) -> str:
    return network_of(_address(scope))


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return "" if client is None else str(client[0])
