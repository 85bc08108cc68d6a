"""Documents by their SHA-256: trusted ones of a file, those that were valid lately, and servers that take no others."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from api.manifests import trusted_texts
from tests.client import Api, Json, serving
from tests.tokens import make_token

LABELS: Final = "query Labels { labels { name } }"
VIEWER: Final = "{ viewer { actor { actorId } } }"
NEW: Final = "{ models { modelId } }"


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def persisted(text: str, **more: Any) -> Json:
    """A request for a document by its hash."""
    return {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": digest(text)}}, **more}


def answer(api: Api, request: Json) -> Json:
    _, body = api.post(json.dumps(request).encode())
    found: Json = json.loads(body)
    return found


def code(api: Api, request: Json) -> str:
    (error,) = answer(api, request)["errors"]
    return str(error["extensions"]["code"])


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("trusted") / "documents.json"
    file.write_text(json.dumps({digest(LABELS): LABELS, digest(VIEWER): VIEWER}))
    return file


@pytest.fixture(scope="module")
def strict(dev: Api, manifest: Path) -> Iterator[Api]:
    """A server that takes trusted documents only."""
    settings: dict[str, Any] = {"trusted_documents": manifest, "trusted_documents_only": True}
    with serving(dev.url, rollout_interval_seconds=3600, **settings) as api:
        yield api


def test_document__that_is_trusted__is_run_by_its_hash_alone(strict: Api) -> None:
    asked = answer(strict, {"query": LABELS})
    assert answer(strict, persisted(LABELS)) == asked
    assert asked["data"]["labels"]


def test_document__that_is_trusted__is_taken_as_text_with_its_hash_too(strict: Api) -> None:
    assert "data" in answer(strict, persisted(LABELS, query=LABELS, operationName="Labels"))


@pytest.mark.parametrize("request_", [{"query": NEW}, persisted(NEW, query=NEW)], ids=["text", "text and hash"])
def test_document__that_is_not_trusted__is_refused_where_others_are_not_taken(strict: Api, request_: Json) -> None:
    assert code(strict, request_) == "PERSISTED_QUERY_ONLY"
    assert code(strict, persisted(NEW)) == "PERSISTED_QUERY_NOT_FOUND"


def test_document__of_a_socket_where_others_are_not_taken__is_refused(strict: Api) -> None:
    with strict.http.websocket_connect("ws://localhost/graphql", subprotocols=["graphql-transport-ws"]) as socket:
        socket.send_json({"type": "connection_init"})
        assert socket.receive_json()["type"] == "connection_ack"
        socket.send_json({"id": "1", "type": "subscribe", "payload": {"query": NEW}})
        refused = socket.receive_json()
        assert (refused["type"], refused["payload"][0]["extensions"]["code"]) == ("error", "PERSISTED_QUERY_ONLY")
        socket.send_json({"id": "2", "type": "subscribe", "payload": persisted(LABELS)})
        assert socket.receive_json()["payload"]["data"]["labels"]


def test_document__that_nobody_has_sent__is_found_by_its_hash_once_it_was(dev: Api) -> None:
    new = "{ models { modelId displayName } }"
    assert code(dev, persisted(new)) == "PERSISTED_QUERY_NOT_FOUND"
    sent = answer(dev, persisted(new, query=new))
    assert answer(dev, persisted(new)) == sent
    assert sent["data"]["models"]


def test_resolution__by_its_hash__is_the_one_by_its_text(dev: Api) -> None:
    query = "query ($id: ID!) { resolution(beadId: $id) { model } }"
    variables = {"variables": {"id": "nowhere"}}
    assert [answer(dev, {"query": query, **variables}) for _ in range(3)] == [
        answer(dev, persisted(query, **variables)) for _ in range(3)
    ]


WRONG: Final[dict[str, Any]] = {
    "no object": 1,
    "no hash": {"version": 1},
    "another version": {"version": 2, "sha256Hash": digest(LABELS)},
    "a hash that is none": {"version": 1, "sha256Hash": "abc"},
    "a hash of something else": {"version": 1, "sha256Hash": digest(VIEWER)},
}


@pytest.mark.parametrize("wrong", WRONG)
def test_extension__that_says_something_else__is_refused(dev: Api, wrong: str) -> None:
    request = {"query": LABELS, "extensions": {"persistedQuery": WRONG[wrong]}}
    assert code(dev, request) == "INVALID_INPUT"


def test_document__by_its_hash_without_a_credential__is_not_looked_for(shut: Api) -> None:
    assert code(shut, persisted(LABELS)) == "UNAUTHENTICATED"
    token = make_token(shut.url, "reader")
    assert code(shut.holding(token), persisted("{ never { sent } }")) == "PERSISTED_QUERY_NOT_FOUND"


# ---- files


def test_file__of_an_apollo_client__is_read(tmp_path: Path) -> None:
    file = tmp_path / "manifest.json"
    operations = [{"id": digest(LABELS), "name": "Labels", "type": "query", "body": LABELS}]
    file.write_text(json.dumps({"format": "apollo-persisted-query-manifest", "version": 1, "operations": operations}))
    assert trusted_texts(file)[-1] == LABELS


BROKEN: Final = {
    "nothing": "",
    "no object": "[]",
    "no text": f'{{"{digest(LABELS)}": 1}}',
    "another hash": json.dumps({digest(VIEWER): LABELS}),
    "an operation without its body": '{"operations": [{"id": "a"}]}',
}


@pytest.mark.parametrize("broken", BROKEN)
def test_file__that_holds_something_else__is_refused(tmp_path: Path, broken: str) -> None:
    file = tmp_path / "documents.json"
    file.write_text(BROKEN[broken])
    with pytest.raises(ValueError, match=r"documents\.json"):
        trusted_texts(file)


def test_file__that_is_not_there__is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"none\.json"):
        trusted_texts(tmp_path / "none.json")
