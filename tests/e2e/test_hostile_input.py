"""The list of bad input once more: over TCP, and with tokens."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.client import Api, Json
from tests.contract.inputs import furnish
from tests.contract.test_bad_input import *  # noqa: F403  # each of its tests, with `api` as it is here
from tests.databases import Databases
from tests.e2e.guarded import guarded
from tests.tampering import faults


class AsciiApi(Api):
    """Sends JSON with escapes, which is the only way that lone surrogates travel."""

    def execute(self, query: str, /, *, headers: dict[str, str] | None = None, **variables: Any) -> Json:
        status, sent = self.post(json.dumps({"query": query, "variables": variables}).encode("ascii"), headers)
        assert status < 500, sent
        answer: Json = json.loads(sent)
        return answer


@pytest.fixture(scope="module")  # type: ignore[no-redef]  # in place of theirs
def api(backend: str, databases: Databases) -> Iterator[Api]:
    url = databases.fresh(backend)
    with guarded(url) as server:
        furnish(server.api)
        yield AsciiApi(server.api.http, url, server.api.credential["authorization"])
    assert faults(url) == {}
