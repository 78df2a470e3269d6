"""Reading schedules: names, intervals and single instants; and how one value serves many tasks."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from functions.domain.schedule.parse import OccurrenceRange, Schedule, ScheduleError, parse_schedule

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
INSTANT = timedelta(microseconds=1)


def read(expression: str, zone: str = "UTC", *, anchor: datetime = NOON, task_id: str = "") -> Schedule:
    return parse_schedule(expression, timezone=zone, anchor=anchor, task_id=task_id)


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("@hourly", "0 * * * *"),
        ("@daily", "0 0 * * *"),
        ("@midnight", "0 0 * * *"),
        ("@weekly", "0 0 * * 0"),
        ("@monthly", "0 0 1 * *"),
        ("@yearly", "0 0 1 1 *"),
        ("@annually", "0 0 1 1 *"),
        ("every_minute", "* * * * *"),
        ("hourly", "0 * * * *"),
        ("Daily", "0 0 * * *"),
        (" WEEKLY ", "0 0 * * 0"),
        ("monthly", "0 0 1 * *"),
        ("every 15m", "every 15m"),
        ("EVERY  1h 30m", "every 1h30m"),
        ("every 90s", "every 1m30s"),
        ("every 2w", "every 2w"),
        ("@every 36h", "every 1d12h"),
        ("every 5 minutes", "every 5m"),
        ("every 1 minute", "every 1m"),
        ("every minute", "every 1m"),
        ("Every_5_Minutes", "every 5m"),
        ("@every_5_minutes", "every 5m"),
        ("every_hour", "every 1h"),
        ("every hour", "every 1h"),
        ("every day", "every 1d"),
        ("every an hour", "every 1h"),
        ("every two weeks", "every 2w"),
        ("every 1 hour and 30 min", "every 1h30m"),
        ("every 2 hrs, 5 mins", "every 2h5m"),
        ("at 2026-12-01T09:00", "at 2026-12-01T07:00:00Z"),
        ("At 2026-12-01 09:00:30", "at 2026-12-01T07:00:30Z"),
        ("at 2026-12-01t09:00z", "at 2026-12-01T09:00:00Z"),
        ("at 2026-12-01T09:00-05:00", "at 2026-12-01T14:00:00Z"),
    ],
)
def test_names_intervals_and_instants_have_one_plain_spelling(written: str, canonical: str) -> None:
    """And the plain spelling means the same again."""
    schedule = read(written, "Europe/Riga")

    assert canonical == schedule.canonical
    assert schedule == read(canonical, "Europe/Riga")


@pytest.mark.parametrize(
    ("written", "refusal"),
    [
        (" ", 'it is empty; write cron fields such as 30 9 * * 1-5, or "every 15m"'),
        ("@dailly", '"@dailly" is not a schedule; did you mean @daily?'),
        (
            "@reboot",
            '"@reboot" is not a schedule; write five cron fields, @daily, every 15m or at a date',
        ),
        ("0," * 120 + "0 * * * *", "it is 249 characters long; write at most 200"),
        (
            "every 15 moons",
            '"every 15 moons" is not an interval; '
            "write it like every 15m, every 2 hours or every 1h30m, with minutes, hours, days and weeks",
        ),
        (
            "every monday",
            '"every monday" is not an interval; '
            "days of a week or a month and times of day are cron fields: 0 9 * * 1 is Mondays at 09:00",
        ),
        (
            "every day at 09:30",
            '"every day at 09:30" is of another dialect; write 30 9 * * *',
        ),
        (
            "every month at noon",
            '"every month at noon" is not an interval; '
            "days of a week or a month and times of day are cron fields: 0 9 * * 1 is Mondays at 09:00",
        ),
        (
            "0 0 12 ? * 2-6",
            '"0 0 12 ? * 2-6" is of another dialect; '
            "write 0 12 * * MON-FRI, if 1 is Sunday there, as in Quartz",
        ),
        ("0 0 25 * * ?", "the hour 25 is out of range; use 0 to 23"),
        (
            "*/5 * * * * /usr/bin/true",
            '"*/5 * * * * /usr/bin/true" is of another dialect; '
            "write */5 * * * *, with a command in params, and a zone in timezone",
        ),
        (
            "every second",
            '"every second" is shorter than the scheduler\'s own minute; write every 1m or longer',
        ),
        (
            "every second day",
            '"every second day" is not an interval; '
            "write it like every 15m, every 2 hours or every 1h30m, with minutes, hours, days and weeks",
        ),
        (
            "every 59s",
            '"every 59s" is shorter than the scheduler\'s own minute; write every 1m or longer',
        ),
        ("every 521w4d", '"every 521w4d" is longer than ten years; write every 3650d or shorter'),
        ("every 999999999w", '"every 999999999w" is longer than ten years; write every 3650d or shorter'),
        (
            "at noon",
            '"at noon" is not a date and time; write it like at 2026-12-01T09:00, in the task\'s zone',
        ),
        (
            "at 2026-02-30T09:00",
            '"at 2026-02-30T09:00" is not in the calendar or on the clock; '
            "write it like at 2026-12-01T09:00, in the task's zone",
        ),
        ("at 1969-12-31T09:00", '"at 1969-12-31T09:00" is out of range; use a year from 1970 to 9000'),
        ("at 9000-12-31T09:00", '"at 9000-12-31T09:00" is out of range; use a year from 1970 to 9000'),
        (
            "at 9999-12-31T23:00-02:00",
            '"at 9999-12-31T23:00-02:00" is out of range; use a year from 1970 to 9000',
        ),
    ],
)
def test_a_refusal_names_the_fault_and_the_remedy(written: str, refusal: str) -> None:
    with pytest.raises(ScheduleError) as refused:
        read(written)

    assert f"schedule: {refusal}" == str(refused.value)


def test_the_shortest_and_the_longest_interval_are_accepted() -> None:
    assert timedelta(seconds=60) == read("every 60s").period(NOON)
    assert timedelta(days=3650) == read("every 3650d").period(NOON)


def test_tasks_with_the_same_cron_share_one_schedule() -> None:
    """A thousand tasks with one cron cost one parsing, whoever they are and whenever they were made."""
    shared = {id(read("*/7 3 * * *", task_id=f"task-{n}", anchor=NOON + n * MINUTE)) for n in range(1000)} | {
        id(read(" */7  3 * * ?"))
    }

    assert 1 == len(shared)


def test_the_task_and_its_anchor_count_where_they_matter() -> None:
    assert read("H H * * *", task_id="ping") != read("H H * * *", task_id="pong")
    assert read("0 9 * * *", "Europe/Riga") != read("0 9 * * *", "Europe/Vilnius")
    assert read("every 1h") != read("every 1h", anchor=NOON + MINUTE)


def test_a_cron_occurrence_is_strictly_later_and_in_utc() -> None:
    schedule = read("0 9 * * MON-FRI", "Europe/Riga")
    monday = datetime(2026, 11, 23, 7, 0, tzinfo=UTC)

    assert monday == schedule.next_after(NOON)
    assert monday == schedule.next_after(monday - INSTANT)
    assert monday + timedelta(days=1) == schedule.next_after(monday)
    assert monday + timedelta(days=1) == schedule.next_after(monday + INSTANT)
    found = schedule.next_after(NOON.astimezone(timezone(timedelta(hours=-11))))
    assert found is not None
    assert UTC is found.tzinfo


def test_an_interval_counts_from_its_anchor_without_drift() -> None:
    """The first occurrence is the anchor; a late tick does not move the later ones."""
    schedule = read("every 90m")

    assert NOON == schedule.next_after(NOON - timedelta(days=3))
    assert NOON == schedule.next_after(NOON - INSTANT)
    assert NOON + 90 * MINUTE == schedule.next_after(NOON)
    assert NOON + 90 * MINUTE == schedule.next_after(NOON + 89 * MINUTE)
    assert NOON + 1500 * MINUTE * 90 == schedule.next_after(NOON + 1500 * MINUTE * 90 - INSTANT)


def test_an_interval_counts_in_whole_seconds() -> None:
    """A task created in the middle of a second does not carry the fraction in every occurrence's name."""
    schedule = read("every 1h", anchor=NOON + timedelta(microseconds=123_456))

    assert NOON + HOUR == schedule.next_after(NOON)


