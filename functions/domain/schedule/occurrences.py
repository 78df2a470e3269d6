"""When a task's occurrences are: its schedule bounded by its start and end, with jitter and grace."""

import zlib
from datetime import datetime, timedelta

from functions.domain.schedule.parse import Schedule, Span, read_schedule
from functions.domain.schedule.simple import NEVER
from functions.domain.task import Task
from functions.domain.types import occurrence_id

INSTANT = timedelta(microseconds=1)  # the smallest step of time we can tell apart
GRACE_MIN, GRACE_MAX = timedelta(seconds=120), timedelta(hours=2)


def schedule_of(task: Task) -> Schedule:
    """The task's schedule. Raises ScheduleError when the text is not one (a document edited by hand)."""
    if not task.schedule and task.listens:
        return NEVER
    return read_schedule(
        task.schedule,
        timezone=task.timezone,
        task_id=task.id,
        anchor=task.start_at or task.created_at,
    )


def next_occurrence(task: Task, *, after: datetime) -> datetime | None:
    """The first occurrence strictly later than *after*, or None when the task has ended by then."""
    if task.start_at and after < task.start_at:
        after = task.start_at - INSTANT
    found = schedule_of(task).next_after(after)
    return None if found is None or (task.end_at and found > task.end_at) else found


def owed(task: Task, *, until: datetime) -> Span | None:
    """The occurrences from `upcoming` to *until*, both included; None when there are none.

    `upcoming` counts whatever the schedule says now: it was promised before somebody edited the schedule,
    or before a new release of the zone data.
    """
    if task.upcoming is None or task.upcoming > until:
        return None
    later = passed(task, first=task.upcoming + INSTANT, until=until)
    if later is None:
        return Span(1, task.upcoming, task.upcoming)
    return Span(later.count + 1, task.upcoming, later.last)


def passed(task: Task, *, first: datetime, until: datetime) -> Span | None:
    """The schedule's occurrences from *first* to *until*, both included; None when there are none."""
    if task.end_at:
        until = min(until, task.end_at)
    return schedule_of(task).span(first, until) if first <= until else None


def newest(task: Task, span: Span, limit: int) -> list[datetime]:
    """The *limit* newest occurrences of what is owed, oldest first."""
    later = schedule_of(task).tail(span.first + INSTANT, span.last, limit)
    return later if len(later) >= limit else [span.first, *later]


def older(task: Task, span: Span, *, than: datetime) -> Span | None:
    """The part of what is owed that is earlier than *than*; None when there is none."""
    if span.first >= than:
        return None
    later = schedule_of(task).span(span.first + INSTANT, than - INSTANT)
    return Span(1, span.first, span.first) if later is None else Span(later.count + 1, span.first, later.last)


def start_of(task: Task, occurrence: datetime) -> datetime:
    """When the occurrence may start: jitter is drawn from its id, so every try draws the same."""
    if not task.jitter_seconds:
        return occurrence
    drawn = zlib.crc32(occurrence_id(task.id, occurrence).encode()) % (task.jitter_seconds + 1)
    return occurrence + timedelta(seconds=drawn)


def is_on_time(task: Task, at: datetime, *, now: datetime) -> bool:
    """Whether the occurrence *at*, if it started now, would still count as on time."""
    late = now - start_of(task, at)
    # Nearly all start within the least grace there is. The schedule's period, a third of the work of judging
    # a task, need not be known then.
    if task.misfire.grace_seconds == "auto" and late <= GRACE_MIN:
        return True
    return late <= grace(task, around=at)


def grace(task: Task, *, around: datetime) -> timedelta:
    """How late an occurrence may start and still count as on time."""
    if task.misfire.grace_seconds != "auto":
        return timedelta(seconds=task.misfire.grace_seconds)
    period = schedule_of(task).period(around)
    return GRACE_MAX if period is None else min(max(period / 2, GRACE_MIN), GRACE_MAX)
