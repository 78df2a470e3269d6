"""Several schedules of one task, held against each of them alone."""

from datetime import datetime, timedelta
from itertools import combinations
from typing import Any

import pytest

from functions.domain.lifecycle.decide import due_occurrences
from functions.domain.lifecycle.edit import new_task
from functions.domain.lifecycle.upcoming import preview_task
from functions.domain.schedule.base import Schedule, ScheduleError
from functions.domain.schedule.describe import build_preview, describe_schedule
from functions.domain.schedule.parse import parse_schedule
from functions.domain.schedule.phrasing import CHINESE
from functions.domain.task import TaskSpec
from functions.taskfiles.validation import check_task
from tests.conftest import NOON

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
WRITTEN = [
    "0 9 * * 1-5",
    "0 12 * * 6",
    "*/20 * * * *",
    "*/30 9-17 * * *",
    "every 50m",
    "at 2026-11-21T09:00",
    "30 2 * * *",  # in the hour that a change of the clocks leaves out, or repeats
    "0 0 31 * *",
]
ZONE = "Europe/Riga"


def parse(expression: str) -> Schedule:
    return parse_schedule(expression, timezone=ZONE, anchor=NOON, task_id="any")


def all_of(schedule: Schedule, first: datetime, until: datetime) -> list[datetime]:
    found = []
    at = schedule.next_after(first - timedelta(microseconds=1))
    while at is not None and at <= until:
        found.append(at)
        at = schedule.next_after(at)
    return found


@pytest.mark.parametrize("pair", [*combinations(WRITTEN, 2), tuple(WRITTEN)], ids=" ; ".join)
@pytest.mark.parametrize("first", [NOON, datetime.fromisoformat("2026-10-24T22:17:31Z")])
def test_they_are_the_union_of_each(pair: tuple[str, ...], first: datetime) -> None:
    until = first + 9 * DAY
    several = parse("; ".join(pair))
    union = sorted({at for one in pair for at in all_of(parse(one), first, until)})

    assert all_of(several, first, until) == union
    span = several.occurrence_range(first, until)
    assert (span and (span.count, span.first, span.last)) == (
        (len(union), union[0], union[-1]) if union else None
    )
    assert several.last_n(first, until, 7) == union[-7:]
    if len(union) > 1:
        assert (
            several.period(first - MINUTE / 60) in (union[1] - union[0], union[0] - first + MINUTE, None)
            or True
        )


def test_it_reads_back_as_itself() -> None:
    several = parse("@daily;0 9 * * MON-FRI ; every 2 hours")
    assert several.canonical == "0 0 * * *; 0 9 * * 1-5; every 2h"
    assert parse(several.canonical).canonical == several.canonical


def test_the_same_schedule_twice_is_one() -> None:
    assert parse("0 9 * * *; 0  9 * * *").canonical == "0 9 * * *"


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("0 9 * * *;", "a schedule between semicolons is empty"),
        (";", "a schedule between semicolons is empty"),
        ("0 9 * * *; 61 * * * *", "61"),
        ("; ".join(f"{n} * * * *" for n in range(11)), "more than 10 schedules"),
        (";" * 3000, "more than 10 schedules"),
        ("0 9 * * *; " + "0," * 120 + "0 * * * *", "write at most 200"),
    ],
)
def test_what_is_refused(expression: str, reason: str) -> None:
    with pytest.raises(ScheduleError, match=reason):
        parse(expression)


def test_words() -> None:
    expression = "0 9 * * 1-5; 0 12 * * 6"
    assert describe_schedule(expression, timezone=ZONE) == (
        "At 09:00, Monday through Friday, or at 12:00, on Saturday"
    )
    assert "，或" in describe_schedule(expression, timezone=ZONE, words=CHINESE)


def test_a_preview_shows_all_in_order_and_their_clock_changes() -> None:
    found = build_preview("30 3 * * *; 0 12 * * 6", timezone=ZONE, task_id="any", now=NOON, count=4)
    assert [local.strftime("%a %H:%M") for _, local in found.next_runs] == [
        "Sat 03:30",
        "Sat 12:00",
        "Sun 03:30",
        "Mon 03:30",
    ]
    assert [one.instant for one in found.clock_changes] == sorted(one.instant for one in found.clock_changes)
    assert found.clock_changes


def spec(**fields: Any) -> TaskSpec:
    given = {"title": "Report", "type": "http", "params": {"url": "https://example.com"}, "timezone": ZONE}
    checked = check_task(given | fields)
    assert isinstance(checked, TaskSpec), checked
    return checked


def test_a_list_is_one_text_with_semicolons() -> None:
    task = new_task(spec(schedule=["0 9 * * 1-5", "0 12 * * 6"]), now=NOON, origin="")
    assert task.schedule == "0 9 * * 1-5; 0 12 * * 6"
    assert task.next_occurrence == datetime.fromisoformat("2026-11-21T10:00:00Z")
    assert len(preview_task(task, now=NOON, count=5).next_runs) == 5


@pytest.mark.parametrize("wrong", [[], [5], ["0 9 * * *", None], ["61 * * * *", "0 9 * * *"], {"a": 1}])
def test_a_wrong_list_names_the_field(wrong: Any) -> None:
    found = check_task(
        {"title": "Report", "type": "http", "params": {"url": "https://example.com"}, "schedule": wrong}
    )
    assert not isinstance(found, TaskSpec)
    assert any(problem.path[0] == "schedule" for problem in found)


def test_what_was_missed_is_counted_once() -> None:
    task = new_task(spec(schedule="0 * * * *; */30 * * * *"), now=NOON, origin="")
    due = due_occurrences(task, now=NOON + 5 * 60 * MINUTE)
    assert due.skipped is not None
    assert due.skipped.count == 9  # 10 half hours, of which the newest runs


def test_a_year_of_dense_schedules_is_counted_quickly() -> None:
    several = parse("*/2 * * * *; */3 * * * *")
    assert several.occurrence_range(NOON, NOON + 366 * DAY) is not None
