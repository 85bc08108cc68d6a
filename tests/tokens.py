"""API tokens for tests, made as the console script makes them."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Final

from models.domain.tokens import Grant, Scope
from models.services.access import COMMAND_LINE, built_in
from models.services.tokens import TokenDraft, create_token, revoke_token
from models.store.unit import Clock, Store, system_clock
from tests.chains import with_store

_CALLER: Final = built_in(COMMAND_LINE, request_id="token")


def make_token(
    url: str,
    *scopes: str,
    towns: Iterable[str] | None = None,
    name: str = "someone",
    may_act_for: bool = False,
    expires_at: datetime | None = None,
    clock: Clock = system_clock,
) -> str:
    """A new token for the database at `url`, of those scopes and towns (None: all), made when `clock` says."""
    grant = Grant(
        scopes=frozenset(map(Scope, scopes)),
        towns=None if towns is None else frozenset(towns),
        may_act_for=may_act_for,
    )
    draft = TokenDraft(name=name, grant=grant, expires_at=expires_at)

    async def make(store: Store) -> str:
        return str(await create_token(replace(store, clock=clock), _CALLER, draft))

    return with_store(url, make)


def revoke(url: str, token: str) -> None:
    """Let a token be worth nothing any more, as another process does."""
    with_store(url, lambda store: revoke_token(store, _CALLER, token.split("_")[1]))
