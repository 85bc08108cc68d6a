"""Who may do what: the scopes that each kind of thing takes. Fields of the schema and services go by this one table."""

from dataclasses import dataclass
from typing import Final

from models.domain.tokens import Grant, Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What a credential has to have: any one of `scopes`; where `everywhere`, it has to be for all towns."""

    scopes: frozenset[Scope]
    everywhere: bool = False

    @property
    def message(self) -> str:
        """What is missing and how to mend it, in one sentence for people."""
        scopes = " or ".join(sorted(self.scopes))
        return f"This takes a credential of scope {scopes}{', for all towns' if self.everywhere else ''}."


class ForbiddenError(Exception):
    """A credential that lacks what something needs. Nothing was looked at, and nothing written."""

    def __init__(self, need: Need) -> None:
        super().__init__(need.message)
        self.need = need


def require(grant: Grant, need: Need) -> None:
    """Raises `ForbiddenError` unless `grant` meets `need`."""
    if not meets(grant, need):
        raise ForbiddenError(need)


def meets(grant: Grant, need: Need) -> bool:
    return not need.scopes.isdisjoint(grant.scopes) and not (need.everywhere and grant.towns is not None)


def _any_of(*scopes: Scope, everywhere: bool = False) -> Need:
    return Need(scopes=frozenset(scopes), everywhere=everywhere)


_READERS: Final = (Scope.READER, Scope.EDITOR, Scope.AUDITOR, Scope.ADMIN)

ANYTHING: Final = _any_of(*Scope)
READ: Final = _any_of(*_READERS)
RESOLVE: Final = _any_of(*_READERS, Scope.DISPATCHER)
AUDIT: Final = _any_of(Scope.AUDITOR, Scope.ADMIN)
AUDIT_CENTRE: Final = _any_of(Scope.AUDITOR, Scope.ADMIN, everywhere=True)  # its entries tell of many towns
REPORT: Final = _any_of(Scope.DISPATCHER, Scope.EDITOR)  # what a host tells of its rigs, its beads and its mayor
EDIT: Final = _any_of(Scope.EDITOR)
ADMINISTER: Final = _any_of(Scope.ADMIN, everywhere=True)  # what moves towns that are not named
PUBLISH_PROFILE: Final = _any_of(Scope.EDITOR, Scope.ADMIN)  # a town's own or a central one: `EDIT` or `ADMINISTER`
SEND_MUCH: Final = _any_of(Scope.DISPATCHER, Scope.EDITOR, Scope.ADMIN)  # imports and bead syncs are long
MEASURE: Final = _any_of(*_READERS, everywhere=True)
