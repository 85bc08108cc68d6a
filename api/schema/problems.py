"""Refusals and failures in their shape on the wire: `userErrors` in payloads, `extensions.code` in GraphQL errors."""

import functools
import re
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final, ParamSpec, Protocol, TypeVar

import strawberry
import structlog
from graphql import GraphQLError, GraphQLSyntaxError
from graphql.language import ObjectFieldNode, OperationDefinitionNode, ValueNode
from strawberry.extensions import SchemaExtension
from strawberry.schema.exceptions import CannotGetOperationTypeError

from api.schema.context import Act, Context, Info
from api.schema.fields import MADE_ONCE, field
from api.schema.operation import DONE
from models.domain.errors import Code, Problem, Refused, VersionConflict
from models.domain.permissions import ForbiddenError
from models.domain.tokens import Scope
from models.services.access import Asker
from models.store.unit import OutcomeUnknownError, StorageUnavailableError

_SUGGESTION: Final = re.compile(r"\s*Did you mean ")
_DONE: Final = frozenset({DONE})
_LOG: Final = structlog.get_logger("townclerk.graphql")

strawberry.enum(Code, name="UserErrorCode", description="Refusals that a caller can mend.")


@strawberry.type(description="A refusal that the caller can mend.")
class UserError:
    problem: strawberry.Private[Problem]

    @field
    def code(self) -> Code:
        return self.problem.code

    @field
    def message(self) -> str:
        """What is wrong and how to mend it, in one sentence for people."""
        return self.problem.message

    @field
    def path(self) -> list[str]:
        """Where in the input it lies: ["draft", "overrides", "2", "label"]."""
        return list(self.problem.path)


def user_errors(refused: Refused) -> list[UserError]:
    return [UserError(problem=problem) for problem in refused.problems]


def current_version(refused: Refused) -> int | None:
    """The version in force, where the refusal is that another one was expected."""
    for problem in refused.problems:
        if isinstance(problem, VersionConflict):
            return problem.current
    return None


class AnswerUnreadError(StorageUnavailableError):
    """A mutation is stored, and the database could not be reached to read its answer."""


class Payload(Protocol):
    """A mutation's answer, which can be made of a refusal alone."""

    @classmethod
    def refused(cls, refused: Refused) -> Any: ...


A = ParamSpec("A")
P = TypeVar("P", bound=Payload)
R = TypeVar("R")


def answers(payload: type[P]) -> Callable[[Callable[A, Awaitable[P]]], Callable[A, Awaitable[P]]]:
    """Make a mutation's resolver answer refusals as data, and let later fields of the request read what it wrote."""

    def wrap(resolver: Callable[A, Awaitable[P]]) -> Callable[A, Awaitable[P]]:
        @functools.wraps(resolver)
        async def answered(*args: A.args, **kwargs: A.kwargs) -> P:
            info: Info = kwargs["info"]  # type: ignore[assignment]  # Strawberry passes it by name
            context = info.context
            act = context.act or Act()
            try:
                if not act.is_over:
                    context.written = False
                    await _made(act, resolver(*args, **kwargs), payload, context)
            finally:
                context.written = act.written
                for outcome in act.outcomes:
                    context.operation.changes[info.field_name, outcome] += 1
                context.read_anew()
            if act.error is not None:
                raise act.error
            answer: P = act.answer
            return answer

        setattr(answered, MADE_ONCE, True)
        return answered

    return wrap


async def _made(act: Act, making: Awaitable[Any], payload: type[Payload], context: Context) -> None:
    """Make a mutation, and note what comes of it."""
    try:
        act.answer = await making
        act.outcomes = _DONE
    except Refused as refused:
        act.answer = payload.refused(refused)
        act.outcomes = frozenset(problem.code.value for problem in refused.problems)
    except Exception as error:  # noqa: BLE001  # which is raised once it is noted
        act.error = error
        if context.written and isinstance(error, StorageUnavailableError):
            act.error = AnswerUnreadError()
            act.error.__cause__ = error
    except BaseException as error:
        act.error = error
        raise
    finally:
        act.written, act.is_over = context.written, True
        if context.written:
            act.outcomes = _DONE


def of_what_is_stored(resolver: Callable[A, Awaitable[R]]) -> Callable[A, Awaitable[R]]:
    """A field of a mutation's answer that is read once it is asked for: what it can't read is stored all the same."""

    @functools.wraps(resolver)
    async def read(*args: A.args, **kwargs: A.kwargs) -> R:
        try:
            return await resolver(*args, **kwargs)
        except StorageUnavailableError as error:
            raise AnswerUnreadError from error

    return read


