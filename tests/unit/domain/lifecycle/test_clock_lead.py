"""What a clock ahead has run is not run again by one that is right, and a one-off that ran is over.

12:00 was run at 11:58:40 by a clock that was 90 s ahead; a user acts at 11:59:00 by one that is right.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from functions.domain.heartbeat.model import Ping
from functions.domain.heartbeat.transitions import receive_ping
from functions.domain.lifecycle.clock_repair import repair_clock_ahead
from functions.domain.lifecycle.complete import pause, resume
from functions.domain.lifecycle.decide import StartAttempt, decide, release_claim
from functions.domain.lifecycle.edit import edit_task
from functions.domain.lifecycle.restore import restored_task
from functions.domain.task import QueuedRun, Task, TaskSpec
from functions.domain.types import OutcomeKind, Status, Trigger
from functions.errors import InputError
from tests.conftest import NOON

MakeTask = Callable[..., Task]
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
NOW = NOON - MINUTE
FAST = NOON + timedelta(seconds=10)
EARLIER = NOON - 5 * HOUR


@pytest.fixture
def ran_early(make_task: MakeTask) -> Task:
    return make_task(
        schedule="@hourly",
        created_at=EARLIER,
        next_occurrence=NOON + HOUR,
        next_run_at=NOON + HOUR,
        last_run_at=FAST,
        last_outcome=OutcomeKind.SUCCEEDED,
        run_count=1,
    )


def edited(task: Task, *, now: datetime = NOW, **changes: Any) -> Task:
    given = {name: getattr(task, name) for name in TaskSpec.model_fields} | changes
    return task.model_copy(update=edit_task(task, TaskSpec.model_validate(given), now=now).changes)


def resumed(task: Task) -> Task:
    paused = task.model_copy(update=pause(task, note="", until=None, by="", now=NOW).changes)
    return paused.model_copy(update=resume(paused, now=NOW).changes)


def restored(task: Task) -> Task:
    return restored_task(task, now=NOW)


def mended(task: Task) -> Task:
    return task.model_copy(update=repair_clock_ahead(task, now=NOW))


@pytest.mark.parametrize("act", [resumed, restored, mended])
def test_a_schedule_stays_where_a_clock_ahead_has_left_it(
    ran_early: Task, act: Callable[[Task], Task]
) -> None:
    assert NOON + HOUR == act(ran_early).next_occurrence


@pytest.mark.parametrize("act", [resumed, restored, mended])
def test_a_lead_that_no_clock_has_is_taken_back(ran_early: Task, act: Callable[[Task], Task]) -> None:
    moved = {"next_occurrence": NOON + 50 * HOUR, "next_run_at": NOON + 50 * HOUR}

    assert act(ran_early.model_copy(update=moved)).next_occurrence == NOON


def test_more_runs_do_not_begin_with_the_last_one(ran_early: Task) -> None:
    had_its_runs = {"max_runs": 1, "next_occurrence": None, "next_run_at": None, "status": Status.ENDED}

    after = edited(ran_early.model_copy(update=had_its_runs), max_runs=2)

    assert (Status.SCHEDULED, NOON + HOUR) == (after.status, after.next_occurrence)


def test_an_edit_does_not_repeat_what_is_running_or_waits_to(make_task: MakeTask) -> None:
    due = make_task(schedule="@hourly", created_at=EARLIER, last_run_at=NOON - HOUR)
    start = decide(due, token="fast.1", now=FAST)
    assert isinstance(start, StartAttempt)
    running = due.model_copy(update=dict(start.changes))
    released = running.model_copy(update=release_claim(running, now=FAST))
    queued = due.model_copy(
        update={"next_occurrence": NOON + HOUR, "backlog": (QueuedRun(at=NOON, trigger=Trigger.CATCH_UP),)}
    )

    for task in (running, released, queued):
        assert NOON + MINUTE * 30 == edited(task, schedule="*/30 * * * *").next_occurrence


@pytest.mark.parametrize("act", [resumed, restored, mended])
def test_a_call_that_came_early_is_not_expected_again(
    make_task: MakeTask, act: Callable[[Task], Task]
) -> None:
    """At 11:59:00 the program has called for 12:00."""
    task = make_task(type="heartbeat", params={"graceSeconds": 60}, schedule="@hourly", created_at=EARLIER)
    called = task.model_copy(update=receive_ping(task, Ping("success"), now=NOW).changes)

    assert [NOON + HOUR] * 2 == [called.next_occurrence, act(called).next_occurrence]


@pytest.mark.parametrize("changes", [{"jitter_seconds": 30}, {"max_runs": 3}])
def test_the_limits_of_a_one_off_that_ran_change_without_a_second_run(
    make_task: MakeTask, changes: dict[str, Any]
) -> None:
    after = edited(one_off(make_task), now=NOON + HOUR, **changes)

    assert (Status.ENDED, None, None) == (after.status, after.next_occurrence, after.next_run_at)


@pytest.mark.parametrize(
    "changes", [{"timezone": "Africa/Abidjan"}, {"schedule": "at 2026-11-20T12:00Z"}, {"start_at": EARLIER}]
)
def test_the_time_of_a_one_off_that_ran_is_past_however_it_is_written(
    make_task: MakeTask, changes: dict[str, Any]
) -> None:
    task = one_off(make_task)

    with pytest.raises(InputError, match="its only one is"):
        edited(task, now=NOON + HOUR, **changes)

    assert NOON + HOUR == edited(task, now=NOON + HOUR, schedule="at 2026-11-20T13:00").next_occurrence


def test_a_task_that_had_its_runs_has_none_left_when_it_is_restored(ran_early: Task) -> None:
    ended = {"max_runs": 1, "next_occurrence": None, "next_run_at": None, "status": Status.ENDED}

    back = restored_task(ran_early.model_copy(update=ended), now=NOON + 3 * HOUR)

    assert (Status.ENDED, None) == (back.status, back.next_run_at)


def one_off(make_task: MakeTask) -> Task:
    return make_task(
        schedule="at 2026-11-20T12:00",
        created_at=EARLIER,
        status=Status.ENDED,
        next_occurrence=None,
        next_run_at=None,
        last_run_at=NOON + MINUTE / 6,
        last_outcome=OutcomeKind.SUCCEEDED,
        run_count=1,
    )
