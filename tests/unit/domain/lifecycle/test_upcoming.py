"""When a task runs next: its occurrences, never what the scheduler wakes up for."""

from collections.abc import Callable
from datetime import timedelta
from itertools import islice
from typing import Any

import pytest

from functions.domain.lifecycle.complete import resume
from functions.domain.lifecycle.decide import ApplyTransition, decide
from functions.domain.lifecycle.upcoming import next_run, preview_task, upcoming_runs
from functions.domain.task import Claim, Pause, QueuedRun, Task
from functions.domain.types import OutcomeKind, Status, Trigger
from tests.conftest import NOON

MakeTask = Callable[..., Task]
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.mark.parametrize("status", [Status.RUNNING, Status.RETRYING])
def test_neither_a_claim_nor_a_retry_is_the_next_run(make_task: MakeTask, status: Status) -> None:
    task = make_task(
        status=status,
        occurrence=NOON,
        attempt=1,
        claim=Claim(token="t", until=NOON + MINUTE, started_at=NOON) if status is Status.RUNNING else None,
        retry_at=NOON + MINUTE if status is Status.RETRYING else None,
        last_outcome=OutcomeKind.FAILED,
        next_occurrence=NOON + HOUR,
        next_run_at=NOON + MINUTE,
    )

    assert NOON + HOUR == next_run(task, now=NOON)


def test_a_requested_run_comes_first_also_while_the_task_is_paused(make_task: MakeTask) -> None:
    task = make_task(
        next_occurrence=NOON + HOUR, backlog=(QueuedRun(at=NOON + MINUTE, trigger=Trigger.MANUAL),)
    )
    paused = task.model_copy(update={"status": Status.PAUSED, "pause": Pause()})

    assert [NOON + MINUTE, NOON + HOUR] == list(islice(upcoming_runs(task, now=NOON), 2))
    assert [NOON + MINUTE] == list(islice(upcoming_runs(paused, now=NOON), 2))


def test_a_pause_without_end_a_quarantine_and_an_end_have_no_next_run(make_task: MakeTask) -> None:
    task = make_task(next_occurrence=NOON + HOUR)
    stopped: list[dict[str, Any]] = [
        {"status": Status.PAUSED, "pause": Pause()},
        {"status": Status.QUARANTINED},
        {"status": Status.ENDED},
        {"status": Status.PAUSED, "enabled": False},
    ]

    assert [None] * 4 == [next_run(task.model_copy(update=one), now=NOON) for one in stopped]


def test_after_a_pause_the_schedule_goes_on(make_task: MakeTask) -> None:
    task = make_task(
        schedule="0 * * * *",
        status=Status.PAUSED,
        pause=Pause(until=NOON + 90 * MINUTE),
        next_occurrence=NOON + HOUR,
        next_run_at=NOON + 90 * MINUTE,
    )

    assert NOON + 2 * HOUR == next_run(task, now=NOON)


@pytest.mark.parametrize("tick", [timedelta(), timedelta(seconds=40), 30 * MINUTE])
def test_what_falls_on_the_end_of_a_pause_runs_as_shown(make_task: MakeTask, tick: timedelta) -> None:
    task = make_task(
        schedule="0 * * * *",
        status=Status.PAUSED,
        pause=Pause(until=NOON + 2 * HOUR),
        next_occurrence=NOON + HOUR,
        next_run_at=NOON + 2 * HOUR,
    )

    ended = decide(task, token="t.1", now=NOON + 2 * HOUR + tick)

    assert isinstance(ended, ApplyTransition)
    after = task.model_copy(update=ended.transition.changes)
    assert [1] == [run.count for run in ended.transition.runs]  # that of 13:00
    assert [NOON + 2 * HOUR] * 2 == [next_run(one, now=NOON) for one in (task, after)]
    assert (Status.SCHEDULED, NOON + 2 * HOUR + tick) == (after.status, after.next_run_at)


def test_a_disabled_task_stays_so_when_its_pause_ends(make_task: MakeTask) -> None:
    task = make_task(enabled=False, status=Status.PAUSED, pause=Pause(until=NOON), next_run_at=NOON)

    ended = decide(task, token="t.1", now=NOON)

    assert isinstance(ended, ApplyTransition)
    after = task.model_copy(update=ended.transition.changes)
    assert (None, Status.PAUSED, False, None) == (after.pause, after.status, after.enabled, after.next_run_at)
    assert [None, None] == [next_run(one, now=NOON) for one in (task, after)]
    assert resume(after, now=NOON).changes["enabled"]


def test_an_interval_counts_from_its_own_anchor(make_task: MakeTask) -> None:
    task = make_task(schedule="every 1h", start_at=NOON + 7 * MINUTE, next_occurrence=NOON + 7 * MINUTE)

    shown = preview_task(task, now=NOON, count=3)

    assert [NOON + 7 * MINUTE + n * HOUR for n in range(3)] == [at for at, _ in shown.next_runs]


def test_start_end_and_max_runs_bound_what_is_shown(make_task: MakeTask) -> None:
    task = make_task(schedule="0 * * * *", next_occurrence=NOON + HOUR, end_at=NOON + 2 * HOUR)
    counted = make_task(
        schedule="0 * * * *",
        next_occurrence=NOON + HOUR,
        max_runs=4,
        run_count=1,
        status=Status.RUNNING,
        occurrence=NOON,
    )
    by_hand = counted.model_copy(update={"trigger": Trigger.MANUAL})

    assert 2 == len(preview_task(task, now=NOON, count=5).next_runs)
    assert 2 == len(preview_task(counted, now=NOON, count=5).next_runs)
    assert 3 == len(preview_task(by_hand, now=NOON, count=5).next_runs)


def test_the_wait_of_jitter_is_part_of_the_next_run(make_task: MakeTask) -> None:
    task = make_task(schedule="0 * * * *", next_occurrence=NOON + HOUR, jitter_seconds=600)

    found = next_run(task, now=NOON)

    assert found is not None
    assert NOON + HOUR < found <= NOON + HOUR + 10 * MINUTE


def test_a_schedule_that_cannot_be_read_shows_the_occurrence_that_is_known(make_task: MakeTask) -> None:
    task = make_task(schedule="nonsense", next_occurrence=NOON + HOUR)

    assert [NOON + HOUR] == list(islice(upcoming_runs(task, now=NOON), 5))
