"""Figures for Prometheus: what this process has done since it began, and what the store holds."""

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
    "retrying": "attempts that failed and are made again",
    "skipped": "occurrences skipped",
}
REPORT_COUNTERS = {
    "due": "tasks found due",
    "started": "attempts begun",
    "postponed": "due tasks left for want of time",
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
        sums: Of the figures of all its reports, by their names.
        unfinished: Ticks and shares that the store, or their time, brought to an end.
        heartbeats_missed: Times the outside watch could not be reached.
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
        """Everything in Prometheus' text format; *stats* is None when the store did not answer."""
        return "\n".join([*self._lines(), *_store_lines(stats)]) + "\n"

    def _lines(self) -> Iterator[str]:
        yield from _header(
            "cronfire_invocations_total", "counter", "ticks and shares of work that were finished"
        )
        for kind in ("tick", "work"):
            yield f'cronfire_invocations_total{{kind="{kind}"}} {self.invocations[kind]}'
        yield from _sample(
            "cronfire_invocations_unfinished_total", "counter", "those that were not", self.unfinished
        )
        yield from _header("cronfire_runs_total", "counter", "what became of occurrences")
        for name in RUN_COUNTERS:
            yield f'cronfire_runs_total{{outcome="{name}"}} {self.report_totals[name]}'
        for name, about in REPORT_COUNTERS.items():
            yield from _sample(
                f"cronfire_{_snake_case(name)}_total", "counter", about, self.report_totals[name]
            )
        seconds = self.report_totals["durationMs"] / 1000
        yield from _sample(
            "cronfire_busy_seconds_total", "counter", "time spent in ticks and shares", seconds
        )
        missed = self.heartbeats_missed
        yield from _sample("cronfire_heartbeats_missed_total", "counter", "heartbeats nobody took", missed)
        if self.last_tick_at is not None:
            at = self.last_tick_at.timestamp()
            yield from _sample(
                "cronfire_last_invocation_seconds", "gauge", "when this process last finished one", at
            )


def _store_lines(stats: StoreStats | None) -> Iterator[str]:
    yield from _sample("cronfire_store_up", "gauge", "whether the store answered", int(stats is not None))
    if stats is None:
        return
    yield from _sample("cronfire_tasks_scheduled", "gauge", "tasks that will be looked at", stats.scheduled)
    yield from _sample("cronfire_tasks_due", "gauge", "tasks that wait to be looked at", stats.due)
    if stats.last_tick_at is not None:
        at = stats.last_tick_at.timestamp()
        yield from _sample("cronfire_last_run_seconds", "gauge", "when anything was last recorded", at)


def _sample(name: str, kind: str, about: str, value: float) -> Iterator[str]:
    yield from _header(name, kind, about)
    yield f"{name} {value:.3f}" if isinstance(value, float) else f"{name} {value}"


def _header(name: str, kind: str, about: str) -> Iterator[str]:
    yield f"# HELP {name} {about}"
    yield f"# TYPE {name} {kind}"


def _snake_case(name: str) -> str:
    """Prometheus names have underscores: `lostClaims` becomes `lost_claims`."""
    return re.sub(r"[A-Z]", lambda letter: f"_{letter[0].lower()}", name)
