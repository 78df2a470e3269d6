"""Jitter loses nothing: every occurrence runs, in order, as long as a tick comes each minute."""

from collections.abc import Callable
from datetime import timedelta
from itertools import islice
from typing import Any

import pytest

from functions.domain.lifecycle.attempt import complete_attempt
from functions.domain.lifecycle.decide import ApplyTransition, StartAttempt, decide
from functions.domain.lifecycle.upcoming import upcoming_runs
from functions.domain.run import Outcome, Run
from functions.domain.schedule.occurrences import DueRange, earliest_start, started_range
from functions.domain.task import Task
from functions.domain.types import OutcomeKind, SkipReason
from tests.conftest import NOON
from tests.support.profile import sample

MakeTask = Callable[..., Task]
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
DAY = 1440


def simulate(task: Task, *, first_ping: timedelta, pings: int = DAY + 5, **left_out: Any) -> list[Run]:
    """The runs of *task* with a ping a minute, of which each starts one attempt at most, of half a second."""
    runs: list[Run] = []
    for number in range(pings):
        now = NOON + first_ping + number * MINUTE
        if task.next_run_at is None or task.next_run_at > now or number in left_out.get("without", ()):
            continue
        verdict = decide(task, token=f"tick{number}.1", now=now)
        if isinstance(verdict, StartAttempt):
            task = task.model_copy(update=dict(verdict.changes))
            ended = now + SECOND / 2
            done = Outcome(OutcomeKind.SUCCEEDED, "Done")
            transition = complete_attempt(task, done, started_at=now, now=ended, random_fraction=0.0)
        else:
            assert isinstance(verdict, ApplyTransition)
            transition = verdict.transition
        runs += transition.runs
        task = task.model_copy(update=transition.changes)
    return runs


@pytest.mark.slow
@pytest.mark.parametrize("jitter_s", [1, 30, 59])
@pytest.mark.parametrize("second", sample([0, 1, 13, 29, 30, 45, 59, 59.8]))
def test_a_task_of_every_minute_runs_1440_times_a_day(
    make_task: MakeTask, jitter_s: int, second: float
) -> None:
    task = make_task(schedule="* * * * *", jitter_seconds=jitter_s, next_occurrence=NOON, next_run_at=NOON)

    runs = simulate(task, first_ping=second * SECOND)

    ran = [run.occurrence for run in runs if run.outcome is OutcomeKind.SUCCEEDED]
    assert [] == [run for run in runs if run.outcome is not OutcomeKind.SUCCEEDED]
    assert [NOON + n * MINUTE for n in range(DAY)] == ran[:DAY]
    assert all(run.started_at >= earliest_start(task, run.occurrence) for run in runs)


def test_a_jitter_longer_than_the_period_loses_nothing(make_task: MakeTask) -> None:
    """12:20 may draw an earlier start than 12:00, and waits for it."""
    task = make_task(schedule="*/20 * * * *", jitter_seconds=3600, next_occurrence=NOON, next_run_at=NOON)

    runs = simulate(task, first_ping=30 * SECOND)

    assert {OutcomeKind.SUCCEEDED} == {run.outcome for run in runs}
    assert [NOON + n * 20 * MINUTE for n in range(60)] == [run.occurrence for run in runs][:60]
    shown = list(islice(upcoming_runs(task, now=NOON), 60))
    late = [run.started_at - at for run, at in zip(runs, shown, strict=False)]
    assert timedelta() < min(late) <= max(late) < 4 * MINUTE  # of several at once one starts with each ping


def test_an_outage_is_still_told_as_one(make_task: MakeTask) -> None:
    """Only what began to be due within the grace is on time."""
    task = make_task(schedule="* * * * *", jitter_seconds=30, next_occurrence=NOON, next_run_at=NOON)

    runs = simulate(task, first_ping=45 * SECOND, pings=30, without=range(5, 15))

    missed = [run for run in runs if run.skip_reason is SkipReason.MISFIRE]
    ran = [run for run in runs if run.outcome is OutcomeKind.SUCCEEDED]
    assert 1 == len(missed)
    assert 7 <= missed[0].count <= 9
    assert len(ran) + missed[0].count == 1 + (max(run.occurrence for run in ran) - NOON) // MINUTE


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["run_once", "skip", "run_all"])
def test_no_misfire_policy_takes_what_nobody_was_late_for(make_task: MakeTask, policy: str) -> None:
    task = make_task(
        schedule="* * * * *",
        jitter_seconds=50,
        misfire={"policy": policy},
        next_occurrence=NOON,
        next_run_at=NOON,
    )

    assert all(run.outcome is OutcomeKind.SUCCEEDED for run in simulate(task, first_ping=20 * SECOND))


@pytest.mark.slow
def test_a_jitter_stored_longer_than_the_period_keeps_the_order(make_task: MakeTask) -> None:
    task = make_task(schedule="* * * * *", jitter_seconds=600, next_occurrence=NOON, next_run_at=NOON)

    runs = simulate(task, first_ping=timedelta())

    ran = [run.occurrence for run in runs if run.outcome is OutcomeKind.SUCCEEDED]
    assert sorted(ran) == ran


def test_a_one_off_that_was_missed_says_that_it_is_not_run(make_task: MakeTask) -> None:
    task = make_task(
        schedule="at 2026-11-20T12:00:00Z",
        misfire={"policy": "skip", "graceSeconds": 60},
        next_occurrence=NOON,
        next_run_at=NOON,
    )

    [run] = simulate(task, first_ping=timedelta(hours=1), pings=3)

    assert (OutcomeKind.SKIPPED, "No tick came in time for 1 occurrence; it is not run") == (
        run.outcome,
        run.summary,
    )


def test_what_follows_the_due_range_is_the_first_that_still_waits(make_task: MakeTask) -> None:
    task = make_task(schedule="* * * * *", jitter_seconds=59, next_occurrence=NOON)
    waits_at = earliest_start(task, NOON + 3 * MINUTE)
    assert waits_at > NOON + 3 * MINUTE  # it has drawn some seconds

    span = started_range(task, until=waits_at - SECOND)

    assert DueRange(3, NOON, NOON + 2 * MINUTE, following=NOON + 3 * MINUTE) == span
    plain = task.model_copy(update={"jitter_seconds": 0})
    assert DueRange(4, NOON, NOON + 3 * MINUTE, NOON + 4 * MINUTE) == started_range(plain, until=waits_at)
    ends = plain.model_copy(update={"end_at": NOON + 3 * MINUTE})
    assert DueRange(4, NOON, NOON + 3 * MINUTE, None) == started_range(ends, until=NOON + 9 * MINUTE)