def present(error: GraphQLError, asker: Asker) -> dict[str, Any]:
    """A GraphQL error as the asker sees it: always with a code, never with what went on inside.

    Names of the schema that come near to what was asked are for those who may see all of it.
    """
    shown: dict[str, Any] = dict(error.formatted)
    if not may_see_schema(asker):
        shown["message"] = _SUGGESTION.split(shown["message"])[0]
    shown["extensions"] = dict(error.extensions or {}) | _extensions(error)
    cause = error.original_error
    if isinstance(cause, Refused):
        shown["message"] = " ".join(problem.message for problem in cause.problems)
    elif isinstance(cause, ForbiddenError):
        shown["message"] = str(cause)
    elif isinstance(cause, OutcomeUnknownError):
        _LOG.warning("outcome unknown", path=error.path, exc_info=cause)
        shown["message"] = (
            "The database was lost while it stored the change, so nobody knows whether it did. Send the request again "
            "with the same idempotency key: it takes effect once, and the answer says what it did."
        )
    elif isinstance(cause, AnswerUnreadError):
        _LOG.warning("answer unread", path=error.path, exc_info=cause)
        shown["message"] = "The change is stored. The database went away before its answer was read: read it later."
    elif isinstance(cause, StorageUnavailableError):
        _LOG.warning("storage unavailable", path=error.path, exc_info=cause)
        shown["message"] = "The database can't be reached or has no room. Try again later."
    elif _is_unreadable(error):
        shown["message"] = "The document holds a number that is too long."
    elif cause is not None and not isinstance(cause, GraphQLError):
        shown["message"] = f"Something went wrong on the server; report the request id {asker.request_id}."
        shown["extensions"]["requestId"] = asker.request_id
        _LOG.error("internal error", path=error.path, exc_info=cause)
    return shown


def may_see_schema(asker: Asker) -> bool:
    """Whether introspection and suggestions are for the asker: an admin, or a developer."""
    return Scope.ADMIN in asker.grant.scopes


def code_of(error: GraphQLError) -> str:
    """The code that `present` gives an error."""
    return str(_extensions(error)["code"])


def _extensions(error: GraphQLError) -> dict[str, Any]:
    cause = error.original_error
    if isinstance(cause, Refused):
        problems = [
            {"code": problem.code.value, "message": problem.message, "path": list(problem.path)}
            for problem in cause.problems
        ]
        return {"code": problems[0]["code"], "path": problems[0]["path"], "problems": problems}
    if isinstance(cause, ForbiddenError):
        return {"code": "FORBIDDEN", "scopes": sorted(scope.name for scope in cause.need.scopes)}
    stored = {"stored": True} if isinstance(cause, AnswerUnreadError) else {}
    return {"code": _code(error), **stored}


def _code(error: GraphQLError) -> str:
    cause = error.original_error
    if isinstance(cause, StorageUnavailableError):
        return "STORAGE_UNAVAILABLE"
    if cause is not None and not isinstance(cause, GraphQLError) and not _is_unreadable(error):
        return "INTERNAL_ERROR"
    if isinstance(error, GraphQLSyntaxError):
        return "GRAPHQL_PARSE_FAILED"
    # what has no code by now is a variable whose value is not of its type
    return str((error.extensions or {}).get("code", Code.INVALID_INPUT.value))


def _is_unreadable(error: GraphQLError) -> bool:
    """Whether a number in the document was too long for Python to read, which shows before anything is executed."""
    return type(error.original_error) is ValueError and error.path is None


class DocumentProblems(SchemaExtension):
    """Gives codes to what is wrong with a document, and refuses one that leaves open which operation to run."""

    def on_validate(self) -> Iterator[None]:
        """Look at what validation found, once it has."""
        yield
        context = self.execution_context
        for error in context.pre_execution_errors or ():
            about_value = any(isinstance(node, ValueNode | ObjectFieldNode) for node in error.nodes or ())
            code = Code.INVALID_INPUT.value if about_value else "GRAPHQL_VALIDATION_FAILED"
            error.extensions = {"code": code} | dict(error.extensions or {})
        document = context.graphql_document
        if context.pre_execution_errors or document is None:
            return
        operations = [each for each in document.definitions if isinstance(each, OperationDefinitionNode)]
        if context._provided_operation_name is None and len(operations) > 1:  # noqa: SLF001
            raise CannotGetOperationTypeError(None)
