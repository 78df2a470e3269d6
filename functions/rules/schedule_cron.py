"""A cron schedule: wall-clock times as instants, across changes of the clocks as Debian's cron does it."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from functions.rules.schedule_clocks import gap, repeat
from functions.rules.schedule_days import WallTimes
from functions.rules.schedule_shape import (
    FIRST_SECOND,
    LAST_SECOND,
    Span,
    Transition,
    instant_at,
    second_at_or_after,
    second_at_or_before,
)
from functions.rules.schedule_zone import Era, Zone

HOUR = 3600
REMEMBERED = 64  # answers of one schedule; those of one tick are fewer


@dataclass(frozen=True, slots=True)
class CronSchedule:
    """See `Schedule`. The wall clock is cut into eras of one offset, in each of which it is plain arithmetic.

    Attributes:
        fixed: Whether the expression names times of day (neither minute nor hour begins with `*`). Such a
            time runs once a day: at the end of the gap when it does not exist, the first time when it comes
            twice. Otherwise real time counts: nothing in the gap, both passes of what comes twice.
    """

    canonical: str
    times: WallTimes
    zone: Zone
    fixed: bool
    _known: dict[int, int | None] = field(default_factory=dict, compare=False, repr=False)

    def next_after(self, instant: datetime) -> datetime | None:
        found = self._at_or_after(second_at_or_before(instant) + 1)
        return None if found is None else instant_at(found)

    def span(self, first: datetime, until: datetime) -> Span | None:
        low, high = second_at_or_after(first), second_at_or_before(until)
        earliest = self._at_or_after(low)
        if earliest is None or earliest > high:
            return None
        second = self._at_or_after(earliest + 1)
        if second is None or second > high:  # by far the most frequent case: one is due
            return Span(1, instant_at(earliest), instant_at(earliest))
        latest = self._at_or_before(high)
        assert latest is not None
        count = sum(self._count(era, earliest, latest) for era in self.zone.eras(earliest, latest))
        return Span(count, instant_at(earliest), instant_at(latest))

    def tail(self, first: datetime, until: datetime, limit: int) -> list[datetime]:
        low = second_at_or_after(first)
        found: list[datetime] = []
        at = self._at_or_before(second_at_or_before(until))
        while at is not None and at >= low and len(found) < limit:
            found.append(instant_at(at))
            at = self._at_or_before(at - 1)
        return found[::-1]

    def period(self, around: datetime) -> timedelta | None:
        one = self.next_after(around)
        other = one and self.next_after(one)
        return other - one if one and other else None

    def transitions(self, after: datetime, until: datetime) -> list[Transition]:
        low, high = second_at_or_before(after) + 1, second_at_or_before(until)
        return [
            transition
            for era in self.zone.eras(max(low, FIRST_SECOND), min(high, LAST_SECOND))
            if low <= era.start <= high and (transition := self._met(era))
        ]

    def _at_or_after(self, second: int) -> int | None:
        """The first occurrence at *second* or later. A tick asks the same for all tasks of one schedule."""
        if second in self._known:
            return self._known[second]
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        found = self._known[second] = self._searched(second)
        return found

    def _searched(self, second: int) -> int | None:
        second = max(second, FIRST_SECOND)
        searched = found = None
        while second <= LAST_SECOND:
            era = self.zone.era(second)
            opening = self._opening(era)
            wall = opening if second <= era.start else max(opening, second + era.offset)
            # What was found from an earlier time is still the answer; far-away dates cross many eras.
            if searched is None or found is None or not searched <= wall <= found:
                searched, found = wall, self.times.at_or_after(wall)
            if found is None:
                return None
            if found < era.end + era.offset:
                return max(era.start, found - era.offset)
            second = era.end
        return None

    def _at_or_before(self, second: int) -> int | None:
        second = min(second, LAST_SECOND)
        while second >= FIRST_SECOND:
            era = self.zone.era(second)
            found = self.times.before(second + 1 + era.offset)
            if found is None:
                return None
            if found >= self._opening(era):
                return max(era.start, found - era.offset)
            second = era.start - 1
        return None

    def _count(self, era: Era, first: int, until: int) -> int:
        opening = self._opening(era)
        low = opening if first <= era.start else max(opening, first + era.offset)
        end = min(until + 1, era.end) + era.offset
        found = self.times.count(low, end)
        if opening < era.start + era.offset and low == opening:
            together = self.times.count(opening, era.start + era.offset + 1)  # all at the end of the gap
            found -= max(together - 1, 0)
        return found

    def _opening(self, era: Era) -> int:
        """The first wall-clock time that belongs to *era*.

        A fixed time belongs to exactly one era: those in a gap to the one after it, those that come twice to
        the one before. In real time an era begins with what the clock shows then.
        """
        return era.reached if self.fixed else era.start + era.offset

    def _met(self, era: Era) -> Transition | None:
        low, high = sorted((era.start + era.before, era.start + era.offset))
        if not self.fixed and len(self.times.hours) == 24 and (high - low) % HOUR == 0:
            return None  # every hour of real time has its runs, before and after
        count = self.times.count(low, high)
        first, last = self.times.at_or_after(low), self.times.before(high)
        if count == 0 or first is None or last is None:
            return None
        if era.offset > era.before:
            return gap(self.zone.name, era, first=first, last=last, count=count, fixed=self.fixed)
        return repeat(self.zone.name, era, first=first, last=last, fixed=self.fixed)
