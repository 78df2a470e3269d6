"""The time an invocation has: until when attempts may start, and whether one still fits."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from functions.domain.storage import Stored
from functions.domain.types import Priority

FINISHING = timedelta(seconds=1.5)  # kept free before the answer is due: last flush, notices, report
CATCH_UP_SHARE = 0.2  # of the time for starting, for work that was missed, after all that is on time


@dataclass(frozen=True, slots=True)
class Budget:
    """How long an invocation may take, counted from its start. None means without limit."""

    stop_starting: timedelta | None
    answer_by: timedelta | None


@dataclass(frozen=True, slots=True)
class Hours:
    """A budget that has begun to run."""

    started_at: datetime
    budget: Budget

    @property
    def answer_by(self) -> datetime | None:
        """When the pinger must have its answer; None when it waits for ever."""
        return None if self.budget.answer_by is None else self.started_at + self.budget.answer_by

    @property
    def longest(self) -> timedelta | None:
        """The longest attempt that fits into a whole invocation; None when any does."""
        return None if self.budget.answer_by is None else self.budget.answer_by - FINISHING

    def may_start(self, now: datetime) -> bool:
        """Whether attempts may still be started."""
        return self.budget.stop_starting is None or now < self.started_at + self.budget.stop_starting

    def over(self, now: datetime) -> bool:
        """Whether attempts must come to their end, for the rest is needed to write and to tell."""
        return self.answer_by is not None and now >= self.answer_by - FINISHING

    def ever_fits(self, timeout_s: float) -> bool:
        """Whether an attempt of this length fits into any invocation like this one."""
        return self.longest is None or timedelta(seconds=timeout_s) <= self.longest

    def fits(self, timeout_s: float, now: datetime) -> bool:
        """Whether an attempt of this length still fits into this one."""
        return self.answer_by is None or now + timedelta(seconds=timeout_s) + FINISHING <= self.answer_by

    def catch_up_until(self, now: datetime) -> datetime | None:
        """Until when missed work may start, when it is its turn *now*; None means without limit."""
        if self.budget.stop_starting is None:
            return None
        return now + self.budget.stop_starting * CATCH_UP_SHARE


# In what order due tasks are started when a tick cannot start them all at once.

# How much lateness a priority is worth. Lateness grows and this does not, so nothing starves: a low task
# ten minutes late goes before an urgent one that is due now.
HEAD_START = {
    Priority.URGENT: timedelta(minutes=10),
    Priority.HIGH: timedelta(minutes=5),
    Priority.MEDIUM: timedelta(minutes=2),
    Priority.LOW: timedelta(0),
}


def ranked(tasks: Iterable[Stored], *, now: datetime) -> list[Stored]:
    """*tasks*, the one to be started first in front."""

    def standing(stored: Stored) -> tuple[timedelta, str]:
        task = stored.task
        lateness = now - task.next_run_at if task.next_run_at else timedelta(0)
        return -(lateness + HEAD_START[task.priority]), task.id

    return sorted(tasks, key=standing)
