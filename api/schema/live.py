"""Subscriptions. What they tell is read from the database, in order; hearing that it moved only ends the waiting."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from functools import partial

import strawberry
from graphql import GraphQLError

from api.pubsub import EndedError, Listener
from api.schema.context import Context, Info
from api.schema.fields import subscription
from api.schema.history import AuditEntry, audit_head_of
from api.schema.mayor import MayorRestartSignal
from models.domain.errors import InvalidInput, Refused
from models.domain.permissions import AUDIT, RESOLVE
from models.store.audit import AuditEntryRow
from models.store.mayor import MayorSignalRow
from models.store.queries import feeds, history, towns
from models.store.towns import HeadRow
from models.store.unit import Session, StorageUnavailableError


@strawberry.type
class Subscription:
    @subscription(RESOLVE)
    async def mayor_restart_signals(self, info: Info, town_id: strawberry.ID) -> AsyncIterator[MayorRestartSignal]:
        """A level feed: the open signal first, then each as it is raised and again as it closes.

        Only auditFeed is complete.
        """
        context, listener = info.context, _listener(info.context)
        await audit_head_of(context, town_id)
        try:
            with listener.hearing(town_id):
                async with aclosing(_signals(context, listener, town_id)) as rows:
                    async for row in rows:
                        context.read_anew()
                        yield MayorRestartSignal(row=row)
        except (EndedError, StorageUnavailableError) as error:
            raise resume(listener) from error

    @subscription(AUDIT)
    async def audit_feed(self, info: Info, town_id: strawberry.ID, after: int | None = 0) -> AsyncIterator[AuditEntry]:
        """Every new audit entry of the town with a sequence above `after`, in order, none twice, none missing."""
        context, listener = info.context, _listener(info.context)
        given = 0 if after is None else after
        head = await audit_head_of(context, town_id)
        if not 0 <= given <= head.sequence:
            expected = f"a sequence that the town's record has, from 0 to {head.sequence}"
            raise Refused(InvalidInput(path=("after",), expected=expected))
        listener.given = given
        listener.moved_to(head.sequence)
        try:
            with listener.hearing(town_id):
                while await listener.beyond(given):
                    page = await _entries(context, town_id, given)
                    if not page:
                        listener.read_to(given)
                    for row in page:
                        if listener.left:
                            return
                        context.read_anew()
                        yield AuditEntry(row=row)
                        # whoever asks for more has the entry
                        given = listener.given = row.sequence
        except (EndedError, StorageUnavailableError) as error:
            raise resume(listener) from error


def resume(listener: Listener) -> GraphQLError:
    """Why a feed ends that its client did not end; with the last sequence given out, where it resumes by sequence."""
    if listener.given is None:
        return GraphQLError("The server ends this feed: subscribe again.", extensions={"code": "RESUME"})
    message = f"The server ends this feed: subscribe again with after: {listener.given}."
    return GraphQLError(message, extensions={"code": "RESUME", "resumeFrom": listener.given})


def _listener(context: Context) -> Listener:
    if context.listener is None:
        raise LookupError("a subscription on a transport that carries none")
    return context.listener


async def _entries(context: Context, town_id: str, after: int) -> Sequence[AuditEntryRow]:
    return await context.store.search(partial(feeds.entries_after, chain=town_id, after=after))


async def _signals(context: Context, listener: Listener, town_id: str) -> AsyncGenerator[MayorSignalRow, None]:
    """The open signal, then each as it is raised and as it closes.

    One that was raised and closed between two looks is told once, as closed: no host shall restart for it.
    """

    async def standing(session: Session) -> tuple[HeadRow, MayorSignalRow | None]:
        signals = await history.open_signals(session, [town_id])
        return (await towns.heads(session, [town_id]))[town_id], signals.get(town_id)

    head, signal = await context.store.fetch(standing)
    seen, told, told_open = head.audit_sequence, head.signal_sequence, signal is not None
    if signal is not None:
        yield signal
    while await listener.beyond(seen):
        seen = listener.head
        while rows := await _signal_news(context, town_id, told, told_open=told_open):
            for row in rows:
                if listener.left:
                    return
                yield row
                told, told_open = row.sequence, row.closed_at is None


async def _signal_news(context: Context, town_id: str, told: int, *, told_open: bool) -> Sequence[MayorSignalRow]:
    look = partial(feeds.signals_after, town_id=town_id, told=told, told_open=told_open)
    return await context.store.fetch(look)
