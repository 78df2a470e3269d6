"""What a clock far ahead left in a task, and what is made of it; a task that no such tick touched stays."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from functions.domain.alerts.model import AlertState
from functions.domain.lifecycle.clock_repair import repair_clock_ahead
from functions.domain.task import Claim, QueuedRun, Task
from functions.domain.types import Status, Trigger
from tests.conftest import NOON

MakeTask = Callable[..., Task]
MINUTE = timedelta(minutes=1)
AHEAD = NOON + timedelta(days=30)
ENDED: dict[str, Any] = {"status": Status.ENDED, "last_run_at": AHEAD, "next_occurrence": None}
MOVED: dict[str, Any] = {"last_run_at": AHEAD, "next_occurrence": AHEAD, "next_run_at": AHEAD}


def mended(task: Task) -> Task:
    return task.model_copy(update=repair_clock_ahead(task, now=NOON + MINUTE))


def test_a_schedule_that_was_moved_goes_on_with_its_next_occurrence(make_task: MakeTask) -> None:
    after = mended(make_task(schedule="*/5 * * * *", **MOVED))

    soon = NOON + 5 * MINUTE
    assert (soon, soon, NOON + MINUTE) == (after.next_occurrence, after.next_run_at, after.last_run_at)


@pytest.mark.parametrize("minutes", [-1, 4, 5])
def test_what_is_due_or_nearly_so_stays(make_task: MakeTask, minutes: int) -> None:
    at = NOON + minutes * MINUTE

    assert {} == repair_clock_ahead(make_task(next_occurrence=at, next_run_at=at), now=NOON)


def test_a_task_far_off_by_its_schedule_stays(make_task: MakeTask) -> None:
    new_year = NOON.replace(year=2027, month=1, day=1, hour=0)
    task = make_task(schedule="0 0 1 1 *", next_occurrence=new_year, next_run_at=new_year)

    assert {} == repair_clock_ahead(task, now=NOON)


def test_an_end_that_is_still_to_come_has_not_ended_it(make_task: MakeTask) -> None:
    after = mended(make_task(schedule="*/5 * * * *", end_at=NOON + timedelta(days=3), **ENDED))

    assert (Status.SCHEDULED, NOON + 5 * MINUTE) == (after.status, after.next_run_at)


@pytest.mark.parametrize("how", [{"schedule": "at 2026-12-01T09:00"}, {"max_runs": 3, "run_count": 3}])
def test_what_was_for_once_or_had_its_runs_stays_ended(make_task: MakeTask, how: dict[str, Any]) -> None:
    after = mended(make_task(**ENDED | how))

    assert (Status.ENDED, None) == (after.status, after.next_run_at)


def test_a_claim_ends_when_its_attempt_must_be_over(make_task: MakeTask) -> None:
    claim = Claim(token="a.1", started_at=AHEAD, until=AHEAD + MINUTE)
    held = {"status": Status.RUNNING, "occurrence": AHEAD, "claim": claim, "next_run_at": AHEAD + MINUTE}

    after = mended(make_task(timeout_seconds=20, **held))

    assert after.claim is not None
    assert ("a.1", NOON + MINUTE + timedelta(seconds=45)) == (after.claim.token, after.claim.until)
    assert after.claim.until == after.next_run_at


def test_retries_and_notices_are_due_now_and_catch_up_runs_of_the_future_are_dropped(
    make_task: MakeTask,
) -> None:
    by_hand = QueuedRun(at=AHEAD, trigger=Trigger.MANUAL)
    task = make_task(
        status=Status.RETRYING,
        occurrence=AHEAD,
        attempt=1,
        retry_at=AHEAD,
        backlog=(QueuedRun(at=AHEAD, trigger=Trigger.CATCH_UP), by_hand),
        alert=AlertState(retry_at=AHEAD, failing_since=AHEAD, first_notified_at=NOON),
        **MOVED,
    )

    after = mended(task)

    now = NOON + MINUTE
    assert (now, now, (by_hand,)) == (after.retry_at, after.next_run_at, after.backlog)
    assert (now, now, NOON) == (
        after.alert.retry_at,
        after.alert.failing_since,
        after.alert.first_notified_at,
    )
