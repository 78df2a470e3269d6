"""Reminders of a failure that lasts grow apart, and say nothing when there is nothing to say."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest

from functions.domain.alerts.model import Alert
from functions.domain.alerts.overdue import next_reminder, remind_at, reminded
from functions.domain.task import Task

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)

MakeTask = Callable[..., Task]


def hours(remind: Literal["auto", "never"] | int, count: int) -> list[float]:
    """When the first reminders are, in hours after the first word."""
    found: list[float] = []
    after = NOON
    while len(found) < count and (after_ := next_reminder(remind, told_at=NOON, after=after)):
        after = after_
        found.append((after - NOON) / HOUR)
    return found


@pytest.mark.parametrize(
    ("remind", "expected"),
    [("auto", [1, 4, 12, 36, 60, 84]), ("never", []), (1800, [0.5, 1, 1.5, 2, 2.5, 3])],
)
def test_reminders_grow_apart_or_come_as_asked(
    remind: Literal["auto", "never"] | int, expected: list[float]
) -> None:
    assert expected == hours(remind, 6)


def test_reminders_that_were_slept_through_are_one() -> None:
    assert NOON + 60 * HOUR == next_reminder("auto", told_at=NOON, after=NOON + 47 * HOUR)


def failing(make_task: MakeTask, **changes: Any) -> Task:
    alert = Alert(failing_since=NOON, told=True, told_at=NOON, reminded_at=NOON)
    defaults = {"alert": alert, "consecutive_failures": 3, "last_run_at": NOON + HOUR / 2}
    return make_task(**(defaults | changes))


def test_task_that_did_not_run_again_is_named_once_a_day(make_task: MakeTask) -> None:
    idle = failing(make_task, last_run_at=NOON)

    assert (NOON + HOUR, NOON + 24 * HOUR) == (remind_at(failing(make_task)), remind_at(idle))


def test_who_asks_for_seconds_gets_them_whether_it_runs_or_not(make_task: MakeTask) -> None:
    rule = {"on": ["failure"], "remind": 1800}

    assert NOON + HOUR / 2 == remind_at(failing(make_task, last_run_at=NOON, notify=[rule]))


@pytest.mark.parametrize(
    "changes",
    [
        {"alert": Alert()},
        {"alert": Alert(failing_since=NOON, told=False, told_at=NOON)},
        {"notify": []},
        {"notify": [{"on": ["recovery"]}]},
        {"notify": [{"on": ["failure"], "remind": "never"}]},
    ],
)
def test_nobody_is_reminded_of_what_he_was_not_told(changes: dict[str, Any], make_task: MakeTask) -> None:
    assert remind_at(failing(make_task, **changes)) is None


def test_each_rule_has_reminders_of_its_own(make_task: MakeTask) -> None:
    notify = [
        {"on": ["failure"], "channels": ["often"], "remind": 600},
        {"on": ["failure"], "channels": ["auto"]},
        {"on": ["failure"], "channels": ["patient"], "after": 9, "remind": 600},
    ]
    task = failing(make_task, notify=notify)

    rules, moment = reminded(task, now=NOON + HOUR)

    assert ([("often",), ("auto",)], NOON + HOUR / 6) == ([rule.channels for rule in rules], moment)
