"""What a task passes on to others at its end: put down with the result, gone when it was heard."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from functions.domain.events import MOST_DATA_BYTES, RUN_FINISHED, TASK_PAUSED, Event, Outbox
from functions.domain.run import Run
from functions.domain.task import Task
from functions.domain.types import OutcomeKind, Status, instant_text

GRACE = timedelta(minutes=1)  # then another tick passes on what this one did not
MOST_WAITING = 100  # events waiting in one task; the oldest give way
SUMMARY_CHARS, ITEM_CHARS = 400, 200


def put_down(task: Task, run: Run, *, now: datetime) -> Outbox:
    """The outbox of *task* after *run*, the last record of an occurrence."""
    if run.outcome is OutcomeKind.SKIPPED:
        return task.outbox
    events = [
        _finished(task, run, to=follower.task) for follower in task.followers if follower.covers(run.outcome)
    ]
    sent = {"hops": _hops(task), "owner": task.owner}
    events += [event.model_copy(update=sent) for event in run.events]
    if not events:
        return task.outbox
    waiting = (*task.outbox.events, *events)[-MOST_WAITING:]
    return Outbox(events=waiting, retry_at=now + GRACE)


def put_off(outbox: Outbox, *, now: datetime) -> Outbox:
    """*outbox* with its time put off when it has come: whoever writes that passes its events on."""
    if outbox.retry_at is None or outbox.retry_at > now:
        return outbox
    return outbox.model_copy(update={"retry_at": now + GRACE if outbox.events else None})


def passed_on(task: Task, marks: Collection[tuple[str, str]]) -> Outbox:
    """The outbox of *task* without the events of these marks, each with whom it was for."""
    left = tuple(event for event in task.outbox.events if (event.mark, event.to) not in marks)
    return Outbox(events=left, retry_at=task.outbox.retry_at if left else None)


def _finished(task: Task, run: Run, *, to: str) -> Event:
    data: dict[str, Any] = {
        "taskId": task.id,
        "title": task.title,
        "taskType": task.type,
        "occurrence": instant_text(run.occurrence),
        "attempt": run.attempt,
        "outcome": str(run.outcome),
        "summary": run.summary[:SUMMARY_CHARS],
        "durationMs": run.duration_ms,
    }
    return Event(
        id=run.key,
        type=RUN_FINISHED,
        source=task.id,
        subject=task.id,
        time=run.finished_at,
        data=_with_items(data, run),
        to=to,
        owner=task.owner,
        hops=_hops(task),
    )


def _with_items(data: dict[str, Any], run: Run) -> dict[str, Any]:
    """*data* with as many of the run's items as an event has room for."""
    room = MOST_DATA_BYTES - 1500  # what the other fields need at most is less, in any script
    items: list[dict[str, str]] = []
    for item in run.items:
        cut = {name: text[:ITEM_CHARS] for name, text in item.items()}
        room -= sum(len(name) + len(text.encode("utf-8", "replace")) + 8 for name, text in cut.items()) + 4
        if room < 0:
            break
        items.append(cut)
    return data | {"items": items} if items else data


def _hops(task: Task) -> int:
    return 1 if task.event is None else task.event.hops + 1


# What happened, as CloudEvents 1.0: for programs that listen, where notices are for people.


@dataclass(frozen=True, slots=True)
class CloudEvent:
    """One event. Together with its source its id is unique; an event sent twice has the same one.

    Attributes:
        subject: The task's id.
        data: JSON values.
        source: Who sent it; empty for the scheduler itself.
    """

    id: str
    type: str
    subject: str
    time: datetime
    data: Mapping[str, Any]
    source: str = ""

    def attributes(self, *, source: str) -> dict[str, str]:
        """The context attributes, as text."""
        return {
            "specversion": "1.0",
            "id": self.id,
            "type": self.type,
            "source": self.source or source,
            "subject": self.subject,
            "time": instant_text(self.time),
        }


def sent_by_task(event: Event) -> CloudEvent:
    """An event of the users' own."""
    return CloudEvent(
        event.id, event.type, event.subject or event.source, event.time, event.data, event.source
    )


def run_finished(task: Task, run: Run) -> CloudEvent:
    """An attempt is over, or an occurrence was skipped."""
    data = {
        "taskId": task.id,
        "title": task.title,
        "taskType": task.type,
        "occurrence": instant_text(run.occurrence),
        "trigger": str(run.trigger),
        "attempt": run.attempt,
        "outcome": str(run.outcome),
        "skipReason": str(run.skip_reason) if run.skip_reason else None,
        "final": run.final,
        "count": run.count,
        "summary": run.summary,
        "startedAt": instant_text(run.started_at),
        "finishedAt": instant_text(run.finished_at),
        "durationMs": run.duration_ms,
        "nextRunAt": instant_text(task.next_run_at) if task.next_run_at else None,
    }
    return CloudEvent(run.key, RUN_FINISHED, task.id, run.finished_at, data)


def newly_paused(before: Task, task: Task) -> CloudEvent | None:
    """The event of *task* having been paused since it was *before*; None when it has not."""
    if task.status is not Status.PAUSED or before.status is Status.PAUSED or task.pause is None:
        return None
    at = task.pause.at or task.updated_at
    data = {
        "taskId": task.id,
        "title": task.title,
        "taskType": task.type,
        "note": task.pause.note,
        "by": task.pause.by,
        "until": instant_text(task.pause.until) if task.pause.until else None,
        "consecutiveFailures": task.consecutive_failures,
    }
    return CloudEvent(f"{task.id}#paused@{instant_text(at)}", TASK_PAUSED, task.id, at, data)
