"""A job: what a task type is handed when it is asked to do its work once."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from functions.rules.events import Event
from functions.rules.task import Missed
from functions.rules.values import value
from functions.rules.words import Trigger


@value
class Job:
    """One attempt at one occurrence, seen from the task type's side.

    Attributes:
        idempotency_key: The occurrence's id, the same for each attempt, e.g. `ping@2026-11-20T12:00:00Z`.
        scheduled_at: The instant the schedule meant, without jitter or lateness.
        started_at: When this attempt began: the only "now" a task type needs.
        attempt: From 1.
        missed: Occurrences this one stands in for; None when there are none.
        event: What asked for this occurrence, where an event did.
        memory: The type's own notes from its last successful run; empty at first.
        timeout_s: Seconds this attempt may take; the tick ends it then, whatever it is doing.
        max_tokens: Tokens of a model that credits allow it; None means no limit.
    """

    task_id: str
    title: str
    type: str
    params: Mapping[str, Any]
    timezone: str
    idempotency_key: str
    scheduled_at: datetime
    started_at: datetime
    attempt: int
    trigger: Trigger
    missed: Missed | None
    memory: Mapping[str, Any]
    timeout_s: float
    max_tokens: int | None = None
    event: Event | None = None
