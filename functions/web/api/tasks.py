"""Routes about tasks: making, reading, editing, removing them."""

from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Response

from functions.domain.lifecycle.time_budget import FINISHING, Budget
from functions.domain.run import Run
from functions.domain.storage import Filter, Stored
from functions.domain.task import Task, TaskSpec
from functions.domain.types import Status
from functions.services.tasks import TaskService, pause_by_tag, resume_by_tag
from functions.web.api.dependencies import ApiParts, DeskOf, GivenTask, Parts, spec_of, task_out
from functions.web.api.errors import ProblemError, responses
from functions.web.api.runs import run_out
from functions.web.api.schemas import (
    BackfillAnswer,
    BackfillWish,
    BulkAnswer,
    BulkResumeWish,
    BulkWish,
    PauseWish,
    ResumeWish,
    RunAnswer,
    RunWish,
    TaskOut,
    TaskPage,
    Trail,
)

# A run that somebody waits for: asked for, ticked alone, and looked up when it is over.

SPARE = timedelta(seconds=1)  # for finding and claiming the task


async def run_and_wait(
    desk: TaskService, wired: ApiParts, task_id: str, *, wait_s: float
) -> tuple[datetime, Run | None]:
    """Ask for a run and, if the task's longest run fits into *wait_s* seconds, do it here and now.

    Otherwise the next tick does it. It is never begun here and left to itself: where this runs, a process
    has no processor once it has answered.

    Returns:
        The instant that names the run, and its record; None when it has not come to its end.
    """
    occurrence = await desk.request_run(task_id)
    task = (await desk.get_task(task_id)).task
    if task.timeout_seconds > wait_s:
        return occurrence, None
    longest = timedelta(seconds=wait_s) + FINISHING + SPARE
    await wired.run_tasks([task_id], Budget(stop_starting=longest, answer_by=longest))
    runs = await desk.list_runs(task_id, since=occurrence)
    ended = [run for run in runs if run.occurrence == occurrence and run.final]
    return occurrence, ended[0] if ended else None


router = APIRouter(prefix="/api/tasks", tags=["tasks"])
action_router = APIRouter(prefix="/api/tasks", tags=["task actions"])

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
    found = await desk.list_tasks(which, after=cursor, limit=limit)
    ids = [stored.task.id for stored in found.tasks] + [one.id for one in found.broken]
    return TaskPage.model_construct(
        tasks=[task_out(stored) for stored in found.tasks],
        next=max(ids) if len(ids) >= limit else None,
        unreadable=sorted(one.id for one in found.broken) if not desk.principal.owner else [],
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
        stored = await desk.get_task(spec.id)
    response.headers["Location"] = f"/api/tasks/{spec.id}"
    return _answer(stored, response)


@router.get("/{id}", responses=responses(404), summary="One task")
async def read_task(desk: DeskOf, task_id: TaskId, response: Response) -> TaskOut:
    """One task, with its `ETag`."""
    return _answer(await desk.get_task(task_id), response)


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


async def _fresh(desk: TaskService, task_id: str, if_match: str | None) -> Stored:
    """The task, if it is still the version the caller saw.

    Raises:
        ProblemError: 412: it is not.
    """
    stored = await desk.get_task(task_id)
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


# Routes that steer tasks: pause, resume, run, cancel, backfill, and the same for all with a tag.


@action_router.post("/pause", responses=responses(), summary="Pause all tasks with a tag")
async def pause_many(desk: DeskOf, wish: BulkWish) -> BulkAnswer:
    """Stop every task that has the tag and is not stopped."""
    return BulkAnswer(ids=await pause_by_tag(desk, wish.tag, note=wish.note, until=wish.until))


@action_router.post("/resume", responses=responses(), summary="Resume all tasks with a tag")
async def resume_many(desk: DeskOf, wish: BulkResumeWish) -> BulkAnswer:
    """End the pause of every task that has the tag."""
    return BulkAnswer(ids=await resume_by_tag(desk, wish.tag, catch_up=wish.catch_up))


@action_router.post("/{id}/pause", responses=responses(404), summary="Pause a task")
async def pause_task(desk: DeskOf, task_id: TaskId, wish: PauseWish | None = None) -> TaskOut:
    """Stop a task, with a note for whoever wonders. A run in work is let finish."""
    asked = wish or PauseWish()
    return task_out(await desk.pause(task_id, note=asked.note, until=asked.until))


@action_router.post("/{id}/resume", responses=responses(404), summary="Resume a task")
async def resume_task(desk: DeskOf, task_id: TaskId, wish: ResumeWish | None = None) -> TaskOut:
    """End a pause or a quarantine."""
    return task_out(await desk.resume(task_id, catch_up=(wish or ResumeWish()).catch_up))


@action_router.post("/{id}/run", responses=responses(404), summary="Run a task now")
async def run_task(desk: DeskOf, wired: Parts, task_id: TaskId, wish: RunWish | None = None) -> RunAnswer:
    """Run a task once, beside its schedule: at the next tick, or here and now with `wait`."""
    occurrence, run = await run_and_wait(desk, wired, task_id, wait_s=(wish or RunWish()).wait)
    return RunAnswer.model_construct(
        state="finished" if run else "queued", occurrence=occurrence, run=run_out(run) if run else None
    )


@action_router.post("/{id}/cancel", responses=responses(404), summary="Cancel what runs")
async def cancel_task(desk: DeskOf, task_id: TaskId) -> TaskOut:
    """End the run in hand: a running attempt within seconds, a waiting retry at once."""
    return task_out(await desk.cancel(task_id))


@action_router.post("/{id}/backfill", responses=responses(404), summary="Run past occurrences")
async def backfill_task(desk: DeskOf, task_id: TaskId, wish: BackfillWish) -> BackfillAnswer:
    """Run the occurrences of a span of the past that have not succeeded."""
    found = await desk.backfill(task_id, first=wish.first, until=wish.until, dry_run=wish.dry_run)
    return BackfillAnswer(occurrences=found, dry_run=wish.dry_run)


@router.get("/{id}/audit", responses=responses(404), summary="Who changed a task")
async def read_trail(desk: DeskOf, task_id: TaskId) -> Trail:
    """Who changed the task, when and why, newest first."""
    return Trail(entries=await desk.audit_trail(task_id))