def test_a_day_of_an_interval_is_24_hours_across_a_change_of_the_clocks() -> None:
    saturday = datetime(2026, 10, 31, 13, 0, tzinfo=UTC)
    schedule = read("every 1d", "America/New_York", anchor=saturday)

    assert saturday + timedelta(hours=48) == schedule.next_after(saturday + timedelta(hours=24))
    assert [] == schedule.clock_changes(saturday, saturday + timedelta(days=366))


def test_an_instant_comes_once() -> None:
    schedule = read("at 2026-12-01T09:00", "Europe/Riga")
    at = datetime(2026, 12, 1, 7, 0, tzinfo=UTC)

    assert at == schedule.next_after(at - INSTANT)
    assert schedule.next_after(at) is None
    assert schedule.period(NOON) is None
    assert OccurrenceRange(1, at, at) == schedule.occurrence_range(at, at)
    assert schedule.occurrence_range(at + INSTANT, at + HOUR) is None
    assert [at] == schedule.last_n(NOON, at, 5)
    assert [] == schedule.last_n(NOON, at, 0)


def test_a_span_holds_both_its_ends() -> None:
    schedule = read("*/5 * * * *")

    assert OccurrenceRange(13, NOON, NOON + HOUR) == schedule.occurrence_range(NOON, NOON + HOUR)
    assert OccurrenceRange(11, NOON + 5 * MINUTE, NOON + 55 * MINUTE) == schedule.occurrence_range(
        NOON + INSTANT, NOON + HOUR - INSTANT
    )
    assert OccurrenceRange(1, NOON, NOON) == schedule.occurrence_range(NOON, NOON)
    assert schedule.occurrence_range(NOON + INSTANT, NOON + 5 * MINUTE - INSTANT) is None


