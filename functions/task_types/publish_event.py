"""Task type `publish_event`: tells other tasks, and programs on the topic, that something happened."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints

from functions.domain.events import RESERVED_PREFIX, Event, EventData, EventSource, EventType
from functions.domain.run import Outcome, succeeded
from functions.domain.task import Job
from functions.domain.types import Model, TaskId
from functions.task_types.support.context import Tools

EXAMPLE: dict[str, Any] = {
    "eventType": "stock.counted",
    "data": {"warehouse": "Riga"},
}
NO_REFERENCES = ("eventType", "source", "subject", "to", "data")  # an event is kept by all who hear it


def _check_not_reserved(name: str) -> str:
    if name.startswith(RESERVED_PREFIX):
        raise ValueError(f"must not begin with {RESERVED_PREFIX}, which is the scheduler's own")
    return name


class Params(Model):
    """What happened.

    Attributes:
        event_type: Tasks that list it under `onEvent` start on it.
        data: What they are handed; at most 4096 bytes as JSON.
        source: Who says so; the task's own id by default.
        subject: What it is about.
        to: The one task that it is for; by default all that listen.
    """

    event_type: Annotated[EventType, AfterValidator(_check_not_reserved)]
    data: EventData = Field(default_factory=dict)
    source: EventSource = ""
    subject: Annotated[str, StringConstraints(max_length=200)] = ""
    to: TaskId | Literal[""] = ""


async def perform(job: Job, params: Params, tools: Tools) -> Outcome:
    """Hand the event over with the outcome: both are written at once, and it is passed on after that.

    Each try at an occurrence sends the same event, so those who have heard it do not hear it again.
    """
    event = Event(
        id=job.idempotency_key,
        type=params.event_type,
        source=params.source or job.task_id,
        subject=params.subject,
        time=job.started_at,
        data=params.data,
        to=params.to,
    )
    to = params.to or "all that listen"
    return succeeded(f"Sent {params.event_type} to {to}", metrics={"eventId": event.id}, events=(event,))
