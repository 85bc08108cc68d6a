"""Commands about API tokens."""

import json
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final, TypeVar

import click
from rich.table import Table

from api.cli.base import console, migrated, shown, with_store
from api.cli.group import CouldNotError, cli
from api.settings import Settings
from models.domain.audit import instant_text
from models.domain.errors import NoChange, Refused
from models.domain.tokens import Grant, Scope, is_expired
from models.services.access import COMMAND_LINE, built_in
from models.services.tokens import ListedToken, TokenDraft, create_token, list_tokens, revoke_token
from models.store.mapping import texts_of
from models.store.unit import Store

T = TypeVar("T")

_CALLER: Final = built_in(COMMAND_LINE, request_id="token")
_OUTCOMES: Final = {True: ("REVOKED", "is revoked."), False: ("ALREADY_REVOKED", "was revoked already.")}


@cli.group()
def token() -> None:
    """Make, list and revoke API tokens."""


@token.command()
@click.option("--name", required=True, help="Whose it is: the actor of what is done with it.")
@click.option("--scope", "scopes", multiple=True, required=True, type=click.Choice([scope.value for scope in Scope]))
@click.option("--town", "towns", multiple=True, help="A town it is for; without any, all of them.")
@click.option("--may-act-for", is_flag=True, help="Its holder may name, in X-On-Behalf-Of, a person it acts for.")
@click.option("--expires", help="An ISO 8601 instant with a time zone from which on it is worth nothing.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def create(
    name: str,
    scopes: tuple[str, ...],
    towns: tuple[str, ...],
    expires: str | None,
    *,
    may_act_for: bool,
    as_json: bool,
) -> None:
    """Make a token and show it, this once."""
    grant = Grant(
        scopes=frozenset(map(Scope, scopes)), towns=frozenset(towns) if towns else None, may_act_for=may_act_for
    )
    draft = TokenDraft(name=name, grant=grant, expires_at=None if expires is None else _instant(expires))
    made = _run(lambda store: create_token(store, _CALLER, draft))
    if as_json:
        click.echo(json.dumps({"tokenId": made.token_id, "token": str(made)}))
    else:
        click.echo(str(made))
        click.echo("townclerk: keep it now: it is shown this once, and nowhere stored", err=True)


@token.command("list")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def list_(as_json: bool) -> None:  # noqa: FBT001  # click passes flags so
    """List all tokens, oldest first, without their secrets."""
    found = [_as_json(each) for each in _run(list_tokens)]
    if as_json:
        for each in found:
            click.echo(json.dumps(each, ensure_ascii=False))
        return
    table = Table("id", "name", "scopes", "towns", "made", "expires", "last used", "state")
    for each in found:
        texts = (
            each["tokenId"],
            each["name"] or "(erased)",
            ", ".join(each["scopes"]) + (", may act for others" if each["mayActFor"] else ""),
            "all" if each["towns"] is None else ", ".join(each["towns"]),
            each["createdAt"],
            each["expiresAt"] or "never",
            each["lastUsedAt"] or "never",
            each["state"],
        )
        table.add_row(*map(shown, texts))
    console().print(table)


@token.command()
@click.argument("token_id")
@click.option("--reason", help="Why, for the record.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def revoke(token_id: str, reason: str | None, as_json: bool) -> None:  # noqa: FBT001  # click passes flags so
    """Let a token be worth nothing any more; exit code 1 where it was revoked before."""

    async def work(store: Store) -> bool:
        try:
            await revoke_token(store, _CALLER, token_id, reason=reason)
        except Refused as refused:
            if isinstance(refused.problems[0], NoChange):
                return False
            raise
        return True

    revoked = _run(work)
    outcome, words = _OUTCOMES[revoked]
    click.echo(json.dumps({"tokenId": token_id, "outcome": outcome}) if as_json else f"{token_id} {words}")
    if not revoked:
        raise SystemExit(1)


def _run(work: Callable[[Store], Awaitable[T]]) -> T:
    try:
        return with_store(Settings(), lambda store: migrated(store, work))
    except Refused as refused:
        raise CouldNotError(" ".join(problem.message for problem in refused.problems)) from refused


def _instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
        instant_text(instant)
    except (ValueError, OverflowError) as error:
        raise CouldNotError("--expires must be an ISO 8601 instant with a time zone") from error
    return instant


def _as_json(found: ListedToken) -> dict[str, Any]:
    row = found.row
    instants = {
        "createdAt": row.created_at,
        "expiresAt": row.expires_at,
        "revokedAt": row.revoked_at,
        "lastUsedAt": row.last_used_at,
    }
    return {
        "tokenId": row.token_id,
        "actorId": row.actor_id,
        "name": found.name,
        "scopes": texts_of(row.scopes),
        "towns": None if row.towns is None else texts_of(row.towns),
        "mayActFor": row.may_act_for,
        "state": _state(found),
        **{name: None if instant is None else instant_text(instant) for name, instant in instants.items()},
    }


def _state(found: ListedToken) -> str:
    if found.row.revoked_at is not None:
        return "REVOKED"
    return "EXPIRED" if is_expired(found.row.expires_at, found.now) else "VALID"
