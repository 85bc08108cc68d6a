"""Tokens: how they are spelt and read, and which grants are handed out."""

from datetime import UTC, datetime, timedelta

import pytest

from models.domain.tokens import MAX_TOWNS, Grant, Scope, Token, is_expired, read_token

ID = "0123456789abcdef"
SECRET = "00ff" * 16
READER = frozenset({Scope.READER})
NOW, TICK = datetime(2026, 1, 1, tzinfo=UTC), timedelta(microseconds=1)


def test_token__spelt_and_read__is_the_same() -> None:
    token = Token(token_id=ID, secret=SECRET)
    assert str(token) == f"tck_{ID}_{SECRET}22a4cf35"
    assert read_token(str(token)) == token


@pytest.mark.parametrize(
    "change",
    [
        lambda _text: "",
        lambda text: text[:-1],
        lambda text: text + "0",
        lambda text: text + "\n",
        lambda text: " " + text,
        lambda text: text.upper(),
        lambda text: text.replace("tck_", "tkc_"),
        lambda text: text.replace("_", "-"),
        lambda text: text.replace("00ff", "00fe", 1),
        lambda text: text.replace("0123", "0124"),
        lambda text: text[:-1] + ("0" if text[-1] != "0" else "1"),
    ],
)
def test_text__that_spells_no_token__is_read_as_none(change: object) -> None:
    assert callable(change)
    assert read_token(change(str(Token(token_id=ID, secret=SECRET)))) is None


def test_secret__of_another_token__has_another_hash() -> None:
    one, other = Token(token_id=ID, secret=SECRET), Token(token_id=ID, secret="11" * 32)
    assert one.secret_hash == "6bd25f5d5bc8ca90d74d76e96509d85351800e38ce101abf0ffa81c8a7e755a7"  # noqa: S105  # the hash
    assert one.has(one.secret_hash)
    assert not one.has(other.secret_hash)


@pytest.mark.parametrize(
    ("grant", "codes"),
    [
        (Grant(scopes=READER), []),
        (Grant(scopes=READER, towns=frozenset({"demo"})), []),
        (Grant(scopes=frozenset()), [("INVALID_INPUT", ("scopes",))]),
        (Grant(scopes=READER, towns=frozenset()), [("INVALID_INPUT", ("towns",))]),
        (Grant(scopes=READER, towns=frozenset({"no town"})), [("INVALID_INPUT", ("towns",))]),
        (Grant(scopes=READER, towns=frozenset(f"t{n}" for n in range(MAX_TOWNS + 1))), [("TOO_MANY", ("towns",))]),
    ],
)
def test_grant__has_problems__where_it_allows_nothing_or_names_no_town(
    grant: Grant, codes: list[tuple[str, tuple[str, ...]]]
) -> None:
    assert [(problem.code.value, problem.path) for problem in grant.problems()] == codes


def test_grant__covers__its_towns_or_all() -> None:
    assert Grant(scopes=READER).covers("anywhere")
    bound = Grant(scopes=READER, towns=frozenset({"demo"}))
    assert (bound.covers("demo"), bound.covers("other")) == (True, False)


@pytest.mark.parametrize(
    ("expires_at", "expired"), [(None, False), (NOW + TICK, False), (NOW, True), (NOW - TICK, True)]
)
def test_token__expires__at_its_instant(expires_at: datetime | None, *, expired: bool) -> None:
    assert is_expired(expires_at, NOW) is expired
