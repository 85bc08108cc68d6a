"""`POST /graphql` and its neighbours as HTTP: what a body may be, what a failure looks like, who asked, and the log."""

import asyncio
import contextlib
import io
import itertools
import json
import logging
from collections.abc import Iterator

import httpx2
import pytest
import structlog
from starlette.testclient import TestClient

from api.app import served_app
from api.requests import Lines
from models.store.engine import open_database
from tests.client import HERE, Api, Json, serving
from tests.contract.inputs import quiet
from tests.databases import Databases
from tests.towns import make_town

LABELS = "{ labels { name } }"
GRAPHQL_JSON = "application/graphql-response+json"
LIMIT = 2_000


def post(api: Api, body: bytes | Iterator[bytes], **headers: str) -> httpx2.Response:
    """Send a body as it is; headers are named with underscores."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return api.http.post("/graphql", content=body, headers={"content-type": "application/json", **named})


def operation(query: str = LABELS, **others: object) -> bytes:
    return json.dumps({"query": query, **others}).encode()


def codes(response: httpx2.Response) -> list[str]:
    """The codes of an answer that holds nothing but errors, each of which has to have one, and a message."""
    answer = response.json()
    assert set(answer) <= {"errors", "data"}
    assert not answer.get("data")
    assert all(error["message"] for error in answer["errors"])
    return [error["extensions"]["code"] for error in answer["errors"]]


def refusal(response: httpx2.Response) -> tuple[int, list[str]]:
    """Status and codes of a refusal, which is JSON whatever was asked for."""
    assert response.headers["content-type"] == "application/json"
    return response.status_code, codes(response)


def works(api: Api) -> bool:
    """Whether a good request does."""
    response = post(api, operation())
    return response.status_code == 200 and len(response.json()["data"]["labels"]) == 11


# ---- bodies

BAD_BODIES = {
    "null": b"null",
    "a number": b"5",
    "text": b'"x"',
    "true": b"true",
    "a list": b"[]",
    "a batch": b"[" + operation() + b"]",
    "empty": b"",
    "blank": b"  \n",
    "invalid UTF-8": b'{"query": "\xff"}',
    "UTF-16": operation().decode().encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf" + operation(),
    "cut short": operation()[:-1],
    "two documents": operation() + operation(),
    "a comma too many": b'{"query": "{ labels { name } }",}',
    "a raw line feed in text": b'{"query": "{ labels\n{ name } }"}',
    "NaN": b'{"query": "{ labels { name } }", "variables": {"a": NaN}}',
    "Infinity": b'{"query": "{ labels { name } }", "variables": {"a": Infinity}}',
    "-Infinity": b'{"query": "{ labels { name } }", "variables": {"a": [-Infinity]}}',
    "a key twice": b'{"query": "{ labels { name } }", "query": "{ labels { name } }"}',
    "a nested key twice": b'{"query": "{ labels { name } }", "variables": {"a": [{"b": {"c": 1, "c": 1}}]}}',
    "a key twice, once escaped": b'{"query": "{ labels { name } }", "variables": {"a": 1, "\\u0061": 1}}',
    "100,000 brackets": b"[" * 100_000,
    "100,000 brackets and back": b"[" * 100_000 + b"]" * 100_000,
    "100,000 objects": b'{"query": "{ labels { name } }", "variables": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001,
    "an integer of 5,000 digits": b'{"query": "{ labels { name } }", "variables": {"a": ' + b"9" * 5_000 + b"}}",
    "a negative one": b'{"query": "{ labels { name } }", "variables": {"a": -' + b"9" * 5_000 + b"}}",
    "no query": b'{"variables": {}}',
    "query null": b'{"query": null}',
    "query a number": b'{"query": 5}',
    "query a list": b'{"query": ["{ labels { name } }"]}',
    "query empty": b'{"query": ""}',
    "query blank": b'{"query": " \\n"}',
    "variables a list": operation(variables=[]),
    "variables text": operation(variables="{}"),
    "variables a number": operation(variables=0),
    "variables false": operation(variables=False),
    "operationName a number": operation(operationName=1),
    "operationName an object": operation(operationName={}),
    "extensions a list": operation(extensions=[]),
}
BAD_DOCUMENTS = {
    "no GraphQL": ("labels", ["GRAPHQL_PARSE_FAILED"]),
    "a brace open": ("{ labels { name }", ["GRAPHQL_PARSE_FAILED"]),
    "a comment alone": ("# nothing", ["GRAPHQL_PARSE_FAILED"]),
    "NUL": ("{ labels { name } } \x00", ["GRAPHQL_PARSE_FAILED"]),
    "4,000 braces": ("{ a " * 4_000 + "}" * 4_000, ["GRAPHQL_PARSE_FAILED"]),
    "4,000 brackets": ("{ town(townId: " + "[" * 4_000 + "]" * 4_000 + ") { name } }", ["GRAPHQL_PARSE_FAILED"]),
    "10,001 words": ("{ " + "a " * 10_001 + "}", ["GRAPHQL_PARSE_FAILED"]),
    "an unknown field": ("{ nope }", ["GRAPHQL_VALIDATION_FAILED"]),
    "an unknown argument": ('{ labels(of: "x") { name } }', ["GRAPHQL_VALIDATION_FAILED"]),
    "an unknown type": ("query ($a: Nope) { town(townId: $a) { name } }", ["GRAPHQL_VALIDATION_FAILED"]),
    "an unused variable": ("query ($a: ID) { labels { name } }", ["GRAPHQL_VALIDATION_FAILED"]),
    "no fields": ("{ labels }", ["GRAPHQL_VALIDATION_FAILED"]),
    "an argument missing": ("{ town { name } }", ["GRAPHQL_VALIDATION_FAILED"]),
    "fragments in a circle": ("{ ...A } fragment A on Query { ...A }", ["GRAPHQL_VALIDATION_FAILED"]),
    "an ID that is a list": ("{ town(townId: [[]]) { name } }", ["INVALID_INPUT"]),
    "an integer of 5,000 digits": (
        '{ profile(name: "balanced") { version(number: ' + "9" * 5_000 + ") { version } } }",
        ["INVALID_INPUT"],
    ),
}
NO_SUCH_OPERATION = {
    "a fragment alone": operation("fragment A on Query { labels { name } }"),
    "several without a name": operation("query A { labels { name } } query B { labels { name } }"),
    "several and another name": operation("query A { labels { name } } query B { labels { name } }", operationName="C"),
    "one and another name": operation("query A { labels { name } }", operationName="B"),
}


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES)
def test_body__that_holds_no_operation__is_a_bad_request(shared_api: Api, body: bytes) -> None:
    assert refusal(post(shared_api, body)) == (400, ["INVALID_INPUT"])
    assert works(shared_api)


@pytest.mark.parametrize("body", NO_SUCH_OPERATION.values(), ids=NO_SUCH_OPERATION)
def test_body__that_does_not_say_which_operation__is_a_bad_request(shared_api: Api, body: bytes) -> None:
    assert refusal(post(shared_api, body)) == (400, ["INVALID_INPUT"])


@pytest.mark.parametrize(("document", "expected"), BAD_DOCUMENTS.values(), ids=BAD_DOCUMENTS)
def test_document__that_is_not_executed__is_told_in_both_media_types(
    shared_api: Api, document: str, expected: list[str]
) -> None:
    with quiet():
        plain = post(shared_api, operation(document))
        modern = post(shared_api, operation(document), accept=GRAPHQL_JSON)
    assert (plain.status_code, codes(plain)) == (200, expected)
    assert (modern.status_code, codes(modern)) == (400, expected)
    assert "data" not in modern.json()
    assert works(shared_api)


@pytest.mark.parametrize(
    "accept", [GRAPHQL_JSON, f"{GRAPHQL_JSON}; charset=utf-8, application/json; q=0.9", f"text/html, {GRAPHQL_JSON}"]
)
def test_answer__where_the_newer_media_type_is_accepted__has_it_and_200_once_executed(
    shared_api: Api, accept: str
) -> None:
    for query, partly in ((LABELS, False), ('{ resolution(beadId: "nowhere") { model } }', True)):
        response = post(shared_api, operation(query), accept=accept)
        assert (response.status_code, response.headers["content-type"]) == (200, GRAPHQL_JSON)
        assert ("errors" in response.json(), "data" in response.json()) == (partly, True)


@pytest.mark.parametrize("accept", ["application/json", "*/*", "text/html", ""])
def test_answer__where_it_is_not__is_plain_json(shared_api: Api, accept: str) -> None:
    response = post(shared_api, operation(), accept=accept)
    assert (response.status_code, response.headers["content-type"]) == (200, "application/json")


def test_variable__that_is_missing__is_an_error_and_a_400_in_the_newer_media_type(shared_api: Api) -> None:
    body = operation("query ($t: ID!) { town(townId: $t) { name } }")
    response = post(shared_api, body, accept=GRAPHQL_JSON)
    assert (response.status_code, codes(response)) == (400, ["INVALID_INPUT"])


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/graphql",
        "application/jsonp",
        "json",
        "",
    ],
)
def test_content_type__other_than_json__is_refused(shared_api: Api, content_type: str) -> None:
    assert refusal(post(shared_api, operation(), content_type=content_type)) == (415, ["INVALID_INPUT"])


def test_content_type__that_is_missing__is_refused(shared_api: Api) -> None:
    assert refusal(shared_api.http.post("/graphql", content=operation())) == (415, ["INVALID_INPUT"])


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "Application/JSON", "application/json ;charset=UTF-8"]
)
def test_content_type__that_is_json_however_written__is_taken(shared_api: Api, content_type: str) -> None:
    assert post(shared_api, operation(), content_type=content_type).status_code == 200


# ---- the body limit


@pytest.fixture(scope="module")
def narrow(backend: str, databases: Databases) -> Iterator[Api]:
    """A Townclerk whose bodies may have at most `LIMIT` bytes."""
    with serving(databases.fresh(backend), max_body_bytes=LIMIT, max_large_body_bytes=LIMIT) as running:
        yield running


def of_length(length: int) -> bytes:
    return operation().ljust(length)


def test_body__at_the_limit__is_taken(narrow: Api) -> None:
    assert post(narrow, of_length(LIMIT)).status_code == 200


@pytest.mark.parametrize("length", [LIMIT + 1, 50 * LIMIT])
def test_body__over_the_limit_as_announced__is_too_large(narrow: Api, length: int) -> None:
    assert refusal(post(narrow, of_length(length))) == (413, ["BODY_LIMIT"])
    assert works(narrow)


def test_body__over_the_limit_in_chunks__is_too_large(narrow: Api) -> None:
    chunks = (of_length(LIMIT // 2) for _ in range(50))
    assert refusal(post(narrow, chunks)) == (413, ["BODY_LIMIT"])
    assert works(narrow)


def test_body__at_the_limit_in_chunks__is_taken(narrow: Api) -> None:
    whole = of_length(LIMIT)
    assert post(narrow, iter([whole[:10], whole[10:]])).status_code == 200


def test_body__announced_as_short_but_over_the_limit__is_too_large(narrow: Api) -> None:
    assert refusal(post(narrow, of_length(LIMIT + 1), content_length="10")) == (413, ["BODY_LIMIT"])


@pytest.mark.parametrize("digits", [7, 18])
def test_body__announced_as_enormous__is_too_large(narrow: Api, digits: int) -> None:
    assert refusal(post(narrow, operation(), content_length="9" * digits)) == (413, ["BODY_LIMIT"])


# ---- routes


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_graphql__by_another_method_than_post__is_refused(shared_api: Api, method: str) -> None:
    response = shared_api.http.request(method, "/graphql", params={"query": LABELS})
    assert refusal(response) == (405, ["METHOD_NOT_ALLOWED"])
    assert response.headers["allow"] == "POST"


def test_graphql__by_get_with_a_mutation__changes_nothing(shared_api: Api) -> None:
    query = 'mutation { createTown(input: {townId: "by-get", name: "By get"}) { town { townId } } }'
    assert shared_api.http.get("/graphql", params={"query": query}).status_code == 405
    assert shared_api.data('{ town(townId: "by-get") { name } }') == {"town": None}


@pytest.mark.parametrize("path", ["/nope", "/graphql/more", "/%00", "/%ff", "/" + "a" * 10_000, "/towns"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_path__that_is_unknown__is_not_found(shared_api: Api, method: str, path: str) -> None:
    assert refusal(shared_api.http.request(method, path)) == (404, ["NOT_FOUND"])


def test_healthz__of_a_living_process__says_so(shared_api: Api) -> None:
    assert shared_api.http.get("/healthz").status_code == 200


def test_readyz__over_a_migrated_database__is_ready(shared_api: Api) -> None:
    assert shared_api.http.get("/readyz").status_code == 200


def test_readyz__over_an_unmigrated_database__is_not_ready(backend: str, databases: Databases) -> None:
    with quiet(), serving(databases.empty(backend)) as running:
        assert running.http.get("/healthz").status_code == 200
        assert running.http.get("/readyz").status_code == 503


def test_readyz__over_no_database_at_all__is_not_ready(backend: str, databases: Databases) -> None:
    a_folder, no_database = f"sqlite:///{databases.folder}", f"{databases.empty(backend)}_that_is_not_there"
    nowhere = a_folder if backend == "sqlite" else no_database
    with quiet(), serving(nowhere) as running:
        assert running.http.get("/healthz").status_code == 200
        assert running.http.get("/readyz").status_code == 503


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_probe__by_post__is_refused(shared_api: Api, path: str) -> None:
    assert refusal(shared_api.http.post(path)) == (405, ["METHOD_NOT_ALLOWED"])


# ---- who asked, and in which request

SANE_IDS = ["a", "0", "req-1:2.3_4", "A" * 128, "3f2b0c9e-6c5f-4b5e-9f43-0d6d3a0a6b0e"]
ODD_IDS = {
    "empty": b"",
    "blank": b" ",
    "129 characters": b"a" * 129,
    "10,000 characters": b"a" * 10_000,
    "a space": b"a b",
    "a tab": b"a\tb",
    "a slash": b"a/b",
    "a semicolon": b"a;b",
    "markup": b"<script>",
    "braces": b'{"a": 1}',
    "Latin-1": b"\xe4",
    "UTF-8": "\u00e4".encode(),
    "NUL": b"a\x00",
    "another header": b"a\r\nX-Evil: 1",
    "a body": b"a\r\n\r\n<html>",
    "a line feed": b"a\nb",
}
RIGS = (f"rig-{number}" for number in itertools.count(1))
LAST_ENTRY = """query ($id: ID!) {
    auditEntries(townId: $id, first: 1) { edges { node { requestId } } }
}"""


@pytest.fixture(scope="module")
def town_id(shared_api: Api) -> str:
    return make_town(shared_api, rigs=())


def last_entry(api: Api, town_id: str) -> Json:
    entry: Json = api.data(LAST_ENTRY, id=town_id)["auditEntries"]["edges"][0]["node"]
    return entry


def register_rig(api: Api, town_id: str, headers: dict[str, bytes]) -> httpx2.Response:
    """Register a new rig, with headers that need not be ASCII."""
    given = f'{{townId: "{town_id}", rigId: "{next(RIGS)}", name: "Rig"}}'
    typed = {"content-type": b"application/json", **headers}
    raw = [(header.encode("ascii"), value) for header, value in typed.items()]
    query = f"mutation {{ registerRig(input: {given}) {{ userErrors {{ code }} }} }}"
    return api.http.post("/graphql", content=operation(query), headers=raw)


@pytest.mark.parametrize("request_id", SANE_IDS)
def test_request_id__that_is_sane__is_echoed_and_written_into_the_entry(
    shared_api: Api, town_id: str, request_id: str
) -> None:
    response = register_rig(shared_api, town_id, {"x-request-id": request_id.encode("ascii")})
    assert response.headers.get_list("x-request-id") == [request_id]
    assert last_entry(shared_api, town_id)["requestId"] == request_id


@pytest.mark.parametrize("request_id", ODD_IDS.values(), ids=ODD_IDS)
def test_request_id__that_is_odd__is_replaced_in_answer_and_entry(
    shared_api: Api, town_id: str, request_id: bytes
) -> None:
    response = register_rig(shared_api, town_id, {"x-request-id": request_id})
    (made,) = response.headers.get_list("x-request-id")
    assert "x-evil" not in response.headers
    assert made.isalnum()
    assert made.encode() != request_id
    assert last_entry(shared_api, town_id)["requestId"] == made


def test_request_id__that_is_not_given__is_another_each_time(shared_api: Api) -> None:
    first, second = (post(shared_api, operation()).headers["x-request-id"] for _ in range(2))
    assert first != second


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/graphql", b"null"),
        ("POST", "/graphql", b"x" * (LIMIT + 1)),
        ("GET", "/graphql", b""),
        ("GET", "/nope", b""),
        ("GET", "/healthz", b""),
        ("GET", "/readyz", b""),
    ],
    ids=["400", "413", "405", "404", "healthz", "readyz"],
)
def test_request_id__of_any_request__is_echoed(narrow: Api, method: str, path: str, body: bytes) -> None:
    headers = {"x-request-id": "req-1", "content-type": "application/json"}
    response = narrow.http.request(method, path, content=body, headers=headers)
    assert response.headers.get_list("x-request-id") == ["req-1"]


@pytest.mark.parametrize(
    "name", [b"", b"  ", b"a" * 129, b"a\tb", "\u00e4".encode(), b"a\x00b", b"a\r\nX-Evil: 1"], ids=ascii
)
def test_actor__that_can_not_be_one__is_refused_and_changes_nothing(shared_api: Api, town_id: str, name: bytes) -> None:
    before = shared_api.entries(town_id)
    assert refusal(register_rig(shared_api, town_id, {"x-actor": name})) == (400, ["INVALID_INPUT"])
    assert shared_api.entries(town_id) == before


# ---- what goes wrong inside

INSIDES = (
    "audit_entries",
    "bead_id",
    "select",
    "insert",
    "sqlite",
    "asyncpg",
    "sqlalchemy",
    "traceback",
    ".py",
    "table",
)
BEADS = "query ($id: ID!) { town(townId: $id) { name beads { edges { cursor } } } }"


def drop_table(url: str, table: str) -> None:
    """Take a table away behind the service's back."""

    async def run() -> None:
        database = open_database(url)
        try:
            async with database.writer.begin() as connection:
                await connection.exec_driver_sql(f"DROP TABLE {table}")
        finally:
            await database.dispose()

    asyncio.run(run())


