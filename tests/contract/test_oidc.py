"""Who signs in with a token of an OpenID Connect issuer, and which tokens are worth nothing."""

import asyncio
import base64
import errno
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from api.oidc import BadTokenError, IssuerUnavailableError, Oidc, OidcOptions, SignedIn
from models.domain.tokens import MAX_TOWNS, Grant, Scope
from tests.issuer import SCOPES, SECONDS, TOWNS, Issuer, Signer, issuer, signer, write_certificate

NOON: Final = datetime(2026, 7, 1, 12, tzinfo=UTC)
NOON_SECONDS: Final = int(NOON.timestamp())
HOUR: Final = 3600
EVERYWHERE: Final = Grant(scopes=frozenset({Scope.READER}))
FUZZED: Final = settings(max_examples=200, deadline=None)


@dataclass(kw_only=True)
class Clocks:
    """Both stand still until they are moved."""

    now: datetime = NOON
    seconds: float = 1000.0


@dataclass(kw_only=True)
class Verifier:
    """An `Oidc` of its own and what it goes by."""

    oidc: Oidc
    clocks: Clocks = field(default_factory=Clocks)

    def verify(self, token: str) -> SignedIn:
        return asyncio.run(self.oidc.verify(token))

    def refuses(self, token: str) -> str:
        """What it says against a token."""
        with pytest.raises(BadTokenError) as caught:
            self.verify(token)
        return str(caught.value)

    def later(self, seconds: float) -> None:
        """Let the monotonic clock go on; the other one stays, so that tokens don't expire."""
        self.clocks.seconds += seconds


def options_for(it: Issuer, **changed: Any) -> OidcOptions:
    plain = OidcOptions(
        issuer=it.url,
        audience=it.audience,
        jwks_url=None,
        algorithms=("RS256", "ES256"),
        name_claim="sub",
        scopes_claim=SCOPES,
        towns_claim=TOWNS,
        scope_names={},
    )
    return replace(plain, **changed)


def verifier(it: Issuer, *, fetch_seconds: float = SECONDS, **changed: Any) -> Verifier:
    clocks = Clocks()
    oidc = Oidc(
        options_for(it, **changed),
        clock=lambda: clocks.now,
        monotonic=lambda: clocks.seconds,
        fetch_seconds=fetch_seconds,
    )
    return Verifier(oidc=oidc, clocks=clocks)


@pytest.fixture
def it() -> Iterator[Issuer]:
    with issuer(clock=lambda: NOON) as made:
        yield made


@pytest.fixture
def townclerk(it: Issuer) -> Verifier:
    return verifier(it)


