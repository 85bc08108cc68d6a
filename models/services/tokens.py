"""Making and revoking API tokens. Both are audited; the secret is given out once and nowhere kept."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from models.domain import checks
from models.domain.audit import AuditAction, Change, TargetType, instant_text
from models.domain.errors import InvalidInput, NoChange, NotFound, Refused, refuse_if_any
from models.domain.tokens import ID_BYTES, SECRET_BYTES, Grant, Token
from models.domain.vocabulary import is_storable
from models.services.access import BUILT_IN, actor_named
from models.services.heads import lock_central
from models.services.history import Caller, record
from models.store.access import TokenRow
from models.store.mapping import array_text, texts_of
from models.store.queries import history, tokens, towns
from models.store.unit import Session, Store, WriteUnit


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenDraft:
    """A token to make. `name` is its principal's: the actor of what is done with it. Without an end it lasts."""

    name: str
    grant: Grant
    expires_at: datetime | None = None


async def create_token(store: Store, caller: Caller, draft: TokenDraft) -> Token:
    """Make a token; the one time that its secret is to be had.

    Raises `Refused` with every problem, and with `NOT_FOUND` for a town that is not there.
    """
    problems = [*checks.name_problems(draft.name, "name"), *draft.grant.problems()]
    if draft.name in BUILT_IN.values():
        problems.append(InvalidInput(path=("name",), expected="another name; this one is Townclerk's own"))
    if draft.expires_at is not None and draft.expires_at <= store.clock():
        problems.append(InvalidInput(path=("expiresAt",), expected="an instant that is still to come"))
    refuse_if_any(problems)
    token = Token(token_id=secrets.token_hex(ID_BYTES), secret=secrets.token_hex(SECRET_BYTES))
    actor_id = await actor_named(store, draft.name)

    async def work(unit: WriteUnit) -> None:
        await _refuse_unknown_towns(unit.session, draft.grant)
        head = await lock_central(unit)
        row = TokenRow(
            token_id=token.token_id,
            actor_id=actor_id,
            scopes=array_text(sorted(draft.grant.scopes)),
            towns=None if draft.grant.towns is None else array_text(sorted(draft.grant.towns)),
            may_act_for=draft.grant.may_act_for,
            secret_hash=token.secret_hash,
            created_at=head.instant,
            expires_at=draft.expires_at,
        )
        unit.session.add(row)
        await unit.session.flush()
        change = Change(
            action=AuditAction.TOKEN_CREATED,
            target_type=TargetType.TOKEN,
            target_id=token.token_id,
            after=token_record(row),
        )
        await record(unit, head, caller, change)

    await store.write(work)
    return token


async def _refuse_unknown_towns(session: Session, grant: Grant) -> None:
    wanted = sorted(grant.towns or ())
    found = await towns.towns(session, wanted)
    refuse_if_any([NotFound(kind="town", name=town_id, path=("towns",)) for town_id in wanted if town_id not in found])


async def revoke_token(store: Store, caller: Caller, token_id: str, *, reason: str | None = None) -> None:
    """Let a token be worth nothing from now on. Raises `Refused`: `NOT_FOUND`, `NO_CHANGE` where it was revoked."""
    refuse_if_any(checks.reason_problems(reason, required=False))

    async def work(unit: WriteUnit) -> None:
        head = await lock_central(unit)
        row = await tokens.token(unit.session, token_id, lock=True) if is_storable(token_id) else None
        if row is None:
            raise Refused(NotFound(kind="token", name=token_id, path=("tokenId",)))
        if row.revoked_at is not None:
            raise Refused(NoChange(subject=f"The token {token_id}", path=("tokenId",)))
        before = token_record(row)
        row.revoked_at = head.instant
        await unit.session.flush()
        change = Change(
            action=AuditAction.TOKEN_REVOKED,
            target_type=TargetType.TOKEN,
            target_id=token_id,
            reason=reason,
            before=before,
            after=token_record(row),
        )
        await record(unit, head, caller, change)

    await store.write(work)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedToken:
    """A token and its principal's name, None where that was erased, as of `now`."""

    row: TokenRow
    name: str | None
    now: datetime


async def list_tokens(store: Store) -> Sequence[ListedToken]:
    """All tokens, oldest first."""

    async def look(session: Session) -> Sequence[ListedToken]:
        rows = await tokens.tokens(session)
        actors = await history.actors(session, {row.actor_id for row in rows})
        now = store.clock()
        names = {actor_id: actor.display_name for actor_id, actor in actors.items()}
        return [ListedToken(row=row, name=names.get(row.actor_id), now=now) for row in rows]

    return await store.search(look)


def token_record(row: TokenRow) -> dict[str, object]:
    """A token as audit entries tell of it: all but its secret."""
    return {
        "actor": row.actor_id,
        "scopes": texts_of(row.scopes),
        "towns": None if row.towns is None else texts_of(row.towns),
        "mayActFor": row.may_act_for,
        "secretHash": row.secret_hash,
        "expiresAt": None if row.expires_at is None else instant_text(row.expires_at),
        "revoked": row.revoked_at is not None,
    }
