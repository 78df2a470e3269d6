"""What a change of schedule leaves of the old one: occurrences that had come are settled by the old rules."""

from datetime import datetime

from functions.errors import InputError
from functions.rules.occurrences import owed
from functions.rules.outcome import Run
from functions.rules.owed import owed_by
from functions.rules.records import missed_run, skip_run
from functions.rules.schedule import Span
from functions.rules.settlement import overlapping
from functions.rules.task import Extra, Missed, Task
from functions.rules.words import SkipReason, Status


def closed_account(task: Task, *, now: datetime) -> tuple[tuple[Extra, ...], list[Run]]:
    """The backlog and the records that remain of *task*'s schedule when another takes its place *now*.

    What it owes waits in the backlog, is skipped as the misfire and overlap policies say, or, in a pause, is
    skipped as at any resumption. None of it is forgotten, and the new schedule does not reach back.
    """
    try:
        return _closed(task, now=now)
    except InputError as exc:  # nobody can read the old schedule: one occurrence of it is known at most
        if task.upcoming is None or task.upcoming > now:
            return task.backlog, []
        which = Missed(count=1, first=task.upcoming, last=task.upcoming)
        return task.backlog, [skip_run(task, which, SkipReason.CONFIG, f"schedule: {exc}", now=now)]


def _closed(task: Task, *, now: datetime) -> tuple[tuple[Extra, ...], list[Run]]:
    span = owed(task, until=now)
    if span is None:
        return task.backlog, []
    if task.status in (Status.PAUSED, Status.QUARANTINED, Status.ENDED):
        return task.backlog, [
            skip_run(task, _missed(span), SkipReason.PAUSED, "The task was paused", now=now)
        ]
    if task.status is Status.RUNNING and task.claim is not None and span.first > task.claim.started_at:
        after, runs = overlapping(task, now=now)
        return after["backlog"], runs
    # Somebody is waiting for these already: none waits for the end of its jitter any more.
    waiting = owed_by(task.model_copy(update={"jitter_seconds": 0}), now=now)
    backlog = waiting.backlog if waiting.chosen is None else (waiting.chosen, *waiting.backlog)
    if waiting.upcoming is not None and waiting.upcoming <= now:  # so much waits that there is no room
        return backlog, [missed_run(task, _missed(span), now=now)]
    return backlog, [] if waiting.missed is None else [missed_run(task, waiting.missed, now=now)]


def _missed(span: Span) -> Missed:
    return Missed(count=span.count, first=span.first, last=span.last)