def encoded(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def by_hand(header: Mapping[str, Any], claims: Mapping[str, Any], sign: Callable[[bytes], bytes]) -> str:
    """A token that PyJWT would not make."""
    signed = ".".join(encoded(json.dumps(part).encode()) for part in (header, claims))
    return f"{signed}.{encoded(sign(signed.encode()))}"


def without(jwk: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {member: value for member, value in jwk.items() if member != name}


def public_pem(it: Issuer) -> bytes:
    """The issuer's key as everyone can have it."""
    pem: bytes = it.signers[-1].private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return pem


# What a good token says


def test_token__of_rs256__signs_in(it: Issuer, townclerk: Verifier) -> None:
    assert townclerk.verify(it.token("alice", jti="4711")) == SignedIn(
        name="oidc:alice",
        grant=EVERYWHERE,
        expires_at=NOON + timedelta(hours=1),
        credential_id="oidc:4711",
    )


@pytest.mark.parametrize("algorithm", ["RS512", "PS256", "ES256", "ES384", "ES512", "ES256K", "EdDSA"])
def test_token__of_another_allowed_algorithm__signs_in(algorithm: str) -> None:
    with issuer(algorithm, clock=lambda: NOON) as it:
        assert verifier(it, algorithms=("RS256", algorithm)).verify(it.token("bob")).name == "oidc:bob"


def test_token__of_pss_where_the_key_names_no_algorithm__signs_in() -> None:
    with issuer("PS256", clock=lambda: NOON) as it:
        it.keys = json.dumps({"keys": [without(it.jwks[0], "alg")]}).encode()
        assert verifier(it, algorithms=("RS256", "PS256")).verify(it.token()).name == "oidc:alice"


def test_keys__of_a_given_url__are_not_discovered(it: Issuer) -> None:
    assert verifier(it, jwks_url=it.jwks_url).verify(it.token()).name == "oidc:alice"
    assert (it.fetches, it.discoveries) == (1, 0)


@pytest.mark.parametrize("end", ["", "/"])
def test_keys__of_an_issuer_with_a_path__are_discovered_below_it(end: str) -> None:
    with issuer(clock=lambda: NOON, path="/realms/town") as it:
        name = it.discovery["issuer"] = f"{it.url}{end}"
        assert verifier(it, issuer=name).verify(it.token(iss=name)).name == "oidc:alice"


def test_keys__of_an_issuer_elsewhere__are_fetched_through_the_proxy(
    it: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")  # where nobody listens
    monkeypatch.setenv("no_proxy", "")
    logs = unavailable(verifier(it, jwks_url="https://issuer.example/keys"), it.token())
    assert f"[Errno {errno.ECONNREFUSED}]" in logs[0]["reason"]


def test_keys__over_tls__are_those_of_whom_the_machine_trusts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_certificate(tmp_path / "issuer.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "issuer.pem"))
    with issuer(clock=lambda: NOON, certificate=tmp_path / "issuer.pem") as it:
        assert verifier(it).verify(it.token()).name == "oidc:alice"


def test_keys__over_tls_from_a_stranger__are_not_taken(tmp_path: Path) -> None:
    write_certificate(tmp_path / "issuer.pem")
    with issuer(clock=lambda: NOON, certificate=tmp_path / "issuer.pem") as it:
        logs = unavailable(verifier(it), it.token())
    assert "CERTIFICATE_VERIFY_FAILED" in logs[0]["reason"]


def test_keys__where_the_environment_has_a_proxy__are_fetched_from_loopback_without(
    it: Issuer, townclerk: Verifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert townclerk.verify(it.token()).name == "oidc:alice"


@pytest.mark.parametrize(
    "scopes", [["reader", "editor"], "reader editor", "  editor reader ", ("editor", "reader", "")]
)
def test_scopes__as_list_or_text__are_granted(it: Issuer, townclerk: Verifier, scopes: Any) -> None:
    assert townclerk.verify(it.token(scopes=scopes)).grant.scopes == {Scope.READER, Scope.EDITOR}


def test_scopes__that_nobody_knows__are_ignored(it: Issuer, townclerk: Verifier) -> None:
    assert townclerk.verify(it.token(scopes=["openid", "reader editor", "READER"])).grant.scopes == frozenset()


def test_scopes__that_are_missing__are_none(it: Issuer, townclerk: Verifier) -> None:
    assert townclerk.verify(it.token(without=[SCOPES])).grant.scopes == frozenset()


def test_scopes__with_names_of_the_issuers_own__are_those_they_stand_for(it: Issuer) -> None:
    townclerk = verifier(it, scopes_claim="groups", scope_names={"mayors": Scope.ADMIN, "clerks": Scope.EDITOR})
    assert townclerk.verify(it.token(groups=["mayors", "clerks"])).grant.scopes == {Scope.ADMIN, Scope.EDITOR}
    assert townclerk.verify(it.token(groups=["admin", "editor"])).grant.scopes == frozenset()


@pytest.mark.parametrize("towns", [["a", "b:1"], "a b:1", ["b:1", "a", "a", "-", "no id", ""]])
def test_towns__as_list_or_text__are_granted_as_far_as_they_are_ids(
    it: Issuer, townclerk: Verifier, towns: Any
) -> None:
    assert townclerk.verify(it.token(towns=towns)).grant.towns == frozenset({"a", "b:1"})


@pytest.mark.parametrize("towns", ["*", ["*"], ["a", "*"], "a *"])
def test_towns__with_a_star__are_all(it: Issuer, townclerk: Verifier, towns: Any) -> None:
    assert townclerk.verify(it.token(towns=towns)).grant.towns is None


@pytest.mark.parametrize("towns", [[], "", None, ["**"]])
def test_towns__that_name_nothing__are_none_at_all(it: Issuer, townclerk: Verifier, towns: Any) -> None:
    assert townclerk.verify(it.token(towns=towns)).grant.towns == frozenset()


def test_towns__that_are_missing__are_none_at_all(it: Issuer, townclerk: Verifier) -> None:
    assert townclerk.verify(it.token(without=[TOWNS])).grant.towns == frozenset()


def test_towns__as_many_as_may_be__are_granted(it: Issuer, townclerk: Verifier) -> None:
    towns = [f"{n}" for n in range(MAX_TOWNS)]
    assert townclerk.verify(it.token(towns=towns)).grant.towns == frozenset(towns)


def test_towns__one_more_than_may_be__are_refused(it: Issuer, townclerk: Verifier) -> None:
    townclerk.refuses(it.token(towns=[f"{n}" for n in range(MAX_TOWNS + 1)]))


@pytest.mark.parametrize("claim", [SCOPES, TOWNS])
@pytest.mark.parametrize("value", [1, True, {"reader": True}, ["reader", 1], [["reader"]]])
def test_words__that_are_neither_list_nor_text__are_refused(
    it: Issuer, townclerk: Verifier, claim: str, value: Any
) -> None:
    townclerk.refuses(it.token(**{claim: value}))


def test_name__of_another_claim__is_that_one(it: Issuer) -> None:
    assert verifier(it, name_claim="email").verify(it.token(email="a@b.example")).name == "oidc:a@b.example"


def test_name__as_long_as_may_be__is_taken(it: Issuer, townclerk: Verifier) -> None:
    assert townclerk.verify(it.token("é" * 123)).name == "oidc:" + "é" * 123


@pytest.mark.parametrize("name", ["", "a" * 124, "a\nb", "a\x00b", "\ud800", "a\u202eb", 7, None, ["alice"]])
def test_name__that_is_none__is_refused(it: Issuer, name: Any) -> None:
    verifier(it, name_claim="who").refuses(it.token(who=name))


def test_name__that_is_missing__is_refused(it: Issuer, townclerk: Verifier) -> None:
    townclerk.refuses(it.token(without=["sub"]))


@pytest.mark.parametrize("jti", ["", "a" * 65, "a b", "a\n", 7, None, ["a"]])
def test_credential__of_a_token_whose_id_is_odd__is_not_named(it: Issuer, townclerk: Verifier, jti: Any) -> None:
    assert townclerk.verify(it.token(jti=jti)).credential_id == "oidc"


# When


def test_token__that_expired_within_the_leeway__signs_in_until_when_it_said(it: Issuer, townclerk: Verifier) -> None:
    signed_in = townclerk.verify(it.token(exp=NOON_SECONDS - 29.5))
    assert signed_in.expires_at == NOON - timedelta(seconds=29.5)


def test_token__that_expired_before_the_leeway__is_refused(it: Issuer, townclerk: Verifier) -> None:
    assert "expired" in townclerk.refuses(it.token(exp=NOON_SECONDS - 30))


def test_token__when_its_hour_is_over__is_refused(it: Issuer, townclerk: Verifier) -> None:
    token = it.token()
    townclerk.verify(token)
    townclerk.clocks.now += timedelta(hours=1, seconds=30)
    assert "expired" in townclerk.refuses(token)


@pytest.mark.parametrize("claim", ["nbf", "iat"])
def test_token__that_begins_within_the_leeway__signs_in(it: Issuer, townclerk: Verifier, claim: str) -> None:
    claims: dict[str, Any] = {claim: NOON_SECONDS + 30}
    assert townclerk.verify(it.token(**claims)).name == "oidc:alice"


@pytest.mark.parametrize("claim", ["nbf", "iat"])
def test_token__that_begins_later__is_refused(it: Issuer, townclerk: Verifier, claim: str) -> None:
    claims: dict[str, Any] = {claim: NOON_SECONDS + 31}
    assert "yet" in townclerk.refuses(it.token(**claims))


def test_token__that_does_not_say_since_when__signs_in(it: Issuer, townclerk: Verifier) -> None:
    assert townclerk.verify(it.token(without=["iat"])).name == "oidc:alice"


@pytest.mark.parametrize("claim", ["exp", "nbf", "iat"])
@pytest.mark.parametrize(
    "value",
    [str(NOON_SECONDS), True, None, [], {}, float("nan"), float("inf"), -1, 253_402_300_800, 10**400],
    ids=str,
)
def test_time__that_is_none__is_refused(it: Issuer, townclerk: Verifier, claim: str, value: Any) -> None:
    assert claim in townclerk.refuses(it.token(**{claim: value}))


@pytest.mark.parametrize("claim", ["exp", "iss", "aud"])
def test_token__without_a_claim_it_needs__is_refused(it: Issuer, townclerk: Verifier, claim: str) -> None:
    townclerk.refuses(it.token(without=[claim]))


# For whom, and from whom


def test_token__for_several_audiences__signs_in(it: Issuer, townclerk: Verifier) -> None:
    assert townclerk.verify(it.token(aud=["another", it.audience])).name == "oidc:alice"


@pytest.mark.parametrize("audience", ["another", "townclerk2", "town", ["another"], [], ["townclerk", 1], 1])
def test_token__for_another_audience__is_refused(it: Issuer, townclerk: Verifier, audience: Any) -> None:
    townclerk.refuses(it.token(aud=audience))


@pytest.mark.parametrize("change", [lambda url: f"{url}/", str.upper, lambda _: "https://evil.example", lambda _: ""])
def test_token__of_another_issuer__is_refused(it: Issuer, townclerk: Verifier, change: Callable[[str], str]) -> None:
    townclerk.refuses(it.token(iss=change(it.url)))


def test_token__whose_issuer_is_a_list__is_refused(it: Issuer, townclerk: Verifier) -> None:
    token = by_hand({"alg": "RS256", "kid": "RS256-0"}, {**it.claims(), "iss": [it.url]}, rs256(it))
    townclerk.refuses(token)


def rs256(it: Issuer) -> Callable[[bytes], bytes]:
    return lambda signed: jwt.get_algorithm_by_name("RS256").sign(signed, it.signers[-1].private)


# Signatures


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", ""])
def test_token__of_no_algorithm__is_refused(it: Issuer, townclerk: Verifier, algorithm: str) -> None:
    header = {"alg": algorithm, "kid": "RS256-0"}
    townclerk.refuses(by_hand(header, it.claims(), lambda _: b""))
    townclerk.refuses(by_hand(header, it.claims(), lambda _: b"\x00"))


@pytest.mark.parametrize("form", ["pem", "pem without its last newline", "der", "jwk"])
def test_token__of_hs256_with_the_public_key_as_its_secret__is_refused(
    it: Issuer, townclerk: Verifier, form: str
) -> None:
    pem = public_pem(it)
    secret = {
        "pem": pem,
        "pem without its last newline": pem.strip(),
        "der": it.signers[-1].private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "jwk": json.dumps(it.jwks[0]).encode(),
    }[form]
    token = by_hand(
        {"alg": "HS256", "typ": "JWT", "kid": it.signers[-1].kid},
        {**it.claims(), SCOPES: ["admin"]},
        lambda signed: hmac.digest(secret, signed, hashlib.sha256),
    )
    assert "algorithm" in townclerk.refuses(token)


def test_token__of_an_algorithm_that_is_not_allowed__is_refused(it: Issuer) -> None:
    assert "algorithm" in verifier(it, algorithms=("ES256", "PS256")).refuses(it.token())


@pytest.mark.parametrize("algorithm", ["RS512", "PS256", "ES256", "EdDSA"])
def test_token__whose_algorithm_does_not_fit_its_key__is_refused(it: Issuer, algorithm: str) -> None:
    townclerk = verifier(it, algorithms=("RS256", "RS512", "PS256", "ES256", "EdDSA"))
    token = it.token(by=replace(signer(algorithm, 0), kid=it.signers[-1].kid))
    assert "fit" in townclerk.refuses(token)


def test_token__of_another_algorithm_than_its_key_is_for__is_refused(it: Issuer) -> None:
    townclerk = verifier(it, algorithms=("RS256", "RS512"))
    assert "fit" in townclerk.refuses(it.token(by=replace(it.signers[-1], algorithm="RS512")))


def test_token__of_a_curve_that_is_not_its_algorithms__is_refused() -> None:
    with issuer("ES384", clock=lambda: NOON) as it:
        it.keys = json.dumps({"keys": [{**it.jwks[0], "alg": "ES256"}]}).encode()
        townclerk = verifier(it, algorithms=("ES256", "ES384"))
        townclerk.refuses(it.token())
        townclerk.refuses(it.token(by=replace(signer("ES256", 0), kid=it.signers[-1].kid)))


def test_token__signed_by_a_stranger_in_the_keys_name__is_refused(it: Issuer, townclerk: Verifier) -> None:
    stranger = replace(signer("RS256", 99), kid=it.signers[-1].kid)
    assert "Signature" in townclerk.refuses(it.token(by=stranger))


def test_token__signed_by_another_key_than_it_names__is_refused(it: Issuer, townclerk: Verifier) -> None:
    first, _ = it.signers[-1], it.rotate(keep=True)
    assert "Signature" in townclerk.refuses(it.token(headers={"kid": first.kid}))


def test_token__that_brings_its_own_key__is_refused_and_nothing_is_fetched(it: Issuer, townclerk: Verifier) -> None:
    stranger = replace(signer("RS256", 99), kid=it.signers[-1].kid)
    with issuer(clock=lambda: NOON) as elsewhere:
        headers = {"jwk": stranger.jwk, "jku": elsewhere.jwks_url, "x5u": elsewhere.jwks_url}
        assert "Signature" in townclerk.refuses(it.token(by=stranger, headers=headers))
        assert elsewhere.fetches == 0


def test_token__that_says_where_its_key_is__signs_in_by_the_issuers_keys(it: Issuer, townclerk: Verifier) -> None:
    assert townclerk.verify(it.token(headers={"jku": "https://evil.example/keys"})).name == "oidc:alice"


@pytest.mark.parametrize("critical", [["b64"], ["exp"], [], None, "b64"])
def test_token__with_critical_headers__is_refused(it: Issuer, townclerk: Verifier, critical: Any) -> None:
    townclerk.refuses(it.token(headers={"crit": critical}))


def test_token__with_an_extension_that_pyjwt_knows__is_refused_all_the_same(it: Issuer, townclerk: Verifier) -> None:
    assert "extensions" in townclerk.refuses(
        by_hand({"alg": "RS256", "kid": "RS256-0", "crit": ["b64"], "b64": True}, it.claims(), rs256(it))
    )


@pytest.mark.parametrize("kid", [None, 7, ["RS256-0"], {}])
def test_token__whose_key_id_is_no_text__is_refused(it: Issuer, townclerk: Verifier, kid: Any) -> None:
    townclerk.refuses(by_hand({"alg": "RS256", "kid": kid}, it.claims(), rs256(it)))


def test_token__whose_payload_was_altered__is_refused(it: Issuer, townclerk: Verifier) -> None:
    header, _, signature = it.token().split(".")
    payload = encoded(json.dumps({**it.claims(), SCOPES: ["admin"]}).encode())
    assert "Signature" in townclerk.refuses(f"{header}.{payload}.{signature}")


def test_token__whose_payload_is_no_object__is_refused(it: Issuer, townclerk: Verifier) -> None:
    townclerk.refuses(jwt.PyJWS().encode(b'["alice"]', it.signers[-1].private, "RS256", {"kid": it.signers[-1].kid}))


def test_token__without_key_id__signs_in_by_the_only_key(it: Issuer, townclerk: Verifier) -> None:
    assert townclerk.verify(without_kid(it)).name == "oidc:alice"


def without_kid(it: Issuer) -> str:
    return jwt.encode({**it.claims(), SCOPES: [], TOWNS: []}, it.signers[-1].private, it.signers[-1].algorithm)


def test_token__without_key_id_where_there_are_several_keys__is_refused(it: Issuer, townclerk: Verifier) -> None:
    it.rotate("ES256", keep=True)
    assert "which" in townclerk.refuses(without_kid(it))


def test_token__without_key_id_where_the_other_key_encrypts__signs_in(it: Issuer, townclerk: Verifier) -> None:
    encrypts = {**signer("RS256", 1).jwk, "use": "enc"}
    it.keys = json.dumps({"keys": [encrypts, *it.jwks]}).encode()
    assert townclerk.verify(without_kid(it)).name == "oidc:alice"


def test_token__without_key_id_where_the_other_key_fits_no_algorithm__signs_in(it: Issuer, townclerk: Verifier) -> None:
    it.keys = json.dumps({"keys": [without(signer("ES384", 0).jwk, "alg"), *it.jwks]}).encode()
    assert townclerk.verify(without_kid(it)).name == "oidc:alice"


# Keys that are no good


def weak(it: Issuer) -> dict[str, Any]:
    private = rsa.generate_private_key(65537, 1024)  # noqa: S505  # which is what has to be refused
    it.signers = [Signer(kid="RS256-0", algorithm="RS256", private=private)]
    return it.jwks[0]


UNUSABLE: Final[Mapping[str, Callable[[Issuer], dict[str, Any]]]] = {
    "encrypts": lambda it: {**it.jwks[0], "use": "enc"},
    "only signs": lambda it: {**it.jwks[0], "key_ops": ["sign"]},
    "has odd operations": lambda it: {**it.jwks[0], "key_ops": 7},
    "has an odd id": lambda it: {**it.jwks[0], "kid": ["RS256-0"]},
    "has an odd type": lambda it: {**it.jwks[0], "kty": {}},
    "has no modulus": lambda it: without(it.jwks[0], "n"),
    "has an odd modulus": lambda it: {**it.jwks[0], "n": 7},
    "has an odd exponent": lambda it: {**it.jwks[0], "e": "AA"},
    "is for HS256": lambda it: {**it.jwks[0], "alg": "HS256"},
    "is a shared secret": lambda _: {"kty": "oct", "k": "c2VjcmV0", "kid": "RS256-0", "alg": "RS256"},
    "is private": lambda it: {
        **jwt.algorithms.RSAAlgorithm.to_jwk(it.signers[-1].private, as_dict=True),
        **it.jwks[0],
    },
    "is weak": weak,
}


@pytest.mark.filterwarnings("ignore:The RSA key is 1024 bits long")  # the test signs with it
@pytest.mark.parametrize("key", UNUSABLE)
def test_key__that_is_no_good__verifies_nothing(it: Issuer, townclerk: Verifier, key: str) -> None:
    it.keys = json.dumps({"keys": [UNUSABLE[key](it), "no key", None]}).encode()
    townclerk.refuses(it.token())
    townclerk.refuses(without_kid(it))


def test_key__that_is_no_good_beside_one_that_is__does_not_matter(it: Issuer, townclerk: Verifier) -> None:
    it.keys = json.dumps({"keys": [{"kty": "future"}, *it.jwks, {"kty": "EC", "crv": "P-256"}]}).encode()
    assert townclerk.verify(it.token()).name == "oidc:alice"


def test_keys__of_one_id__are_told_apart_by_their_algorithms(it: Issuer, townclerk: Verifier) -> None:
    it.signers.append(replace(signer("ES256", 0), kid=it.signers[-1].kid))
    assert townclerk.verify(it.token(by=it.signers[0])).name == "oidc:alice"
    assert townclerk.verify(it.token(by=it.signers[1])).name == "oidc:alice"


def test_keys__of_one_id_and_algorithm__verify_nothing(it: Issuer, townclerk: Verifier) -> None:
    it.signers.append(replace(signer("RS256", 1), kid=it.signers[-1].kid))
    townclerk.refuses(it.token(by=it.signers[0]))


def test_keys__that_are_none__verify_nothing_and_are_logged(it: Issuer, townclerk: Verifier) -> None:
    it.keys = b'{"keys": []}'
    with capture_logs() as logs:
        townclerk.refuses(it.token())
    assert [log["log_level"] for log in logs] == ["warning"]


# Fetching


def test_keys__within_five_minutes__are_not_fetched_again(it: Issuer, townclerk: Verifier) -> None:
    townclerk.verify(it.token())
    townclerk.later(299)
    townclerk.verify(it.token())
    assert it.fetches == 1


def test_keys__after_five_minutes__are_fetched_again(it: Issuer, townclerk: Verifier) -> None:
    townclerk.verify(it.token())
    townclerk.later(300)
    townclerk.verify(it.token())
    assert it.fetches == 2


def test_key__that_is_new__counts_at_once(it: Issuer, townclerk: Verifier) -> None:
    townclerk.verify(it.token())
    it.rotate()
    townclerk.later(10)
    assert townclerk.verify(it.token()).name == "oidc:alice"
    assert it.fetches == 2


def test_key__that_is_new_within_ten_seconds_of_a_fetch__counts_after_them(it: Issuer, townclerk: Verifier) -> None:
    townclerk.verify(it.token())
    it.rotate()
    townclerk.later(9)
    townclerk.refuses(it.token())
    assert it.fetches == 1
    townclerk.later(1)
    assert townclerk.verify(it.token()).name == "oidc:alice"


def test_key__that_is_gone__counts_until_keys_are_fetched(it: Issuer, townclerk: Verifier) -> None:
    token = it.token()
    townclerk.verify(token)
    it.rotate()
    townclerk.later(299)
    assert townclerk.verify(token).name == "oidc:alice"
    townclerk.later(1)
    townclerk.refuses(token)


def test_key__that_is_gone__counts_no_more_when_a_new_one_was_asked_for(it: Issuer, townclerk: Verifier) -> None:
    token = it.token()
    townclerk.verify(token)
    it.rotate()
    townclerk.later(10)
    townclerk.verify(it.token())
    townclerk.refuses(token)


def test_key_ids__that_are_made_up__fetch_once_in_ten_seconds(it: Issuer, townclerk: Verifier) -> None:
    townclerk.verify(it.token())
    for fetches in (1, 2, 3):
        for number in range(5):
            townclerk.refuses(it.token(headers={"kid": f"made up {fetches} {number}"}))
        assert it.fetches == fetches
        townclerk.later(10)


def test_algorithm__that_is_not_allowed__fetches_nothing(it: Issuer, townclerk: Verifier) -> None:
    townclerk.refuses(it.token(by=signer("EdDSA", 0)))
    assert it.discoveries == it.fetches == 0


async def gathered(it: Issuer, townclerk: Verifier, *tokens: str) -> list[SignedIn | BaseException]:
    """What comes of tokens that are verified while the issuer takes its time."""
    it.hold()
    verifications = [asyncio.create_task(townclerk.oidc.verify(token)) for token in tokens]
    assert await asyncio.to_thread(it.asked.wait, SECONDS)
    it.let_go()
    return await asyncio.gather(*verifications, return_exceptions=True)


def test_verifications__at_once__fetch_once(it: Issuer, townclerk: Verifier) -> None:
    found = asyncio.run(gathered(it, townclerk, *[it.token()] * 10))
    assert [signed_in.name for signed_in in found if isinstance(signed_in, SignedIn)] == ["oidc:alice"] * 10
    assert it.fetches == it.discoveries == 1


def test_verifications__at_once_with_a_new_key__fetch_once(it: Issuer, townclerk: Verifier) -> None:
    townclerk.verify(it.token())
    it.rotate()
    townclerk.later(10)
    found = asyncio.run(gathered(it, townclerk, *[it.token()] * 10))
    assert all(isinstance(signed_in, SignedIn) for signed_in in found)
    assert it.fetches == 2


def test_verification__that_is_cancelled__does_not_end_the_fetch_for_others(it: Issuer, townclerk: Verifier) -> None:
    async def cancel_the_first() -> SignedIn:
        it.hold()
        first = asyncio.create_task(townclerk.oidc.verify(it.token()))
        second = asyncio.create_task(townclerk.oidc.verify(it.token("bob")))
        assert await asyncio.to_thread(it.asked.wait, SECONDS)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        it.let_go()
        return await second

    assert asyncio.run(cancel_the_first()).name == "oidc:bob"
    assert it.fetches == 1


# An issuer that is not there


def unavailable(townclerk: Verifier, token: str) -> Sequence[Mapping[str, Any]]:
    """What is logged: one warning, and nothing of the token."""
    with capture_logs() as logs, pytest.raises(IssuerUnavailableError):
        townclerk.verify(token)
    assert [log["log_level"] for log in logs] == ["warning"]
    assert not any(part in repr(logs) for part in token.split("."))
    return logs


def test_issuer__that_does_not_listen__is_unavailable() -> None:
    with issuer(clock=lambda: NOON) as it:
        token = it.token()
    unavailable(verifier(it), token)


def test_issuer__that_is_down_at_first__is_asked_again_after_ten_seconds(it: Issuer, townclerk: Verifier) -> None:
    it.is_down = True
    unavailable(townclerk, it.token())
    it.is_down = False
    townclerk.later(9)
    with pytest.raises(IssuerUnavailableError):
        townclerk.verify(it.token())
    assert it.discoveries == 1
    townclerk.later(1)
    assert townclerk.verify(it.token()).name == "oidc:alice"


def test_issuer__that_goes_down__leaves_its_keys_for_an_hour(it: Issuer, townclerk: Verifier) -> None:
    townclerk.verify(it.token())
    it.is_down = True
    townclerk.later(HOUR - 1)
    with capture_logs() as logs:
        assert townclerk.verify(it.token()).name == "oidc:alice"
    assert [log["log_level"] for log in logs] == ["warning"]
    townclerk.later(1)
    with pytest.raises(IssuerUnavailableError):
        townclerk.verify(it.token())


def test_issuer__that_goes_down__is_asked_once_in_ten_seconds(it: Issuer, townclerk: Verifier) -> None:
    townclerk.verify(it.token())
    it.is_down = True
    townclerk.later(300)
    for _ in range(5):
        townclerk.verify(it.token())
    assert it.discoveries == 2


def test_issuer__that_is_down_when_a_new_key_is_named__is_not_believed_to_have_it(
    it: Issuer, townclerk: Verifier
) -> None:
    townclerk.verify(it.token())
    it.is_down = True
    townclerk.later(10)
    townclerk.refuses(it.token(by=signer("RS256", 1)))


def test_issuer__that_takes_too_long__is_unavailable(it: Issuer) -> None:
    it.hold()
    with in_time():
        unavailable(verifier(it, fetch_seconds=0.2), it.token())


def test_issuer__whose_answer_does_not_end__is_unavailable(it: Issuer) -> None:
    it.dribbles = "body"
    with in_time():
        unavailable(verifier(it, fetch_seconds=0.2), it.token())


def test_issuer__whose_headers_do_not_end__is_unavailable(it: Issuer) -> None:
    async def verify() -> None:
        with pytest.raises(IssuerUnavailableError):
            await verifier(it, fetch_seconds=0.2).oidc.verify(it.token())
        it.let_go()

    it.dribbles = "headers"
    with capture_logs() as logs:
        asyncio.run(verify())
    assert [log["error"] for log in logs] == ["TimeoutError"]


@contextmanager
def in_time() -> Iterator[None]:
    """Nothing waits as long as the issuer would let it, no thread either."""
    begun = time.monotonic()
    yield
    assert time.monotonic() - begun < SECONDS / 2


def test_issuer__that_redirects__is_unavailable(it: Issuer, townclerk: Verifier) -> None:
    it.redirects = True
    unavailable(townclerk, it.token())
    assert it.fetches == 1


RUBBISH: Final[Mapping[str, bytes]] = {
    "nothing": b"",
    "no JSON": b"<html>",
    "no text": b"\xff\xfe\xfd",
    "no object": b"[]",
    "no keys": b"{}",
    "keys that are no list": b'{"keys": {}}',
    "too deep": b"[" * 100_000,
    "too long": b'{"keys": []}'.ljust(1_000_001),
}


@pytest.mark.parametrize("keys", RUBBISH)
def test_issuer__whose_keys_are_rubbish__is_unavailable(it: Issuer, townclerk: Verifier, keys: str) -> None:
    it.keys = RUBBISH[keys]
    unavailable(townclerk, it.token())


def test_issuer__whose_keys_become_rubbish__leaves_those_it_had(it: Issuer, townclerk: Verifier) -> None:
    townclerk.verify(it.token())
    it.keys = b"<html>"
    townclerk.later(300)
    assert townclerk.verify(it.token()).name == "oidc:alice"


def test_issuer__whose_keys_are_as_long_as_may_be__is_available(it: Issuer, townclerk: Verifier) -> None:
    it.keys = json.dumps({"keys": it.jwks}).encode().ljust(1_000_000)
    assert townclerk.verify(it.token()).name == "oidc:alice"


@pytest.mark.parametrize("said", ["https://evil.example", "", None, 7])
def test_issuer__whose_configuration_is_another_issuers__is_unavailable(
    it: Issuer, townclerk: Verifier, said: Any
) -> None:
    it.discovery["issuer"] = said
    unavailable(townclerk, it.token())
    assert it.fetches == 0


NO_KEYS_FROM: Final = (
    "http://issuer.example/keys",
    "http://127.0.0.1@issuer.example/keys",
    "http://issuer.example@127.0.0.1/keys",
    "http://localhost.issuer.example/keys",
    "http://[::1",
    "http://127.0.0.1.nip.example/keys",
    "file:///etc/passwd",
    "ftp://127.0.0.1/keys",
    "data:application/json,%7B%22keys%22%3A%5B%5D%7D",
    "https://",
    "/keys",
    "",
)


@pytest.mark.parametrize("url", [*NO_KEYS_FROM, None, 7, ["https://issuer.example"]])
def test_issuer__whose_keys_are_where_none_may_come_from__is_unavailable(
    it: Issuer, townclerk: Verifier, url: Any
) -> None:
    it.discovery["jwks_uri"] = url
    unavailable(townclerk, it.token())


# Settings


@pytest.mark.parametrize("url", NO_KEYS_FROM)
def test_options__with_keys_from_where_none_may_come__are_refused(it: Issuer, url: str) -> None:
    with pytest.raises(ValueError, match="https"):
        options_for(it, jwks_url=url)


@pytest.mark.parametrize("issuer_name", ["http://issuer.example", "issuer.example"])
def test_options__with_an_issuer_that_cannot_be_asked__are_refused_unless_the_keys_are_elsewhere(
    it: Issuer, issuer_name: str
) -> None:
    with pytest.raises(ValueError, match="https"):
        options_for(it, issuer=issuer_name)
    assert options_for(it, issuer=issuer_name, jwks_url="https://issuer.example/keys").issuer == issuer_name


@pytest.mark.parametrize(
    "url", ["https://issuer.example", "http://localhost:8080", "http://[::1]:80", "http://127.9.9.9"]
)
def test_options__with_a_safe_issuer__are_taken(it: Issuer, url: str) -> None:
    assert options_for(it, issuer=url).issuer == url


@pytest.mark.parametrize("algorithms", [(), ("none",), ("HS256",), ("RS256", "HS512"), ("rs256",), ("ES521",), ("",)])
def test_options__with_algorithms_that_are_not_asymmetric__are_refused(it: Issuer, algorithms: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="algorithms"):
        options_for(it, algorithms=algorithms)


@pytest.mark.parametrize("name", ["issuer", "audience", "name_claim", "scopes_claim", "towns_claim"])
def test_options__with_nothing_where_something_is_needed__are_refused(it: Issuer, name: str) -> None:
    with pytest.raises(ValueError, match="empty"):
        options_for(it, **{name: ""})


# Text that is no token at all


def test_token__as_long_as_may_be__signs_in(it: Issuer, townclerk: Verifier) -> None:
    token = it.token(padding="a" * 11_600)
    assert 16_000 < len(token) <= 16_384
    assert townclerk.verify(token).name == "oidc:alice"


def test_token__that_is_too_long__is_refused(it: Issuer, townclerk: Verifier) -> None:
    token = it.token(padding="a" * 12_000)
    assert len(token) > 16_384
    assert "16384" in townclerk.refuses(token)


NO_TOKENS: Final[Mapping[str, Callable[[Issuer], str]]] = {
    "nothing": lambda _: "",
    "dots": lambda _: "..",
    "two parts": lambda it: it.token().rpartition(".")[0],
    "no signature": lambda it: it.token().rpartition(".")[0] + ".",
    "no payload": lambda it: it.token().split(".")[0] + ".." + it.token().split(".")[2],
    "four parts": lambda it: it.token() + ".AAAA",
    "five parts": lambda it: it.token() + ".AAAA.AAAA",
    "twice": lambda it: f"{it.token()}.{it.token()}",
    "two of them": lambda it: f"{it.token()} {it.token()}",
    "a newline": lambda it: it.token() + "\n",
    "padding": lambda it: it.token() + "==",
    "a scheme": lambda it: "Bearer " + it.token(),
    "umlauts": lambda it: it.token().replace(".", ".ü", 1),
    "fullwidth": lambda it: it.token().replace("e", "\uff45"),
    "a lone surrogate": lambda _: "a.\ud800.b",
    "a header that is no JSON": lambda _: "AAAA.AAAA.AAAA",
    "a header that is no object": lambda _: f"{encoded(b'[]')}.AAAA.AAAA",
    "a header that is too deep": lambda _: f"{encoded(b'[' * 9_000)}.AAAA.AAAA",
    "no algorithm": lambda it: by_hand({"kid": "RS256-0"}, it.claims(), rs256(it)),
    "a list of algorithms": lambda it: by_hand({"alg": ["RS256"], "kid": "RS256-0"}, it.claims(), rs256(it)),
    "JSON serialization": lambda it: json.dumps(dict(zip("abc", it.token().split("."), strict=True))),
}


@pytest.mark.parametrize("text", NO_TOKENS)
def test_text__that_is_no_token__is_refused(it: Issuer, townclerk: Verifier, text: str) -> None:
    townclerk.refuses(NO_TOKENS[text](it))


@pytest.fixture(scope="module")
def fuzzed() -> Iterator[tuple[Issuer, Callable[[str], SignedIn]]]:
    """An issuer, and what verifies its tokens without any fetching in between."""
    with issuer("ES256", clock=lambda: NOON) as it, asyncio.Runner() as runner:
        oidc = verifier(it).oidc
        runner.run(oidc.verify(it.token()))
        yield it, lambda token: runner.run(oidc.verify(token))


Fuzzed = tuple[Issuer, Callable[[str], SignedIn]]
part: Final = st.text("AZaz09-_e", max_size=40) | st.binary(max_size=30).map(encoded) | st.text(max_size=5)


@FUZZED
@given(st.text() | st.lists(part, max_size=5).map(".".join))
def test_text__any__is_refused(fuzzed: Fuzzed, text: str) -> None:
    with pytest.raises(BadTokenError):
        fuzzed[1](text)


@FUZZED
@given(st.integers(0, 10_000), st.integers(0, 3), st.text("AZaz09-_.=é", max_size=3))
def test_token__any_that_was_altered__is_refused(fuzzed: Fuzzed, place: int, length: int, text: str) -> None:
    it, verify = fuzzed
    token = it.token()
    here = place % (len(token) + 1)
    altered = token[:here] + text + token[here + length :]
    if altered == token:
        assert verify(altered).name == "oidc:alice"
    else:
        with pytest.raises(BadTokenError):
            verify(altered)


values: Final = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["a", "*", NOON_SECONDS]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
names: Final = st.sampled_from(["exp", "nbf", "iat", "aud", "sub", "jti", SCOPES, TOWNS])


@FUZZED
@given(st.dictionaries(names, values, max_size=4), st.dictionaries(st.sampled_from(["typ", "b64", "cty"]), values))
def test_token__that_says_anything__signs_in_or_is_refused(
    fuzzed: Fuzzed, claims: dict[str, Any], headers: dict[str, Any]
) -> None:
    it, verify = fuzzed
    header = {"alg": "ES256", "kid": it.signers[-1].kid, **headers}
    token = by_hand(
        header,
        {**it.claims(), **claims},
        lambda signed: jwt.get_algorithm_by_name("ES256").sign(signed, it.signers[-1].private),
    )
    with suppress(BadTokenError):
        assert verify(token).name.startswith("oidc:")