def inside_error(response: httpx2.Response) -> Json:
    """The one error of an answer, which tells nothing of what went on inside but the request's id."""
    (error,) = response.json()["errors"]
    shown = json.dumps(error).lower()
    assert [word for word in INSIDES if word in shown] == []
    assert error["extensions"]["code"] in {"INTERNAL_ERROR", "STORAGE_UNAVAILABLE"}
    assert error["extensions"]["requestId"] == response.headers["x-request-id"]
    found: Json = error
    return found


def test_change__that_fails_inside__tells_no_more_than_the_request_id_and_writes_nothing(broken_api: Api) -> None:
    town_id = make_town(broken_api)
    drop_table(broken_api.url, "audit_entries")
    query = """mutation ($id: ID!) { removeRig(input: {townId: $id, rigId: "web"}) { rig { rigId } } }"""
    with quiet():
        inside_error(post(broken_api, operation(query, variables={"id": town_id})))
    town = broken_api.data("query ($id: ID!) { town(townId: $id) { rigs { rigId removedAt } } }", id=town_id)["town"]
    assert town["rigs"] == [{"rigId": "api", "removedAt": None}, {"rigId": "web", "removedAt": None}]


def test_read__that_fails_inside__tells_no_more_than_the_request_id(broken_api: Api) -> None:
    town_id = make_town(broken_api)
    drop_table(broken_api.url, "bead_revisions")
    drop_table(broken_api.url, "beads")
    with quiet():
        error = inside_error(post(broken_api, operation(BEADS, variables={"id": town_id})))
    assert error["path"][:2] == ["town", "beads"]
    assert broken_api.data("query ($id: ID!) { town(townId: $id) { townId } }", id=town_id) == {
        "town": {"townId": town_id}
    }


