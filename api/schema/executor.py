"""Runs operations: those that are known already by compiled code that calls their resolvers, all else by Strawberry.

Resolvers check, read and raise alike for both, so the answers are the same. What they raise is left to Strawberry: it
asks them anew, from the beginning, and tells; but a mutation that was made is not made again (`Act`).
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from strawberry.types.execution import ExecutionResult
from strawberry.types.graphql import OperationType

from api.compiler import CompiledOperation, ResolvingPlan, compile_with_resolvers
from api.schema import TownclerkSchema
from api.schema.compiling import compiled_within
from api.schema.context import Act, Context
from api.schema.documents import Kept
from api.schema.lane import Request
from api.schema.limits import QueryLimits
from api.schema.operation import Observer, Operation

_MUTATION: Final = "mutation"


@dataclass(frozen=True, slots=True)
class _Info:
    """All that resolvers ask of `strawberry.Info`, whose `field_name` only those of mutations may."""

    context: Context
    field_name: str


class Executor:
    """One a process. `observers` are those of the schema: they are told of what it is not asked to run."""

    def __init__(self, schema: TownclerkSchema, limits: QueryLimits, observers: Sequence[Observer]) -> None:
        self._schema = schema
        self._limits = limits
        self._observers = observers

    async def execute(self, asked: Request, context: Context) -> ExecutionResult:
        """What comes of a query or a mutation. Raises what Strawberry does where it is neither."""
        data = await self._resolved(asked, context)
        if data is not None:
            return ExecutionResult(data=data, errors=None)
        return await self._schema.execute(
            asked.query,
            variable_values=asked.variables,
            operation_name=asked.operation_name,
            context_value=context,
            allowed_operation_types=(OperationType.QUERY, OperationType.MUTATION),
        )

    async def _resolved(self, asked: Request, context: Context) -> dict[str, Any] | None:
        """The data of an operation, from a context like that; None where Strawberry has to answer."""
        known = self._schema.documents.find(asked.query)
        if known is None or asked.weight > self._limits.body_bytes:
            return None
        compiled = self._compiled(known, asked.query, asked.operation_name)
        if compiled is None:
            return None
        variables = asked.variables or {}
        own = replace(context, operation=Operation(compiled=True))
        try:
            plan = compiled.plan(variables)
            own.operation.kind, own.operation.fields = plan.kind, plan.fields
            if plan.kind == _MUTATION:
                own.act = context.act = Act()
                context.operation.kind = _MUTATION
            data = await plan.run(variables, _Info(own, plan.fields[0]))
        except asyncio.CancelledError:
            own.operation.codes = ("DEADLINE",)
            self._tell(own.operation)
            raise
        except Exception:  # noqa: BLE001  # whatever it is, Strawberry comes upon it as well, and tells
            return None
        self._tell(own.operation)
        return data

    def _tell(self, operation: Operation) -> None:
        for observer in self._observers:
            observer(operation)

    def _compiled(self, known: Kept, text: str, operation_name: str | None) -> CompiledOperation[ResolvingPlan] | None:
        """An operation of a document, compiled if it can be; looked into once."""
        if operation_name not in known.resolving:
            found = compiled_within(self._limits, self._schema, known, text, operation_name, compile_with_resolvers)
            if not known.holds(operation_name):
                return None
            known.resolving[operation_name] = found
        return known.resolving[operation_name]
