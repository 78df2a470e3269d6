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

from functions.domain.access import Principal
from functions.domain.cloud_events import ATTRIBUTES, parse_headers
from functions.domain.events import RESERVED_PREFIX, Event, EventData, EventId, EventSource, EventType
from functions.domain.types import Instant, TaskId
from functions.domain.validation import problems_of
from functions.errors import NotAllowedError
from functions.services.compare_and_set import get_task
from functions.services.dependencies import all_subscribers
from functions.web.api.dependencies import CurrentPrincipal, Dependencies, parse_task_body
from functions.web.api.errors import FieldProblem, ProblemError, error_responses
from functions.web.api.schemas import Schema
from functions.web.auth import MAX_TOKEN_CHARS, AuthFailure, is_jwt, parse_bearer_token

router = APIRouter(prefix="/api/events", tags=["events"])

EXAMPLE = {"type": "order.paid", "source": "shop", "id": "order-7", "data": {"total": 12}}
EVENT_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/EventRequest"}, "example": EXAMPLE},
            "application/cloudevents+json": {"schema": {"$ref": "#/components/schemas/EventRequest"}},
        },
    }
}


class EventRequest(BaseModel):
    """A CloudEvent 1.0 in JSON. Attributes that are not named here are passed over."""

    model_config = ConfigDict(extra="allow")

    type: EventType
    id: EventId | None = Field(
        default=None, description="the same event has the same one; a fresh one if null"
    )
    source: EventSource | None = Field(default=None, description="the key's name, if null")
    subject: str | None = Field(default=None, max_length=200)
    time: Instant | None = Field(default=None, description="now, if null")
    data: EventData | None = Field(default=None, description="at most 4096 bytes as JSON")
    to: TaskId | None = Field(
        default=None, description="the one task that it is for; all that listen, if null"
    )


class EventResult(Schema):
    """What became of an event.

    Attributes:
        started: Tasks that run because of it, now or when their turn comes.
        skipped: Tasks that listen but were paused, say; it is on record with each.
        duplicate: Tasks that had heard this event before.
        ignored: True for the scheduler's own events, which come back where a topic is pushed to us.
    """

    id: str
    type: str
    started: list[str] = Field(default_factory=list)
    skipped: list[str] = Field(default_factory=list)
    duplicate: list[str] = Field(default_factory=list)
    ignored: bool = False


class Subscription(Schema):
    """A type of event, and the tasks that start on it."""

    type: str
    tasks: list[str]


class SubscriptionList(Schema):
    """All types of events that some task of the caller's listens to."""

    events: list[Subscription]


async def get_sender(request: Request) -> Principal:
    """Who sends an event: the holder of a key, or a service account of ours that pushes from a topic."""
    authorization = request.headers.getlist("authorization")
    token, google = parse_bearer_token(authorization), request.app.state.token_verifier
    if google is None or token is None or not is_jwt(token) or len(token) > MAX_TOKEN_CHARS:
        found: Principal = await request.app.state.auth.from_headers(authorization)
        return found
    account = await google.verify(token)
    if isinstance(account, AuthFailure):
        raise ProblemError(account.status, "This account may not send events here")
    return Principal(account.email, account.email, frozenset({"run"}))


@router.get("", responses=error_responses(), summary="List what tasks listen to")
async def list_events(principal: CurrentPrincipal, dependencies: Dependencies) -> SubscriptionList:
    """All types of events that start tasks the caller sees."""
    if not principal.has_scope("read"):
        raise NotAllowedError("This takes a key with the scope read")
    heard = await all_subscribers(dependencies.store)
    if principal.owner:
        ids = sorted({task_id for tasks in heard.values() for task_id in tasks})
        found = await dependencies.store.get_tasks(ids)
        seen = {stored.task.id for stored in found.tasks if principal.can_see(stored.task.owner)}
        heard = {type_: [task for task in tasks if task in seen] for type_, tasks in heard.items()}
    return SubscriptionList(
        events=[Subscription(type=name, tasks=list(tasks)) for name, tasks in heard.items() if tasks]
    )


@router.post("", responses=error_responses(415), openapi_extra=EVENT_BODY, summary="Send an event")
async def send_event(
    principal: Annotated[Principal, Depends(get_sender)],
    dependencies: Dependencies,
    request: Request,
    body: Annotated[dict[str, Any], Depends(parse_task_body)],
) -> EventResult:
    """Start the tasks that listen to an event, once for each event however often it is sent.

    A CloudEvent in JSON, the data alone with `ce-` headers (binary mode), or what Pub/Sub pushes. Without
    an `id` each request is an event of its own.
    """
    if not principal.has_scope("run"):
        raise NotAllowedError("This takes a key with the scope run")
    pushed = isinstance(body.get("message"), dict) and "subscription" in body
    fields = _parse_pubsub_push(body) if pushed else _parse_binary_mode(request, body) or dict(body)
    if pushed and str(fields.get("type", "")).startswith(RESERVED_PREFIX):
        return EventResult(id=str(fields.get("id", "")), type=str(fields["type"]), ignored=True)
    event = _parse_event(fields, principal, now=dependencies.now(), new_id=dependencies.new_id())
    if event.to and principal.owner:
        stored = await get_task(dependencies.store, event.to)
        if not principal.can_see(stored.task.owner):
            raise ProblemError(422, f"to: there is no task {event.to!r}")
    heard = await dependencies.publish_event(event, forward=not pushed)
    return EventResult(
        id=event.id,
        type=event.type,
        started=list(heard.started),
        skipped=list(heard.skipped),
        duplicate=list(heard.duplicate),
    )


def _parse_event(fields: Mapping[str, Any], principal: Principal, *, now: datetime, new_id: str) -> Event:
    """The event of these attributes.

    Raises:
        ProblemError: 422, with everything that is wrong with it.
    """
    known = {name: fields[name] for name in (*ATTRIBUTES, "data", "to") if fields.get(name) is not None}
    defaults = {"id": new_id, "source": principal.name.replace(" ", "-"), "time": now}
    try:
        return Event.model_validate(defaults | known | {"owner": principal.owner, "hops": 1})
    except ValidationError as exc:
        errors = [FieldProblem(field=one.field, reason=one.reason) for one in problems_of(exc)]
        raise ProblemError(422, f"{errors[0].field}: {errors[0].reason}", errors=errors) from None


def _parse_binary_mode(request: Request, data: Mapping[str, Any]) -> dict[str, Any] | None:
    """An event whose attributes are headers; None when they are not."""
    found = {name: unquote(value) for name, value in parse_headers(request.headers.get).items()}
    return {**found, "data": data} if "type" in found else None


def _parse_pubsub_push(envelope: Mapping[str, Any]) -> dict[str, Any]:
    """An event in a message of Pub/Sub: attributes as our own topic has them, or a plain message.

    Raises:
        ProblemError: 422: its data is no JSON object.
    """
    message = envelope["message"]
    attributes = message.get("attributes") if isinstance(message.get("attributes"), dict) else {}
    found = parse_headers(attributes.get)
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
