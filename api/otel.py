"""Traces over OTLP/HTTP: a span for each request, and in it one for its GraphQL operation. Needs `townclerk[otel]`.

Where they go, what is sampled and what the service is called is read from the environment by the SDK itself.
"""

import os
import time
from typing import Final

from opentelemetry import propagate
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.schema.operation import Operation

_SERVER_ERROR: Final = 500
_UNTRACED: Final = frozenset({"/healthz", "/readyz", "/metrics"})


class Traces:
    """Makes the spans of one application."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("townclerk")

    @classmethod
    def to_collector(cls) -> "Traces":
        """Traces that are sent to the collector that the environment names."""
        named = {} if os.environ.get("OTEL_SERVICE_NAME") else {SERVICE_NAME: "townclerk"}
        provider = TracerProvider(resource=Resource.create(named), shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        return cls(provider)

    def http(self, app: ASGIApp) -> ASGIApp:
        """Middleware that makes a span of each request to `app`, within its caller's trace where it names one."""

        async def traced(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http" or scope["path"] in _UNTRACED:
                await app(scope, receive, send)
                return
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
            with self._tracer.start_as_current_span(
                scope["method"], context=propagate.extract(headers), kind=SpanKind.SERVER
            ) as span:
                span.set_attribute("http.request.method", scope["method"])
                span.set_attribute("townclerk.request_id", scope["state"]["request_id"])

                async def send_and_note(message: Message) -> None:
                    if message["type"] == "http.response.start":
                        span.set_attribute("http.response.status_code", message["status"])
                        if message["status"] >= _SERVER_ERROR:
                            span.set_status(Status(StatusCode.ERROR))
                    await send(message)

                await app(scope, receive, send_and_note)
                if route := getattr(scope.get("route"), "path", None):
                    span.update_name(f"{scope['method']} {route}")
                    span.set_attribute("http.route", route)

        return traced

    def operation(self, operation: Operation) -> None:
        """Make a span of a GraphQL operation that has ended."""
        begun = time.time_ns() - round(1e9 * (time.perf_counter() - operation.begun))
        span = self._tracer.start_span(" ".join((operation.kind, *operation.fields)), start_time=begun)
        span.set_attribute("graphql.operation.type", operation.kind)
        span.set_attribute("townclerk.fields", operation.fields)
        if operation.codes:
            span.set_attribute("townclerk.codes", operation.codes)
            span.set_status(Status(StatusCode.ERROR))
        span.end()

    def close(self) -> None:
        """Send what has not been sent yet. Waits for the collector, though not for ever."""
        self._provider.shutdown()
