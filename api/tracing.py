"""OpenTelemetry traces, where the standard environment variables ask for them; else nothing of it is imported."""

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

import structlog

if TYPE_CHECKING:
    from api.otel import Traces

_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_LOG: Final = structlog.get_logger("townclerk.tracing")


def start_tracing() -> "Traces | None":
    """Traces as the environment asks for them; None where it does not, or where `townclerk[otel]` is not installed."""
    if not _is_asked_for():
        return None
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.sdk") is None:
        _LOG.warning("traces are asked for, but nothing is installed to make them: install townclerk[otel]")
        return None
    from api.otel import Traces  # noqa: PLC0415  # an optional extra

    return Traces.to_collector()


def _is_asked_for() -> bool:
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporters = {name.strip() for name in os.environ.get("OTEL_TRACES_EXPORTER", "").split(",")} - {""}
    if exporters - {"otlp", "none"}:
        _LOG.warning("of OTEL_TRACES_EXPORTER only otlp and none are known")
    if exporters:
        return "otlp" in exporters
    return any(os.environ.get(name) for name in _ENDPOINTS)
