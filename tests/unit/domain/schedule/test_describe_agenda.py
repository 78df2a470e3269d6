"""The agenda of a day."""

from collections.abc import Callable
from datetime import timedelta
from itertools import islice

import pytest

from functions.domain.lifecycle.upcoming import upcoming_runs
from functions.domain.schedule.describe import MAX_RUNS_IN_ALL, build_agenda
from functions.domain.task import Pause, Task
from functions.domain.types import Status
from tests.conftest import NOON

MakeTask = Callable[..., Task]
HOUR = timedelta(hours=1)


def test_minutes_are_counted_over_all_tasks(make_task: MakeTask) -> None:
    hourly = [make_task(f"task-{n}", schedule="0 * * * *", next_occurrence=NOON + HOUR) for n in range(3)]

    found = build_agenda(
        [*hourly, make_task("odd", schedule="30 15 * * *", next_occurrence=NOON + 3.5 * HOUR)], now=NOON
    )

    assert 25 == len(found.minutes)
    assert (NOON + HOUR, 3, ("task-0", "task-1", "task-2")) == (
        found.minutes[0].at,
        found.minutes[0].count,
        found.minutes[0].task_ids,
    )
    assert [3] * 5 == [minute.count for minute in found.busiest_minutes]
    assert not found.is_truncated


def test_a_task_that_stands_still_has_no_place(make_task: MakeTask) -> None:
    still = [
        make_task("paused", status=Status.PAUSED, next_occurrence=NOON + HOUR),
        make_task("ended", status=Status.ENDED, next_occurrence=None),
        make_task("quarantined", status=Status.QUARANTINED, next_occurrence=NOON + HOUR),
    ]

    assert () == build_agenda(still, now=NOON).minutes


def test_nothing_is_shown_after_the_end_of_a_task(make_task: MakeTask) -> None:
    task = make_task("brief", schedule="0 * * * *", next_occurrence=NOON + HOUR, end_at=NOON + 3 * HOUR)

    assert [1, 2, 3] == [(minute.at - NOON) // HOUR for minute in build_agenda([task], now=NOON).minutes]


def test_a_pause_with_an_end_and_a_number_of_runs_bound_what_is_shown(make_task: MakeTask) -> None:
    """As in `next_run` and the tick: from the end of the pause on, two of five runs are left."""
    paused = make_task(
        schedule="0 * * * *",
        status=Status.PAUSED,
        pause=Pause(until=NOON + 3 * HOUR),
        next_occurrence=NOON + HOUR,
        max_runs=5,
        run_count=3,
    )
    disabled = paused.model_copy(update={"enabled": False})

    shown = [minute.at for minute in build_agenda([paused, disabled], now=NOON).minutes]

    assert [NOON + 3 * HOUR, NOON + 4 * HOUR] == shown == list(islice(upcoming_runs(paused, now=NOON), 5))


@pytest.mark.slow
def test_a_day_of_too_many_runs_is_cut_and_says_so(make_task: MakeTask) -> None:
    dense = [make_task(f"task-{n}", schedule="* * * * *", next_occurrence=NOON) for n in range(200)]

    found = build_agenda(dense, now=NOON)

    assert found.is_truncated
    assert MAX_RUNS_IN_ALL == sum(minute.count for minute in found.minutes)
