"""An OpenID Connect issuer on loopback: discovery and keys over HTTP, tokens that it signs, and a way to sign in."""

import base64
import hashlib
import ipaddress
import json
import secrets
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

import jwt
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from jwt.algorithms import get_default_algorithms

AUDIENCE: Final = "townclerk"
SCOPES: Final = "scopes"  # the claims that say so
TOWNS: Final = "towns"
SECONDS: Final = 30  # for what takes no time when there is nothing else to do
_DISCOVERY: Final = "/.well-known/openid-configuration"
_JWKS: Final = "/keys"
_AUTHORIZATION: Final = "/authorize"
_TOKEN: Final = "/token"  # noqa: S105  # a path
_DRIBBLE_SECONDS: Final = 0.05
_CURVES: Final[Mapping[str, ec.EllipticCurve]] = {
    "ES256": ec.SECP256R1(),
    "ES384": ec.SECP384R1(),
    "ES512": ec.SECP521R1(),
    "ES256K": ec.SECP256K1(),
}


@dataclass(frozen=True, kw_only=True)
class Signer:
    """A key of its own: `private` signs, `jwk` is what the issuer publishes of it."""

    kid: str
    algorithm: str
    private: Any

    @property
    def jwk(self) -> dict[str, Any]:
        public = get_default_algorithms()[self.algorithm].to_jwk(self.private.public_key(), as_dict=True)
        return {**public, "kid": self.kid, "alg": self.algorithm, "use": "sig"}

    def signs(self, claims: Mapping[str, Any], **headers: Any) -> str:
        """A token; `headers` come in addition to those it needs, or in their place."""
        return jwt.encode(dict(claims), self.private, self.algorithm, {"kid": self.kid, **headers})


@cache
def signer(algorithm: str, number: int) -> Signer:
    """The same for the same arguments: keys take time to make."""
    private: Any
    if algorithm in _CURVES:
        private = ec.generate_private_key(_CURVES[algorithm])
    elif algorithm == "EdDSA":
        private = ed25519.Ed25519PrivateKey.generate()
    else:
        private = rsa.generate_private_key(65537, 2048)
    return Signer(kid=f"{algorithm}-{number}", algorithm=algorithm, private=private)


