from collections.abc import Callable

import pytest

from models.domain.checks import (
    id_problems,
    key_problems,
    label_problems,
    list_problems,
    name_problems,
    reason_problems,
    search_problems,
    title_problems,
    version_problems,
)
from models.domain.errors import Code, Path, Problem
from models.domain.vocabulary import MAX_FILTER, MAX_VERSION
from tests.refusals import found

Check = Callable[[str], list[Problem]]

TEXT_CHECKS: list[tuple[Check, Path, int]] = [
    (lambda text: name_problems(text, "name"), ("name",), 200),
    (lambda text: label_problems(text, "labels", "3"), ("labels", "3"), 200),
    (lambda text: title_problems(text, "title"), ("title",), 1000),
    (lambda text: search_problems(text, "filter", "titleContains"), ("filter", "titleContains"), 1000),
    (reason_problems, ("reason",), 500),
    (lambda text: reason_problems(text, required=False), ("reason",), 500),
    (key_problems, ("idempotencyKey",), 200),
]
TEXT_IDS = ["name", "label", "title", "search", "reason", "optional reason", "idempotency key"]
MAY_BE_BLANK = {"title", "search"}


@pytest.mark.parametrize(("check", "_path", "longest"), TEXT_CHECKS, ids=TEXT_IDS)
def test_text__within_its_limit__has_no_problems(check: Check, _path: Path, longest: int) -> None:
    assert check("é" * longest) == []
    assert check(" x ") == []


@pytest.mark.parametrize(("check", "path", "longest"), TEXT_CHECKS, ids=TEXT_IDS)
def test_text__longer_than_its_limit__is_invalid(check: Check, path: Path, longest: int) -> None:
    assert found(check("x" * (longest + 1))) == [(Code.INVALID_INPUT, path)]


@pytest.mark.parametrize("text", ["a\x00b", "\ud800", "\x00" * 2000])
@pytest.mark.parametrize(("check", "path", "_longest"), TEXT_CHECKS, ids=TEXT_IDS)
def test_text__that_a_database_can_not_hold__is_invalid(check: Check, path: Path, _longest: int, text: str) -> None:
    assert found(check(text)) == [(Code.INVALID_INPUT, path)]


@pytest.mark.parametrize("text", ["", " ", "\t\n", "\u2003"])
@pytest.mark.parametrize(
    ("check", "path", "_longest"),
    [row for row, name in zip(TEXT_CHECKS, TEXT_IDS, strict=True) if name not in MAY_BE_BLANK],
    ids=[name for name in TEXT_IDS if name not in MAY_BE_BLANK],
)
def test_text__blank__is_invalid(check: Check, path: Path, _longest: int, text: str) -> None:
    assert found(check(text)) == [(Code.INVALID_INPUT, path)]


@pytest.mark.parametrize("text", ["", " "])
@pytest.mark.parametrize("check", [title_problems, search_problems])
def test_text__blank_where_it_may_be__has_no_problems(check: Check, text: str) -> None:
    assert check(text) == []


def test_search__left_out__has_no_problems() -> None:
    assert search_problems(None, "titleContains") == []


def test_reason__left_out_where_required__is_invalid() -> None:
    assert found(reason_problems(None)) == [(Code.INVALID_INPUT, ("reason",))]


def test_reason__left_out_where_optional__has_no_problems() -> None:
    assert reason_problems(None, required=False) == []


def test_idempotency_key__left_out__has_no_problems() -> None:
    assert key_problems(None) == []


@pytest.mark.parametrize("text", ["rig-1", "A.b_c:d", "x" * 128])
def test_id__well_formed__has_no_problems(text: str) -> None:
    assert id_problems(text, "townId") == []


@pytest.mark.parametrize("text", ["", "-x", "a b", "a\x00", "x" * 129])
def test_id__malformed__is_invalid(text: str) -> None:
    assert found(id_problems(text, "beads", "2", "beadId")) == [(Code.INVALID_INPUT, ("beads", "2", "beadId"))]


@pytest.mark.parametrize("version", [0, 1, MAX_VERSION])
def test_version__in_range__has_no_problems(version: int) -> None:
    assert version_problems(version, "expectedVersion") == []


@pytest.mark.parametrize("version", [-1, MAX_VERSION + 1])
def test_version__out_of_range__is_invalid(version: int) -> None:
    assert found(version_problems(version, "expectedVersion")) == [(Code.INVALID_INPUT, ("expectedVersion",))]


@pytest.mark.parametrize("given", [None, [], ["gt:held"] * MAX_FILTER])
def test_list__that_narrows_a_search_within_the_limit__is_taken(given: list[str] | None) -> None:
    assert list_problems(given, "labels", "filter", "labels") == []


def test_list__that_narrows_a_search_beyond_the_limit__is_too_many() -> None:
    given = ["gt:held"] * (MAX_FILTER + 1)
    assert found(list_problems(given, "labels", "filter", "labels")) == [(Code.TOO_MANY, ("filter", "labels"))]


@pytest.mark.parametrize("reason", ["\u200b", "\u2060 \u200d", "\u3000"])
def test_reason__of_nothing_that_shows__is_blank(reason: str) -> None:
    assert found(reason_problems(reason)) == [(Code.INVALID_INPUT, ("reason",))]
