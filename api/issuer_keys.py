"""The public keys of an OpenID Connect issuer: where they are, and which of them may be used for what.

What they look like follows RFC 7517 and RFC 7518; where they are found, OpenID Connect Discovery 1.0.
"""

import json
import time
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.error import HTTPError
from urllib.parse import urlsplit

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from api.addresses import names_loopback
from api.issuers import KEY_TYPES, may_be_fetched

MAX_DOCUMENT: Final = 1_000_000  # bytes

_RSA_BITS: Final = range(2048, 16_384 + 1)  # RFC 7518 section 3.3; more than that OpenSSL does not take


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A public key of the issuer, ready for each of the algorithms that it may be used with."""

    kid: str | None
    by_algorithm: Mapping[str, jwt.PyJWK]


def read_keys(document: object, algorithms: Sequence[str]) -> tuple[Key, ...]:
    """Those keys of a JWK Set that can verify; others are left out (RFC 7517 section 5). Raises `ValueError`."""
    jwks = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(jwks, list):
        raise ValueError("the document is no JWK Set")  # noqa: TRY004  # JSON of the wrong shape is a wrong value
    keys = [_read_key(jwk, algorithms) for jwk in jwks if isinstance(jwk, dict)]
    return tuple(key for key in keys if key.by_algorithm)


def _read_key(jwk: Mapping[str, Any], algorithms: Sequence[str]) -> Key:
    """What a JWK can be used for: nothing, where it is private, for something else, weak or no key at all."""
    kid, operations = jwk.get("kid"), jwk.get("key_ops", ["verify"])
    verifies = jwk.get("use", "sig") == "sig" and isinstance(operations, list) and "verify" in operations
    usable = verifies and "d" not in jwk and isinstance(kid, str | None)
    kind = (jwk.get("kty"), jwk.get("crv"))
    fitting = [it for it in algorithms if usable and jwk.get("alg", it) == it and kind in KEY_TYPES[it]]
    ready = {it: _key_for(jwk, it) for it in fitting}
    return Key(kid=kid, by_algorithm={it: key for it, key in ready.items() if key is not None})


def _key_for(jwk: Mapping[str, Any], algorithm: str) -> jwt.PyJWK | None:
    try:
        key = jwt.PyJWK(dict(jwk), algorithm)
    except (jwt.PyJWTError, ValueError, TypeError, UnsupportedAlgorithm):
        return None
    return None if isinstance(key.key, RSAPublicKey) and key.key.key_size not in _RSA_BITS else key


def fetch_keys(issuer: str, jwks_url: str | None, algorithms: Sequence[str], seconds: float) -> tuple[Key, ...]:
    """The keys that the issuer publishes now. Raises `OSError`, `HTTPException`, `ValueError` and `RecursionError`."""
    url = jwks_url
    if url is None:  # OpenID Connect Discovery sections 4.1 and 4.3
        found = _fetch(f"{issuer.removesuffix('/')}/.well-known/openid-configuration", seconds)
        if not isinstance(found, dict) or found.get("issuer") != issuer:
            raise ValueError("the discovered configuration is not that of the issuer")
        url = found.get("jwks_uri")
    if not isinstance(url, str) or not may_be_fetched(url):
        raise ValueError("the discovered jwks_uri is no URL that keys may come from")
    return read_keys(_fetch(url, seconds), algorithms)


def _fetch(url: str, seconds: float) -> object:
    """The JSON at `url`: no redirect leads there, and on this machine no proxy either."""
    deadline = time.monotonic() + seconds
    opener = urllib.request.OpenerDirector()
    opener.add_handler(urllib.request.HTTPHandler())
    opener.add_handler(urllib.request.HTTPSHandler())
    opener.add_handler(urllib.request.HTTPDefaultErrorHandler())
    opener.add_handler(urllib.request.HTTPErrorProcessor())
    if not names_loopback(urlsplit(url).hostname or ""):
        opener.add_handler(urllib.request.ProxyHandler())
    headers = {"Accept": "application/json", "User-Agent": "townclerk"}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310  # may_be_fetched has seen it
    body = bytearray()
    try:
        with opener.open(request, timeout=seconds) as response:
            while chunk := response.read1(65_536):
                body += chunk
                if len(body) > MAX_DOCUMENT or time.monotonic() > deadline:
                    raise ValueError("the document is too long or takes too long")
    except HTTPError as error:
        error.close()
        raise
    return json.loads(body)
