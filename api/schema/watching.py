"""Lets observers watch operations, whichever door they come through."""

from asyncio import CancelledError
from collections.abc import Callable, Iterator, Sequence

from graphql import GraphQLError, get_operation_ast
from graphql.language import DocumentNode, FieldNode, FragmentDefinitionNode, FragmentSpreadNode, SelectionSetNode
from strawberry.extensions import SchemaExtension

from api.schema.context import Context
from api.schema.operation import Observer
from api.schema.problems import code_of


class Watching(SchemaExtension):
    """Tells observers of each operation, which it was and how it ended."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = observers

    def on_operation(self) -> Iterator[None]:
        """Watch one operation, up to its end."""
        context: Context = self.execution_context.context
        raised: BaseException | None = None
        try:
            yield
        except (Exception, CancelledError) as error:
            raised = error
            raise
        finally:
            errors = [raised] if isinstance(raised, GraphQLError) else self._errors()
            codes = ["DEADLINE"] if isinstance(raised, CancelledError) else map(code_of, errors)
            context.operation.codes = tuple(dict.fromkeys(codes))
            for observer in self._observers:
                observer(context.operation)

    def on_execute(self) -> Iterator[None]:
        """Take down which operation it is, now that it is known to be a valid one."""
        run = self.execution_context
        document = run.graphql_document
        found = None if document is None else get_operation_ast(document, run.operation_name)
        if document is not None and found is not None:
            operation = run.context.operation
            operation.kind = found.operation.value
            operation.fields = root_fields(document, found.selection_set)
        yield

    def _errors(self) -> Sequence[GraphQLError]:
        run = self.execution_context
        return run.pre_execution_errors or getattr(run.result, "errors", None) or ()


def root_fields(document: DocumentNode, selections: SelectionSetNode) -> tuple[str, ...]:
    """The names of the fields that a valid operation asks the root for, each once, also those inside fragments."""
    fragments = {each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)}
    names: dict[str, None] = {}
    left = [selections]
    while left:
        for selection in left.pop().selections:
            if isinstance(selection, FieldNode):
                names[selection.name.value] = None
            elif isinstance(selection, FragmentSpreadNode):
                fragment = fragments.pop(selection.name.value, None)  # each is looked into once
                left.extend([] if fragment is None else [fragment.selection_set])
            else:
                left.append(selection.selection_set)  # type: ignore[attr-defined]  # what is left is an inline fragment
    return tuple(names)


def watching(observers: Sequence[Observer]) -> Callable[[], Watching]:
    """What makes the extension of an operation."""
    return lambda: Watching(observers)
