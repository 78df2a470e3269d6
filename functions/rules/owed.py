"""What the schedule owes when a task is found due: one occurrence as a rule, many after an outage."""

from dataclasses import replace
from datetime import datetime

from functions.rules.occurrences import is_on_time, newest, next_occurrence, older, owed, start_of
from functions.rules.schedule import Span
from functions.rules.settlement import BACKLOG_LIMIT
from functions.rules.task import Extra, Missed, Task
from functions.rules.values import value
from functions.rules.words import Trigger


@value
class Owed:
    """What a task at rest owes by now.

    Attributes:
        chosen: What to attempt first; None when nothing is due.
        backlog: What waits behind it.
        upcoming: The schedule's next occurrence after all of these.
        missed: Occurrences nobody will attempt; recorded with the run that stands in for them.
    """

    chosen: Extra | None
    backlog: tuple[Extra, ...]
    upcoming: datetime | None
    missed: Missed | None = None


def owed_by(task: Task, *, now: datetime) -> Owed:
    """Gather the occurrences that have come by *now* and apply the misfire policy to them."""
    span = owed(task, until=now)
    if span is not None and start_of(task, span.last) > now:  # its jitter has not run out yet
        span = older(task, span, than=span.last)
    if span is None:
        return _oldest(Owed(None, task.backlog, task.upcoming))
    upcoming = next_occurrence(task, after=span.last)
    on_time = is_on_time(task, span.last, now=now)
    if task.misfire.policy == "run_all" and (span.count > 1 or task.backlog or not on_time):
        room = BACKLOG_LIMIT - len(task.backlog)
        if room <= 0:  # the schedule waits until the backlog is shorter
            return _oldest(Owed(None, task.backlog, task.upcoming))
        times = newest(task, span, room)
        waiting = [Extra(at=at, trigger=Trigger.CATCH_UP) for at in times]
        if on_time:
            waiting[-1] = Extra(at=times[-1], trigger=Trigger.SCHEDULE)
        left_out = older(task, span, than=times[0])
        missed = _missed(left_out)
        return _oldest(Owed(None, (*task.backlog, *waiting), upcoming, missed))
    if task.misfire.policy == "skip" and not on_time:
        missed = _missed(span)
        return replace(_oldest(Owed(None, task.backlog, upcoming)), missed=missed)
    chosen = Extra(at=span.last, trigger=Trigger.SCHEDULE if on_time else Trigger.CATCH_UP)
    missed = _missed(older(task, span, than=span.last))
    if task.backlog:  # whoever waits longest goes first
        return _oldest(Owed(None, (*task.backlog, chosen), upcoming, missed))
    return Owed(chosen, (), upcoming, missed)


def _oldest(owed: Owed) -> Owed:
    if not owed.backlog:
        return owed
    return replace(owed, chosen=owed.backlog[0], backlog=owed.backlog[1:])


def _missed(span: Span | None) -> Missed | None:
    return None if span is None else Missed(count=span.count, first=span.first, last=span.last)
