"""What a task passes on to others at its end: put down with the result, gone when it was heard."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from functions.domain.events import MAX_DATA_BYTES, RUN_FINISHED, TASK_PAUSED, Event, Outbox
from functions.domain.run import Run
from functions.domain.task import Task
from functions.domain.types import OutcomeKind, Status, format_instant

EVENT_DELIVERY_GRACE = timedelta(minutes=1)  # then another tick passes on what this one did not
MAX_OUTBOX_EVENTS = 100  # events waiting in one task; the oldest give way
MAX_SUMMARY_CHARS, MAX_ITEM_CHARS = 400, 200


def enqueue_events(task: Task, run: Run, *, now: datetime) -> Outbox:
    """The outbox of *task* after *run*, the last record of an occurrence."""
    if run.outcome is OutcomeKind.SKIPPED:
        return task.outbox
    events = [
        _event_for_dependent(task, run, to=follower.task)
        for follower in task.dependents
        if follower.accepts(run.outcome)
    ]
    sent = {"hops": _hop_count(task), "owner": task.owner}
    events += [event.model_copy(update=sent) for event in run.events]
    if not events:
        return task.outbox
    waiting = (*task.outbox.events, *events)[-MAX_OUTBOX_EVENTS:]
    return Outbox(events=waiting, retry_at=now + EVENT_DELIVERY_GRACE)


def postpone(outbox: Outbox, *, now: datetime) -> Outbox:
    """*outbox* with its time put off when it has come: whoever writes that passes its events on."""
    if outbox.retry_at is None or outbox.retry_at > now:
        return outbox
    return outbox.model_copy(update={"retry_at": now + EVENT_DELIVERY_GRACE if outbox.events else None})


def remove_delivered(task: Task, delivered: Collection[tuple[str, str]]) -> Outbox:
    """The outbox of *task* without the events of these marks, each with whom it was for."""
    left = tuple(event for event in task.outbox.events if (event.key, event.to) not in delivered)
    return Outbox(events=left, retry_at=task.outbox.retry_at if left else None)


def _event_for_dependent(task: Task, run: Run, *, to: str) -> Event:
    data: dict[str, Any] = {
        "taskId": task.id,
        "title": task.title,
        "taskType": task.type,
        "occurrence": format_instant(run.occurrence),
        "attempt": run.attempt,
        "outcome": str(run.outcome),
        "summary": run.summary[:MAX_SUMMARY_CHARS],
        "durationMs": run.duration_ms,
    }
    return Event(
        id=run.key,
        type=RUN_FINISHED,
        source=task.id,
        subject=task.id,
        time=run.finished_at,
        data=_truncate_items(data, run),
        to=to,
        owner=task.owner,
        hops=_hop_count(task),
    )


def _truncate_items(data: dict[str, Any], run: Run) -> dict[str, Any]:
    """*data* with as many of the run's items as an event has room for."""
    room = MAX_DATA_BYTES - 1500  # what the other fields need at most is less, in any script
    items: list[dict[str, str]] = []
    for item in run.items:
        cut = {name: text[:MAX_ITEM_CHARS] for name, text in item.items()}
        room -= sum(len(name) + len(text.encode("utf-8", "replace")) + 8 for name, text in cut.items()) + 4
        if room < 0:
            break
        items.append(cut)
    return data | {"items": items} if items else data


def _hop_count(task: Task) -> int:
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

    def attributes(self, *, default_source: str) -> dict[str, str]:
        """The context attributes, as text."""
        return {
            "specversion": "1.0",
            "id": self.id,
            "type": self.type,
            "source": self.source or default_source,
            "subject": self.subject,
            "time": format_instant(self.time),
        }


def to_cloud_event(event: Event) -> CloudEvent:
    """An event of the users' own."""
    return CloudEvent(
        event.id, event.type, event.subject or event.source, event.time, event.data, event.source
    )


def run_finished_event(task: Task, run: Run) -> CloudEvent:
    """An attempt is over, or an occurrence was skipped."""
    data = {
        "taskId": task.id,
        "title": task.title,
        "taskType": task.type,
        "occurrence": format_instant(run.occurrence),
        "trigger": str(run.trigger),
        "attempt": run.attempt,
        "outcome": str(run.outcome),
        "skipReason": str(run.skip_reason) if run.skip_reason else None,
        "final": run.final,
        "count": run.count,
        "summary": run.summary,
        "startedAt": format_instant(run.started_at),
        "finishedAt": format_instant(run.finished_at),
        "durationMs": run.duration_ms,
        "nextRunAt": format_instant(task.next_run_at) if task.next_run_at else None,
    }
    return CloudEvent(run.key, RUN_FINISHED, task.id, run.finished_at, data)


def task_paused_event(before: Task, task: Task) -> CloudEvent | None:
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
        "until": format_instant(task.pause.until) if task.pause.until else None,
        "consecutiveFailures": task.consecutive_failures,
    }
    return CloudEvent(f"{task.id}#paused@{format_instant(at)}", TASK_PAUSED, task.id, at, data)
