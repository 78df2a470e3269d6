"""The days that a task's entries exclude, year by year; its business days exclude weekends as well.

Days are numbered from 1 January 1970, as in `schedule.calendar`.
"""

from bisect import bisect_left, bisect_right
from calendar import isleap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Literal

from functions.domain.schedule.base import ScheduleError
from functions.domain.schedule.calendar import EPOCH_DAY, FIRST_DAY, LAST_DAY
from functions.domain.schedule.days.entries import (
    CalendarName,
    DateRange,
    Entry,
    MonthDay,
    PublicHolidays,
    Weekdays,
    Weekends,
    YearlyRange,
    parse_entry,
)
from functions.domain.schedule.days.public_holidays import SATURDAY_AND_SUNDAY, holiday_year

OnExcluded = Literal["skip", "next", "previous"]
MAX_CACHED_YEARS = 128  # of one set of entries
MAX_CLOSED_RUN = 366  # days that lie between a closed day and the open one that stands for it


@dataclass(frozen=True, slots=True)
class ClosedYear:
    """One year.

    Attributes:
        excluded: The days that the entries exclude.
        business: Its business days, in order: those that are neither excluded nor in a weekend.
    """

    excluded: frozenset[int]
    business: tuple[int, ...]


class ClosedDays:
    """The days that *entries* exclude. Names of calendars exclude nothing: their entries are given too."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.entries = tuple(one for one in entries if not isinstance(one, CalendarName))
        self._countries = [one for one in self.entries if isinstance(one, PublicHolidays)]
        self._weekends = [one for one in self.entries if isinstance(one, Weekends)]
        self._years: dict[int, ClosedYear] = {}

    def year(self, year: int) -> ClosedYear:
        """Return the days of *year*; cached."""
        found = self._years.get(year)
        if found is None:
            if len(self._years) >= MAX_CACHED_YEARS:
                self._years.clear()
            found = self._years[year] = self._find_year(year)
        return found

    def is_excluded(self, day: int) -> bool:
        """Whether the entries exclude *day*."""
        return FIRST_DAY <= day <= LAST_DAY and day in self.year(year_of(day)).excluded

    def open_at_or_after(self, day: int) -> int | None:
        """Return the first day not before *day* that is not excluded; None when none is near."""
        return next((one for one in range(day, day + MAX_CLOSED_RUN + 1) if not self.is_excluded(one)), None)

    def business_days(self, first: int, end: int) -> list[int]:
        """Return the business days from *first* on and before *end*."""
        first, end = max(first, FIRST_DAY), min(end, LAST_DAY + 1)
        if first >= end:
            return []
        years = range(year_of(first), year_of(end - 1) + 1)
        return [day for year in years for day in self.year(year).business if first <= day < end]

    def move(self, day: int, policy: OnExcluded) -> int | None:
        """Return the business day that stands for *day*; None when none is near."""
        near = self.business_days(day - MAX_CLOSED_RUN, day + MAX_CLOSED_RUN + 1)
        return find_nearest(day, near, policy)

    def _find_year(self, year: int) -> ClosedYear:
        first, end = first_day_of(year), first_day_of(year + 1)
        countries = {one: holiday_year(one, year) for one in self._countries}
        weekend = self._weekend(frozenset(day for one in countries.values() for day in one.weekend))
        workdays = {_number(one) for found in countries.values() for one in found.workdays}
        weekends = {day for day in _weekdays_between(first, end, weekend) if day not in workdays}
        excluded = {_number(one) for found in countries.values() for one in found.dates}
        excluded.update(*(_days_of_entry(entry, year) for entry in self.entries))
        if self._weekends:
            excluded |= weekends
        business = (day for day in range(first, end) if day not in excluded and day not in weekends)
        return ClosedYear(frozenset(excluded), tuple(business))

    def _weekend(self, of_countries: frozenset[int]) -> frozenset[int]:
        """Return the weekdays of weekends: those that entries name, of the countries, or the usual ones."""
        if any(one.is_none for one in self._weekends):
            return frozenset()
        named = [one.days.numbers for one in self._weekends if one.days]
        return frozenset().union(*named) if named else of_countries or SATURDAY_AND_SUNDAY


@dataclass(frozen=True, slots=True)
class DayRule:
    """What a task says about days; equal ones share their results.

    Raises:
        ScheduleError: An entry is none.

    Attributes:
        entries: The canonical entries of the task, and those of its calendars.
        policy: What becomes of an occurrence on such a day.
    """

    entries: tuple[str, ...] = ()
    policy: OnExcluded = "skip"

    def __post_init__(self) -> None:
        try:
            _closed_days(self.entries)
        except ScheduleError as exc:
            raise ScheduleError(f"except: {exc}") from None

    @property
    def closed(self) -> ClosedDays:
        """The days that *entries* name."""
        return _closed_days(self.entries)

    @property
    def is_trivial(self) -> bool:
        """Whether it changes nothing."""
        return not self.entries and self.policy == "skip"


@lru_cache(maxsize=512)
def _closed_days(entries: tuple[str, ...]) -> ClosedDays:
    return ClosedDays(parse_entry(text) for text in entries)


def find_nearest(day: int, business_days: Sequence[int], policy: OnExcluded) -> int | None:
    """Return which of *business_days*, in order, stands for *day*; None when it is too far away."""
    place = bisect_left(business_days, day) if policy == "next" else bisect_right(business_days, day) - 1
    if not 0 <= place < len(business_days):
        return None
    found = business_days[place]
    return found if abs(found - day) <= MAX_CLOSED_RUN else None


def year_of(day: int) -> int:
    """Return the year that *day* is in."""
    return date.fromordinal(day + EPOCH_DAY).year


def first_day_of(year: int) -> int:
    """Return 1 January of *year*, which may be the one after the calendar's end."""
    return LAST_DAY + 1 if year > date.max.year else date(max(year, 1), 1, 1).toordinal() - EPOCH_DAY


def weekday_of(day: int) -> int:
    """Return the weekday of *day*, from Sunday, 0."""
    return (day + 4) % 7


def _number(day: date) -> int:
    return day.toordinal() - EPOCH_DAY


def _weekdays_between(first: int, end: int, weekdays: frozenset[int]) -> set[int]:
    return {day for number in weekdays for day in range(first + (number - weekday_of(first)) % 7, end, 7)}


def _days_of_entry(entry: Entry, year: int) -> Iterable[int]:
    """Return the days of *year* that *entry* names; those of countries and weekends are found together."""
    first, end = first_day_of(year), first_day_of(year + 1)
    match entry:
        case Weekdays():
            return _weekdays_between(first, end, entry.numbers)
        case DateRange():
            return range(max(_number(entry.first), first), min(_number(entry.last) + 1, end))
        case YearlyRange():
            return _days_of_yearly(entry, year)
        case _:
            return ()


def _days_of_yearly(entry: YearlyRange, year: int) -> Iterator[int]:
    ends = (entry.first, entry.last)
    spans = [ends] if entry.first <= entry.last else [(entry.first, (12, 31)), ((1, 1), entry.last)]
    for first, last in spans:
        begin, end = _in_year(year, first), _in_year(year, last, is_end=True)
        yield from range(begin, end + 1)


def _in_year(year: int, day: MonthDay, *, is_end: bool = False) -> int:
    """Return *day* in *year*; for 29 February in other years the end before it, or the beginning after it."""
    if day == (2, 29) and not isleap(year):
        return _number(date(year, 2, 28) if is_end else date(year, 3, 1))
    return _number(date(year, *day))
