"""Triggers of APScheduler and schedules of Celery: the same moments as there, or a problem."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from functions.domain.lifecycle.edit import new_task
from functions.domain.schedule.occurrences import next_occurrence
from functions.transfer.foreign.entry import ForeignTasks, ImportDefaults
from functions.transfer.foreign.formats import read_foreign
from tests.conftest import NOON

MONDAYS_OF_WEEK_ONE = ["Mon 07 Dec", "Mon 04 Jan", "Mon 01 Feb"]


def read(entry: dict[str, Any]) -> ForeignTasks:
    return read_foreign([("x.json", json.dumps([{"id": "x", **entry}]))], ImportDefaults(NOON))


def job(**fields: Any) -> ForeignTasks:
    return read({"func": "a.b:c", **fields})


def days_of(older: ForeignTasks) -> list[str]:
    """The days on which the only task runs next."""
    assert not older.problems
    task = new_task(older.tasks[0].spec, now=NOON, origin="import")
    days: list[str] = []
    after = datetime.fromisoformat("2026-12-01T12:00Z")
    while len(days) < 3:
        found = next_occurrence(task, after=after)
        assert found is not None
        days.append(f"{found:%a %d %b}")
        after = found + timedelta(seconds=1)
    return days


@pytest.mark.parametrize(
    ("fields", "days"),
    [
        ({"day": "1-7", "day_of_week": "mon"}, MONDAYS_OF_WEEK_ONE),
        ({"day": "1-7", "day_of_week": 0}, MONDAYS_OF_WEEK_ONE),
        ({"day": "15-21", "day_of_week": "tue,fri"}, ["Tue 15 Dec", "Fri 18 Dec", "Fri 15 Jan"]),
        ({"day": "*/2", "day_of_week": "mon"}, ["Mon 07 Dec", "Mon 21 Dec", "Mon 11 Jan"]),
        ({"day_of_week": "*/2"}, ["Wed 02 Dec", "Fri 04 Dec", "Sun 06 Dec"]),
        ({"day_of_week": "0-6/3"}, ["Thu 03 Dec", "Sun 06 Dec", "Mon 07 Dec"]),
        ({"day": "last"}, ["Thu 31 Dec", "Sun 31 Jan", "Sun 28 Feb"]),
        ({"day": "3rd fri, last Mon"}, ["Fri 18 Dec", "Mon 28 Dec", "Fri 15 Jan"]),
    ],
)
def test_days_are_those_of_apscheduler(fields: dict[str, Any], days: list[str]) -> None:
    """Its day must match both fields, and its week begins on Monday: these are what version 3.11 runs."""
    assert days == days_of(job(trigger="cron", hour=3, **fields))


def test_a_job_of_rq_keeps_its_rhythm_and_its_repetitions() -> None:
    """Its jobs have the next run as `scheduled_time`, and how often they run again after that."""
    entry = {"func_name": "a.b.c", "interval": 3600, "scheduled_time": "2026-12-01T10:20:00", "repeat": 9}

    [job] = read(entry).tasks

    assert datetime.fromisoformat("2026-12-01T10:20:00Z") == job.next_run_at == job.spec.start_at
    assert ("every 1h", 10) == (job.spec.schedule, job.spec.max_runs)
    assert ["cron"] == [one.field for one in read({"func": "a.b:c", "scheduled_time": 1796119200}).problems]


def test_a_day_of_celery_must_match_both_fields() -> None:
    schedule = "crontab(minute=0, hour=3, day_of_month='1-7', day_of_week='mon')"

    assert MONDAYS_OF_WEEK_ONE == days_of(read({"task": "a.b.c", "schedule": schedule}))


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        ("crontab(minute=0, 3)", "3 is no field of crontab(...)"),
        ("crontab(0, 3, hour=[1, 2])", "2] is no field of crontab(...)"),
        ("timedelta(hour=1)", "hour is no field of timedelta(...)"),
    ],
)
def test_an_argument_that_a_call_of_celery_lacks_is_named(call: str, reason: str) -> None:
    assert [reason] == [one.reason for one in read({"task": "a.b.c", "schedule": call}).problems]


@pytest.mark.parametrize(
    "entry",
    [
        {"func": "a.b:c", "trigger": "cron", "day": 13, "day_of_week": "fri"},
        {"func": "a.b:c", "trigger": "cron", "day": "1-7", "day_of_week": "*/2"},
        {"task": "a.b.c", "schedule": {"day_of_month": 13, "day_of_week": 5}},
    ],
)
def test_two_fields_of_a_day_that_cannot_be_kept_are_refused(entry: dict[str, Any]) -> None:
    older = read(entry)

    assert not older.tasks
    assert "either would be enough here" in str(older.problems[0])


@pytest.mark.parametrize(("cron", "is_told"), [("0 9 1-7 * mon", True), ("0 9 1 * *", False)])
def test_an_expression_with_two_fields_of_a_day_is_told(cron: str, is_told: bool) -> None:
    assert is_told == any("must match both" in note.reason for note in job(cron=cron).notes)


def test_what_stands_inside_a_trigger_holds() -> None:
    inside = {"start_date": "2027-01-01 09:30", "end_date": "2028-01-01 00:00", "timezone": "Asia/Tokyo"}
    older = job(trigger={"type": "interval", "hours": 36, "jitter": 30, "reference": "a", **inside})

    [spec] = [one.spec for one in older.tasks]
    assert ("every 1d12h", "Asia/Tokyo", 30) == (spec.schedule, spec.timezone, spec.jitter_seconds)
    assert ("2027-01-01 00:30:00+00:00", "2027-12-31 15:00:00+00:00") == (
        str(spec.start_at),
        str(spec.end_at),
    )
    assert ["reference"] == [note.field for note in older.notes if note.action == "left out"]


def test_a_date_in_a_trigger_is_of_the_triggers_zone() -> None:
    older = job(trigger={"type": "date", "run_date": "2026-12-24 18:00:30", "timezone": "Asia/Tokyo"})

    assert [("at 2026-12-24T18:00:30", "Asia/Tokyo")] == [
        (one.spec.schedule, one.spec.timezone) for one in older.tasks
    ]


def test_fields_need_no_trigger_beside_them() -> None:
    assert ["30 9 * * *"] == [one.spec.schedule for one in job(hour=9, minute=30).tasks]
    assert ["every 5m"] == [one.spec.schedule for one in job(minutes=5).tasks]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"schedule": "daily", "hour": 9}, "schedule, hour: do not go together"),
        ({"trigger": "cron", "cron": "0 9 * * *", "hour": 7}, "cron, hour: do not go together"),
        ({"trigger": "cron", "minutes": 5}, "minutes: do not go together"),
        ({"trigger": "interval", "hours": 1, "minute": 5}, "minute, hours: do not go together"),
        ({"trigger": "calendarinterval", "months": 1, "hour": 15}, "'calendarinterval' cannot be kept"),
        ({"trigger": {"type": "cron", "expression": "0 9 * * *"}}, "is cron without a field"),
        ({"trigger": "date"}, "is date without run_date"),
    ],
)
def test_what_would_run_at_other_moments_is_refused(fields: dict[str, Any], told: str) -> None:
    older = job(**fields)

    assert not older.tasks
    assert told in str(older.problems[0])


@pytest.mark.parametrize(("fields", "is_on"), [({"next_run_time": None}, False), ({}, True)])
def test_a_paused_job_of_apscheduler_is_paused_here(fields: dict[str, Any], is_on: bool) -> None:
    assert [is_on] == [one.spec.enabled for one in job(trigger="cron", hour=9, **fields).tasks]