# ---- the log


class LoggedApi(Api):
    def __init__(self, http: TestClient, url: str, log: io.StringIO) -> None:
        super().__init__(http, url)
        self._log = log

    def lines(self, request_id: str) -> list[Json]:
        """What was logged of a request; every line logged at all has to be JSON."""
        Lines.flush()
        lines: list[Json] = [json.loads(line) for line in self._log.getvalue().splitlines()]
        return [line for line in lines if line.get("request_id") == request_id]


@pytest.fixture
def logged(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoggedApi]:
    """A Townclerk as a server's process makes it, with its log."""
    root = logging.getLogger()
    handlers, level, configured = root.handlers[:], root.level, structlog.get_config()
    monkeypatch.setenv("TOWNCLERK_DATABASE_URL", database_url)
    monkeypatch.setenv("TOWNCLERK_DEV", "true")
    log = io.StringIO()
    with contextlib.redirect_stderr(log):
        app = served_app()
    with TestClient(app, base_url="http://localhost", client=HERE, raise_server_exceptions=False) as http:
        yield LoggedApi(http, database_url, log)
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**configured)


def test_log__of_a_request__holds_its_id_and_what_came_of_it(logged: LoggedApi) -> None:
    post(logged, operation(), x_request_id="req-good")
    (line,) = logged.lines("req-good")
    assert (line["event"], line["method"], line["path"], line["status"]) == ("request", "POST", "/graphql", 200)


def test_log__of_a_failure_inside__holds_the_request_id_and_the_cause(logged: LoggedApi) -> None:
    town_id = make_town(logged)
    drop_table(logged.url, "bead_revisions")
    drop_table(logged.url, "beads")
    post(logged, operation(BEADS, variables={"id": town_id}), x_request_id="req-broken")
    lines = logged.lines("req-broken")
    causes = [line for line in lines if "beads" in line.get("exception", "")]
    assert [line["level"] for line in causes] == ["error"]


def test_log__of_an_odd_request__stays_one_line_with_the_id_made_for_it(logged: LoggedApi) -> None:
    response = logged.http.get('/%0a{"event": "forged"}', headers={"x-request-id": 'a", "level": "critical'})
    (line,) = logged.lines(response.headers["x-request-id"])
    assert (line["level"], line["status"], line["path"]) == ("info", 404, '/\n{"event": "forged"}')
