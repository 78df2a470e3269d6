"""What happened, as CloudEvents 1.0: for programs that listen, where notices are for people."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from functions.rules.events import RUN_FINISHED, TASK_PAUSED, Event
from functions.rules.outcome import Run
from functions.rules.task import Task
from functions.rules.words import Status, instant_text


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
