"""Routes about events: one comes in, from a person, a program or Pub/Sub, and starts who listens."""

import base64
import binascii
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import unquote

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from functions.domain.access import Actor
from functions.domain.events import OURS, Data, Event, EventId, EventType, Source
from functions.domain.types import Instant, TaskId
from functions.errors import NotAllowedError
from functions.services import tasks as control
from functions.services.dependencies import all_subscribers
from functions.web.api.dependencies import Caller, Parts, given_task
from functions.web.api.errors import FieldProblem, ProblemError, responses
from functions.web.api.schemas import Shape
from functions.web.auth import MAX_TOKEN_CHARS, Refusal, bearer_token, looks_like_id_token

router = APIRouter(prefix="/api/events", tags=["events"])

ATTRIBUTES = ("id", "type", "source", "subject", "time")
EXAMPLE = {"type": "order.paid", "source": "shop", "id": "order-7", "data": {"total": 12}}
SHAPE = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/EventWish"}, "example": EXAMPLE},
            "application/cloudevents+json": {"schema": {"$ref": "#/components/schemas/EventWish"}},
        },
    }
}


class EventWish(BaseModel):
    """A CloudEvent 1.0 in JSON. Attributes that are not named here are passed over."""

    model_config = ConfigDict(extra="allow")

    type: EventType
    id: EventId | None = Field(
        default=None, description="the same event has the same one; a fresh one if null"
    )
    source: Source | None = Field(default=None, description="the key's name, if null")
    subject: str | None = Field(default=None, max_length=200)
    time: Instant | None = Field(default=None, description="now, if null")
    data: Data | None = Field(default=None, description="at most 4096 bytes as JSON")
    to: TaskId | None = Field(
        default=None, description="the one task that it is for; all that listen, if null"
    )


class EventHeard(Shape):
    """What became of an event.

    Attributes:
        started: Tasks that run because of it, now or when their turn comes.
        skipped: Tasks that listen but were paused, say; it is on record with each.
        known: Tasks that had heard this event before.
        ignored: True for the scheduler's own events, which come back where a topic is pushed to us.
    """

    id: str
    type: str
    started: list[str] = Field(default_factory=list)
    skipped: list[str] = Field(default_factory=list)
    known: list[str] = Field(default_factory=list)
    ignored: bool = False


class Heard(Shape):
    """A type of event, and the tasks that start on it."""

    type: str
    tasks: list[str]


class HeardList(Shape):
    """All types of events that some task of the caller's listens to."""

    events: list[Heard]


async def sender(request: Request) -> Actor:
    """Who sends an event: the holder of a key, or a service account of ours that pushes from a topic."""
    authorization = request.headers.getlist("authorization")
    token, google = bearer_token(authorization), request.app.state.google
    if google is None or token is None or not looks_like_id_token(token) or len(token) > MAX_TOKEN_CHARS:
        found: Actor = await request.app.state.identity.of_headers(authorization)
        return found
    account = await google.check(token)
    if isinstance(account, Refusal):
        raise ProblemError(account.status, "This account may not send events here")
    return Actor(account.email, account.email, frozenset({"run"}))


@router.get("", responses=responses(), summary="List what tasks listen to")
async def list_events(caller: Caller, wired: Parts) -> HeardList:
    """All types of events that start tasks the caller sees."""
    if not caller.may("read"):
        raise NotAllowedError("This takes a key with the scope read")
    heard = await all_subscribers(wired.store)
    if caller.owner:
        ids = sorted({task_id for tasks in heard.values() for task_id in tasks})
        found = await wired.store.get_tasks(ids)
        seen = {stored.task.id for stored in found.tasks if caller.sees(stored.task.owner)}
        heard = {type_: [task for task in tasks if task in seen] for type_, tasks in heard.items()}
    return HeardList(events=[Heard(type=name, tasks=list(tasks)) for name, tasks in heard.items() if tasks])


@router.post("", responses=responses(415), openapi_extra=SHAPE, summary="Send an event")
async def send_event(
    actor: Annotated[Actor, Depends(sender)],
    wired: Parts,
    request: Request,
    given: Annotated[dict[str, Any], Depends(given_task)],
) -> EventHeard:
    """Start the tasks that listen to an event, once for each event however often it is sent.

    A CloudEvent in JSON, the data alone with `ce-` headers (binary mode), or what Pub/Sub pushes. Without
    an `id` each request is an event of its own.
    """
    if not actor.may("run"):
        raise NotAllowedError("This takes a key with the scope run")
    pushed = isinstance(given.get("message"), dict) and "subscription" in given
    fields = _pushed(given) if pushed else _binary(request, given) or dict(given)
    if pushed and str(fields.get("type", "")).startswith(OURS):
        return EventHeard(id=str(fields.get("id", "")), type=str(fields["type"]), ignored=True)
    event = _event(fields, actor, now=wired.now(), new_id=wired.new_id())
    if event.to and actor.owner:
        stored = await control.get_task(wired.store, event.to)
        if not actor.sees(stored.task.owner):
            raise ProblemError(422, f"to: there is no task {event.to!r}")
    heard = await wired.publish_event(event, forward=not pushed)
    return EventHeard(
        id=event.id,
        type=event.type,
        started=list(heard.started),
        skipped=list(heard.skipped),
        known=list(heard.duplicate),
    )


def _event(fields: Mapping[str, Any], actor: Actor, *, now: datetime, new_id: str) -> Event:
    """The event of these attributes.

    Raises:
        ProblemError: 422, with everything that is wrong with it.
    """
    known = {name: fields[name] for name in (*ATTRIBUTES, "data", "to") if fields.get(name) is not None}
    defaults = {"id": new_id, "source": actor.name.replace(" ", "-"), "time": now}
    try:
        return Event.model_validate(defaults | known | {"owner": actor.owner, "hops": 1})
    except ValidationError as exc:
        errors = [
            FieldProblem(field=".".join(str(step) for step in fault["loc"]), reason=fault["msg"])
            for fault in exc.errors(include_url=False, include_context=False, include_input=False)
        ]
        raise ProblemError(422, f"{errors[0].field}: {errors[0].reason}", errors=errors) from None


def _binary(request: Request, data: Mapping[str, Any]) -> dict[str, Any] | None:
    """An event whose attributes are headers; None when they are not."""
    sent = {name: request.headers.get(f"ce-{name}") for name in ATTRIBUTES}
    found = {name: unquote(value) for name, value in sent.items() if value is not None}
    return {**found, "data": data} if "type" in found else None


def _pushed(envelope: Mapping[str, Any]) -> dict[str, Any]:
    """An event in a message of Pub/Sub: attributes as our own topic has them, or a plain message.

    Raises:
        ProblemError: 422: its data is no JSON object.
    """
    message = envelope["message"]
    attributes = message.get("attributes") if isinstance(message.get("attributes"), dict) else {}
    found = {name: attributes[f"ce-{name}"] for name in ATTRIBUTES if f"ce-{name}" in attributes}
    plain = {
        "id": str(message.get("messageId", "")) or None,
        "type": attributes.get("type") or "pubsub.message",
        "source": str(envelope["subscription"]),
    }
    try:
        text = base64.b64decode(str(message.get("data", "")), validate=True)
        data = json.loads(text) if text else {}
    except (binascii.Error, ValueError, RecursionError):
        raise ProblemError(422, "message.data: must be JSON") from None
    return {**plain, **found, "data": data if isinstance(data, dict) else {"value": data}}