@dataclass(kw_only=True)
class Issuer:
    """What it does can be changed while it runs.

    `signers` are the keys that it publishes, the last one signs. `fetches` counts how often the keys were asked for,
    `discoveries` how often the document that says where they are. `discovery` holds what that document says in
    addition, or instead.
    """

    url: str
    clock: Callable[[], datetime]
    signers: list[Signer]
    audience: str = AUDIENCE
    fetches: int = 0
    discoveries: int = 0
    discovery: dict[str, Any] = field(default_factory=dict)
    is_down: bool = False  # everything is answered with 503
    redirects: bool = False  # the keys have moved, it says: they are where they were
    dribbles: str | None = None  # "headers" or "body": they come little by little and don't end until `let_go`
    keys: bytes | None = None  # answered in place of the keys
    scopes: Sequence[str] = ("reader",)  # of whoever signs in, as alice and for all towns
    denies: bool = False  # whoever signs in is sent back with an error
    _begun: dict[str, dict[str, str]] = field(default_factory=dict)  # what each code was asked for with
    asked: threading.Event = field(default_factory=threading.Event)  # since `hold`
    _may_answer: threading.Event = field(default_factory=threading.Event)

    @property
    def jwks_url(self) -> str:
        return self.url + _JWKS

    @property
    def jwks(self) -> list[dict[str, Any]]:
        return [it.jwk for it in self.signers]

    def token(
        self,
        sub: str = "alice",
        *,
        scopes: Sequence[str] | str = ("reader",),
        towns: Sequence[str] | str = ("*",),
        by: Signer | None = None,
        headers: Mapping[str, Any] | None = None,
        without: Sequence[str] = (),
        **claims: Any,
    ) -> str:
        """A token that is good for an hour, with `claims` in addition to what it says, or in its place."""
        said = {**self.claims(sub), SCOPES: scopes, TOWNS: towns, **claims}
        for name in without:
            del said[name]
        return (by or self.signers[-1]).signs(said, **(headers or {}))

    def claims(self, sub: str = "alice") -> dict[str, Any]:
        """What every token says."""
        now = int(self.clock().timestamp())
        return {"iss": self.url, "aud": self.audience, "sub": sub, "iat": now, "exp": now + 3600}

    def rotate(self, algorithm: str | None = None, *, keep: bool = False) -> Signer:
        """Sign with a new key from now on, and publish no other unless those there were are kept."""
        last = self.signers[-1]
        new = signer(algorithm or last.algorithm, int(last.kid.rpartition("-")[2]) + 1)
        self.signers = [*self.signers, new] if keep else [new]
        return new

    def hold(self) -> None:
        """Let whoever asks wait from now on."""
        self.asked.clear()
        self._may_answer.clear()

    def let_go(self) -> None:
        self._may_answer.set()

    def answer_on(self, handler: BaseHTTPRequestHandler) -> None:
        """Write what a request is answered with."""
        if self.dribbles is not None:
            handler.send_response(200)
            if self.dribbles == "body":
                handler.end_headers()
            handler.flush_headers()
            self._may_answer.clear()
            for _ in range(round(SECONDS / _DRIBBLE_SECONDS)):
                handler.wfile.write(b"x-y: z\n")
                if self._may_answer.wait(_DRIBBLE_SECONDS):
                    return
        path, _, query = handler.path.removeprefix(urlsplit(self.url).path).partition("?")
        if path == _AUTHORIZATION:
            handler.send_response(302)
            handler.send_header("location", self._authorized(dict(parse_qsl(query))))
            handler.send_header("content-length", "0")
            handler.end_headers()
            return
        status, body = self._answer(path)
        handler.send_response(status)
        handler.send_header("access-control-allow-origin", "*")
        if status == 302:
            handler.send_header("location", f"{self.jwks_url}/moved")
        handler.send_header("content-length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def exchange_on(self, handler: BaseHTTPRequestHandler) -> None:
        """Write what a code is given for: tokens, to whoever has begun to sign in with it."""
        body = handler.rfile.read(int(handler.headers["content-length"]))
        said = dict(parse_qsl(body.decode()))
        begun = self._begun.pop(said.get("code", ""), {})
        challenge = base64.urlsafe_b64encode(hashlib.sha256(said.get("code_verifier", "").encode()).digest())
        same = ("client_id", "redirect_uri")
        is_theirs = begun and all(said.get(name) == begun[name] for name in same)
        if is_theirs and challenge.rstrip(b"=").decode() == begun["code_challenge"]:
            tokens = {
                "access_token": self.token(scopes=self.scopes),
                "id_token": self.token(scopes=self.scopes, aud=begun["client_id"], nonce=begun["nonce"]),
                "token_type": "Bearer",
                "expires_in": 3600,
            }
            status, answer = 200, json.dumps(tokens).encode()
        else:
            status, answer = 400, json.dumps({"error": "invalid_grant"}).encode()
        handler.send_response(status)
        handler.send_header("access-control-allow-origin", "*")
        handler.send_header("content-type", "application/json")
        handler.send_header("content-length", str(len(answer)))
        handler.end_headers()
        handler.wfile.write(answer)

    def _authorized(self, asked: dict[str, str]) -> str:
        """Where whoever wants to sign in is sent: nobody asks them for a password here."""
        code = secrets.token_hex(8)
        told = {"error": "access_denied"} if self.denies else {"code": code}
        self._begun[code] = asked
        return f"{asked['redirect_uri']}?{urlencode({**told, 'state': asked['state']})}"

    def _answer(self, path: str) -> tuple[int, bytes]:
        """The status and the body."""
        if path == _JWKS:
            self.fetches += 1
        else:
            self.discoveries += 1
        self.asked.set()
        assert self._may_answer.wait(SECONDS)
        if self.is_down:
            return 503, b"down"
        if path == _DISCOVERY:
            said = {
                "issuer": self.url,
                "jwks_uri": self.jwks_url,
                "authorization_endpoint": self.url + _AUTHORIZATION,
                "token_endpoint": self.url + _TOKEN,
            }
            return 200, json.dumps({**said, **self.discovery}).encode()
        if path.startswith(_JWKS):
            moves = self.redirects and path == _JWKS
            body = json.dumps({"keys": self.jwks}).encode() if self.keys is None else self.keys
            return (302, b"") if moves else (200, body)
        return 404, b""


def write_certificate(path: Path) -> None:
    """A certificate for loopback that vouches for itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "issuer")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    loopback = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    builder = builder.add_extension(x509.SubjectAlternativeName([loopback]), critical=False)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    path.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + builder.sign(key, SHA256()).public_bytes(Encoding.PEM)
    )


@contextmanager
def issuer(
    algorithm: str = "RS256",
    *,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    path: str = "",
    certificate: Path | None = None,
) -> Iterator[Issuer]:
    """One that runs until the block is left, on a port of its own; over TLS where it has a `certificate`.

    By `clock` it dates its tokens; `path` is what its URL has after the port.
    """
    made: list[Issuer] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the base class names it
            with suppress(BrokenPipeError, ConnectionResetError):  # who asked may have given up
                made[0].answer_on(self)

        def do_POST(self) -> None:  # the base class names it
            with suppress(BrokenPipeError, ConnectionResetError):
                made[0].exchange_on(self)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        url = f"{'http' if certificate is None else 'https'}://127.0.0.1:{server.server_address[1]}{path}"
        it = Issuer(url=url, clock=clock, signers=[signer(algorithm, 0)])
        made.append(it)
        it.let_go()
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield it
        finally:
            it.let_go()
            server.shutdown()
            thread.join()
