"""Traces: one span for each run, exported by OpenTelemetry if it is installed and configured."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

from functions.domain.run import Outcome
from functions.domain.task import Job
from functions.domain.types import OutcomeKind, format_instant
from functions.errors import SettingsError
from functions.interfaces import RunTask

FLUSH_WITHIN_MS = 2000


class Span(Protocol):
    """The methods of a span that are used."""

    def set_attributes(self, attributes: Mapping[str, Any]) -> None: ...

    def set_status(self, status: Any, description: str | None = None) -> None: ...


class Tracer(Protocol):
    """The methods of a tracer that are used."""

    def start_as_current_span(self, name: str, **options: Any) -> AbstractContextManager[Any]: ...


class Tracing:
    """Exports spans to a collector.

    Args:
        error: The library's status of a failed span.
        flush: Exports the pending spans within the given milliseconds; blocks.
    """

    def __init__(self, tracer: Tracer, *, error: Any, flush: Callable[[int], object]) -> None:
        self._tracer = tracer
        self._error = error
        self._flush = flush

    def span(self, run_task: RunTask) -> RunTask:
        """Return *run_task* with a span around each call."""

        async def traced(job: Job) -> Outcome:
            with self._tracer.start_as_current_span(
                f"run {job.type}", attributes=_span_attributes(job)
            ) as span:
                outcome = await run_task(job)
                span.set_attributes({"cronfire.outcome": str(outcome.kind)})
                if outcome.kind is not OutcomeKind.SUCCEEDED:
                    span.set_status(self._error, outcome.summary)
                return outcome

        return traced

    async def flush(self) -> None:
        """Export the pending spans: after the response the platform takes the processor away."""
        await asyncio.to_thread(self._flush, FLUSH_WITHIN_MS)


def build_tracing(endpoint: str) -> Tracing:
    """Return the exporter to the collector at *endpoint*, by OTLP over HTTP.

    Raises:
        SettingsError: OpenTelemetry is not installed.
    """
    try:  # an extra, and 150 ms of cold start: imported only when configured
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.trace import StatusCode
    except ImportError:
        raise SettingsError(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set, but OpenTelemetry is not installed: "
            "pip install -r requirements-otel.txt"
        ) from None
    provider = TracerProvider(resource=Resource.create({"service.name": "cronfire"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces")))
    return Tracing(provider.get_tracer("cronfire"), error=StatusCode.ERROR, flush=provider.force_flush)


def _span_attributes(job: Job) -> dict[str, Any]:
    return {
        "cronfire.task": job.task_id,
        "cronfire.type": job.type,
        "cronfire.occurrence": job.idempotency_key,
        "cronfire.scheduled_for": format_instant(job.scheduled_at),
        "cronfire.late_ms": round((job.started_at - job.scheduled_at).total_seconds() * 1000),
        "cronfire.attempt": job.attempt,
        "cronfire.trigger": str(job.trigger),
    }
