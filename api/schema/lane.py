"""The short way to an answer: an operation that is known already, run compiled over what strict reads give.

It holds for documents that the executor has parsed, validated and found to be within the limits before. Whatever does
not go this way goes the long one, and gets the same answer.
"""

import time
from collections.abc import Hashable, Sequence
from functools import partial
from typing import Any, Final, NamedTuple, Protocol

from strawberry.types.field import StrawberryField

from api.compiler import CompiledOperation, Plan, compile_operation
from api.json_text import encode
from api.schema import TownclerkSchema
from api.schema.at_hand import OF_ELSEWHEN, ROOTS, Look, NotKeptError, Sources, look_of
from api.schema.compiling import compiled_within
from api.schema.documents import Kept
from api.schema.fields import NEED
from api.schema.limits import QueryLimits
from api.schema.operation import Observer, Operation, Ready, Summary
from models.domain.permissions import meets
from models.domain.tokens import Grant
from models.services.resolver import Resolver
from models.store.kept import Kept as KeptValues
from models.store.strict import Rows, StrictReads

_LONGEST: Final = 2000  # bytes of an answer that is kept


class Request(Protocol):
    """An operation that is asked for; `weight` is that of the whole request, in bytes."""

    @property
    def query(self) -> str: ...
    @property
    def variables(self) -> dict[str, Any] | None: ...
    @property
    def operation_name(self) -> str | None: ...
    @property
    def weight(self) -> int: ...


class Planned(NamedTuple):
    """An operation that is compiled, and what it asks of the database."""

    plan: Plan
    looks: Sequence[Look]


class Lane:
    """One a process. `kept` bounds how many answers it keeps; `observers` are told of those that `answer` gives."""

    def __init__(
        self,
        schema: TownclerkSchema,
        resolver: Resolver,
        strict: StrictReads,
        limits: QueryLimits,
        observers: Sequence[Observer],
        *,
        kept: int,
    ) -> None:
        self._schema = schema
        self._resolver = resolver
        self._strict = strict
        self._limits = limits
        self._observers = observers
        self._answers: KeptValues[tuple[int, Hashable], Ready] = KeptValues(kept)
        [self._need] = {_made_from(schema, name).metadata[NEED] for name in ROOTS}

    def planned(self, asked: Request, grant: Grant) -> Planned | None:
        """How an operation is answered; None where the executor has to. Raises `Bail`, and what inputs raise."""
        known = self._schema.documents.find(asked.query)
        if known is None or asked.weight > self._limits.body_bytes:
            return None
        operation_name = asked.operation_name
        if operation_name in known.compiled:
            compiled = known.compiled[operation_name]
        else:
            compiled = self._compiled(known, asked.query, operation_name)
        if compiled is None or not meets(grant, self._need):
            return None
        variables = asked.variables or {}
        plan = compiled.plan(variables)
        return Planned(plan, [look_of(call, self._resolver, grant) for call in plan.calls(variables)])

    def ready(self, planned: Planned, found: Sequence[Rows]) -> Ready:
        """The answer, of the rows that were found for each look. Raises `NotKeptError`, `Bail`, and what readers raise.

        What it is made of never changes, so that it is made once, as long as it is kept.
        """
        plan, looks = planned
        if len(looks) != 1:
            return _made(plan, looks, found)
        [look], [rows] = looks, found
        made_of = look.made_of(rows) if plan.reads.isdisjoint(look.tells_more) else None
        if made_of is None:
            return _made(plan, looks, found)
        key = (plan.number, made_of)
        kept = self._answers.get(key)
        if kept is None:
            kept = _made(plan, looks, found)
            if len(kept.body) <= _LONGEST:
                self._answers.keep(key, kept)
        return kept

    async def answer(self, asked: Request, grant: Grant) -> Ready | None:
        """The answer to an operation; None where the executor has to give it. Raises `TimeoutError`."""
        begun = time.perf_counter()
        try:
            planned = self.planned(asked, grant)
            if planned is None:
                return None
            found = [await self._strict.rows(look.statement, look.keys) for look in planned.looks]
            try:
                ready = self.ready(planned, found)
            except NotKeptError:
                for look, rows in zip(planned.looks, found, strict=True):
                    await look.load(rows)
                ready = self.ready(planned, found)
        except TimeoutError:
            raise
        except Exception:  # noqa: BLE001  # whatever it is, the executor comes upon it as well, and tells
            return None
        fields, sources = ready.summary
        operation = Operation(kind="query", fields=fields, resolutions=dict(sources), compiled=True, begun=begun)
        for observer in self._observers:
            observer(operation)
        return ready

    def _compiled(self, known: Kept, text: str, operation_name: str | None) -> CompiledOperation[Plan] | None:
        """An operation of a document, compiled if it can be; looked into once."""
        way = partial(compile_operation, roots=ROOTS, without=OF_ELSEWHEN)
        found = compiled_within(self._limits, self._schema, known, text, operation_name, way)
        if known.holds(operation_name):
            known.compiled[operation_name] = found
        return found


def _made(plan: Plan, looks: Sequence[Look], found: Sequence[Rows]) -> Ready:
    sources = Sources()
    values = [look.value(rows, sources) for look, rows in zip(looks, found, strict=True)]
    return Ready(encode({"data": plan.answer(values)}), Summary(plan.fields, tuple(sources.items())))


def _made_from(schema: TownclerkSchema, name: str) -> StrawberryField:
    root = schema._schema.query_type  # noqa: SLF001  # it has no other way to its types
    if root is None:
        raise TypeError("the schema has no queries")
    made_from: StrawberryField = root.fields[name].extensions["strawberry-definition"]
    return made_from
