"""Extensions' hooks, run as Strawberry runs them, without the context managers that it makes for each of them anew."""

from collections.abc import Generator, Sequence
from types import TracebackType
from typing import Any

from strawberry.extensions import SchemaExtension
from strawberry.extensions.runner import SchemaExtensionsRunner
from strawberry.types import ExecutionContext


class HooksRunner(SchemaExtensionsRunner):
    """For extensions whose hooks are generators, which wait for nothing, and that add nothing to answers."""

    def operation(self) -> Any:
        return _Hooks(self.extensions, "on_operation")

    def validation(self) -> Any:
        return _Hooks(self.extensions, "on_validate")

    def parsing(self) -> Any:
        return _Hooks(self.extensions, "on_parse")

    def executing(self) -> Any:
        return _Hooks(self.extensions, "on_execute")

    async def get_extensions_results(self, ctx: ExecutionContext) -> dict[str, Any]:
        return dict(ctx.extensions_results)


class _Hooks:
    """A hook of each extension: up to its `yield` as it is entered, to its end as it is left, the last one first."""

    __slots__ = ("_begun", "_extensions", "_name")

    def __init__(self, extensions: Sequence[SchemaExtension], name: str) -> None:
        self._extensions = extensions
        self._name = name
        self._begun: list[Generator[None]] = []

    def __enter__(self) -> None:
        default = getattr(SchemaExtension, self._name)
        for extension in self._extensions:
            hook = getattr(type(extension), self._name)
            if hook is not default:
                begun = hook(extension)
                next(begun)
                self._begun.append(begun)

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        raised = error
        for begun in reversed(self._begun):
            try:
                if raised is None:
                    next(begun, None)
                else:
                    begun.throw(raised)
            except StopIteration:  # it keeps the error from those around it, and from nobody else
                raised = None
            except BaseException as latest:  # noqa: BLE001  # whatever a hook raises goes on to those around it
                raised = latest
        if raised is not None and raised is not error:
            raise raised

    async def __aenter__(self) -> None:
        self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)
