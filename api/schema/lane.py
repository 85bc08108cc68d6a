"""The short way to an answer: an operation that is known already, run compiled over what strict reads give.

It holds for documents that the executor has parsed, validated and found to be within the limits before. Whatever does
not go this way goes the long one, and gets the same answer.
"""

import time
from collections.abc import Sequence
from functools import partial
from typing import Any, Protocol

from strawberry.types.field import StrawberryField

from api.compiler import CompiledOperation, Plan, compile_operation
from api.schema import TownclerkSchema
from api.schema.at_hand import ROOTS, AtHand
from api.schema.compiling import compiled_within
from api.schema.documents import Kept
from api.schema.fields import NEED
from api.schema.limits import QueryLimits
from api.schema.operation import Observer, Operation
from models.domain.permissions import meets
from models.domain.tokens import Grant
from models.services.resolver import Resolver


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


class Lane:
    """One a process. `observers` are told of the operations that it answers."""

    def __init__(
        self, schema: TownclerkSchema, resolver: Resolver, limits: QueryLimits, observers: Sequence[Observer]
    ) -> None:
        self._schema = schema
        self._resolver = resolver
        self._limits = limits
        self._observers = observers
        [self._need] = {_made_from(schema, name).metadata[NEED] for name in ROOTS}

    async def answer(self, asked: Request, grant: Grant) -> dict[str, Any] | None:
        """The `data` of an operation; None where the executor has to answer. Raises `TimeoutError`."""
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
        begun = time.perf_counter()
        variables = asked.variables or {}
        at_hand = AtHand(self._resolver, grant)
        try:
            plan = compiled.plan(variables)
            values = await at_hand.values(plan.calls(variables))
            data: dict[str, Any] = plan.answer(values)
        except TimeoutError:
            raise
        except Exception:  # noqa: BLE001  # whatever it is, the executor comes upon it as well, and tells
            return None
        operation = Operation(kind="query", fields=plan.fields, resolutions=at_hand.sources, compiled=True, begun=begun)
        for observer in self._observers:
            observer(operation)
        return data

    def _compiled(self, known: Kept, text: str, operation_name: str | None) -> CompiledOperation[Plan] | None:
        """An operation of a document, compiled if it can be; looked into once."""
        way = partial(compile_operation, roots=ROOTS)
        found = compiled_within(self._limits, self._schema, known, text, operation_name, way)
        known.compiled[operation_name] = found
        return found


def _made_from(schema: TownclerkSchema, name: str) -> StrawberryField:
    root = schema._schema.query_type  # noqa: SLF001  # it has no other way to its types
    if root is None:
        raise TypeError("the schema has no queries")
    made_from: StrawberryField = root.fields[name].extensions["strawberry-definition"]
    return made_from
