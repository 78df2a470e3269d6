"""Cron schedules: five fields read by croniter, and their instants across clock changes as in Debian."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache

from functions.domain.schedule.base import (
    FIRST_SECOND,
    LAST_SECOND,
    SEARCH_HORIZON_S,
    ClockChange,
    OccurrenceRange,
    ScheduleError,
    instant_at,
    second_at_or_after,
    second_at_or_before,
)
from functions.domain.schedule.calendar import LAST_IN_MONTH, DayMatcher, WallTimes
from functions.domain.schedule.cron_fields import FIELDS, CronField, canonical_field
from functions.domain.schedule.timezones import OffsetPeriod, Zone, describe_dst_gap, describe_dst_overlap

CRON_START = re.compile(r"[\d*?H]")
FIELD_ORDER = "minute hour day-of-month month day-of-week, such as 30 9 * * 1-5"


def canonical_cron(expression: str, *, task_id: str) -> str:
    """Return *expression* in numbers alone, one space between fields, `H` drawn from *task_id*.

    Raises:
        ScheduleError: It is not a cron expression of five fields, or one of them is at fault.
    """
    texts = expression.upper().split()
    if texts and texts[0].startswith(("TZ=", "CRON_TZ=")):
        raise ScheduleError(
            f"schedule: {texts[0].split('=')[0]}= is not read here; write the zone as timezone"
        )
    if len(texts) in (6, 7) and CRON_START.match(texts[0]):  # other words are a sentence
        raise ScheduleError(
            f"schedule: these are {len(texts)} fields, and seconds and years are not supported; "
            f"write five: {FIELD_ORDER}"
        )
    if len(texts) != 5:
        fault = f'"{expression[:60]}" is not a schedule'
        raise ScheduleError(
            f"schedule: {fault}; write five cron fields, {FIELD_ORDER}, or daily, or every 15m"
        )
    return " ".join(
        canonical_field(field, text, task_id=task_id) for field, text in zip(FIELDS, texts, strict=True)
    )


@lru_cache(maxsize=4096)
def parse_wall_times(canonical: str) -> WallTimes:
    """Return the times a canonical expression means.

    Raises:
        ScheduleError: It names dates that never come.
    """
    minute, hour, date, month, weekday = canonical.split()
    special = [term for term in weekday.split(",") if "#" in term or "L" in term]
    usual = ",".join(term for term in weekday.split(",") if term not in special)
    read = _expand(f"{minute} {hour} {date} {month} {usual or '*'}")
    days = DayMatcher(
        dates=read[2] - {LAST_IN_MONTH},
        last_date=LAST_IN_MONTH in read[2],
        months=read[3],
        weekdays=read[4] if usual else frozenset(),
        nth_weekdays=frozenset(_parse_nth_weekday(term) for term in special),
        # Debian's rule: with a star in front of either field a day must match both, else either will do.
        requires_both=date.startswith("*") or weekday.startswith("*"),
    )
    if not days.can_match():
        raise ScheduleError(
            f'schedule: the day "{date} {month} {weekday}" (day-of-month month day-of-week) never comes; '
            "choose one the calendar has, or L for the last day of a month"
        )
    return WallTimes(tuple(sorted(read[0])), tuple(sorted(read[1])), days)


def has_fixed_times(canonical: str) -> bool:
    """Whether the expression names times of day, of which one that comes twice counts once."""
    minute, hour, *_ = canonical.split()
    return not minute.startswith("*") and not hour.startswith("*")


def _expand(canonical: str) -> list[frozenset[int]]:
    from croniter import croniter  # 60 ms, which a tick with nothing due must not pay

    lists, _ = croniter.expand(canonical)
    return [_numbers(field, items) for field, items in zip(FIELDS, lists, strict=True)]


def _numbers(field: CronField, items: Sequence[int | str]) -> frozenset[int]:
    if "*" in items:
        return frozenset(range(field.low, field.last + 1))
    return frozenset(LAST_IN_MONTH if item == "l" else int(item) for item in items)


def _parse_nth_weekday(term: str) -> tuple[int, int]:
    from croniter import croniter  # as above

    _, nth = croniter.expand(f"* * * * {term}")
    [(weekday, [which])] = nth.items()
    return weekday, LAST_IN_MONTH if which == "l" else which


HOUR = 3600
# More than all offsets and changes of the clocks together. No period between a time searched from and a match
# further away has a match, and none is computed: 29 February on a Sunday may be 40 years away.
FAR = 3 * 86_400
CACHE_SIZE = 16  # results of one schedule; one tick needs fewer, and thousands of schedules are cached


@dataclass(frozen=True, slots=True)
class CronSchedule:
    """See `Schedule`. Within a period of one offset, instants are plain arithmetic on wall-clock times.

    Attributes:
        has_fixed_times: Whether the expression names times of day (neither minute nor hour begins with `*`).
            Such a time runs once a day: at the end of the gap when it does not exist, the first time when it
            comes twice. Otherwise real time counts: nothing in the gap, both passes of what comes twice.
    """

    canonical: str
    times: WallTimes
    zone: Zone
    has_fixed_times: bool
    _cache: dict[int, int | None] = field(default_factory=dict, compare=False, repr=False)

    def next_after(self, instant: datetime) -> datetime | None:
        found = self._at_or_after(second_at_or_before(instant) + 1)
        return None if found is None else instant_at(found)

    def occurrence_range(self, first: datetime, until: datetime) -> OccurrenceRange | None:
        low, high = second_at_or_after(first), second_at_or_before(until)
        earliest = self._at_or_after(low)
        if earliest is None or earliest > high:
            return None
        second = self._at_or_after(earliest + 1)
        if second is None or second > high:  # by far the most frequent case: one is due
            return OccurrenceRange(1, instant_at(earliest), instant_at(earliest))
        latest = self._at_or_before(high, floor=second)
        assert latest is not None
        periods = self.zone.offset_periods(earliest, latest)
        count = sum(self._count(period, earliest, latest) for period in periods)
        return OccurrenceRange(count, instant_at(earliest), instant_at(latest))

    def last_n(self, first: datetime, until: datetime, limit: int) -> list[datetime]:
        low = second_at_or_after(first)
        found: list[datetime] = []
        at = self._at_or_before(second_at_or_before(until), floor=low)
        while at is not None and at >= low and len(found) < limit:
            found.append(instant_at(at))
            at = self._at_or_before(at - 1, floor=low)
        return found[::-1]

    def period(self, around: datetime) -> timedelta | None:
        one = self.next_after(around)
        other = one and self.next_after(one)
        return other - one if one and other else None

    def clock_changes(self, after: datetime, until: datetime) -> list[ClockChange]:
        low, high = second_at_or_before(after) + 1, second_at_or_before(until)
        return [
            change
            for period in self.zone.offset_periods(max(low, FIRST_SECOND), min(high, LAST_SECOND))
            if low <= period.start <= high and (change := self._clock_change(period))
        ]

    def _at_or_after(self, second: int) -> int | None:
        """The first occurrence at *second* or later; cached, as one tick needs the same for many tasks."""
        if second in self._cache:
            return self._cache[second]
        if len(self._cache) >= CACHE_SIZE:
            self._cache.clear()
        found = self._cache[second] = self._search(second)
        return found

    def _search(self, second: int) -> int | None:
        """The first occurrence at *second* or later, by one period of constant offset after the other.

        In each period: convert *second* to wall-clock time, find the next wall time that matches, and convert
        it back if it lies within the period; otherwise go on at the start of the next one.

        Example: `30 2 * * *` in Berlin from 2026-03-29 00:00 UTC. In winter time (+1 h, until 01:00 UTC) the
        wall shows 01:00, the match 02:30 lies beyond the period's end (02:00). Summer time (+2 h) starts at
        01:00 UTC; fixed times in the gap belong to it, so its first wall time is 02:00, the match is 02:30
        again, that is 00:30 UTC: before the period, so the occurrence is its start, 01:00 UTC (03:00).
        What does not come within the horizon is searched no further: it falls into gaps alone.
        """
        second = max(second, FIRST_SECOND)
        last = min(second + SEARCH_HORIZON_S, LAST_SECOND)
        searched_from = match = None
        while second <= last:
            period = self.zone.offset_period(second)
            wall = self._first_wall_time(period)
            if second > period.start:
                wall = max(wall, second + period.offset)
            # A match found from an earlier time still holds; dates far away cross many periods.
            if searched_from is None or match is None or not searched_from <= wall <= match:
                searched_from, match = wall, self.times.at_or_after(wall)
            if match is None:
                return None
            if match < period.end + period.offset:
                found = max(period.start, match - period.offset)
                return found if found <= LAST_SECOND else None
            is_far = period.end - second >= FAR and match - period.end >= 2 * FAR
            second = match - FAR if is_far else period.end
        return None

    def _at_or_before(self, second: int, *, floor: int) -> int | None:
        """The last occurrence at *second* or earlier; None when there is none in the period of *floor*."""
        second = min(second, LAST_SECOND)
        while second >= max(floor, FIRST_SECOND):
            period = self.zone.offset_period(second)
            found = self.times.before(second + 1 + period.offset)
            if found is None:
                return None
            if found >= self._first_wall_time(period):
                return max(period.start, found - period.offset)
            is_far = second - period.start >= FAR and period.start - found >= 2 * FAR
            second = found + FAR if is_far else period.start - 1
        return None

    def _count(self, period: OffsetPeriod, first: int, until: int) -> int:
        opening = self._first_wall_time(period)
        low = opening if first <= period.start else max(opening, first + period.offset)
        end = min(until + 1, period.end) + period.offset
        found = self.times.count(low, end)
        if opening < period.start + period.offset and low == opening:
            together = self.times.count(
                opening, period.start + period.offset + 1
            )  # these all run at the end of the gap
            found -= max(together - 1, 0)
        return found

    def _first_wall_time(self, period: OffsetPeriod) -> int:
        """The first wall-clock time that belongs to *period*.

        A fixed time belongs to exactly one period: those in a gap to the one after it, those that come twice
        to the one before. In real time a period begins with what the clock shows then.
        """
        return period.valid_from_local if self.has_fixed_times else period.start + period.offset

    def _clock_change(self, period: OffsetPeriod) -> ClockChange | None:
        low, high = sorted((period.start + period.previous_offset, period.start + period.offset))
        if not self.has_fixed_times and len(self.times.hours) == 24 and (high - low) % HOUR == 0:
            return None  # every hour of real time has the same runs
        count = self.times.count(low, high)
        first, last = self.times.at_or_after(low), self.times.before(high)
        if count == 0 or first is None or last is None:
            return None
        if period.offset > period.previous_offset:
            return describe_dst_gap(
                self.zone.name,
                period,
                first=first,
                last=last,
                count=count,
                has_fixed_times=self.has_fixed_times,
            )
        return describe_dst_overlap(
            self.zone.name, period, first=first, last=last, has_fixed_times=self.has_fixed_times
        )
