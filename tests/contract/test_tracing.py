"""OpenTelemetry traces: only where the standard variables ask for them, and nothing in them that a client sent."""

import json
import os
import subprocess
import sys
from typing import Final

import pytest
from structlog.testing import capture_logs

from api.tracing import start_tracing
from tests.client import serving
from tests.collector import Collector, collector
from tests.databases import Databases

TRACE: Final = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER: Final = "00f067aa0ba902b7"
# Imports the program once; each case has a process that forks from there.
LOADED: Final = """
import json, os, sys
from api.app import create_app
from api.settings import Settings
for name, variables in json.loads(sys.argv[1]).items():
    if os.fork() == 0:
        os.environ.update(variables)
        create_app(Settings(database_url="sqlite:///none.db"))
        print(json.dumps([name, any(it.startswith("opentelemetry") for it in sys.modules)]), flush=True)
        os._exit(0)
    assert os.wait()[1] == 0, name
"""
NOWHERE: Final = "http://127.0.0.1:9"
ASKED: Final[dict[str, tuple[dict[str, str], bool]]] = {
    "unasked": ({}, False),
    "none": ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": NOWHERE}, False),
    "disabled": ({"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": NOWHERE}, False),
    "exporter": ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
    "endpoint": ({"OTEL_EXPORTER_OTLP_ENDPOINT": NOWHERE}, True),
}


@pytest.fixture
def spans(databases: Databases, monkeypatch: pytest.MonkeyPatch) -> Collector:
    """What a collector has of a Townclerk that answered three requests and ended."""
    with collector() as receiving:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiving.endpoint)
        with serving(databases.fresh("sqlite")) as api:
            headers = {"X-Request-Id": "traced-1", "traceparent": f"00-{TRACE}-{CALLER}-01"}
            query = 'query Named { here: town(townId: "secret-town") { name } labels { name } }'
            api.data(query, headers=headers)
            api.execute('{ resolution(beadId: "secret-bead") { model } }')
            api.http.get("/healthz")
        return receiving


def test_request__in_a_callers_trace__is_a_span_of_it_with_its_operation_inside(spans: Collector) -> None:
    request, operation = sorted((it for it in spans.spans if it.trace == TRACE), key=lambda span: span.parent != CALLER)
    assert (request.name, request.parent) == ("POST /graphql", CALLER)
    assert request.attributes == {
        "http.request.method": "POST",
        "http.route": "/graphql",
        "http.response.status_code": 200,
        "townclerk.request_id": "traced-1",
    }
    assert (operation.name, operation.parent) == ("query town labels", request.span)
    assert operation.attributes == {"graphql.operation.type": "query", "townclerk.fields": ["town", "labels"]}


def test_operation__that_fails__has_its_codes(spans: Collector) -> None:
    (operation,) = (span for span in spans.spans if span.name == "query resolution")
    assert operation.attributes["townclerk.codes"] == ["NOT_FOUND"]


def test_traces__of_some_requests__hold_those_and_no_value_that_was_sent(spans: Collector) -> None:
    assert sorted(span.name for span in spans.spans) == [
        "POST /graphql",
        "POST /graphql",
        "query resolution",
        "query town labels",
    ]
    assert spans.services == {"townclerk"}
    assert "secret" not in repr(spans.spans)


def test_opentelemetry__is_loaded__only_where_it_is_asked_for() -> None:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    cases = json.dumps({name: variables for name, (variables, _) in ASKED.items()})
    done = subprocess.run([sys.executable, "-c", LOADED, cases], env=plain, capture_output=True, check=True, timeout=60)
    loaded = dict(json.loads(line) for line in done.stdout.splitlines())
    assert loaded == {name: loads for name, (_, loads) in ASKED.items()}


def test_traces__asked_for_where_nothing_makes_them__are_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
    monkeypatch.setattr("api.tracing.find_spec", lambda _name: None)
    with capture_logs() as logs:
        assert start_tracing() is None
    assert [log["log_level"] for log in logs] == ["warning"]
