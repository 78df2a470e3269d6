"""A change of schedule forgets nothing of the old one, and the new one does not reach back."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from functions.domain.lifecycle.complete import Transition
from functions.domain.lifecycle.edit import edit_task
from functions.domain.task import Claim, Pause, Task, TaskSpec
from functions.domain.types import SkipReason, Status
from tests.conftest import NOON

MakeTask = Callable[..., Task]
MINUTE = timedelta(minutes=1)
NOW = NOON + timedelta(minutes=3, seconds=10)  # 12:00 to 12:03 have come, and nobody has pinged


def _edited(task: Task, **changes: Any) -> tuple[Task, Transition]:
    spec = TaskSpec.model_validate({name: getattr(task, name) for name in TaskSpec.model_fields} | changes)
    settlement = edit_task(task, spec, now=NOW)
    return task.model_copy(update=settlement.changes), settlement


def _accounts(after: Task, settlement: Transition) -> tuple[list[datetime], list[tuple[Any, Any, int]]]:
    """What waits, and what was skipped."""
    skipped = [(run.skip_reason, run.occurrence, run.count) for run in settlement.runs]
    return [extra.at for extra in after.backlog], skipped


def test_of_many_owed_the_newest_waits_and_the_others_are_on_record(make_task: MakeTask) -> None:
    task = make_task(schedule="* * * * *")

    after, settlement = _edited(task, schedule="*/2 * * * *")

    assert ([NOON + 3 * MINUTE], [(SkipReason.MISFIRE, NOON, 3)]) == _accounts(after, settlement)
    assert (NOON + 4 * MINUTE, NOW) == (after.next_occurrence, after.next_run_at)


def test_where_every_occurrence_counts_all_that_are_owed_wait(make_task: MakeTask) -> None:
    task = make_task(schedule="* * * * *", misfire={"policy": "run_all"})

    after, settlement = _edited(task, schedule="*/2 * * * *")

    assert ([NOON + n * MINUTE for n in range(4)], []) == _accounts(after, settlement)


def test_an_occurrence_in_its_jitter_is_not_forgotten(make_task: MakeTask) -> None:
    task = make_task(schedule="* * * * *", jitter_seconds=3600, next_occurrence=NOON + 3 * MINUTE)

    after, settlement = _edited(task, schedule="*/10 * * * *")

    assert ([NOON + 3 * MINUTE], []) == _accounts(after, settlement)


@pytest.mark.parametrize(
    ("overlap", "expected"),
    [
        ("queue_one", ([NOON + 3 * MINUTE], [])),
        ("queue_all", ([NOON + 3 * MINUTE], [])),
        ("skip", ([], [(SkipReason.OVERLAP, NOON + 3 * MINUTE, 1)])),
    ],
)
def test_nor_is_one_that_came_during_a_run(make_task: MakeTask, overlap: str, expected: Any) -> None:
    claim = Claim(token="a.1", started_at=NOW - 2 * MINUTE, until=NOW + MINUTE)
    running = {"status": Status.RUNNING, "occurrence": NOON + 2 * MINUTE, "attempt": 1, "claim": claim}
    upcoming = {"next_occurrence": NOON + 3 * MINUTE, "jitter_seconds": 20, "overlap": overlap}
    task = make_task(schedule="* * * * *", **running, **upcoming)

    after, settlement = _edited(task, schedule="*/10 * * * *")

    assert expected == _accounts(after, settlement)


def test_a_new_jitter_moves_no_occurrence(make_task: MakeTask) -> None:
    task = make_task(schedule="* * * * *", jitter_seconds=3600, next_occurrence=NOON + 3 * MINUTE)

    after, settlement = _edited(task, jitter_seconds=0)

    assert (NOON + 3 * MINUTE, ()) == (after.next_occurrence, settlement.runs)


@pytest.mark.parametrize(
    ("overlap", "waiting", "skipped"),
    [
        ("skip", [], [(SkipReason.OVERLAP, NOON + MINUTE, 3)]),
        ("queue_one", [NOON + 3 * MINUTE], [(SkipReason.OVERLAP, NOON + MINUTE, 2)]),
        ("queue_all", [NOON + n * MINUTE for n in (1, 2, 3)], []),
    ],
)
def test_what_came_during_a_run_follows_the_overlap_policy(
    make_task: MakeTask, overlap: str, waiting: list[datetime], skipped: list[Any]
) -> None:
    claim = {"token": "t.1", "until": NOON + 5 * MINUTE, "started_at": NOON}
    task = make_task(
        schedule="* * * * *",
        overlap=overlap,
        status=Status.RUNNING,
        claim=claim,
        occurrence=NOON,
        next_occurrence=NOON + MINUTE,
    )

    after, settlement = _edited(task, schedule="0 0 * * *")

    assert (waiting, skipped) == _accounts(after, settlement)


def test_what_was_missed_in_a_pause_is_skipped_for_it(make_task: MakeTask) -> None:
    task = make_task(schedule="* * * * *", status=Status.PAUSED, pause=Pause(by="ann"), next_run_at=None)

    after, settlement = _edited(task, schedule="*/2 * * * *")

    assert ([], [(SkipReason.PAUSED, NOON, 4)]) == _accounts(after, settlement)
    assert (Status.PAUSED, None) == (after.status, after.next_run_at)


def test_what_does_not_fit_in_the_backlog_is_on_record(make_task: MakeTask) -> None:
    waiting = [{"at": NOON - n * MINUTE, "trigger": "catch_up"} for n in range(100, 0, -1)]
    task = make_task(schedule="* * * * *", misfire={"policy": "run_all"}, backlog=waiting)

    after, settlement = _edited(task, schedule="*/2 * * * *")

    assert (100, [(SkipReason.MISFIRE, 4)]) == (
        len(after.backlog),
        [(run.skip_reason, run.count) for run in settlement.runs],
    )


def test_a_schedule_nobody_can_read_is_replaced_all_the_same(make_task: MakeTask) -> None:
    task = make_task(schedule="nonsense", status=Status.PAUSED, pause=Pause(by="scheduler"))

    after, settlement = _edited(task, schedule="*/2 * * * *")

    assert ([], [(SkipReason.CONFIG, NOON, 1)]) == _accounts(after, settlement)
    assert Status.SCHEDULED == after.status


@pytest.mark.parametrize("upcoming", [None, NOW + MINUTE])
def test_an_unreadable_schedule_owes_nothing_that_is_not_due(
    make_task: MakeTask, upcoming: datetime | None
) -> None:
    task = make_task(schedule="whenever", next_occurrence=upcoming)

    after, settlement = _edited(task, schedule="@hourly")

    assert ([], []) == _accounts(after, settlement)


def test_a_last_occurrence_that_is_owed_still_runs_when_nothing_is_left_after_it(make_task: MakeTask) -> None:
    task = make_task(schedule="* * * * *")

    after, _ = _edited(task, end_at=NOON + 2 * MINUTE)

    assert ([NOON + 3 * MINUTE], None) == ([extra.at for extra in after.backlog], after.next_occurrence)
    assert (Status.SCHEDULED, NOW) == (after.status, after.next_run_at)


@pytest.mark.parametrize(("lead", "first"), [(timedelta(seconds=90), 6), (timedelta(days=1), 4)])
def test_what_a_clock_ahead_has_run_is_not_run_again(
    make_task: MakeTask, lead: timedelta, first: int
) -> None:
    """12:04 was run at 12:03:10 by a clock that was 90 s ahead; one that is a day ahead is not believed."""
    task = make_task(schedule="* * * * *", next_occurrence=NOON + 5 * MINUTE, last_run_at=NOW + lead)

    after, _ = _edited(task, schedule="*/2 * * * *")

    assert NOON + first * MINUTE == after.next_occurrence
