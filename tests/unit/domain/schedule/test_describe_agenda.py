"""The agenda of a day."""

from collections.abc import Callable
from datetime import timedelta

from functions.domain.schedule.describe import MOST_IN_ALL, agenda
from functions.domain.task import Task
from functions.domain.types import Status
from tests.conftest import NOON

MakeTask = Callable[..., Task]
HOUR = timedelta(hours=1)


def test_minutes_are_counted_over_all_tasks(make_task: MakeTask) -> None:
    hourly = [make_task(f"task-{n}", schedule="0 * * * *", upcoming=NOON + HOUR) for n in range(3)]

    found = agenda([*hourly, make_task("odd", schedule="30 15 * * *", upcoming=NOON + 3.5 * HOUR)], now=NOON)

    assert 25 == len(found.minutes)
    assert (NOON + HOUR, 3, ("task-0", "task-1", "task-2")) == (
        found.minutes[0].at,
        found.minutes[0].count,
        found.minutes[0].ids,
    )
    assert [3] * 5 == [minute.count for minute in found.crowded]
    assert not found.cut


def test_a_task_that_stands_still_has_no_place(make_task: MakeTask) -> None:
    still = [
        make_task("paused", status=Status.PAUSED, upcoming=NOON + HOUR),
        make_task("ended", status=Status.ENDED, upcoming=None),
        make_task("quarantined", status=Status.QUARANTINED, upcoming=NOON + HOUR),
    ]

    assert () == agenda(still, now=NOON).minutes


def test_nothing_is_shown_after_the_end_of_a_task(make_task: MakeTask) -> None:
    task = make_task("brief", schedule="0 * * * *", upcoming=NOON + HOUR, end_at=NOON + 3 * HOUR)

    assert [1, 2, 3] == [(minute.at - NOON) // HOUR for minute in agenda([task], now=NOON).minutes]


def test_a_day_of_too_many_runs_is_cut_and_says_so(make_task: MakeTask) -> None:
    dense = [make_task(f"task-{n}", schedule="* * * * *", upcoming=NOON) for n in range(200)]

    found = agenda(dense, now=NOON)

    assert found.cut
    assert MOST_IN_ALL == sum(minute.count for minute in found.minutes)
