"""The wall-clock times a cron expression means: which days, and which minutes of them. Knows no zone.

Days are numbered from 1 January 1970, wall-clock times in seconds from its midnight.
"""

from bisect import bisect_left
from calendar import isleap
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Protocol

DAY = 86_400
EPOCH_DAY = date(1970, 1, 1).toordinal()
FIRST_DAY, LAST_DAY = date.min.toordinal() - EPOCH_DAY, date.max.toordinal() - EPOCH_DAY
MONTH_LENGTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
LAST_IN_MONTH = 0  # in place of a number from 1: the last such weekday of the month


class Days(Protocol):
    """Days that match, by their numbers."""

    def at_or_after(self, day: int) -> int | None:
        """Return the first matching day not before *day*; None when there is none."""
        ...

    def at_or_before(self, day: int) -> int | None:
        """Return the last matching day not after *day*; None when there is none."""
        ...

    def count(self, first: int, end: int) -> int:
        """How many days match, *first* included, *end* not."""
        ...


@dataclass(frozen=True, slots=True)
class DayMatcher:
    """Which days match. Weekdays count from Sunday, 0.

    Attributes:
        dates: Days of the month.
        last_date: Whether the month's last day is one of them, whatever its number.
        weekdays: Days of the week, every one in the month.
        nth_weekdays: (weekday, which one in the month: 1 to 5, or LAST).
        requires_both: Whether a day must match by date and by weekday; otherwise one of the two is enough.
    """

    dates: frozenset[int]
    last_date: bool
    months: frozenset[int]
    weekdays: frozenset[int]
    nth_weekdays: frozenset[tuple[int, int]]
    requires_both: bool
    # A month is known by its length and its first weekday: there are 28 shapes in all, for ever.
    _shapes: dict[tuple[int, int], tuple[int, ...]] = field(default_factory=dict, compare=False, repr=False)

    def can_match(self) -> bool:
        """Whether any day at all matches: in 400 years each length of a month begins on each weekday."""
        lengths = {MONTH_LENGTHS[month - 1] for month in self.months} | ({29} if 2 in self.months else set())
        return any(self._dates_in(length, first) for length in lengths for first in range(7))

    def at_or_after(self, day: int) -> int | None:
        """Return the first matching day not before *day*; None beyond the calendar's end."""
        if not FIRST_DAY <= day <= LAST_DAY:
            return self.at_or_after(FIRST_DAY) if day < FIRST_DAY else None
        today = date.fromordinal(day + EPOCH_DAY)
        for opening, dates in self._months(today.year, today.month, day - today.day + 1):
            if dates and opening + dates[-1] - 1 >= day:
                return opening + dates[bisect_left(dates, day - opening + 1)] - 1
        return None

    def at_or_before(self, day: int) -> int | None:
        """Return the last matching day not after *day*; None before the calendar's beginning."""
        if not FIRST_DAY <= day <= LAST_DAY:
            return self.at_or_before(LAST_DAY) if day > LAST_DAY else None
        today = date.fromordinal(day + EPOCH_DAY)
        for opening, dates in self._months_back(today.year, today.month, day - today.day + 1):
            if dates and opening + dates[0] - 1 <= day:
                return opening + dates[bisect_left(dates, day - opening + 2) - 1] - 1
        return None

    def count(self, first: int, end: int) -> int:
        """How many days match, *first* included, *end* not."""
        first, end = max(first, FIRST_DAY), min(end, LAST_DAY + 1)
        if first >= end:
            return 0
        today = date.fromordinal(first + EPOCH_DAY)
        found = 0
        for opening, dates in self._months(today.year, today.month, first - today.day + 1):
            if opening >= end:
                break
            found += bisect_left(dates, end - opening + 1) - bisect_left(dates, first - opening + 1)
        return found

    def between(self, first: int, end: int) -> Iterator[int]:
        """Yield the days that match, *first* included, *end* not."""
        first, end = max(first, FIRST_DAY), min(end, LAST_DAY + 1)
        if first < end:
            today = date.fromordinal(first + EPOCH_DAY)
            for opening, dates in self._months(today.year, today.month, first - today.day + 1):
                if opening >= end:
                    return
                yield from (opening + one - 1 for one in dates if first <= opening + one - 1 < end)

    def _months(self, year: int, month: int, opening: int) -> Iterator[tuple[int, tuple[int, ...]]]:
        while year <= date.max.year:
            length = _length(year, month)
            yield opening, self._dates_of(month, length, opening)
            opening += length
            year, month = (year, month + 1) if month < 12 else (year + 1, 1)

    def _months_back(self, year: int, month: int, opening: int) -> Iterator[tuple[int, tuple[int, ...]]]:
        while year >= date.min.year:
            yield opening, self._dates_of(month, _length(year, month), opening)
            year, month = (year, month - 1) if month > 1 else (year - 1, 12)
            opening -= _length(year, month)

    def _dates_of(self, month: int, length: int, opening: int) -> tuple[int, ...]:
        return self._dates_in(length, (opening + 4) % 7) if month in self.months else ()

    def _dates_in(self, length: int, first_weekday: int) -> tuple[int, ...]:
        shape = (length, first_weekday)
        dates = self._shapes.get(shape)
        if dates is None:
            dates = tuple(
                n for n in range(1, length + 1) if self._match(n, length, (first_weekday + n - 1) % 7)
            )
            self._shapes[shape] = dates
        return dates

    def _match(self, number: int, length: int, weekday: int) -> bool:
        by_date = number in self.dates or (self.last_date and number == length)
        by_weekday = (
            weekday in self.weekdays
            or (weekday, (number + 6) // 7) in self.nth_weekdays
            or ((weekday, LAST_IN_MONTH) in self.nth_weekdays and number + 7 > length)
        )
        return by_date and by_weekday if self.requires_both else by_date or by_weekday


@dataclass(frozen=True, slots=True)
class WallTimes:
    """The wall-clock times that match: each of *hours* with each of *minutes*, on each of *days*."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: Days

    def at_or_after(self, wall: int) -> int | None:
        """Return the first matching time not before *wall*; None beyond the calendar's end."""
        day, second = divmod(wall, DAY)
        found = self.days.at_or_after(day)
        if found != day:
            return None if found is None else found * DAY + self._nth(0)
        rank = self._rank(second)
        if rank < len(self.hours) * len(self.minutes):
            return day * DAY + self._nth(rank)
        found = self.days.at_or_after(day + 1)
        return None if found is None else found * DAY + self._nth(0)

    def before(self, wall: int) -> int | None:
        """Return the last matching time earlier than *wall*; None before the calendar's beginning."""
        day, second = divmod(wall, DAY)
        found = self.days.at_or_before(day)
        if found != day:
            return None if found is None else found * DAY + self._nth(-1)
        rank = self._rank(second)
        if rank > 0:
            return day * DAY + self._nth(rank - 1)
        found = self.days.at_or_before(day - 1)
        return None if found is None else found * DAY + self._nth(-1)

    def count(self, first: int, end: int) -> int:
        """How many times match, *first* included, *end* not."""
        if first >= end:
            return 0
        (first_day, first_second), (end_day, end_second) = divmod(first, DAY), divmod(end, DAY)
        whole = self.days.count(first_day, end_day) * len(self.hours) * len(self.minutes)
        left_out = self._rank(first_second) * self.days.count(first_day, first_day + 1)
        added = self._rank(end_second) * self.days.count(end_day, end_day + 1)
        return whole - left_out + added

    def _rank(self, second: int) -> int:
        """How many of a day's times are earlier than *second*."""
        hour, rest = divmod(second, 3600)
        full = bisect_left(self.hours, hour)
        if full == len(self.hours) or self.hours[full] != hour:
            return full * len(self.minutes)
        return full * len(self.minutes) + bisect_left(self.minutes, -(-rest // 60))

    def _nth(self, rank: int) -> int:
        hour, minute = divmod(rank, len(self.minutes))
        return self.hours[hour] * 3600 + self.minutes[minute] * 60


def _length(year: int, month: int) -> int:
    return MONTH_LENGTHS[month - 1] + (month == 2 and isleap(year))
