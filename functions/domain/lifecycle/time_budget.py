"""The time an invocation has: until when attempts may start, and whether one still fits."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from functions.domain.storage import VersionedTask
from functions.domain.types import Priority

FINISH_MARGIN = timedelta(seconds=1.5)  # before the answer is due: last flush, notifications, report
CATCH_UP_FRACTION = 0.2  # of the time for starting, for work that was missed, after all that is on time


@dataclass(frozen=True, slots=True)
class TimeBudget:
    """How long an invocation may take, counted from its start. None means without limit."""

    start_limit: timedelta | None
    response_limit: timedelta | None


@dataclass(frozen=True, slots=True)
class Deadline:
    """A time budget with its start."""

    started_at: datetime
    budget: TimeBudget

    @property
    def respond_by(self) -> datetime | None:
        """When the caller must have its answer; None when it waits for ever."""
        return None if self.budget.response_limit is None else self.started_at + self.budget.response_limit

    @property
    def max_duration(self) -> timedelta | None:
        """The longest attempt that fits into a whole invocation; None when any does."""
        return None if self.budget.response_limit is None else self.budget.response_limit - FINISH_MARGIN

    def elapsed(self, now: datetime) -> timedelta:
        """Return how long the invocation has run."""
        return now - self.started_at

    def can_start(self, now: datetime) -> bool:
        """Whether attempts may still be started."""
        return self.budget.start_limit is None or now < self.started_at + self.budget.start_limit

    def must_wind_up(self, now: datetime) -> bool:
        """Whether attempts must end now: the rest of the time is for writing and notifying."""
        return self.respond_by is not None and now >= self.respond_by - FINISH_MARGIN

    def fits_any_tick(self, timeout_s: float) -> bool:
        """Whether an attempt of this length fits into any invocation like this one."""
        return self.max_duration is None or timedelta(seconds=timeout_s) <= self.max_duration

    def fits_now(self, timeout_s: float, now: datetime) -> bool:
        """Whether an attempt of this length still fits into this one."""
        return (
            self.respond_by is None or now + timedelta(seconds=timeout_s) + FINISH_MARGIN <= self.respond_by
        )

    def catch_up_deadline(self, now: datetime) -> datetime | None:
        """Until when missed work may start, when it is its turn *now*; None means without limit."""
        if self.budget.start_limit is None:
            return None
        return now + self.budget.start_limit * CATCH_UP_FRACTION


# How much lateness a priority is worth. Lateness grows and this does not, so nothing starves: a low task
# ten minutes late goes before an urgent one that is due now.
PRIORITY_HEAD_START = {
    Priority.URGENT: timedelta(minutes=10),
    Priority.HIGH: timedelta(minutes=5),
    Priority.MEDIUM: timedelta(minutes=2),
    Priority.LOW: timedelta(0),
}


def by_priority(tasks: Iterable[VersionedTask], *, now: datetime) -> list[VersionedTask]:
    """*tasks* in the order in which they start, by priority and lateness."""

    def rank(stored: VersionedTask) -> tuple[timedelta, str]:
        task = stored.task
        lateness = now - task.next_run_at if task.next_run_at else timedelta(0)
        return -(lateness + PRIORITY_HEAD_START[task.priority]), task.id

    return sorted(tasks, key=rank)
