"""Routes about events: list the subscriptions of tasks, and receive events from clients and Pub/Sub."""

import base64
import logging
from collections.abc import Mapping
from datetime import datetime
from string import punctuation
from typing import Annotated, Any
from urllib.parse import quote, unquote

from fastapi import Depends, Request
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from functions.domain.access import Principal, parse_bearer_token
from functions.domain.cloud_events import ATTRIBUTES, PUBLISHER_ATTRIBUTE, parse_headers
from functions.domain.events import (
    RESERVED_PREFIX,
    Event,
    EventData,
    EventId,
    EventReach,
    EventSource,
    EventType,
)
from functions.domain.json_depth import parse_json
from functions.domain.types import Instant, TaskId
from functions.domain.validation import problems_of
from functions.errors import InputError
from functions.services.dependencies import all_subscribers
from functions.web.api.dependencies import (
    CurrentPrincipal,
    Dependencies,
    make_api_router,
    parse_task_body,
    require_storable,
)
from functions.web.api.errors import FieldProblem, ProblemError, error_responses
from functions.web.api.schemas import Schema
from functions.web.auth import MAX_TOKEN_CHARS, AuthFailure, is_jwt

log = logging.getLogger(__name__)

router = make_api_router("/api/events", "events")
push_router = make_api_router("/api/events", "events", route_class=APIRoute)  # Google adds parameters

MAX_SOURCE_CHARS = 200
SOURCE_CHARS = punctuation  # they need no escape in an attribute
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
    """A CloudEvent 1.0 in JSON. Other attributes are ignored."""

    model_config = ConfigDict(extra="allow")

    type: EventType
    id: EventId | None = Field(default=None, description="identifies the event; a new one if null")
    source: EventSource | None = Field(default=None, description="the key's name, if null")
    subject: str | None = Field(default=None, max_length=200)
    time: Instant | None = Field(default=None, description="now, if null")
    data: EventData | None = Field(default=None, description="at most 4096 bytes as JSON")
    to: TaskId | None = Field(
        default=None, description="the only task to start; all subscribed tasks if null"
    )
    reach: EventReach | None = Field(
        default=None,
        description="`all`: the subscribed tasks of every owner, for a key that is bound to none; else those "
        "of the key's owner, or those without one",
    )


class EventResult(Schema):
    """The result of an event.

    Attributes:
        started: Tasks that it starts, now or after their current run.
        skipped: Subscribed tasks that it does not start, such as paused ones; each has a record of it.
        duplicate: Tasks that have received this event before.
        refused: Subscribed tasks that this key may not start, because of what they may use.
        ignored: True for what the scheduler published itself and its topic pushes back to it: the tasks that
            may start on it have it already.
    """

    id: str
    type: str
    started: list[str] = Field(default_factory=list)
    skipped: list[str] = Field(default_factory=list)
    duplicate: list[str] = Field(default_factory=list)
    refused: list[str] = Field(default_factory=list)
    ignored: bool = False


class Subscription(Schema):
    """An event type, and the tasks that it starts."""

    type: str
    tasks: list[str]


class SubscriptionList(Schema):
    """The event types that start a task of the caller."""

    events: list[Subscription]


async def get_sender(request: Request) -> Principal:
    """Return the sender of an event: the holder of a key, or a service account that pushes from a topic."""
    authorization = request.headers.getlist("authorization")
    token, verifier = parse_bearer_token(authorization), request.app.state.token_verifier
    if verifier is None or token is None or not is_jwt(token) or len(token) > MAX_TOKEN_CHARS:
        principal: Principal = await request.app.state.auth.from_request(request)
        return principal
    account = await verifier.verify(token)
    if isinstance(account, AuthFailure):
        raise ProblemError(account.status, "This account may not send events here")
    return Principal(account.email, account.email, frozenset({"run"}))


@router.get("", responses=error_responses(), summary="List event subscriptions")
async def list_events(principal: CurrentPrincipal, dependencies: Dependencies) -> SubscriptionList:
    """Return the event types that start a task the caller may see."""
    principal.require_scope("read")
    subscribers = await all_subscribers(dependencies.store, principal.owner)
    return SubscriptionList(
        events=[Subscription(type=name, tasks=list(tasks)) for name, tasks in subscribers.items()]
    )


@push_router.post("", responses=error_responses(), openapi_extra=EVENT_BODY, summary="Send an event")
async def send_event(
    principal: Annotated[Principal, Depends(get_sender)],
    dependencies: Dependencies,
    request: Request,
    body: Annotated[dict[str, Any], Depends(parse_task_body)],
) -> EventResult:
    """Start the tasks that subscribe to an event, once for each event however often it is sent.

    The body is a CloudEvent in JSON, its data alone with `ce-` headers (binary mode), or a Pub/Sub push.
    Without an `id` each request is a new event.
    """
    principal.require_scope("run")
    pushed = isinstance(body.get("message"), dict) and "subscription" in body
    try:
        return await _start_tasks(principal, dependencies, request, body, pushed=pushed)
    except (ProblemError, InputError) as exc:
        if pushed:  # nobody reads what Pub/Sub is answered, and it pushes the same again for days
            about = {
                "subscription": str(body["subscription"]),
                "message_id": body["message"].get("messageId"),
            }
            log.warning("push_refused", extra=about | {"reason": str(exc)})
        raise


