"""`POST /graphql`: strict JSON in, GraphQL over HTTP out; as a stream of events where that is asked for."""

import json
from collections.abc import Callable
from typing import Any, Final

import structlog
from graphql import GraphQLError
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import Response
from strawberry.exceptions import MissingQueryError
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.types import ExecutionResult
from strawberry.types.graphql import OperationType

from api.schema import TownclerkSchema
from api.schema.context import Context
from api.schema.problems import present
from models.services.access import BUILT_IN, DEVELOPER, Asker
from models.store.unit import Store

_JSON: Final = "application/json"
_GRAPHQL_JSON: Final = "application/graphql-response+json"
_EVENT_STREAM: Final = "text/event-stream"
_GONE_AWAY: Final = 499
_LONGEST_ACTOR: Final = 128
_LOG: Final = structlog.get_logger("townclerk.graphql")

NO_OPERATION: Final = "The document has to hold the operation to run; where it holds several, operationName says which."
_NEEDS_STREAM: Final = (
    f"A subscription needs a stream: post it with Accept: {_EVENT_STREAM}, "
    "or use a WebSocket with the protocol graphql-transport-ws."
)

Streamed = Callable[[dict[str, Any], Asker], Response]


class BadRequestError(Exception):
    """A request that holds no GraphQL operation: what is wrong, and the HTTP status that says so."""

    def __init__(self, message: str, *, status: int = 400, code: str = "INVALID_INPUT") -> None:
        super().__init__(message)
        self.status = status
        self.code = code

    @property
    def answer(self) -> dict[str, Any]:
        """The whole answer, in the shape of a GraphQL error."""
        return {"errors": [{"message": str(self), "extensions": {"code": self.code}}]}


class GraphQLDoor:
    """The endpoint. In dev mode the header `X-Actor` names who asks; without it, and elsewhere, it is `dev`.

    `streamed` answers those who accept a stream of events.
    """

    def __init__(
        self, schema: TownclerkSchema, store: Store, streamed: Streamed, *, max_body_bytes: int, dev: bool
    ) -> None:
        self._schema = schema
        self._store = store
        self._streamed = streamed
        self._max_body_bytes = max_body_bytes
        self._dev = dev

    async def handle(self, request: Request) -> Response:
        """Answer one request; whatever it asks for, with an answer that says what came of it."""
        media_type = _GRAPHQL_JSON if _GRAPHQL_JSON in request.headers.get("accept", "") else _JSON
        try:
            asker = who_asks(request, dev=self._dev)
            operation = read_operation(request.headers.get("content-type", ""), await self._body(request))
            if accepts_events(request.headers.get("accept", "")):
                return self._streamed(operation, asker)
            answer, status = await self._answer(operation, asker)
        except BadRequestError as error:
            return Response(encode(error.answer), status_code=error.status, media_type=media_type)
        except ClientDisconnect:
            return Response(status_code=_GONE_AWAY)  # which nobody hears but the log
        # Plain JSON says 200 to whatever was understood; the newer media type says 400 to what was not executed.
        return Response(
            encode(answer), status_code=status if media_type == _GRAPHQL_JSON else 200, media_type=media_type
        )

    async def _answer(self, operation: dict[str, Any], asker: Asker) -> tuple[dict[str, Any], int]:
        context = Context(store=self._store, asker=asker)
        try:
            result = await self._schema.execute(
                operation["query"],
                variable_values=operation["variables"],
                operation_name=operation["operationName"],
                context_value=context,
                allowed_operation_types=(OperationType.QUERY, OperationType.MUTATION),
            )
        except InvalidOperationTypeError as error:
            raise BadRequestError(_NEEDS_STREAM, code="NEEDS_STREAM") from error
        except (MissingQueryError, CannotGetOperationTypeError) as error:
            raise BadRequestError(NO_OPERATION) from error
        answer = answer_of(result, asker.request_id)
        return answer, 200 if "data" in answer else 400

    async def _body(self, request: Request) -> bytes:
        """The body, of which no more is taken in than the limit, whatever was announced."""
        too_long = BadRequestError(
            f"The body may have at most {self._max_body_bytes} bytes.", status=413, code="BODY_LIMIT"
        )
        announced = request.headers.get("content-length", "")
        if announced.isdecimal() and int(announced[:18]) > self._max_body_bytes:
            raise too_long
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > self._max_body_bytes:
                raise too_long
        return bytes(body)


