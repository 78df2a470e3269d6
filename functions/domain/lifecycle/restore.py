"""A removed task as it comes back: with its spec, memory and figures, and nothing that was in flight."""

from datetime import datetime
from typing import Any

from functions.domain.alerts.model import AlertState
from functions.domain.events import Outbox
from functions.domain.lifecycle.complete import idle_state, without_clock_lead
from functions.domain.schedule.occurrences import next_occurrence
from functions.domain.task import Pause, Task
from functions.domain.types import Status, Trigger

IN_FLIGHT: dict[str, Any] = {
    "occurrence": None,
    "trigger": Trigger.SCHEDULE,
    "attempt": 0,
    "retry_at": None,
    "claim": None,
    "cancel_requested": False,
    "expired_claims": 0,
    "interruptions": 0,
    "backlog": (),
    "missed": None,
    "event": None,
    "dependents": (),
    "outbox": Outbox(),
    "alert": AlertState(),
}
QUARANTINE_NOTE = "It was quarantined when it was removed"


def restored_task(removed: Task, *, now: datetime) -> Task:
    """Return *removed* as it is created again: what it missed meanwhile is not made up for.

    It keeps when it was made, so that its history is its own. One that had ended, or took the process down,
    stays stopped.
    """
    changes = IN_FLIGHT | {"updated_at": now}
    if removed.status is Status.QUARANTINED:
        changes["pause"] = Pause(note=QUARANTINE_NOTE, by="scheduler", at=now)
    idle = removed.model_copy(update=changes)
    upcoming = without_clock_lead(idle, now=now)
    if upcoming is not None and upcoming <= now:
        upcoming = next_occurrence(idle, after=now)
    due = {"next_occurrence": upcoming}
    return idle.model_copy(update=due | idle_state(idle, due, now=now))
