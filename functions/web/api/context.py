"""What each route is handed: the caller's desk, and task bodies read with the project's own care."""

import json
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Depends, Request

from functions.desk import Desk
from functions.rules.keys import Actor
from functions.rules.starting import starts
from functions.rules.storage import Stored
from functions.rules.task import TaskSpec
from functions.taskfiles.checking import check_task
from functions.web.api.parts import ApiParts
from functions.web.api.problems import FieldProblem, ProblemError
from functions.web.api.shapes import TaskOut

MAX_BODY_BYTES = 65_536


async def actor(request: Request) -> Actor:
    """Who calls."""
    found: Actor = await request.app.state.identity.of_headers(request.headers.getlist("authorization"))
    return found


def parts(request: Request) -> ApiParts:
    """The wired program."""
    found: ApiParts = request.app.state.parts
    return found


Parts = Annotated[ApiParts, Depends(parts)]
Caller = Annotated[Actor, Depends(actor)]


def desk(caller: Caller, wired: Parts) -> Desk:
    """The caller's desk."""
    return Desk(wired.store, caller, clock=wired.now, new_id=wired.new_id)


DeskOf = Annotated[Desk, Depends(desk)]


async def given_task(request: Request) -> dict[str, Any]:
    """The task in a request's body, as plain values.

    Raises:
        ProblemError: It is too large, or no JSON object.
    """
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise ProblemError(415, "Send the task as application/json")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise ProblemError(413, f"Send at most {MAX_BODY_BYTES // 1024} KB")
    try:
        given = json.loads(bytes(body))
    except (ValueError, RecursionError):
        raise ProblemError(400, "The body is not JSON") from None
    if not isinstance(given, dict):
        raise ProblemError(422, "The body must be a JSON object: one task")
    return given


GivenTask = Annotated[dict[str, Any], Depends(given_task)]


def spec_of(given: dict[str, Any], *, default_timezone: str) -> TaskSpec:
    """The task that *given* describes.

    Raises:
        ProblemError: 422, with everything that is wrong with it.
    """
    spec = check_task(given, default_timezone=default_timezone)
    if isinstance(spec, TaskSpec):
        return spec
    errors = [FieldProblem(field=one.field, reason=one.reason) for one in spec]
    raise ProblemError(422, _sentence(errors), errors=errors)


def task_out(stored: Stored) -> TaskOut:
    """A task in the API's shape."""
    task = stored.task
    given = {name: getattr(task, name) for name in type(task).model_fields}
    return TaskOut.model_construct(**given, etag=str(stored.revision), schedule_text=starts(task))


def _sentence(errors: Sequence[FieldProblem]) -> str:
    first = errors[0]
    text = f"{first.field}: {first.reason}" if first.field else first.reason
    return text if len(errors) == 1 else f"{text} (and {len(errors) - 1} more)"
