"""Routes about tasks: making, reading, editing, removing them."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Response

from functions.desk import Desk
from functions.rules.storage import Filter, Stored
from functions.rules.task import Task, TaskSpec
from functions.rules.words import Status
from functions.web.api.context import DeskOf, GivenTask, Parts, spec_of, task_out
from functions.web.api.problems import ProblemError, responses
from functions.web.api.running import run_and_wait
from functions.web.api.shapes import TaskOut, TaskPage

router = APIRouter(prefix="/api/tasks", tags=["tasks"])

TaskId = Annotated[str, Path(alias="id", min_length=1, max_length=100, examples=["shop-front"])]
IfMatch = Annotated[str | None, Header(alias="If-Match", description="the `ETag` you saw", max_length=200)]

EXAMPLE: dict[str, Any] = {
    "title": "Shop front answers",
    "type": "health_check_url",
    "schedule": "*/5 * * * *",
    "timezone": "Europe/Riga",
    "params": {"url": "https://example.com", "expectedStatus": 200},
}
TASK_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"$ref": "#/components/schemas/TaskSpec"},
                "examples": {"health check": {"value": EXAMPLE}},
            }
        },
    }
}


@router.get("", responses=responses(), summary="List tasks")
async def list_tasks(
    desk: DeskOf,
    status: Annotated[Status | None, Query()] = None,
    type_: Annotated[str, Query(alias="type", max_length=63)] = "",
    owner: Annotated[str, Query(max_length=100)] = "",
    tag: Annotated[str, Query(max_length=64)] = "",
    cursor: Annotated[str, Query(max_length=100, description="`next` of the page before")] = "",
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> TaskPage:
    """Tasks by id, a page at a time."""
    which = Filter(status=status, type=type_ or None, owner=owner or None, tag=tag or None)
    found = await desk.tasks(which, after=cursor, limit=limit)
    ids = [stored.task.id for stored in found.tasks] + [one.id for one in found.broken]
    return TaskPage.model_construct(
        tasks=[task_out(stored) for stored in found.tasks],
        next=max(ids) if len(ids) >= limit else None,
        unreadable=sorted(one.id for one in found.broken) if not desk.actor.owner else [],
    )


@router.post(
    "",
    status_code=201,
    responses=responses(409, 415)
    | {200: {"description": "Made before under the same key", "model": TaskOut}},
    openapi_extra=TASK_BODY,
    summary="Make a task",
)
async def create_task(
    desk: DeskOf,
    given: GivenTask,
    wired: Parts,
    response: Response,
    idempotency_key: Annotated[
        str,
        Header(alias="Idempotency-Key", max_length=200, description="asking again under it changes nothing"),
    ] = "",
    run: Annotated[bool, Query(description="run it at once as well")] = False,
    wait: Annotated[float, Query(ge=0, le=50, description="with `run`: seconds to wait for its end")] = 0,
) -> TaskOut:
    """Make a task; with `run`, run it once at once, beside its schedule."""
    spec = spec_of(given, default_timezone=wired.default_timezone)
    stored = await desk.create(spec, idempotency_key=idempotency_key)
    if run:
        await run_and_wait(desk, wired, spec.id, wait_s=wait)
        stored = await desk.task(spec.id)
    response.headers["Location"] = f"/api/tasks/{spec.id}"
    return _answer(stored, response)


@router.get("/{id}", responses=responses(404), summary="One task")
async def read_task(desk: DeskOf, task_id: TaskId, response: Response) -> TaskOut:
    """One task, with its `ETag`."""
    return _answer(await desk.task(task_id), response)


@router.put("/{id}", responses=responses(404, 409, 412, 415), openapi_extra=TASK_BODY, summary="Edit a task")
async def replace_task(
    desk: DeskOf,
    task_id: TaskId,
    given: GivenTask,
    wired: Parts,
    response: Response,
    if_match: IfMatch = None,
) -> TaskOut:
    """Give a task a whole new description; its state and history stay."""
    spec = spec_of({"id": task_id} | given, default_timezone=wired.default_timezone)
    await _fresh(desk, task_id, if_match)
    return _answer(await desk.edit(task_id, spec, expected=_revision(if_match)), response)


@router.patch(
    "/{id}",
    responses=responses(404, 409, 412, 415),
    openapi_extra=TASK_BODY,
    summary="Change fields of a task",
)
async def change_task(
    desk: DeskOf,
    task_id: TaskId,
    given: GivenTask,
    wired: Parts,
    response: Response,
    if_match: IfMatch = None,
) -> TaskOut:
    """Change the fields that are given, each as a whole (RFC 7396 at the first level; null: the default)."""
    stored = await _fresh(desk, task_id, if_match)
    spec = spec_of(_merged(stored.task, given), default_timezone=wired.default_timezone)
    return _answer(await desk.edit(task_id, spec, expected=str(stored.revision)), response)


@router.delete("/{id}", status_code=204, responses=responses(404, 409, 412), summary="Remove a task")
async def delete_task(desk: DeskOf, task_id: TaskId, if_match: IfMatch = None) -> None:
    """Remove a task. Its history stays in the ledger for as long as any does."""
    await _fresh(desk, task_id, if_match)
    await desk.delete(task_id, expected=_revision(if_match))


async def _fresh(desk: Desk, task_id: str, if_match: str | None) -> Stored:
    """The task, if it is still the version the caller saw.

    Raises:
        ProblemError: 412: it is not.
    """
    stored = await desk.task(task_id)
    if if_match is not None and _revision(if_match) not in (None, str(stored.revision)):
        raise ProblemError(412, f"{task_id} has changed since you read it; read it again")
    return stored


def _revision(if_match: str | None) -> str | None:
    """The revision in an `If-Match`; None for none, and for `*`."""
    given = (if_match or "").strip().removeprefix("W/").strip('"')
    return None if given in ("", "*") else given


def _merged(task: Task, given: dict[str, Any]) -> dict[str, Any]:
    present = TaskSpec.model_validate(
        {name: getattr(task, name) for name in TaskSpec.model_fields}
    ).model_dump(mode="json", by_alias=True, exclude_defaults=True)
    whole = {"id": task.id, **present, **given}
    return {name: value for name, value in whole.items() if value is not None}


def _answer(stored: Stored, response: Response) -> TaskOut:
    response.headers["ETag"] = f'"{stored.revision}"'
    return task_out(stored)
