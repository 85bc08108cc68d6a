"""What may be taken from an OpenID Connect issuer: which keys for which algorithms, and from where."""

from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

from api.addresses import names_loopback

# RFC 7518 section 3.1, RFC 8037 and RFC 8812: the types and curves of the keys that an algorithm takes.
_RSA: Final = (("RSA", None),)
KEY_TYPES: Final = MappingProxyType(
    {
        **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), _RSA),
        "ES256": (("EC", "P-256"),),
        "ES384": (("EC", "P-384"),),
        "ES512": (("EC", "P-521"),),
        "ES256K": (("EC", "secp256k1"),),
        "EdDSA": (("OKP", "Ed25519"), ("OKP", "Ed448")),
    }
)


def may_be_fetched(url: str) -> bool:
    """Whether keys may come from there: over TLS, or from this very machine."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    if not parts.hostname or "@" in parts.netloc:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and names_loopback(parts.hostname))
