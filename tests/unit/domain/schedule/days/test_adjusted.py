"""How far a search for a day goes, and the ends of the years that it is made in."""

from datetime import UTC, date, datetime

from functions.domain.schedule.calendar import EPOCH_DAY, DayMatcher
from functions.domain.schedule.days.adjusted import MAX_FRUITLESS_YEARS, SkippingDays
from functions.domain.schedule.days.closed import (
    MAX_CLOSED_RUN,
    ClosedDays,
    ClosedYear,
    DayRule,
    find_nearest,
)
from functions.domain.schedule.days.entries import parse_entry
from functions.domain.schedule.parse import parse_schedule

NEW_YEAR = date(2027, 1, 1)  # a Friday


class CountingDays(ClosedDays):
    """Excludes each day, and counts the years that were asked for."""

    def __init__(self) -> None:
        super().__init__([parse_entry("mon..sun")])
        self.years: list[int] = []

    def year(self, year: int) -> ClosedYear:
        self.years.append(year)
        return super().year(year)


def test_years_without_a_match_do_not_end_a_search() -> None:
    excluded = tuple(f"{year}-02-29" for year in range(2028, 2052, 4))
    schedule = parse_schedule(
        "0 0 29 2 *", timezone="UTC", anchor=datetime(2026, 1, 1, tzinfo=UTC), days=DayRule(excluded, "skip")
    )

    assert datetime(2052, 2, 29, tzinfo=UTC) == schedule.next_after(datetime(2026, 1, 1, tzinfo=UTC))


def test_a_search_ends_when_all_matches_of_many_years_are_excluded() -> None:
    closed = CountingDays()
    every_day = DayMatcher(
        dates=frozenset(range(1, 32)),
        last_date=False,
        months=frozenset(range(1, 13)),
        weekdays=frozenset(range(7)),
        nth_weekdays=frozenset(),
        requires_both=True,
    )

    assert SkippingDays(every_day, closed).at_or_after(NEW_YEAR.toordinal() - EPOCH_DAY) is None
    assert MAX_FRUITLESS_YEARS + 1 == len(closed.years)


def test_business_days_end_with_the_first_day_of_a_year() -> None:
    eve = date(2026, 12, 31).toordinal() - EPOCH_DAY

    assert [eve, eve + 1] == ClosedDays([parse_entry("weekends")]).business_days(eve, eve + 2)


def test_a_day_moves_no_further_than_over_the_longest_closed_run() -> None:
    assert MAX_CLOSED_RUN == find_nearest(0, [MAX_CLOSED_RUN], "next")
    assert -MAX_CLOSED_RUN == find_nearest(0, [-MAX_CLOSED_RUN], "previous")
    assert find_nearest(0, [MAX_CLOSED_RUN + 1], "next") is None
    assert find_nearest(0, [-MAX_CLOSED_RUN - 1], "previous") is None
