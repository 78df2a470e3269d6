"""The order of starting: urgent first, but nothing starves."""

from collections.abc import Callable
from datetime import timedelta

from functions.domain.lifecycle.time_budget import ranked
from functions.domain.storage import Stored
from functions.domain.task import Task
from tests.conftest import NOON


def _order(*tasks: Task) -> list[str]:
    return [stored.task.id for stored in ranked([Stored(task, 1) for task in tasks], now=NOON)]


def test_of_tasks_due_at_once_the_more_urgent_goes_first(make_task: Callable[..., Task]) -> None:
    tasks = [make_task(name, priority=name) for name in ("low", "urgent", "medium", "high")]

    assert ["urgent", "high", "medium", "low"] == _order(*tasks)


def test_a_low_task_that_waited_long_enough_goes_before_an_urgent_one(make_task: Callable[..., Task]) -> None:
    waiting = make_task("waiting", priority="low", next_run_at=NOON - timedelta(minutes=11))

    assert ["waiting", "fresh"] == _order(make_task("fresh", priority="urgent"), waiting)


def test_equals_go_in_the_order_of_their_ids(make_task: Callable[..., Task]) -> None:
    assert ["a", "b", "c"] == _order(make_task("c"), make_task("a"), make_task("b"))
