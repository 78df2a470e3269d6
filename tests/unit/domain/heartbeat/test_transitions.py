"""Heartbeats: what follows a call, a missing one, a run that takes too long; with a tick each minute."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from functions.domain.alerts.outbox import DeliveryAttempt
from functions.domain.heartbeat.model import HeartbeatState, OpenRun, Ping, PingKind
from functions.domain.heartbeat.transitions import receive_ping
from functions.domain.lifecycle.after_delivery import after_delivery
from functions.domain.lifecycle.complete import Transition, pause, resume
from functions.domain.lifecycle.decide import ApplyTransition, decide
from functions.domain.lifecycle.edit import backfill_instants, edit_task, new_task, queue_runs
from functions.domain.lifecycle.executions import executions_of
from functions.domain.lifecycle.upcoming import next_run
from functions.domain.run import Run
from functions.domain.task import Task, TaskSpec
from functions.domain.types import OutcomeKind, Status, Trigger
from functions.errors import InputError
from tests.conftest import NOON

MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)


def spec(**fields: Any) -> TaskSpec:
    given = {"id": "backup", "title": "Backup", "type": "heartbeat", "schedule": "0 13 * * *"}
    return TaskSpec.model_validate(given | fields)


@dataclass
class Watch:
    """A heartbeat, its ticks and calls in the order of time, and the runs that were recorded."""

    task: Task
    runs: list[Run] = field(default_factory=list)
    looks: int = 0  # ticks that found the task due
    last_tick: datetime = NOON
    notices: list[str] = field(default_factory=list)  # that ticks have delivered

    @classmethod
    def of(cls, **fields: Any) -> "Watch":
        return cls(new_task(spec(**fields), now=NOON, origin=""))

    def tick_until(self, at: datetime) -> "Watch":
        """A tick each minute, up to *at*."""
        while self.last_tick + MINUTE <= at:
            self.last_tick += MINUTE
            if self.task.next_run_at is not None and self.task.next_run_at <= self.last_tick:
                self.looks += 1
                verdict = decide(self.task, token="t.1", now=self.last_tick)
                assert isinstance(verdict, ApplyTransition)
                self.apply(verdict.transition)
                self.deliver()
        return self

    def deliver(self) -> None:
        pending = self.task.alert.pending
        self.notices += [one.kind for one in pending]
        delivered = {one.id: DeliveryAttempt() for one in pending}
        changes, _ = after_delivery(self.task, delivered, now=self.last_tick)
        self.task = self.task.model_copy(update=changes)

    def call(self, at: datetime, kind: PingKind = "success", **fields: Any) -> Transition:
        self.tick_until(at)
        return self.apply(receive_ping(self.task, Ping(kind, **fields), now=at))

    def apply(self, transition: Transition) -> Transition:
        self.task = self.task.model_copy(update=transition.changes)
        self.runs += transition.runs
        return transition

    @property
    def results(self) -> list[str]:
        return [line.partition(" ")[0] for line in self.task.recent.splitlines()]


def at(minutes: float) -> datetime:
    return NOON + minutes * MINUTE


def test_calls_in_time_cost_no_tick_and_no_record() -> None:
    watch = Watch.of(schedule="*/10 * * * *")
    for number in range(1, 13):
        called = watch.call(at(10 * number + 3))
        assert called.runs == ()
    watch.tick_until(at(124))
    assert (watch.looks, watch.runs, watch.results) == (0, [], ["succeeded"] * 12)
    assert watch.task.next_occurrence == at(130)
    assert watch.task.next_run_at == at(135)


def test_a_missing_call_fails_after_its_grace_and_a_late_one_recovers() -> None:
    watch = Watch.of(params={"graceSeconds": 600})
    watch.tick_until(at(69))
    assert watch.runs == []
    watch.tick_until(at(70))
    [missed] = watch.runs
    assert (missed.outcome, missed.occurrence, missed.trigger) == ("failed", at(60), Trigger.SCHEDULE)
    assert missed.summary == "No call at 2026-11-20 13:00 UTC, nor within 10 min after it; none ever came"
    assert watch.notices == ["failure"]
    assert watch.task.next_occurrence == at(60) + timedelta(days=1)

    late = watch.call(at(120))
    assert [run.outcome for run in late.runs] == ["succeeded"]
    assert watch.task.next_occurrence == at(60) + timedelta(days=1)
    assert watch.task.next_run_at == at(120)
    watch.tick_until(at(121))
    assert watch.notices == ["failure", "recovery"]
    assert watch.task.next_run_at == at(60) + timedelta(days=1, minutes=10)
    assert watch.task.incidents


def test_each_missing_call_is_a_failure_of_its_own() -> None:
    watch = Watch.of(schedule="*/10 * * * *", params={"graceSeconds": 1500})
    watch.tick_until(at(56))
    assert [run.occurrence for run in watch.runs] == [at(10), at(20), at(30)]
    assert watch.task.consecutive_failures == 3


def test_one_failure_stands_for_all_that_no_tick_looked_at() -> None:
    watch = Watch.of(schedule="*/10 * * * *")
    watch.last_tick = at(120)
    watch.tick_until(at(121))
    [missed] = watch.runs
    assert missed.occurrence == at(110)
    assert "; 11 calls are missing" in missed.summary
    assert watch.task.next_occurrence == at(120)


@pytest.mark.parametrize("first", [3.0, 59.5, 61.0])
def test_an_interval_counts_from_the_last_call(first: float) -> None:
    watch = Watch.of(schedule="every 1h", params={"graceSeconds": 0})
    watch.call(at(first))
    assert watch.task.next_occurrence == at(first + 60)
    watch.tick_until(at(first + 62))
    watch.tick_until(at(first + 122))
    assert [run.occurrence for run in watch.runs if run.occurrence > at(first)] == [
        at(first + 60),
        at(first + 120),
    ]


@pytest.mark.parametrize(
    ("called_at", "expected"),
    [
        (58.0, 60),  # two minutes early: the call at its time is expected still
        (59.5, 60 + 1440),  # the other clock is ahead
        (61.0, 60 + 1440),
        (64.9, 60 + 1440),
    ],
)
def test_which_time_a_call_counts_for(called_at: float, expected: float) -> None:
    watch = Watch.of()
    watch.call(at(called_at))
    assert watch.task.next_occurrence == at(expected)
    assert watch.results == ["succeeded"]


def test_a_reported_failure_is_notified_of_at_the_next_tick() -> None:
    watch = Watch.of()
    watch.call(at(60), "failure", output="disk full\n")
    [run] = watch.runs
    assert (run.summary, run.trigger) == ("Reported a failure: disk full", Trigger.PING)
    assert watch.task.next_run_at == at(60)
    watch.tick_until(at(61))
    assert watch.notices == ["failure"]
    assert watch.task.next_occurrence == at(60 + 1440)


@pytest.mark.parametrize(("code", "outcome"), [(0, "succeeded"), (1, "failed"), (255, "failed")])
def test_exit_codes(code: int, outcome: str) -> None:
    watch = Watch.of()
    watch.call(at(60), exit_code=code)
    assert watch.results == [outcome]


def test_start_and_end_are_paired_by_run_id() -> None:
    watch = Watch.of()
    watch.call(at(60), "start", run_id="a", output="begins")
    watch.call(at(61), "start", run_id="b")
    watch.call(at(62), "log", output="half-way")
    assert [one.started_at for one in executions_of(watch.task, now=at(62))] == [at(60), at(61)]
    watch.call(at(63), run_id="b", output="done")
    [run] = watch.runs
    assert (run.started_at, run.duration_ms) == (at(61), 120_000)
    assert run.metrics == {"output": "begins\nhalf-way\ndone"}
    watch.call(at(65), run_id="a")
    assert watch.task.last_duration_ms == 300_000
    assert watch.task.heartbeat is not None
    assert (watch.task.heartbeat.open_runs, watch.task.heartbeat.output) == ((), "")


def test_a_run_that_takes_too_long_fails_once() -> None:
    watch = Watch.of(schedule="0 * * * *", params={"graceSeconds": 60, "maxSeconds": 600})
    watch.call(at(60), "start", run_id="night", output="step 1")
    assert watch.task.next_run_at == at(71)
    watch.tick_until(at(119))
    [run] = watch.runs
    assert (run.outcome, run.started_at, run.metrics) == ("failed", at(60), {"output": "step 1"})
    assert run.summary == (
        "The run night that began at 2026-11-20 13:00 UTC has not ended, and may take 10 min"
    )
    watch.call(at(119), run_id="night")
    assert watch.results == ["failed", "succeeded"]


def test_a_start_in_time_is_a_call_in_time() -> None:
    watch = Watch.of()
    watch.call(at(60), "start")
    watch.tick_until(at(300))
    assert watch.runs == []
    assert watch.task.next_occurrence == at(60 + 1440)


def test_open_runs_and_output_are_bounded() -> None:
    watch = Watch.of()
    for number in range(30):
        watch.call(at(60 + number), "start", run_id=f"r{number}", output="x" * 1000)
    state = watch.task.heartbeat
    assert state is not None
    assert [run.run_id for run in state.open_runs] == [f"r{number}" for number in range(22, 30)]
    assert len(state.output) <= 8000


def test_while_it_is_paused_calls_are_noted_and_nothing_is_missing() -> None:
    watch = Watch.of()
    watch.apply(pause(watch.task, note="", until=None, by="ann", now=at(1)))
    watch.call(at(60), "failure")
    watch.tick_until(at(1600))
    assert (watch.runs, watch.results, watch.task.status) == ([], [], Status.PAUSED)
    watch.apply(resume(watch.task, now=at(1600)))
    assert watch.task.next_occurrence == at(60 + 2 * 1440)
    assert watch.task.heartbeat is not None
    assert watch.task.heartbeat.last_at == at(60)


def test_a_single_expected_call() -> None:
    one = {"schedule": "at 2026-11-20T13:00"}
    called, missed = Watch.of(**one), Watch.of(**one)
    called.call(at(60))
    assert (called.task.status, called.results) == (Status.ENDED, ["succeeded"])
    missed.tick_until(at(70))
    assert (missed.task.status, missed.results) == (Status.ENDED, ["failed"])


def test_an_edit_gives_a_call_time_by_the_new_schedule() -> None:
    watch = Watch.of()
    watch.tick_until(at(63))
    watch.apply(edit_task(watch.task, spec(schedule="30 13 * * *"), now=at(63)))
    assert (watch.runs, watch.task.backlog) == ([], ())
    assert watch.task.next_run_at == at(95)
    watch.apply(edit_task(watch.task, spec(schedule="30 13 * * *", params={"graceSeconds": 60}), now=at(64)))
    assert watch.task.next_run_at == at(91)


def test_the_next_run_is_the_expected_call() -> None:
    watch = Watch.of()
    assert next_run(watch.task, now=NOON) == at(60)


def test_nothing_here_starts_it() -> None:
    watch = Watch.of()
    with pytest.raises(InputError, match="its program calls its address"):
        queue_runs(watch.task, [NOON], Trigger.MANUAL, now=NOON)
    instants = backfill_instants(watch.task, first=NOON - timedelta(days=2), until=NOON, now=NOON)
    with pytest.raises(InputError, match="its program calls its address"):
        queue_runs(watch.task, instants, Trigger.BACKFILL, now=NOON)


@pytest.mark.parametrize(
    "fields",
    [{"jitterSeconds": 5}, {"maxRuns": 2}, {"after": [{"task": "other"}]}, {"onEvent": [{"type": "a.b"}]}],
)
def test_what_starts_other_tasks_is_refused(fields: Mapping[str, Any]) -> None:
    with pytest.raises(ValidationError, match=f"{next(iter(fields))} is not for a heartbeat"):
        spec(**fields)


def test_params_that_were_edited_by_hand_leave_the_default_grace() -> None:
    watch = Watch.of()
    watch.task = watch.task.model_copy(update={"params": {"graceSeconds": "soon"}})
    watch.tick_until(at(64))
    assert watch.runs == []
    watch.tick_until(at(65))
    assert [run.outcome for run in watch.runs] == [OutcomeKind.FAILED]


def test_what_is_stored_reads_back() -> None:
    runs = (OpenRun(started_at=NOON), OpenRun(run_id="a", started_at=NOON))
    state = HeartbeatState(last_at=NOON, open_runs=runs, output="x", address=2)
    assert HeartbeatState.model_validate(state.model_dump(by_alias=True, mode="json")) == state