async def _start_tasks(
    principal: Principal, dependencies: Dependencies, request: Request, body: dict[str, Any], *, pushed: bool
) -> EventResult:
    """Start the tasks that subscribe to the event that *body* is or, *pushed* by Pub/Sub, has in it."""
    fields = _parse_pubsub_push(body) if pushed else _parse_binary_mode(request, body) or dict(body)
    # A subscription without an envelope sends a message's attributes as headers.
    publisher = (
        _attributes_of(body).get(PUBLISHER_ATTRIBUTE) if pushed else request.headers.get(PUBLISHER_ATTRIBUTE)
    )
    is_reserved = pushed and str(fields.get("type", "")).startswith(RESERVED_PREFIX)
    if is_reserved or publisher == dependencies.scheduler_id:
        return EventResult(id=str(fields.get("id", "")), type=str(fields.get("type", "")), ignored=True)
    event = _parse_event(fields, principal, now=dependencies.now(), new_id=dependencies.new_id())
    result = await dependencies.publish_event(event, forward=not pushed, sender=principal.capabilities)
    return EventResult(
        id=event.id,
        type=event.type,
        started=list(result.started),
        skipped=list(result.skipped),
        duplicate=list(result.duplicate),
        refused=list(result.refused),
    )


def _parse_event(fields: Mapping[str, Any], principal: Principal, *, now: datetime, new_id: str) -> Event:
    """Return the event with these attributes.

    Raises:
        ProblemError: 422, with everything that is wrong with it.
    """
    known = {
        name: fields[name] for name in (*ATTRIBUTES, "data", "to", "reach") if fields.get(name) is not None
    }
    require_storable(known)
    if principal.owner and known.get("reach") == "all":
        raise ProblemError(
            422, f"reach: this key is bound to {principal.owner}; only keys of no owner reach all"
        )
    if not principal.owner and known.get("to"):
        known["reach"] = "all"  # the operator names the task, whoever owns it
    defaults = {"id": new_id, "source": _source_of(principal), "time": now}
    try:
        return Event.model_validate(defaults | known | {"owner": principal.owner, "hops": 1})
    except ValidationError as exc:
        errors = [FieldProblem(field=one.field, reason=one.reason) for one in problems_of(exc)]
        raise ProblemError(422, f"{errors[0].field}: {errors[0].reason}", errors=errors) from None


def _source_of(principal: Principal) -> str:
    """Return the name of a key as the source of an event, which is a URI reference: ASCII, no spaces."""
    return quote(principal.name.replace(" ", "-"), safe=SOURCE_CHARS)[:MAX_SOURCE_CHARS]


def _parse_binary_mode(request: Request, data: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return an event whose attributes are headers; None when they are not."""
    attributes = {name: unquote(value) for name, value in parse_headers(request.headers.get).items()}
    return {**attributes, "data": data} if "type" in attributes else None


def _parse_pubsub_push(envelope: Mapping[str, Any]) -> dict[str, Any]:
    """Return the event in a Pub/Sub push: attributes of our own topic, or a plain message.

    Raises:
        ProblemError: 422: its data is no text, or broken JSON.
    """
    message, attributes = envelope["message"], _attributes_of(envelope)
    found = parse_headers(attributes.get)
    plain = {
        "id": str(message.get("messageId", "")) or None,
        "type": attributes.get("type") or "pubsub.message",
        "source": str(envelope["subscription"]),
        "reach": attributes.get("reach"),
    }
    return {**plain, **found, "data": _parse_pushed_data(str(message.get("data", "")))}


def _parse_pushed_data(encoded: str) -> dict[str, Any]:
    """Return the data of a message: a JSON object, or another value or a plain text as `{"value": ...}`."""
    try:
        text = base64.b64decode(encoded, validate=True).decode()
    except ValueError:  # also those of base64 and of UTF-8
        raise ProblemError(422, "message.data: must be text in base64") from None
    try:
        data = parse_json(text) if text else {}
    except ValueError:
        if text.lstrip().startswith(("{", "[")):
            raise ProblemError(422, "message.data: must be JSON, as it begins with { or [") from None
        data = text
    return data if isinstance(data, dict) else {"value": data}


def _attributes_of(envelope: Mapping[str, Any]) -> Mapping[str, Any]:
    attributes = envelope["message"].get("attributes")
    return attributes if isinstance(attributes, dict) else {}
