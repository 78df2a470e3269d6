"""Figures and traces: what is counted, who may see it, and that nobody pays who did not ask."""

import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families as parse

from functions.app.application import App, now
from functions.config.settings import Settings
from functions.domain.capacity.time_budget import TimeBudget
from functions.domain.run import Outcome, failed, succeeded
from functions.domain.storage import StoreStats
from functions.domain.task import Job
from functions.domain.types import Trigger
from functions.errors import SettingsError, StoreUnavailableError
from functions.observability.exposition import render_metrics
from functions.observability.metrics import Metrics
from functions.observability.tracing import Tracing, build_tracing
from tests.conftest import NOON

BUDGET = TimeBudget(timedelta(seconds=18), timedelta(seconds=24))
REPORT: Mapping[str, object] = {"status": "ok", "due": 5, "succeeded": 3, "failed": 1, "durationMs": 250}


def values(text: str) -> dict[str, float]:
    pairs = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, value in pairs}


def test_reports_add_up() -> None:
    metrics = Metrics()

    metrics.add_report("tick", REPORT, at=NOON)
    metrics.add_report("work", REPORT, at=NOON)

    found = values(render_metrics(metrics, None))
    assert (1, 1) == tuple(found[f'cronfire_invocations_total{{kind="{kind}"}}'] for kind in ("tick", "work"))
    assert (6, 10, 0.5) == (
        found['cronfire_runs_total{outcome="succeeded"}'],
        found["cronfire_due_total"],
        found["cronfire_busy_seconds_total"],
    )
    assert NOON.timestamp() == found["cronfire_last_invocation_seconds"]


def test_what_the_store_holds_is_beside_it_and_its_silence_too() -> None:
    answered, silent = (render_metrics(Metrics(), stats) for stats in (StoreStats(15, 3, NOON), None))

    assert (1, 15, 3) == tuple(
        values(answered)[f"cronfire_{name}"] for name in ("store_up", "tasks_scheduled", "tasks_due")
    )
    assert 0 == values(silent)["cronfire_store_up"]
    assert "cronfire_tasks_due" not in silent


def test_the_text_is_what_prometheus_reads() -> None:
    metrics = Metrics()
    metrics.add_report("tick", REPORT, at=NOON)

    families = {family.name: family for family in parse(render_metrics(metrics, StoreStats(15, 3, NOON)))}

    assert ("counter", "gauge") == (families["cronfire_due"].type, families["cronfire_tasks_due"].type)
    assert [({"kind": "tick"}, 1), ({"kind": "work"}, 0)] == [
        (sample.labels, sample.value) for sample in families["cronfire_invocations"].samples
    ]
    assert NOON.timestamp() == families["cronfire_last_invocation_seconds"].samples[0].value


def test_nothing_but_our_own_figures_is_shown() -> None:
    """The library's global registry has collectors for the Python process."""
    text = render_metrics(Metrics(), None)

    assert [] == [
        line
        for line in text.splitlines()
        if not line.removeprefix("# HELP ").removeprefix("# TYPE ").startswith("cronfire_")
    ]


@pytest.fixture
async def wired(tmp_path: Path) -> AsyncIterator[App]:
    one = App(Settings.from_env({"STORE_URL": f"sqlite:///{tmp_path}/m.db"}, serves_http=False), clock=now)
    yield one
    await one.close()


async def test_the_store_is_not_asked_at_each_scrape(wired: App) -> None:
    with wired.store.count_operations() as operations:
        await wired.metrics()
        first = operations.reads
        await wired.metrics()

    assert first == operations.reads


async def test_a_tick_and_one_that_failed_are_counted(wired: App, monkeypatch: pytest.MonkeyPatch) -> None:
    await wired.tick(BUDGET)

    async def down(*_: object, **__: object) -> None:
        raise StoreUnavailableError("down")

    monkeypatch.setattr(wired.store, "fetch_due", down)
    with pytest.raises(StoreUnavailableError):
        await wired.tick(BUDGET)

    found = values(await wired.metrics())
    assert (1, 1) == (
        found['cronfire_invocations_total{kind="tick"}'],
        found["cronfire_invocations_unfinished_total"],
    )


# -- traces ----------------------------------------------------------------------------------------------


class FakeTracer:
    def __init__(self) -> None:
        self.spans: list[dict[str, Any]] = []

    @contextmanager
    def start_as_current_span(self, name: str, **how: Any) -> Iterator["FakeTracer"]:
        self.spans.append({"name": name, **how["attributes"]})
        yield self

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        self.spans[-1] |= attributes

    def set_status(self, status: Any, description: str | None = None) -> None:
        self.spans[-1] |= {"status": status, "description": description}


def job() -> Job:
    return Job(
        task_id="ping",
        title="Ping",
        type="http",
        params={},
        timezone="UTC",
        idempotency_key="ping@2026-11-20T12:00:00Z",
        scheduled_at=NOON,
        started_at=NOON + timedelta(seconds=2),
        attempt=1,
        trigger=Trigger.SCHEDULE,
        missed=None,
        memory={},
        timeout_s=20,
    )


@pytest.mark.parametrize("outcome", [succeeded("Answered 200"), failed("Answered 503")])
async def test_a_run_is_one_span(outcome: Outcome) -> None:
    tracer = FakeTracer()

    async def perform(job: Job) -> Outcome:
        return outcome

    found = await Tracing(tracer, error="ERROR", flush=lambda _: None).span(perform)(job())

    [span] = tracer.spans
    assert outcome is found
    assert ("run http", "ping", 2000, str(outcome.kind)) == tuple(
        span[name] for name in ("name", "cronfire.task", "cronfire.late_ms", "cronfire.outcome")
    )
    assert (outcome.summary == "Answered 503") == ("status" in span)


async def test_spans_are_sent_before_the_answer() -> None:
    """After it the platform freezes the process."""
    flushed: list[int] = []

    await Tracing(FakeTracer(), error="ERROR", flush=flushed.append).flush()

    assert [2000] == flushed


def test_who_wants_traces_without_the_library_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry", None)

    with pytest.raises(SettingsError, match=r"pip install -r requirements-otel\.txt"):
        build_tracing("http://127.0.0.1:4318")
