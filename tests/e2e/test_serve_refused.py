"""`serve` where nobody could get in, or anybody: not started, and told why in one line."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from tests.databases import Databases
from tests.e2e.process import Finished, serving_process, townclerk
from tests.raw import JSON_BODY, request
from tests.tokens import make_token, revoke

PAST: Final = datetime(2020, 1, 1, tzinfo=UTC)
BODY: Final = b'{"query": "{ labels { name } }"}'
OIDC: Final[dict[str, Any]] = {"oidc_issuer": "https://issuer.example", "oidc_audience": "townclerk"}


@pytest.fixture
def url(backend: str, databases: Databases) -> str:
    return databases.fresh(backend)


def could_not(done: Finished, *words: str) -> bool:
    """Whether it was refused in one line that holds those words."""
    assert (done.code, done.out) == (2, "")
    (line,) = done.err.splitlines()
    assert line.startswith("townclerk: ")
    return all(word in line for word in words)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_serve__where_there_is_no_token__is_refused(url: str, workers: str) -> None:
    assert could_not(townclerk(url, "serve", "--port", "0", "--workers", workers), "--dev")


def test_serve__where_each_token_is_revoked_or_expired__is_refused(url: str) -> None:
    for _ in range(2):
        revoke(url, make_token(url, "admin"))
    make_token(url, "admin", expires_at=PAST + timedelta(days=1), clock=lambda: PAST)
    assert could_not(townclerk(url, "serve", "--port", "0"), "--dev")
    make_token(url, "reader")
    with serving_process(url, dev=False) as server:
        assert server.api.http.get("/healthz").status_code == 200


def test_serve__with_an_issuer__needs_no_token(url: str) -> None:
    with serving_process(url, dev=False, **OIDC) as server:
        answer = request(server.api.holding("eyJhbGciOiJub25lIn0.e30."), JSON_BODY, body=BODY)
        assert answer.refusal == (401, ["UNAUTHENTICATED"])


@pytest.mark.parametrize("said", ["true", "1", "yes"])
def test_serve__where_the_environment_alone_says_dev__asks_who_is_there(url: str, said: str) -> None:
    assert could_not(townclerk(url, "serve", "--port", "0", DEV=said), "--dev")
    make_token(url, "reader")
    with serving_process(url, dev=False, DEV=said) as server:
        assert request(server.api, JSON_BODY, body=BODY).refusal == (401, ["UNAUTHENTICATED"])


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.1", "townclerk.example", "", "localhost.example"])  # noqa: S104  # to be refused
def test_serve__in_dev_mode_for_other_machines__is_refused(databases: Databases, host: str) -> None:
    assert could_not(townclerk(databases.fresh("sqlite"), "serve", "--dev", "--host", host, "--port", "0"), "loopback")


BAD_SETTINGS: Final[dict[str, tuple[dict[str, Any], str]]] = {
    "an issuer without an audience": ({"oidc_issuer": "https://issuer.example"}, "oidc_audience"),
    "an audience without an issuer": ({"oidc_audience": "townclerk"}, "oidc_issuer"),
    "HS256": ({**OIDC, "oidc_algorithms": '["HS256"]'}, "algorithms"),
    "HS256 beside another": ({**OIDC, "oidc_algorithms": '["RS256", "HS256"]'}, "algorithms"),
    "no algorithm": ({**OIDC, "oidc_algorithms": '["none"]'}, "algorithms"),
    "no algorithms": ({**OIDC, "oidc_algorithms": "[]"}, "algorithms"),
    "an algorithm in small letters": ({**OIDC, "oidc_algorithms": '["rs256"]'}, "algorithms"),
    "an issuer without TLS": ({**OIDC, "oidc_issuer": "http://issuer.example"}, "keys"),
    "keys without TLS": ({**OIDC, "oidc_jwks_url": "http://issuer.example/keys"}, "keys"),
    "a scope that nobody knows": ({**OIDC, "oidc_scope_names": '{"boss": "owner"}'}, "OIDC_SCOPE_NAMES"),
    "no JSON": ({"oidc_algorithms": "RS256"}, "oidc_algorithms"),
    "origins that are no list": ({"cors_origins": "https://ui.example"}, "cors_origins"),
    "a deadline shorter than a statement's": ({"request_seconds": "30"}, "request_seconds"),
    "no failed sign-ins": ({"max_failed_sign_ins": "0"}, "MAX_FAILED_SIGN_INS"),
    "a rate below nothing": ({"max_requests_per_second": "-1"}, "MAX_REQUESTS_PER_SECOND"),
    "a large body smaller than a small one": ({"max_large_body_bytes": "1000"}, "max_large_body_bytes"),
}


@pytest.fixture(scope="module")
def with_a_token(databases: Databases) -> str:
    url = databases.fresh("sqlite")
    make_token(url, "reader")
    return url


@pytest.mark.parametrize("case", BAD_SETTINGS)
@pytest.mark.parametrize("dev", [False, True], ids=["serve", "dev"])
def test_serve__with_settings_that_can_not_be__is_refused(with_a_token: str, case: str, *, dev: bool) -> None:
    settings, named = BAD_SETTINGS[case]
    arguments = ("serve", "--port", "0", *(["--dev"] if dev else []))
    assert could_not(townclerk(with_a_token, *arguments, **settings), named)