def test_a_year_of_every_minute_is_counted_to_the_last_one() -> None:
    """In arithmetic: 525,600 minutes, and neither of the two changed hours is lost or counted twice."""
    schedule = read("* * * * *", "America/New_York")

    span = schedule.occurrence_range(NOON, NOON + timedelta(days=365))

    assert OccurrenceRange(525_601, NOON, NOON + timedelta(days=365)) == span


def test_the_tail_is_the_newest_in_order() -> None:
    schedule = read("0 * * * *")

    assert [NOON, NOON + HOUR, NOON + 2 * HOUR] == schedule.last_n(
        NOON - 9 * HOUR, NOON + 2 * HOUR + MINUTE, 3
    )
    assert [NOON] == schedule.last_n(NOON, NOON + MINUTE, 3)
    assert [] == schedule.last_n(NOON + INSTANT, NOON + MINUTE, 3)
    assert [] == schedule.last_n(NOON - HOUR, NOON + MINUTE, 0)


def test_the_period_is_measured_where_one_looks() -> None:
    """Between office hours the distance to the one after is longer."""
    schedule = read("0 9,17 * * *")

    assert 8 * HOUR == schedule.period(datetime(2026, 11, 20, 8, 0, tzinfo=UTC))
    assert 16 * HOUR == schedule.period(datetime(2026, 11, 20, 9, 0, tzinfo=UTC))


@pytest.mark.parametrize("expression", ["* * * * *", "every 1m"])
def test_the_last_occurrence_leaves_a_day_for_jitter(expression: str) -> None:
    last = datetime(9000, 12, 30, 23, 59, tzinfo=UTC)
    schedule = read(expression)

    assert last == schedule.next_after(last - MINUTE)
    assert schedule.next_after(last) is None
    assert [last] == schedule.last_n(last - MINUTE / 2, datetime(9999, 12, 30, tzinfo=UTC), 3)


@pytest.mark.parametrize("expression", ["0 0 29 2 *", "every 3650d"])
def test_schedules_end_where_dates_end(expression: str) -> None:
    """A day before the last instant, so that jitter does not lead beyond it."""
    schedule = read(expression)
    late = datetime(9000, 12, 31, 0, 0, tzinfo=UTC)

    assert schedule.next_after(late) is None
    assert schedule.occurrence_range(late, late + MINUTE) is None
    assert schedule.next_after(datetime(1, 1, 1, tzinfo=UTC)) is not None
    assert [] == schedule.last_n(datetime(1, 1, 1, tzinfo=UTC), datetime(1, 1, 2, tzinfo=UTC), 3)
