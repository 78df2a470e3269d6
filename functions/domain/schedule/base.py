"""The protocol of every kind of schedule, its values, and the error of one that is invalid."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, Protocol

from functions.domain.types import LAST_INSTANT
from functions.errors import InputError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MAX_SCHEDULE_CHARS = 2000  # of all schedules of a task together
# Occurrences end a day before the last instant, so that jitter does not carry them beyond it.
FIRST_SECOND = -62_135_424_000  # two days inside of what a datetime can hold
LAST_SECOND = (LAST_INSTANT - EPOCH) // SECOND - 86_400
# How far one search goes. No date that comes at all is rarer: 29 February on a given weekday comes every 28
# years, or 40 around a year such as 2100. A time that only falls into gaps of the clock never comes.
SEARCH_HORIZON_S = 50 * 366 * 86_400


class ScheduleError(InputError):
    """A schedule or a zone cannot be used; the text is one sentence with the fault and the remedy."""


@dataclass(frozen=True, slots=True)
class OccurrenceRange:
    """The occurrences between two instants: how many, the first of them and the last."""

    count: int
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class ClockChange:
    """A change of the clocks that changes when a task runs.

    Attributes:
        instant: When the clocks change, in UTC.
        kind: gap when wall-clock times are left out, repeat when they come twice.
        text: One sentence: which of the schedule's times are meant and what becomes of them.
    """

    instant: datetime
    kind: Literal["gap", "repeat"]
    text: str


class Schedule(Protocol):
    """The rule that yields a task's occurrences. All instants are aware; those returned are in UTC."""

    @property
    def canonical(self) -> str:
        """The rule in its plainest spelling, without macros, names and dialects; reads back as itself."""
        ...

    def next_after(self, instant: datetime) -> datetime | None:
        """Return the first occurrence strictly later than *instant*; None when there is no further one."""
        ...

    def occurrence_range(self, first: datetime, until: datetime) -> OccurrenceRange | None:
        """Count the occurrences from *first* to *until*, both included; None when there are none.

        Exact, and quick however long the time and however dense the schedule.
        """
        ...

    def last_n(self, first: datetime, until: datetime, limit: int) -> list[datetime]:
        """Return the newest *limit* occurrences from *first* to *until*, both included, oldest first."""
        ...

    def period(self, around: datetime) -> timedelta | None:
        """Return the distance between the two occurrences after *around*; None when there are not two."""
        ...

    def clock_changes(self, after: datetime, until: datetime) -> list[ClockChange]:
        """Return the changes of the clocks later than *after*, up to *until*, that affect this schedule."""
        ...


def second_at_or_before(instant: datetime) -> int:
    """*instant* in whole seconds since 1970, rounded down."""
    return (instant - EPOCH) // SECOND


def second_at_or_after(instant: datetime) -> int:
    """*instant* in whole seconds since 1970, rounded up."""
    return -((EPOCH - instant) // SECOND)


def instant_at(second: int) -> datetime:
    """The instant *second* seconds after 1970 began, in UTC; for wall-clock seconds, what the clock shows."""
    return EPOCH + timedelta(seconds=second)
