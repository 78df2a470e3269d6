"""A schedule that comes again after a fixed stretch of elapsed time: `every 15m`, `every 5 minutes`."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from functions.domain.schedule.base import (
    LAST_SECOND,
    ClockChange,
    OccurrenceRange,
    Schedule,
    ScheduleError,
    instant_at,
    second_at_or_before,
)
from functions.domain.schedule.durations import UNIT_SECONDS, parse_duration
from functions.domain.schedule.timezones import Zone, describe_dst_gap, describe_dst_overlap
from functions.domain.types import check_instant, format_instant

LAST_OCCURRENCE = instant_at(LAST_SECOND)
ROOM_FOR_JITTER = timedelta(days=1)
MIN_INTERVAL_S, MAX_INTERVAL_S = 60, 3650 * 86_400
INTERVAL_EXAMPLE = (
    "write it like every 15m, every 2 hours or every 1h30m, with minutes, hours, days and weeks"
)
CALENDAR_WORDS = (
    "month",
    "year",
    "mon",
    "tue",
    "wed",
    "thu",
    "fri",
    "sat",
    "sun",
    "quarter",
    "weekday",
    "weekend",
)
CALENDAR_EXAMPLE = "days of a week or a month and times of day are cron fields: 0 9 * * 1 is Mondays at 09:00"


@dataclass(frozen=True, slots=True)
class IntervalSchedule:
    """See `Schedule`. Occurrences are *anchor* and whole steps after it, so nothing ever drifts.

    Time is elapsed time: `every 1d` is 24 hours, also across a change of the clocks.
    """

    canonical: str
    anchor: datetime
    step: timedelta

    def next_after(self, instant: datetime) -> datetime | None:
        return self._nth(max((instant - self.anchor) // self.step + 1, 0))

    def occurrence_range(self, first: datetime, until: datetime) -> OccurrenceRange | None:
        low, high = self._range(first, until)
        earliest, latest = self._nth(low), self._nth(high)
        if high < low or earliest is None or latest is None:
            return None
        return OccurrenceRange(high - low + 1, earliest, latest)

    def last_n(self, first: datetime, until: datetime, limit: int) -> list[datetime]:
        low, high = self._range(first, until)
        return [self.anchor + n * self.step for n in range(max(low, high - limit + 1), high + 1)]

    def period(self, around: datetime) -> timedelta | None:
        return self.step

    def clock_changes(self, after: datetime, until: datetime) -> list[ClockChange]:
        return []

    def _range(self, first: datetime, until: datetime) -> tuple[int, int]:
        return max(-((self.anchor - first) // self.step), 0), self._last_number(until)

    def _nth(self, number: int) -> datetime | None:
        return self.anchor + number * self.step if number <= self._last_number(LAST_OCCURRENCE) else None

    def _last_number(self, until: datetime) -> int:
        return (min(until, LAST_OCCURRENCE) - self.anchor) // self.step


def parse_interval(text: str) -> timedelta:
    """Read `every 15m`, `every_15_minutes` or `every hour`, in lower case.

    Raises:
        ScheduleError: It is not understood, too short or too long.
    """
    written = text.removeprefix("every").strip("_ ")
    step = parse_duration(written)
    if step is None:
        is_calendar = " at " in text or written.startswith(CALENDAR_WORDS)
        remedy = CALENDAR_EXAMPLE if is_calendar else INTERVAL_EXAMPLE
        raise ScheduleError(f'schedule: "{text[:60]}" is not an interval; {remedy}')
    step_s = step // timedelta(seconds=1)
    if step_s < MIN_INTERVAL_S:
        raise ScheduleError(
            f'schedule: "{text}" is shorter than the scheduler\'s own minute; write every 1m or longer'
        )
    if step_s > MAX_INTERVAL_S:
        raise ScheduleError(f'schedule: "{text}" is longer than ten years; write every 3650d or shorter')
    return step


def interval_schedule(step: timedelta, *, anchor: datetime) -> IntervalSchedule:
    """Return the schedule of *step* from *anchor* on, which counts in whole seconds."""
    return IntervalSchedule(format_interval(step), anchor.astimezone(UTC).replace(microsecond=0), step)


def format_interval(step: timedelta) -> str:
    """Return the text of *step*, in whole seconds: `every 1h30m`."""
    seconds = step // timedelta(seconds=1)
    text = ""
    for unit, length in UNIT_SECONDS.items():
        number, seconds = divmod(seconds, length)
        text += f"{number}{unit}" if number else ""
    return f"every {text}"


# A schedule of one single instant: `at 2026-12-01T09:00`.

ONCE_PATTERN = re.compile(
    r"at\s+([0-9]{4}-[0-9]{2}-[0-9]{2})[t\s]\s*([0-9]{2}:[0-9]{2}(?::[0-9]{2})?)\s*(z|[+-][0-9]{2}:[0-9]{2})?",
    re.IGNORECASE,
)
ONCE_EXAMPLE = "write it like at 2026-12-01T09:00, in the task's zone"


@dataclass(frozen=True, slots=True)
class OnceSchedule:
    """See `Schedule`. *met* is the change of the clocks the written time falls into, if it does."""

    canonical: str
    instant: datetime
    clock_change: ClockChange | None

    def next_after(self, instant: datetime) -> datetime | None:
        return self.instant if instant < self.instant else None

    def occurrence_range(self, first: datetime, until: datetime) -> OccurrenceRange | None:
        return OccurrenceRange(1, self.instant, self.instant) if first <= self.instant <= until else None

    def last_n(self, first: datetime, until: datetime, limit: int) -> list[datetime]:
        return [self.instant] if limit > 0 and first <= self.instant <= until else []

    def period(self, around: datetime) -> timedelta | None:
        return None

    def clock_changes(self, after: datetime, until: datetime) -> list[ClockChange]:
        return [self.clock_change] if self.clock_change and after < self.clock_change.instant <= until else []


def parse_once(text: str, zone: Zone) -> OnceSchedule:
    """Read `at 2026-12-01T09:00` as the wall clock of *zone* unless it has its own offset.

    Raises:
        ScheduleError: It is not understood, or there is no such date or time.
    """
    found = ONCE_PATTERN.fullmatch(text)
    if not found:
        raise ScheduleError(f'schedule: "{text[:60]}" is not a date and time; {ONCE_EXAMPLE}')
    try:
        given = datetime.fromisoformat(f"{found[1]}T{found[2]}{(found[3] or '').upper()}")
    except ValueError:
        raise ScheduleError(
            f'schedule: "{text}" is not in the calendar or on the clock; {ONCE_EXAMPLE}'
        ) from None
    try:
        if given.tzinfo is not None:
            instant = _check_occurrence(given)
            return OnceSchedule(f"at {format_instant(instant)}", instant, None)
        wall = second_at_or_before(_check_occurrence(given.replace(tzinfo=UTC)))
        second = zone.utc_second(wall)
        instant = _check_occurrence(instant_at(second))
    except ValueError as exc:
        raise ScheduleError(f'schedule: "{text}" {exc}') from None
    return OnceSchedule(f"at {format_instant(instant)}", instant, _clock_change_at(zone, wall, second))


def _check_occurrence(at: datetime) -> datetime:
    """*at* in UTC; its last day is kept for jitter.

    Raises:
        ValueError: It is out of range.
    """
    instant = check_instant(at)
    check_instant(instant + ROOM_FOR_JITTER)
    return instant


def _clock_change_at(zone: Zone, wall: int, second: int) -> ClockChange | None:
    period = zone.offset_period(second)
    if second + period.offset != wall:
        return describe_dst_gap(zone.name, period, first=wall, last=wall, count=1, has_fixed_times=True)
    later = zone.offset_period(period.end)
    if wall >= later.start + later.offset:
        return describe_dst_overlap(zone.name, later, first=wall, last=wall, has_fixed_times=True)
    return None


# The schedule of a task that has none: only events, other tasks and users start it.


class _NeverSchedule:
    @property
    def canonical(self) -> str:
        return ""

    def next_after(self, instant: datetime) -> datetime | None:
        return None

    def occurrence_range(self, first: datetime, until: datetime) -> OccurrenceRange | None:
        return None

    def last_n(self, first: datetime, until: datetime, limit: int) -> list[datetime]:
        return []

    def period(self, around: datetime) -> timedelta | None:
        return None

    def clock_changes(self, after: datetime, until: datetime) -> list[ClockChange]:
        return []


NEVER: Schedule = _NeverSchedule()
