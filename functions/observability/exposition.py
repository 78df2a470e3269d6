"""Metrics as text for Prometheus: the counters of this process, and gauges of the store.

Imports prometheus-client (47 ms), so it is imported when the metrics are asked for, not by a tick.
"""

import re
from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from functions.domain.storage import StoreStats
from functions.observability.metrics import Metrics

RUN_COUNTERS = ("succeeded", "failed", "retrying", "skipped")
REPORT_COUNTERS = {
    "due": "tasks found due",
    "started": "attempts started",
    "postponed": "due tasks postponed for lack of time",
    "lostClaims": "claims lost to another tick",
    "unreadable": "documents that could not be read",
    "unwritten": "results that the store did not take",
    "unclaimed": "claims that the store did not take",
    "handedOff": "messages to workers",
    "publishFailures": "events lost",
    "lostNotices": "notices that reached nobody",
    "reads": "documents read",
    "writes": "documents written",
}


def render_metrics(metrics: Metrics, stats: StoreStats | None) -> str:
    """Return *metrics* in Prometheus' text format; *stats* is None when the store did not respond.

    The registry is made anew for each call: the library's global one would add figures of the Python process.
    """
    registry = CollectorRegistry()
    registry.register(_Snapshot([*_process_metrics(metrics), *_store_metrics(stats)]))
    return generate_latest(registry).decode()


class _Snapshot(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _process_metrics(metrics: Metrics) -> Iterator[Metric]:
    invocations = CounterMetricFamily("cronfire_invocations", "finished ticks and workers", labels=("kind",))
    for kind in ("tick", "work"):
        invocations.add_metric((kind,), metrics.invocations[kind])
    yield invocations
    yield CounterMetricFamily(
        "cronfire_invocations_unfinished", "ticks and workers that did not finish", metrics.unfinished
    )
    runs = CounterMetricFamily("cronfire_runs", "occurrences by outcome", labels=("outcome",))
    for outcome in RUN_COUNTERS:
        runs.add_metric((outcome,), metrics.report_totals[outcome])
    yield runs
    for field, about in REPORT_COUNTERS.items():
        yield CounterMetricFamily(f"cronfire_{_snake_case(field)}", about, metrics.report_totals[field])
    seconds = metrics.report_totals["durationMs"] / 1000
    yield CounterMetricFamily("cronfire_busy_seconds", "time spent in ticks and workers", seconds)
    yield CounterMetricFamily(
        "cronfire_heartbeats_missed", "heartbeats that could not be sent", metrics.heartbeats_missed
    )
    if metrics.last_tick_at is not None:
        yield GaugeMetricFamily(
            "cronfire_last_invocation_seconds",
            "when this process last finished a tick or worker",
            metrics.last_tick_at.timestamp(),
        )


def _store_metrics(stats: StoreStats | None) -> Iterator[Metric]:
    yield GaugeMetricFamily("cronfire_store_up", "whether the store responded", int(stats is not None))
    if stats is None:
        return
    yield GaugeMetricFamily("cronfire_tasks_scheduled", "tasks with a next run", stats.scheduled)
    yield GaugeMetricFamily("cronfire_tasks_due", "tasks that are due", stats.due)
    if stats.last_tick_at is not None:
        at = stats.last_tick_at.timestamp()
        yield GaugeMetricFamily("cronfire_last_run_seconds", "when the last tick was recorded", at)


def _snake_case(name: str) -> str:
    """Prometheus names have underscores: `lostClaims` becomes `lost_claims`."""
    return re.sub(r"[A-Z]", lambda letter: f"_{letter[0].lower()}", name)