def who_asks(connection: HTTPConnection, *, dev: bool) -> Asker:
    """Who a request says it comes from. Raises `BadRequestError` for a name that can't be one."""
    header = connection.headers.get("x-actor") if dev else None
    name = BUILT_IN[DEVELOPER] if header is None else header.strip()
    if not (0 < len(name) <= _LONGEST_ACTOR and name.isprintable() and name.isascii()):
        raise BadRequestError("X-Actor must be 1 to 128 printable ASCII characters.")
    return Asker(name=name, request_id=connection.state.request_id)


def accepts_events(accept: str) -> bool:
    """Whether a header says that its sender understands a stream of events."""
    return any(part.partition(";")[0].strip().lower() == _EVENT_STREAM for part in accept.split(","))


def read_operation(content_type: str, body: bytes) -> dict[str, Any]:
    """The operation that a body holds. Raises `BadRequestError`."""
    if content_type.partition(";")[0].strip().lower() != _JSON:
        raise BadRequestError(f"Content-Type must be {_JSON}.", status=415)
    return operation_of(strict_json(body))


def operation_of(parsed: object) -> dict[str, Any]:
    """The operation that a JSON value describes. Raises `BadRequestError`."""
    if not isinstance(parsed, dict):
        raise BadRequestError("The body must be a JSON object with the field query.")
    query, variables = parsed.get("query"), parsed.get("variables")
    operation_name, extensions = parsed.get("operationName"), parsed.get("extensions")
    if not isinstance(query, str) or not query.strip():
        raise BadRequestError("query must be a string that holds a GraphQL document.")
    if not isinstance(variables, dict | None):
        raise BadRequestError("variables must be an object.")
    if not isinstance(operation_name, str | None):
        raise BadRequestError("operationName must be a string.")
    if not isinstance(extensions, dict | None):
        raise BadRequestError("extensions must be an object.")
    return {"query": query, "variables": variables, "operationName": operation_name}


def strict_json(body: bytes) -> object:
    """JSON as RFC 8259 has it, in UTF-8, each key once. Raises `BadRequestError`."""
    try:
        return json.loads(body.decode("utf-8"), parse_constant=_no_constant, object_pairs_hook=_no_duplicates)
    except UnicodeDecodeError as error:
        raise BadRequestError("The body must be UTF-8.") from error
    except RecursionError as error:
        raise BadRequestError("The body is nested too deeply.") from error
    except ValueError as error:
        raise BadRequestError(f"The body must be JSON: {error}.") from error


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON value")


def _no_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice[:80]!r} stands twice in one object")
    return found


def encode(answer: object) -> bytes:
    """An answer as UTF-8 JSON; where it echoes what has no UTF-8, as ASCII with escapes."""
    try:
        return json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(answer, separators=(",", ":")).encode("ascii")


def answer_of(result: ExecutionResult, request_id: str) -> dict[str, Any]:
    """A result as the caller sees it, with `data` where anything was executed."""
    answer: dict[str, Any] = {}
    if result.errors:
        answer["errors"] = [present(_located(error), request_id) for error in result.errors]
    if result.data is not None or any(error.path for error in result.errors or ()):
        answer["data"] = result.data
    return answer


def _located(error: GraphQLError | Exception) -> GraphQLError:
    return error if isinstance(error, GraphQLError) else GraphQLError(str(error), original_error=error)
