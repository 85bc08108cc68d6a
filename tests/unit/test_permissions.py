"""What takes which scope, and what is said to those who lack it."""

import pytest

from models.domain.audit import CENTRAL_CHAIN
from models.domain.permissions import ADMINISTER, EDIT, READ, ForbiddenError, Need, meets, require
from models.domain.tokens import EVERYTHING, Grant, Scope

SOME = frozenset({"town-1"})


def grant(*scopes: Scope, towns: frozenset[str] | None = None) -> Grant:
    return Grant(scopes=frozenset(scopes), towns=towns)


@pytest.mark.parametrize(
    ("given", "need", "met"),
    [
        (grant(Scope.READER), READ, True),
        (grant(Scope.READER, towns=SOME), READ, True),
        (grant(Scope.DISPATCHER), READ, False),
        (grant(Scope.DISPATCHER, Scope.READER), READ, True),
        (grant(Scope.ADMIN), EDIT, False),
        (grant(Scope.ADMIN), ADMINISTER, True),
        (grant(Scope.ADMIN, towns=SOME), ADMINISTER, False),
        (grant(), READ, False),
        (EVERYTHING, ADMINISTER, True),
    ],
)
def test_grant__held_against_a_need__meets_it_or_is_forbidden(given: Grant, need: Need, met: bool) -> None:  # noqa: FBT001
    assert meets(given, need) is met
    if met:
        require(given, need)
        return
    with pytest.raises(ForbiddenError) as refused:
        require(given, need)
    assert refused.value.need is need


def test_need__as_people_read_it__names_each_scope_and_whether_it_is_for_all_towns() -> None:
    assert all(scope in READ.message for scope in READ.scopes)
    assert ("all towns" in READ.message, "all towns" in ADMINISTER.message) == (False, True)


def test_town__that_is_not_covered__is_looked_up_under_a_name_that_none_has() -> None:
    some = grant(Scope.READER, towns=SOME)
    assert (some.concealed("town-1"), some.concealed(CENTRAL_CHAIN)) == ("town-1", CENTRAL_CHAIN)
    assert some.concealed("town-2").startswith("@")
    assert grant(Scope.READER).concealed("town-2") == "town-2"
