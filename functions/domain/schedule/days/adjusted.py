"""Days of a cron schedule with a task's exclusions, and business days by their place in the month.

They are found a year at a time and cached, so that searching and counting stay as quick as without them.
"""

from abc import ABC, abstractmethod
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

from functions.domain.schedule.calendar import EPOCH_DAY, FIRST_DAY, LAST_DAY, DayMatcher
from functions.domain.schedule.days.closed import (
    MAX_CLOSED_RUN,
    ClosedDays,
    OnExcluded,
    find_nearest,
    first_day_of,
    year_of,
)

SEARCH_YEARS = 50  # as far as one search goes without exclusions
MAX_FRUITLESS_YEARS = 20  # years in which each day that would match is excluded, before a search gives up
MAX_CACHED_YEARS = 128  # of one schedule


@dataclass(frozen=True, slots=True)
class YearlyDays(ABC):
    """Days that are found a year at a time; see `Days`."""

    _years: dict[int, tuple[int, ...]] = field(default_factory=dict, compare=False, repr=False, kw_only=True)

    @abstractmethod
    def find_year(self, year: int) -> Sequence[int]:
        """Return the days that match in *year*, in order."""

    @abstractmethod
    def may_match_in(self, year: int) -> bool:
        """Whether any day of *year* would match if none were excluded."""

    def at_or_after(self, day: int) -> int | None:
        """Return the first matching day not before *day*; None when a search must end without one."""
        fruitless = 0
        first = max(day, FIRST_DAY)
        for year in range(year_of(first), year_of(first) + SEARCH_YEARS + 1) if first <= LAST_DAY else ():
            days = self._year(year)
            if days and days[-1] >= first:
                return days[bisect_left(days, first)]
            fruitless += self.may_match_in(year)
            if fruitless > MAX_FRUITLESS_YEARS:
                break
        return None

    def at_or_before(self, day: int) -> int | None:
        """Return the last matching day not after *day*; None when a search must end without one."""
        fruitless = 0
        last = min(day, LAST_DAY)
        for year in range(year_of(last), year_of(last) - SEARCH_YEARS - 1, -1) if last >= FIRST_DAY else ():
            days = self._year(year)
            if days and days[0] <= last:
                return days[bisect_right(days, last) - 1]
            fruitless += self.may_match_in(year)
            if fruitless > MAX_FRUITLESS_YEARS:
                break
        return None

    def count(self, first: int, end: int) -> int:
        """How many days match, *first* included, *end* not."""
        first, end = max(first, FIRST_DAY), min(end, LAST_DAY + 1)
        if first >= end:
            return 0
        return sum(
            bisect_left(days, end) - bisect_left(days, first)
            for year in range(year_of(first), year_of(end - 1) + 1)
            if (days := self._year(year))
        )

    def _year(self, year: int) -> tuple[int, ...]:
        if not date.min.year <= year <= date.max.year:
            return ()
        found = self._years.get(year)
        if found is None:
            if len(self._years) >= MAX_CACHED_YEARS:
                self._years.clear()
            found = self._years[year] = tuple(self.find_year(year))
        return found


@dataclass(frozen=True, slots=True)
class ScheduledDays(YearlyDays):
    """The days of *base*, of which those in *closed* are treated apart."""

    base: DayMatcher
    closed: ClosedDays

    def may_match_in(self, year: int) -> bool:
        """See `YearlyDays`."""
        return next(self.base.between(first_day_of(year), first_day_of(year + 1)), None) is not None


@dataclass(frozen=True, slots=True)
class SkippingDays(ScheduledDays):
    """The days of *base* that are not excluded."""

    def find_year(self, year: int) -> Sequence[int]:
        """See `YearlyDays`."""
        days = list(self.base.between(first_day_of(year), first_day_of(year + 1)))
        excluded = self.closed.year(year).excluded if days else frozenset()
        return [day for day in days if day not in excluded]


@dataclass(frozen=True, slots=True)
class MovedDays(ScheduledDays):
    """The days of *base*, where no business day is replaced by the next or the previous one; each once."""

    policy: OnExcluded

    def find_year(self, year: int) -> Sequence[int]:
        """See `YearlyDays`."""
        first, end = first_day_of(year), first_day_of(year + 1)
        business = self.closed.business_days(first - MAX_CLOSED_RUN, end + MAX_CLOSED_RUN)
        is_next = self.policy == "next"
        low, high = (first - MAX_CLOSED_RUN, end) if is_next else (first, end + MAX_CLOSED_RUN)
        found = {find_nearest(day, business, self.policy) for day in self.base.between(low, high)}
        return sorted(day for day in found if day is not None and first <= day < end)


@dataclass(frozen=True, slots=True)
class BusinessDays(YearlyDays):
    """Business days.

    Attributes:
        places: Which ones of each month, from 1, or from its end, -1; empty for all.
        months: In which months.
    """

    closed: ClosedDays
    places: tuple[int, ...]
    months: frozenset[int]

    def find_year(self, year: int) -> Sequence[int]:
        """See `YearlyDays`."""
        found: set[int] = set()
        for month in self.months:
            first = date(year, month, 1).toordinal() - EPOCH_DAY
            end = date(year, month + 1, 1).toordinal() - EPOCH_DAY if month < 12 else first_day_of(year + 1)
            days = self.closed.business_days(first, end)
            if self.places:
                days = [days[n - 1 if n > 0 else n] for n in self.places if abs(n) <= len(days)]
            found.update(days)
        return sorted(found)

    def may_match_in(self, year: int) -> bool:
        """See `YearlyDays`."""
        return True
