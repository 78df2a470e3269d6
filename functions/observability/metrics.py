"""Metrics for Prometheus: counters of this process, and gauges of the store."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from functions.domain.storage import StoreStats

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
RUN_COUNTERS = {
    "succeeded": "runs that succeeded",
    "failed": "occurrences that ended in failure",
    "retrying": "attempts that failed and are retried",
    "skipped": "occurrences skipped",
}
REPORT_COUNTERS = {
    "due": "tasks found due",
    "started": "attempts started",
    "postponed": "due tasks postponed for lack of time",
    "lostClaims": "claims lost to another tick",
    "unreadable": "documents that could not be read",
    "handedOff": "messages to workers",
    "publishFailures": "events lost",
    "reads": "documents read",
    "writes": "documents written",
}


@dataclass(slots=True)
class Metrics:
    """The counters of one process.

    Attributes:
        report_totals: The sums of all reports, by field.
        invocations: Finished ticks and workers.
        unfinished: Ticks and workers ended by a store error or a timeout.
        heartbeats_missed: Failed requests to the outside monitor.
        last_tick_at: When the last tick or worker ended.
    """

    report_totals: Counter[str] = field(default_factory=Counter)
    invocations: Counter[str] = field(default_factory=Counter)
    unfinished: int = 0
    heartbeats_missed: int = 0
    last_tick_at: datetime | None = None

    def add_report(self, kind: str, report: Mapping[str, object], *, at: datetime) -> None:
        """Add the *report* of a `tick` or a `work` that ended *at*."""
        self.invocations[kind] += 1
        self.report_totals.update({name: value for name, value in report.items() if isinstance(value, int)})
        self.last_tick_at = at

    def render(self, stats: StoreStats | None) -> str:
        """Return the metrics in Prometheus' text format; *stats* is None when the store did not respond."""
        return "\n".join([*self._lines(), *_store_lines(stats)]) + "\n"

    def _lines(self) -> Iterator[str]:
        yield from _header("cronfire_invocations_total", "counter", "finished ticks and workers")
        for kind in ("tick", "work"):
            yield f'cronfire_invocations_total{{kind="{kind}"}} {self.invocations[kind]}'
        yield from _sample(
            "cronfire_invocations_unfinished_total",
            "counter",
            "ticks and workers that did not finish",
            self.unfinished,
        )
        yield from _header("cronfire_runs_total", "counter", "occurrences by outcome")
        for name in RUN_COUNTERS:
            yield f'cronfire_runs_total{{outcome="{name}"}} {self.report_totals[name]}'
        for name, about in REPORT_COUNTERS.items():
            yield from _sample(
                f"cronfire_{_snake_case(name)}_total", "counter", about, self.report_totals[name]
            )
        seconds = self.report_totals["durationMs"] / 1000
        yield from _sample(
            "cronfire_busy_seconds_total", "counter", "time spent in ticks and workers", seconds
        )
        missed = self.heartbeats_missed
        yield from _sample(
            "cronfire_heartbeats_missed_total", "counter", "heartbeats that could not be sent", missed
        )
        if self.last_tick_at is not None:
            at = self.last_tick_at.timestamp()
            yield from _sample(
                "cronfire_last_invocation_seconds",
                "gauge",
                "when this process last finished a tick or worker",
                at,
            )


def _store_lines(stats: StoreStats | None) -> Iterator[str]:
    yield from _sample("cronfire_store_up", "gauge", "whether the store responded", int(stats is not None))
    if stats is None:
        return
    yield from _sample("cronfire_tasks_scheduled", "gauge", "tasks with a next run", stats.scheduled)
    yield from _sample("cronfire_tasks_due", "gauge", "tasks that are due", stats.due)
    if stats.last_tick_at is not None:
        at = stats.last_tick_at.timestamp()
        yield from _sample("cronfire_last_run_seconds", "gauge", "when the last tick was recorded", at)


def _sample(name: str, kind: str, about: str, value: float) -> Iterator[str]:
    yield from _header(name, kind, about)
    yield f"{name} {value:.3f}" if isinstance(value, float) else f"{name} {value}"


def _header(name: str, kind: str, about: str) -> Iterator[str]:
    yield f"# HELP {name} {about}"
    yield f"# TYPE {name} {kind}"


def _snake_case(name: str) -> str:
    """Prometheus names have underscores: `lostClaims` becomes `lost_claims`."""
    return re.sub(r"[A-Z]", lambda letter: f"_{letter[0].lower()}", name)
