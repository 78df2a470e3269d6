"""Task type `publish_event`: sends an event to other tasks and to the Pub/Sub topic."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints

from functions.domain.events import (
    RESERVED_PREFIX,
    Event,
    EventData,
    EventReach,
    EventSource,
    EventType,
)
from functions.domain.run import Outcome, failed, succeeded
from functions.domain.task import Job
from functions.domain.types import Model, TaskId
from functions.task_types.support.context import Tools

EXAMPLE: dict[str, Any] = {
    "eventType": "stock.counted",
    "data": {"warehouse": "Riga"},
}
NO_REFERENCES = ("eventType", "source", "subject", "to", "data")  # every subscriber stores the event


def _check_not_reserved(name: str) -> str:
    if name.startswith(RESERVED_PREFIX):
        raise ValueError(f"must not begin with {RESERVED_PREFIX}, which is the scheduler's own")
    return name


class Params(Model):
    """The event.

    Attributes:
        event_type: Tasks that list it under `onEvent` start on it.
        data: The event's data; at most 4096 bytes as JSON.
        source: The sender; the task's own id by default.
        subject: What it is about.
        to: The one task that receives it; by default all subscribers.
        reach: `owner`: tasks of the same owner; `all`: of every owner, for a task that has none itself.
    """

    event_type: Annotated[EventType, AfterValidator(_check_not_reserved)]
    data: EventData = Field(default_factory=dict)
    source: EventSource = ""
    subject: Annotated[str, StringConstraints(max_length=200)] = ""
    to: TaskId | Literal[""] = ""
    reach: EventReach = "owner"


async def perform(job: Job, params: Params, tools: Tools) -> Outcome:
    """Return the event with the outcome: both are stored in one write, and the event is sent after that.

    Every attempt at an occurrence returns an event with the same id, so subscribers process it once.
    """
    if params.reach == "all" and job.owner:
        return failed(
            "reach: all is for tasks without an owner; this one reaches its owner's", permanent=True
        )
    event = Event(
        id=job.idempotency_key,
        type=params.event_type,
        source=params.source or job.task_id,
        subject=params.subject,
        time=job.started_at,
        data=params.data,
        to=params.to,
        reach=params.reach,
    )
    to = params.to or "all subscribers"
    return succeeded(f"Sent {params.event_type} to {to}", metrics={"eventId": event.id}, events=(event,))
