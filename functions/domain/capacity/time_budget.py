"""The time an invocation has: until when attempts may start, what one may take, which goes first."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from functions.domain.types import OutcomeKind, OutcomeLine, Priority, Status

if TYPE_CHECKING:  # this is loaded before the server forks, and these need not be
    from functions.domain.storage import VersionedTask
    from functions.domain.task import Task, TaskFields

FINISH_MARGIN = timedelta(seconds=1.5)  # before the answer is due: last flush, notifications, report
CATCH_UP_FRACTION = 0.2  # of the time for starting, for work that was missed, after all that is on time


@dataclass(frozen=True, slots=True)
class TimeBudget:
    """How long an invocation may take, counted from its start. None means without limit.

    Attributes:
        usual_limit: The response limit of one that nothing delayed, such as the start of its process; None
            when this is one.
    """

    start_limit: timedelta | None
    response_limit: timedelta | None
    usual_limit: timedelta | None = None


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
        limit = self.budget.usual_limit or self.budget.response_limit
        return None if limit is None else limit - FINISH_MARGIN

    def elapsed(self, now: datetime) -> timedelta:
        """Return how long the invocation has run."""
        return now - self.started_at

    def can_start(self, now: datetime) -> bool:
        """Whether attempts may still be started."""
        return self.budget.start_limit is None or now < self.started_at + self.budget.start_limit

    def time_to_start(self, now: datetime) -> timedelta | None:
        """How long attempts may still be started; None when there is no limit."""
        limit = self.budget.start_limit
        return None if limit is None else self.started_at + limit - now

    def must_wind_up(self, now: datetime) -> bool:
        """Whether attempts must end now: the rest of the time is for writing and notifying."""
        return self.respond_by is not None and now >= self.respond_by - FINISH_MARGIN

    def fits_any_tick(self, task: "Task") -> bool:
        """Whether the whole timeout of *task* fits into an invocation like this one."""
        return self.max_duration is None or timedelta(seconds=task.timeout_seconds) <= self.max_duration

    def must_not_try(self, task: "Task") -> bool:
        """Whether *task* has one attempt only, which the end of an invocation like this one could cut."""
        return task.delivery == "at_most_once" and not self.fits_any_tick(task)

    def fits_now(self, task: "Task", now: datetime) -> bool:
        """Whether what an attempt of *task* is expected to take still fits into this one.

        One that may need more than a whole invocation has starts early in one.
        """
        if self.respond_by is None:
            return True
        end = self.respond_by - FINISH_MARGIN
        left = end - now
        longest = min(timedelta(seconds=task.timeout_seconds), (end - self.started_at) * LATEST_START)
        return longest <= left or expected_duration(task) <= left

    def catch_up_deadline(self, now: datetime) -> datetime | None:
        """Until when missed work may start, when it is its turn *now*; None means without limit."""
        if self.budget.start_limit is None:
            return None
        return now + self.budget.start_limit * CATCH_UP_FRACTION


CLOUD_SCHEDULER_BUDGET = TimeBudget(start_limit=timedelta(seconds=45), response_limit=timedelta(seconds=52))


def describe_long_timeout(task: "TaskFields", *, longest: timedelta) -> str:
    """Return in a sentence what becomes of a timeout longer than *longest*; empty when it fits.

    Args:
        longest: What an attempt has in a whole tick, or worker.
    """
    if timedelta(seconds=task.timeout_seconds) <= longest:
        return ""
    what = "no attempt is made, for it could be cut" if task.delivery == "at_most_once" else "more is cut"
    remedy = "lower it, raise TICK_BUDGET_SECONDS or set WORKER_QUEUE (serve waits for it)"
    return f"{task.timeout_seconds:g} s, but an attempt has {longest.total_seconds():g} s: {what}; {remedy}"


# What an attempt is expected to take decides when it may still start; its timeout alone would leave most of a
# tick unused. Where the expectation is wrong, the end of the tick cuts the attempt, which costs no try.
FIRST_DURATION = timedelta(seconds=10)  # of a task that never ran, at most: half of the default timeout
DURATION_FACTOR = 1.5  # of a slow one among the recent durations
DURATION_MARGIN = timedelta(seconds=1)
RECENT_DURATIONS = 5
LATEST_START = 0.85  # an attempt that may need a whole invocation has at least this part of it left


def expected_duration(task: "Task") -> timedelta:
    """How long the next attempt of *task* may well take; never more than its timeout.

    The timeout itself after an attempt that was cut short or timed out, and for the first attempt of a task
    that must not be tried twice. Of the recent durations the longest but one counts: one outlier is no rule.

    Example: `recent` has 3,010, 2,950, 9,000, 3,100 and 2,990 ms: 5.65 s.
    """
    whole = timedelta(seconds=task.timeout_seconds)
    recent = [OutcomeLine.parse(line) for line in task.recent.splitlines()[-RECENT_DURATIONS:]]
    if task.interruptions or (recent and recent[-1].outcome in _WITHOUT_END):
        return whole
    durations = sorted([took for one in recent if (took := one.duration_ms) is not None])
    if not durations:
        return whole if task.delivery == "at_most_once" else min(whole, FIRST_DURATION)
    slow = timedelta(milliseconds=durations[-2] if len(durations) > 2 else durations[-1])
    return min(whole, slow * DURATION_FACTOR + DURATION_MARGIN)


_WITHOUT_END = (OutcomeKind.TIMED_OUT, OutcomeKind.ABANDONED)


# How much lateness a priority is worth. Lateness grows and this does not, so nothing starves: a low task
# ten minutes late goes before an urgent one that is due now.
PRIORITY_HEAD_START = {
    Priority.URGENT: timedelta(minutes=10),
    Priority.HIGH: timedelta(minutes=5),
    Priority.MEDIUM: timedelta(minutes=2),
    Priority.LOW: timedelta(0),
}


def by_priority(tasks: "Iterable[VersionedTask]", *, now: datetime) -> "list[VersionedTask]":
    """*tasks* in the order in which they start, by priority and lateness; owners take turns.

    What a tick has cut short goes first, and what it had claimed and did not begin. A long attempt must start
    early, or no tick has room for it: a second that it takes counts as a second of lateness.

    All of this ranks the tasks of one owner: whoever calls a thousand of them urgent comes no sooner with the
    second than others with their first. Tasks without owner are the operator's, and wait for no turn.
    """

    def rank(stored: "VersionedTask") -> tuple[bool, timedelta, str]:
        task = stored.task
        lateness = now - task.next_run_at if task.next_run_at else timedelta(0)
        head_start = PRIORITY_HEAD_START[task.priority] + expected_duration(task)
        has_waited = task.interruptions or (task.status is Status.RETRYING and task.attempt == 0)
        return not has_waited, -(lateness + head_start), task.id

    turns = Counter[str]()

    def turn(stored: "VersionedTask") -> int:
        if owner := stored.task.owner:
            turns[owner] += 1
        return turns[owner] or 1

    return sorted(sorted(tasks, key=rank), key=turn)
