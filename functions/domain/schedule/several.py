"""Several schedules of one task: an occurrence of any of them is one of the task, once.

0 9 * * 1-5; 0 12 * * 6        at nine on working days, at noon on Saturdays
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from functions.domain.schedule.base import ClockChange, OccurrenceRange, Schedule
from functions.domain.types import earliest

SEPARATOR = ";"
MAX_SCHEDULES = 10
MAX_COMPARED = 2000  # occurrences of one schedule that are looked for in the others, the newest: 0.02 s


@dataclass(frozen=True, slots=True)
class SeveralSchedules:
    """See `Schedule`.

    Attributes:
        schedules: Two or more.
    """

    schedules: tuple[Schedule, ...]

    @property
    def canonical(self) -> str:
        return f"{SEPARATOR} ".join(one.canonical for one in self.schedules)

    def next_after(self, instant: datetime) -> datetime | None:
        return earliest(one.next_after(instant) for one in self.schedules)

    def occurrence_range(self, first: datetime, until: datetime) -> OccurrenceRange | None:
        """As of `Schedule`; what several have in common counts once.

        The sparser of two is looked for in the denser one, its newest 2,000 occurrences: beyond that, which
        two schedules of each minute reach after a day, common ones count for each.
        """
        spans = [(span, one) for one in self.schedules if (span := one.occurrence_range(first, until))]
        if not spans:
            return None
        spans.sort(key=lambda found: found[0].count, reverse=True)
        common = 0
        for number, (span, one) in enumerate(spans):
            denser = [other for _, other in spans[:number]]
            newest = one.last_n(first, until, min(span.count, MAX_COMPARED)) if denser else []
            common += sum(any(other.occurrence_range(at, at) for other in denser) for at in newest)
        return OccurrenceRange(
            sum(span.count for span, _ in spans) - common,
            min(span.first for span, _ in spans),
            max(span.last for span, _ in spans),
        )

    def last_n(self, first: datetime, until: datetime, limit: int) -> list[datetime]:
        found = {at for one in self.schedules for at in one.last_n(first, until, limit)}
        return sorted(found)[-limit:]

    def period(self, around: datetime) -> timedelta | None:
        following = self.next_after(around)
        later = self.next_after(following) if following else None
        return later - following if following and later else None

    def clock_changes(self, after: datetime, until: datetime) -> list[ClockChange]:
        found = {
            (one.instant, one.text): one
            for part in self.schedules
            for one in part.clock_changes(after, until)
        }
        return [found[key] for key in sorted(found)]
