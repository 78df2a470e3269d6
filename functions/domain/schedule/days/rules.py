"""Schedules with a task's days: without the occurrences on excluded ones, or with these moved."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from functions.domain.schedule.base import (
    ClockChange,
    OccurrenceRange,
    Schedule,
    ScheduleError,
    instant_at,
    second_at_or_before,
)
from functions.domain.schedule.calendar import DAY, DayMatcher, Days, WallTimes
from functions.domain.schedule.cron import CronSchedule
from functions.domain.schedule.days.adjusted import BusinessDays, MovedDays, SkippingDays
from functions.domain.schedule.days.closed import ClosedDays, DayRule
from functions.domain.schedule.days.phrases import BusinessDayPhrase
from functions.domain.schedule.simple import IntervalSchedule, OnceSchedule
from functions.domain.schedule.timezones import Zone

MAX_STEPS = 1100  # runs of excluded days that one search passes: 20 years of `every 1w`, all excluded
NO_DAY_TO_MOVE_TO = "there is no business day within a year of it; see except"


def cron_on_days(schedule: CronSchedule, days: DayRule) -> CronSchedule:
    """Return *schedule* on the days that *days* leaves, or moves its own to; times of day stay the same.

    A run in a gap of the clocks counts for the day that its time is of, though the clock shows the next one.
    """
    base = schedule.times.days
    assert isinstance(base, DayMatcher)
    found: Days
    if days.policy == "skip":
        found = SkippingDays(base, days.closed)
    else:
        found = MovedDays(base, days.closed, days.policy)
    return replace(schedule, times=replace(schedule.times, days=found), _cache={})


def on_business_days(phrase: BusinessDayPhrase, zone: Zone, days: DayRule) -> CronSchedule:
    """Return the schedule that *phrase* means, with the exclusions of *days*."""
    places = () if phrase.place is None else (phrase.place,)
    found = BusinessDays(days.closed, places, phrase.months)
    times = WallTimes((phrase.minute,), (phrase.hour,), found)
    return CronSchedule(phrase.canonical, times, zone, has_fixed_times=True)


def interval_on_days(schedule: IntervalSchedule, zone: Zone, days: DayRule) -> Schedule:
    """Return *schedule* without what falls on excluded days.

    Raises:
        ScheduleError: Its occurrences were to be moved, and elapsed time has no days.
    """
    if days.policy != "skip":
        raise ScheduleError(
            "onExcluded: an interval has no time of day that could move to another day; write skip, or "
            "cron fields"
        )
    return OnOpenDays(schedule, zone, days.closed) if days.entries else schedule


def once_on_days(schedule: OnceSchedule, zone: Zone, days: DayRule) -> Schedule:
    """Return *schedule*, without its instant or with another one where that is on an excluded day.

    Raises:
        ScheduleError: There is no business day near to which it could move.
    """
    if days.policy == "skip":
        return OnOpenDays(schedule, zone, days.closed)
    wall = wall_second(zone, schedule.instant)
    day, second = divmod(wall, DAY)
    found = days.closed.move(day, days.policy)
    if found is None:
        raise ScheduleError(f"schedule: {NO_DAY_TO_MOVE_TO}")
    if found == day:
        return schedule
    return replace(schedule, instant=instant_at(zone.utc_second(found * DAY + second)), clock_change=None)


@dataclass(frozen=True, slots=True)
class OnOpenDays:
    """See `Schedule`. The occurrences of *schedule* that are on no excluded day of the zone's clock."""

    schedule: Schedule
    zone: Zone
    closed: ClosedDays

    @property
    def canonical(self) -> str:
        return self.schedule.canonical

    def next_after(self, instant: datetime) -> datetime | None:
        found = self.schedule.next_after(instant)
        for _ in range(MAX_STEPS):
            if found is None:
                return None
            day = wall_second(self.zone, found) // DAY
            if not self.closed.is_excluded(day):
                return found
            following = self.closed.open_at_or_after(day)
            if following is None:
                return None
            # Strictly later, also where a zone shows a day that is over once more.
            found = self.schedule.next_after(max(found, self._start_of(following) - timedelta(seconds=1)))
        return None

    def occurrence_range(self, first: datetime, until: datetime) -> OccurrenceRange | None:
        found = (self.schedule.occurrence_range(low, high) for low, high in self._open_spans(first, until))
        spans = [span for span in found if span]
        if not spans:
            return None
        return OccurrenceRange(sum(span.count for span in spans), spans[0].first, spans[-1].last)

    def last_n(self, first: datetime, until: datetime, limit: int) -> list[datetime]:
        found: list[datetime] = []
        for low, high in reversed(list(self._open_spans(first, until))):
            if len(found) >= limit:
                break
            found = self.schedule.last_n(low, high, limit - len(found)) + found
        return found

    def period(self, around: datetime) -> timedelta | None:
        one = self.next_after(around)
        other = one and self.next_after(one)
        return other - one if one and other else None

    def clock_changes(self, after: datetime, until: datetime) -> list[ClockChange]:
        changes = self.schedule.clock_changes(after, until)
        return [
            one for one in changes if not self.closed.is_excluded(wall_second(self.zone, one.instant) // DAY)
        ]

    def _start_of(self, day: int) -> datetime:
        return instant_at(self.zone.utc_second(day * DAY))

    def _open_spans(self, first: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Yield the stretches of time from *first* to *until* between excluded days, ends included.

        Nothing is looked for before the first occurrence, nor after the last one.
        """
        whole = self.schedule.occurrence_range(first, until) if first <= until else None
        if whole is None:
            return
        first, until = whole.first, whole.last
        low: datetime | None = None
        last_day = wall_second(self.zone, until) // DAY
        for day in range(wall_second(self.zone, first) // DAY, last_day + 1):
            if self.closed.is_excluded(day):
                if low is not None:
                    yield low, self._start_of(day) - timedelta(microseconds=1)
                low = None
            elif low is None:
                low = max(first, self._start_of(day))
        if low is not None:
            yield low, until


def wall_second(zone: Zone, instant: datetime) -> int:
    """Return what the clock of *zone* shows at *instant*, in seconds since 1970 began on it."""
    second = second_at_or_before(instant)
    return second + zone.offset_period(second).offset
