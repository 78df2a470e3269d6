"""What becomes of a task that an event reaches: it waits its turn there, or is on record as not heeded."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from functions.domain.events import MOST_HOPS, RUN_FINISHED, Event
from functions.domain.lifecycle.complete import Settlement, rest
from functions.domain.lifecycle.edit import IN_HAND
from functions.domain.lifecycle.run_records import skip_run
from functions.domain.run import Run
from functions.domain.schedule.occurrences import INSTANT
from functions.domain.task import Extra, Missed, Task
from functions.domain.types import OutcomeKind, SkipReason, Status, Trigger

MOST_WAITING = 50  # events that wait in one task: each may be some kilobytes
MARKS_KEPT = 50  # of events that were heard


def listens_to(task: Task, event: Event) -> bool:
    """Whether *task* starts on *event*: by type and source, or as the end of a task that it runs after."""
    if event.to not in ("", task.id) or event.owner not in ("", task.owner):
        return False
    if event.type == RUN_FINISHED:
        outcome = OutcomeKind(str(event.data.get("outcome", OutcomeKind.SKIPPED)))
        return any(one.task == event.subject and one.covers(outcome) for one in task.after)
    return any(one.type == event.type and one.source in ("", event.source) for one in task.on_event)


def heard(task: Task, events: Sequence[Event], *, now: datetime) -> Settlement:
    """Let *events* reach *task*; each that it listens to, and has not heard yet, makes one run or one skip.

    Whatever `overlap` says, events wait for one another: none stands in for the next.
    """
    marks, backlog = list(task.heard), list(task.backlog)
    taken = {extra.at for extra in backlog} | ({task.occurrence} if task.occurrence else set())
    runs: list[Run] = []
    for event in events:
        if event.mark in marks or not listens_to(task, event):
            continue
        marks.append(event.mark)
        at = now
        while at in taken:  # each occurrence has an instant of its own
            at += INSTANT
        taken.add(at)
        fault = _deafness(task, event, waiting=len(backlog), now=now)
        if fault is None:
            backlog.append(Extra(at=at, trigger=Trigger.EVENT, event=event))
        else:
            runs.append(skip_run(task, Missed(count=1, first=at, last=at), *fault, now=now))
    if len(marks) == len(task.heard):
        return Settlement({}, ())
    changes: dict[str, Any] = {"heard": tuple(marks[-MARKS_KEPT:])}
    if len(backlog) > len(task.backlog):
        changes["backlog"] = tuple(backlog)
        if task.status not in IN_HAND:
            changes |= rest(task, changes, now=now)
    return Settlement(changes, tuple(runs))


def _deafness(task: Task, event: Event, *, waiting: int, now: datetime) -> tuple[SkipReason, str] | None:
    """Why *task* does not heed *event*, as reason and sentence; None when it does."""
    if event.hops > MOST_HOPS:
        return SkipReason.CONFIG, f"{MOST_HOPS} events led to one another; do these tasks start in a circle?"
    if task.status in (Status.PAUSED, Status.QUARANTINED) or task.pause is not None or not task.enabled:
        return SkipReason.PAUSED, f"The task was paused when {event.type} came"
    if task.status is Status.ENDED or (task.end_at is not None and now > task.end_at):
        return SkipReason.ENDED, f"The task had ended when {event.type} came"
    if task.start_at is not None and now < task.start_at:
        return SkipReason.CONFIG, f"{event.type} came before the task's startAt"
    if waiting >= MOST_WAITING:
        return SkipReason.OVERLAP, f"{waiting} runs were waiting already when {event.type} came"
    return None
