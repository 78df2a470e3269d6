"""Schedules without excluded days, held against the schedule alone and a calendar read day by day."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from time import process_time
from zoneinfo import ZoneInfo

import pytest
from holidays import country_holidays
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.domain.schedule.base import Schedule, ScheduleError
from functions.domain.schedule.days import public_holidays
from functions.domain.schedule.days.closed import DayRule, OnExcluded
from functions.domain.schedule.days.entries import PublicHolidays
from functions.domain.schedule.parse import parse_schedule

ANCHOR = datetime(2026, 1, 1, 6, 20, tzinfo=UTC)
DAY = timedelta(days=1)
MICROSECOND = timedelta(microseconds=1)
ZONES = ["UTC", "Europe/Riga", "America/New_York", "Australia/Lord_Howe", "Pacific/Auckland"]
WRITTEN = [
    "0 9 * * *",
    "30 2 * * *",
    "*/45 * * * *",
    "0 */6 1-7 * 1",
    "0 0 L * *",
    "15 23 * * 5,6",
    "every 7h",
    "every 1d",
]
LATVIAN = country_holidays("LV", years=range(2025, 2029))
Excludes = Callable[[date], bool]
# Entries, and what they mean, written once more and simply.
KINDS: dict[str, Excludes] = {
    "2026-12-24": lambda day: day == date(2026, 12, 24),
    "2026-10-20..2026-11-03": lambda day: date(2026, 10, 20) <= day <= date(2026, 11, 3),
    "12-24..01-02": lambda day: (day.month, day.day) >= (12, 24) or (day.month, day.day) <= (1, 2),
    "03-25..03-31": lambda day: (3, 25) <= (day.month, day.day) <= (3, 31),
    "sat": lambda day: day.isoweekday() == 6,
    "fri..mon": lambda day: day.isoweekday() in (5, 6, 7, 1),
    "weekends": lambda day: day.isoweekday() >= 6,
    "holidays:LV": lambda day: day in LATVIAN,
}


def parse(written: str, *entries: str, zone: str = "UTC", policy: OnExcluded = "skip") -> Schedule:
    return parse_schedule(written, timezone=zone, anchor=ANCHOR, task_id="any", days=DayRule(entries, policy))


def all_of(schedule: Schedule, first: datetime, until: datetime) -> list[datetime]:
    found = []
    at = schedule.next_after(first - MICROSECOND)
    while at is not None and at <= until:
        found.append(at)
        at = schedule.next_after(at)
    return found


def is_excluded(entries: list[str], day: date) -> bool:
    return any(KINDS[one](day) for one in entries if one != "weekends") or (
        "weekends" in entries and is_weekend(entries, day)
    )


def is_weekend(entries: list[str], day: date) -> bool:
    """A Saturday on which people make up for a holiday is none, where the country is named."""
    return day.isoweekday() >= 6 and not ("holidays:LV" in entries and day in LATVIAN.weekend_workdays)


STARTS = st.sampled_from(["2026-03-20T00:00Z", "2026-04-01T13:30Z", "2026-10-23T22:17Z", "2026-12-20T00:00Z"])


@pytest.mark.slow
@given(
    st.sampled_from(WRITTEN),
    st.sampled_from(ZONES),
    st.lists(st.sampled_from(sorted(KINDS)), max_size=3),
    STARTS,
)
@settings(max_examples=60)
def test_what_is_left_is_all_but_the_excluded_local_days(
    written: str, zone: str, entries: list[str], start: str
) -> None:
    first = datetime.fromisoformat(start)
    until = first + 19 * DAY
    kept = [
        at
        for at in all_of(parse(written, zone=zone), first, until)
        if not is_excluded(entries, at.astimezone(ZoneInfo(zone)).date())
    ]
    schedule = parse(written, *entries, zone=zone)

    assert kept == all_of(schedule, first, until)
    span = schedule.occurrence_range(first, until)
    assert ((len(kept), kept[0], kept[-1]) if kept else None) == (
        span and (span.count, span.first, span.last)
    )
    assert kept[-5:] == schedule.last_n(first, until, 5)


@pytest.mark.slow
@given(
    st.sampled_from(["0 9 * * *", "0 9 1 * *", "30 17 L * *", "0 9,12 * * 6", "15 8 24,25,26 12 *"]),
    st.sampled_from(ZONES),
    st.lists(st.sampled_from(sorted(KINDS)), max_size=3),
    st.sampled_from(["next", "previous"]),
)
@settings(max_examples=60)
def test_a_moved_occurrence_is_on_the_business_day_nearest_to_its_own(
    written: str, zone: str, entries: list[str], policy: OnExcluded
) -> None:
    """Each occurrence alone is carried from day to day until one is open; those that meet are one."""
    place = ZoneInfo(zone)
    first, until = datetime(2026, 9, 1, tzinfo=UTC), datetime(2027, 3, 1, tzinfo=UTC)
    margin = 40 * DAY  # longer than any stretch of closed days
    expected = set()
    for at in all_of(parse(written, zone=zone), first - margin, until + margin):
        local = at.astimezone(place)
        day = local.date()
        while is_weekend(entries, day) or is_excluded(entries, day):
            day += DAY if policy == "next" else -DAY
        moved = datetime.combine(day, local.time(), place).astimezone(UTC)
        if first <= moved <= until:
            expected.add(moved)
    schedule = parse(written, *entries, zone=zone, policy=policy)

    assert sorted(expected) == all_of(schedule, first, until)
    span = schedule.occurrence_range(first, until)
    assert span is not None
    assert (len(expected), min(expected), max(expected)) == (span.count, span.first, span.last)
    assert sorted(expected)[-9:] == schedule.last_n(first, until, 9)


@pytest.mark.slow
@given(
    st.sampled_from(["first", "3rd", "last", "second last", "every"]),
    st.lists(st.sampled_from(sorted(KINDS)), max_size=3),
)
@settings(max_examples=40)
def test_business_days_are_counted_within_their_month(which: str, entries: list[str]) -> None:
    written = f"{which} business day" + ("" if which == "every" else " of the month") + " at 09:00"
    found = all_of(
        parse(written, *entries), datetime(2026, 6, 1, tzinfo=UTC), datetime(2027, 2, 28, 23, tzinfo=UTC)
    )

    months: dict[tuple[int, int], list[date]] = {}
    day = date(2026, 6, 1)
    while day < date(2027, 3, 1):
        if not is_weekend(entries, day) and not is_excluded(entries, day):
            months.setdefault((day.year, day.month), []).append(day)
        day += DAY
    pick = {"first": 0, "3rd": 2, "last": -1, "second last": -2}
    chosen = [
        one
        for days in months.values()
        for one in (days if which == "every" else days[pick[which] : (pick[which] + 1) or None])
    ]
    assert [datetime(one.year, one.month, one.day, 9, tzinfo=UTC) for one in chosen] == found


def test_a_time_in_a_gap_counts_for_the_day_that_it_is_of() -> None:
    """In Ittoqqortoormiit the clocks go from 23:00 on Saturday to 00:00 on Sunday."""
    zone = "America/Scoresbysund"
    around = (datetime(2026, 3, 28, 12, tzinfo=UTC), datetime(2026, 3, 29, 12, tzinfo=UTC))
    on_sunday = datetime(2026, 3, 29, 1, tzinfo=UTC)

    assert [on_sunday] == all_of(parse("30 23 * * *", "sun", zone=zone), *around)
    assert [] == all_of(parse("30 23 * * *", "sat", zone=zone), *around)


def test_a_moved_time_that_the_clocks_leave_out_runs_at_the_end_of_the_gap() -> None:
    schedule = parse("30 2 28 3 *", "2026-03-28", "weekends:none", zone="Europe/Berlin", policy="next")

    assert datetime(2026, 3, 29, 1, tzinfo=UTC) == schedule.next_after(ANCHOR)
    [change] = schedule.clock_changes(ANCHOR, ANCHOR + 365 * DAY)
    assert "02:30 does not exist in Europe/Berlin: runs once, at 03:00" in change.text


def test_a_change_of_the_clocks_on_an_excluded_day_changes_nothing() -> None:
    assert [] == parse("30 2 * * *", "sun", zone="Europe/Berlin").clock_changes(ANCHOR, ANCHOR + 365 * DAY)


@pytest.mark.parametrize(
    ("policy", "day"), [("skip", None), ("next", 28), ("previous", 23)], ids=["skip", "next", "previous"]
)
def test_a_single_time_is_left_out_or_moved(policy: OnExcluded, day: int | None) -> None:
    schedule = parse("at 2026-12-25T09:00", "holidays:LV", zone="Europe/Riga", policy=policy)

    assert schedule.next_after(ANCHOR) == (day and datetime(2026, 12, day, 7, tzinfo=UTC))


def test_weekends_are_those_of_the_country_and_made_up_for() -> None:
    friday, sunday = date(2026, 1, 9), date(2026, 1, 11)
    saudi = _dates(parse("every business day at 09:00", "holidays:SA"), friday)
    assert (friday not in saudi, sunday in saudi) == (True, True)
    named = all_of(parse("every business day at 09:00", "weekends:fri..sat"), *_week_of(friday))
    assert named == [one for one in named if one.isoweekday() in (7, 1, 2, 3, 4)]
    makeup = max(public_holidays.holiday_year(_china(), 2026).workdays)
    assert makeup in _dates(parse("0 9 * * *", "weekends", "holidays:CN"), makeup)
    assert makeup not in _dates(parse("0 9 * * *", "weekends"), makeup)


def test_an_interval_has_no_day_that_it_could_move_to() -> None:
    with pytest.raises(ScheduleError, match="onExcluded: an interval has no time of day"):
        parse("every 6h", "sat", policy="next")


def test_several_schedules_keep_their_own_days_and_meet_once() -> None:
    schedule = parse("0 9 * * 1; 0 9 * * 6", policy="next")

    assert all_of(schedule, ANCHOR, ANCHOR + 70 * DAY) == all_of(
        parse("0 9 * * 1"), ANCHOR, ANCHOR + 70 * DAY
    )


def test_equal_days_share_one_schedule() -> None:
    assert parse("0 9 * * *", "sat") is parse("0 9 * * *", "sat")
    assert parse("0 9 * * *") is parse_schedule("0 9 * * *", timezone="UTC", anchor=ANCHOR, task_id="any")


EACH_DATE = [f"2027-{month:02}-{day:02}" for month in range(1, 13) for day in range(1, 29)] + ["01-01..12-30"]


@pytest.mark.parametrize(
    ("written", "entries", "policy"),
    [
        ("* * * * *", EACH_DATE, "skip"),
        ("* * * * *", EACH_DATE, "next"),
        ("* * * * *", ["01-01..12-31"], "skip"),
        ("* * * * *", ["01-01..12-31"], "previous"),
        ("0 0 29 2 0", ["holidays:MY", "02-29"], "skip"),
        ("first business day of month at 09:00", ["holidays:MY", "01-01..12-31"], "skip"),
        ("every 1m", ["01-01..12-31"], "skip"),
        ("every 1w", ["mon..sun"], "skip"),
        ("every 1w", ["thu"], "skip"),
    ],
)
def test_the_search_is_bounded(written: str, entries: list[str], policy: OnExcluded) -> None:
    public_holidays.load()
    parse("0 0 1 1 *").next_after(ANCHOR)  # the library that reads cron fields is loaded once
    began = process_time()
    schedule = parse(written, *entries, policy=policy)
    at: datetime | None = ANCHOR
    for _ in range(20):
        at = schedule.next_after(at) if at else None
    schedule.occurrence_range(ANCHOR, ANCHOR + 3650 * DAY)

    assert process_time() - began < 1  # 0.1 s and less on an idle machine


def _week_of(day: date) -> tuple[datetime, datetime]:
    begin = datetime(day.year, day.month, day.day, tzinfo=UTC) - 3 * DAY
    return begin, begin + 7 * DAY


def _dates(schedule: Schedule, day: date) -> set[date]:
    return {at.date() for at in all_of(schedule, *_week_of(day))}


def _china() -> PublicHolidays:
    return PublicHolidays("CN")
