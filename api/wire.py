"""GraphQL over HTTP: what requests ask, answers and refusals."""

import re
from collections.abc import Mapping
from functools import lru_cache
from types import NoneType
from typing import Any, Final, NamedTuple, Protocol

from graphql import GraphQLError
from starlette.responses import Response
from starlette.types import Scope
from strawberry.types import ExecutionResult

from api.json_text import BadJsonError, encode, read_json
from api.schema.problems import present
from models.services.access import Asker

JSON: Final = "application/json"
_GRAPHQL_JSON: Final = "application/graphql-response+json"
_LONGEST_ACCEPT: Final = 1000
EVENT_STREAM: Final = "text/event-stream"

_OBJECT: Final = (dict, NoneType)
_TEXT: Final = (str, NoneType)
_JSON: Final = JSON.encode("ascii")
NO_OPERATION: Final = "The document has to hold the operation to run; where it holds several, operationName says which."


class BadRequestError(Exception):
    """A request that is not taken on: what is wrong, and the HTTP status and headers that say so."""

    def __init__(
        self, message: str, *, status: int = 400, code: str = "INVALID_INPUT", headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = headers

    @property
    def answer(self) -> dict[str, Any]:
        """The whole answer, in the shape of a GraphQL error."""
        return {"errors": [{"message": str(self), "extensions": {"code": self.code}}]}

    def response(self, media_type: str = JSON) -> Response:
        return Response(encode(self.answer), status_code=self.status, headers=self.headers, media_type=media_type)


def for_now(message: str, code: str, *, seconds: int = 1) -> BadRequestError:
    """A refusal that holds only now: the same request may well be taken on after `seconds`."""
    return BadRequestError(message, status=503, code=code, headers={"Retry-After": str(seconds)})


class Texts(Protocol):
    """Who knows documents by what is sent in their place."""

    def meant(self, query: str | None, extensions: Mapping[str, Any] | None) -> str:
        """The text of the document that is meant. Raises `BadRequestError`."""


class Asked(NamedTuple):
    """An operation that is asked for; `weight` is that of the whole request, in bytes."""

    query: str
    variables: dict[str, Any] | None
    operation_name: str | None
    weight: int


def heads_of(scope: Scope) -> dict[bytes, bytes]:
    """The headers by their names; what was sent several times as a list with commas."""
    headers = scope["headers"]
    found = dict(headers)
    if len(found) < len(headers):
        for name in found:
            found[name] = b", ".join(value for given, value in headers if given == name)
    return found


def header(scope: Scope, name: bytes) -> list[str]:
    """The values of a header, as often as it was sent."""
    return [value.decode("latin-1") for given, value in scope["headers"] if given == name]


def accepts(accept: str, media_type: str) -> bool:
    """Whether a header Accept names that media type, and does not say that it is the last thing it wants."""
    for part in accept.split(","):
        named, *parameters = (word.strip().lower() for word in part.split(";"))
        if named == media_type:
            return not any(re.fullmatch(r"q=0(\.0*)?", parameter) for parameter in parameters)
    return False


class Wanted(NamedTuple):
    """How an answer is to be told: as one of that media type, whose header that is, or as a stream of events."""

    media_type: str
    header: tuple[bytes, bytes]
    streams: bool


@lru_cache(maxsize=256)
def wanted_of(accept: bytes) -> Wanted:
    """What a header Accept asks for."""
    text = accept[:_LONGEST_ACCEPT].decode("latin-1")
    # Plain JSON says 200 to whatever was understood; the newer media type 400 to what was not executed.
    media_type = _GRAPHQL_JSON if accepts(text, _GRAPHQL_JSON) else JSON
    return Wanted(media_type, (b"content-type", media_type.encode("ascii")), accepts(text, EVENT_STREAM))


def read_operation(content_type: bytes, body: bytes, texts: Texts) -> Asked:
    """The operation that a body of that type holds. Raises `BadRequestError`."""
    if content_type != _JSON and content_type.partition(b";")[0].strip().lower() != _JSON:
        raise BadRequestError(f"Content-Type must be {JSON}.", status=415)
    return operation_of(strict_json(body), texts, weight=len(body))


def operation_of(parsed: object, texts: Texts, *, weight: int) -> Asked:
    """The operation that a JSON value describes; `texts` knows which document it means. Raises `BadRequestError`."""
    if not isinstance(parsed, dict):
        raise BadRequestError("The body must be a JSON object with the field query.")
    query, variables = parsed.get("query"), parsed.get("variables")
    operation_name, extensions = parsed.get("operationName"), parsed.get("extensions")
    if not isinstance(query, _TEXT):
        raise BadRequestError("query must be a string that holds a GraphQL document.")
    if not isinstance(variables, _OBJECT):
        raise BadRequestError("variables must be an object.")
    if not isinstance(operation_name, _TEXT):
        raise BadRequestError("operationName must be a string.")
    if not isinstance(extensions, _OBJECT):
        raise BadRequestError("extensions must be an object.")
    return Asked(texts.meant(query, extensions), variables, operation_name, weight)


def strict_json(body: bytes) -> object:
    """JSON as RFC 8259 has it, in UTF-8, each key once. Raises `BadRequestError`."""
    try:
        return read_json(body)
    except BadJsonError as error:
        raise BadRequestError(str(error)) from error


def answer_of(result: ExecutionResult, asker: Asker) -> dict[str, Any]:
    """A result as the caller sees it, with `data` where anything was executed."""
    answer: dict[str, Any] = {}
    if result.errors:
        answer["errors"] = [present(error, asker) for error in sorted(map(_located, result.errors), key=_place)]
    if result.data is not None or any(error.path for error in result.errors or ()):
        answer["data"] = result.data
    return answer


def _place(error: GraphQLError) -> list[tuple[int, str]]:
    """Where an error belongs: fields end in any order, and who asks again should hear the same."""
    return [(step, "") if isinstance(step, int) else (0, step) for step in error.path or ()]


def _located(error: GraphQLError | Exception) -> GraphQLError:
    return error if isinstance(error, GraphQLError) else GraphQLError(str(error), original_error=error)
