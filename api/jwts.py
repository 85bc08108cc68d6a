"""JWTs: read, and verified with a key of the issuer's.

What is checked follows RFC 7519 (JWT) and RFC 8725 (how to use it safely).
"""

import re
from collections.abc import Sequence
from typing import Any, Final

import jwt

from api.issuer_keys import Key
from api.oidc import BadTokenError, OidcOptions

MAX_TOKEN: Final = 16_384
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


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


def _refusal(error: jwt.PyJWTError) -> BadTokenError:
    return BadTokenError(f"the token was refused: {type(error).__name__}")  # whose message may quote it
