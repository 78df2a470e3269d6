"""Routes about tasks: create, read, edit, remove, and the actions pause, resume, run, cancel and backfill."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import Header, Path, Query, Request, Response

from functions.domain.capacity.time_budget import FINISH_MARGIN, TimeBudget
from functions.domain.lifecycle.edit import spec_hash
from functions.domain.run import Run
from functions.domain.storage import MAX_DOCUMENT_ID_CHARS, TaskFilter, VersionedTask
from functions.domain.task import Task, why_never_started
from functions.domain.types import Status
from functions.errors import InputError
from functions.services.access.flow_control import find_wait_reason
from functions.services.calendars.loading import load_holidays_for
from functions.services.manual_runs import describe_requested_run
from functions.services.tasks import TaskService, pause_by_tag, resume_by_tag
from functions.taskfiles.validation import merge_fields
from functions.web.api.addresses import mount_path
from functions.web.api.dependencies import (
    Dependencies,
    TaskBody,
    TaskServiceDep,
    make_api_router,
    to_spec,
    to_task_out,
)
from functions.web.api.errors import error_responses
from functions.web.api.preconditions import IfMatch, IfNoneMatch, get_unchanged_task, has_tag, matching
from functions.web.api.runs import to_run_out
from functions.web.api.scheduler import ApiDependencies
from functions.web.api.schemas import (
    AuditPage,
    BackfillRequest,
    BackfillResponse,
    BulkPauseRequest,
    BulkResponse,
    BulkResumeRequest,
    PauseRequest,
    ResumeRequest,
    RunRequest,
    RunResponse,
    TaskOut,
    TaskPage,
)

# A run that the client waits for: requested, run at once in a tick of its own, then read from the history.

START_MARGIN = timedelta(seconds=1)  # for finding and claiming the task


@dataclass(frozen=True, slots=True)
class RequestedRun:
    """What became of a run that was requested.

    Attributes:
        run: Its newest attempt; None when none has ended yet.
        retry_at: When it is tried again; None when it is not.
        text: The same in a sentence.
    """

    occurrence: datetime
    run: Run | None = None
    retry_at: datetime | None = None
    text: str = ""

    @property
    def state(self) -> Literal["queued", "retrying", "finished"]:
        """Whether it is over, or what it waits for."""
        if self.run is None:
            return "queued"
        return "finished" if self.run.final else "retrying"


async def run_and_wait(
    service: TaskService,
    dependencies: ApiDependencies,
    task_id: str,
    *,
    wait_s: float,
    idempotency_key: str = "",
) -> RequestedRun:
    """Request a run and, if the task's timeout fits into *wait_s* seconds, make an attempt in this request.

    Otherwise the next tick runs it. It is never started here without waiting for its end: a Cloud Run
    instance has no processor after its response. A retry is left to a tick as well.
    """
    asked_at = service.now()
    occurrence = await service.request_run(task_id, idempotency_key=idempotency_key)
    run = await service.find_run(task_id, occurrence) if occurrence < asked_at else None
    task = (await service.get_task(task_id)).task
    return await _finish_run(service, dependencies, task, occurrence, wait_s=wait_s, run=run)


async def _finish_run(
    service: TaskService,
    dependencies: ApiDependencies,
    task: Task,
    occurrence: datetime,
    *,
    wait_s: float,
    run: Run | None = None,
) -> RequestedRun:
    """Make an attempt at what waits of *task* in this request, if *wait_s* is enough for it.

    Args:
        run: An attempt that an earlier request of the same run has led to.
    """
    retry_at: datetime | None = None
    if run is None and task.timeout_seconds <= wait_s:
        longest = timedelta(seconds=wait_s) + FINISH_MARGIN + START_MARGIN
        await dependencies.run_tasks([task.id], TimeBudget(start_limit=longest, response_limit=longest))
        run = await service.find_run(task.id, occurrence)
    if run is not None and not run.final:
        retry_at = (await service.get_task(task.id)).task.retry_at
    text = describe_requested_run(run, retry_at=retry_at, timezone=task.timezone)
    return RequestedRun(occurrence, run, retry_at, text)


router = make_api_router("/api/tasks", "tasks")
action_router = make_api_router("/api/tasks", "task actions")

TaskId = Annotated[
    str, Path(alias="id", min_length=1, max_length=MAX_DOCUMENT_ID_CHARS, examples=["shop-front"])
]

IdempotencyKey = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        max_length=200,
        description="a repeated request with the same key changes nothing",
    ),
]

EXAMPLE: dict[str, Any] = {
    "title": "Shop front answers",
    "type": "health_check_url",
    "schedule": "*/5 * * * *",
    "timezone": "Europe/Riga",
    "params": {"url": "https://example.com", "expectedStatus": 200},
}


def _body_of(schema: str, examples: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the part of an operation's description that says what its body is."""
    content = {
        "schema": {"$ref": f"#/components/schemas/{schema}"},
        "examples": {name: {"value": value} for name, value in examples.items()},
    }
    return {"requestBody": {"required": True, "content": {"application/json": content}}}


CREATE_BODY = _body_of("TaskCreate", {"health check": EXAMPLE, "with an id": {"id": "shop", **EXAMPLE}})
REPLACE_BODY = _body_of("TaskReplace", {"health check": EXAMPLE})
UPDATE_BODY = _body_of(
    "TaskUpdate",
    {
        "one field": {"schedule": "*/10 * * * *"},
        "two fields": {"priority": "high", "params": {"url": "https://example.com/health"}},
    },
)


def body_schemas(spec: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the schema of each operation's body, from that of a whole task.

    A body that creates needs no id, which is made from the title; one that replaces has it in the address; of
    one that updates each field may be absent, or null for its default.
    """
    properties: dict[str, Any] = spec["properties"]
    needed = ["title", "type"]
    nullable = {name: one | {"default": None} for name, one in properties.items()}
    for name, one in properties.items():
        if not any(kind.get("type") == "null" for kind in one.get("anyOf", ())):
            described = {key: one[key] for key in ("title", "description") if key in one}
            nullable[name] = {"anyOf": [one, {"type": "null"}]} | described
    return {
        "TaskCreate": spec | {"title": "TaskCreate", "required": needed},
        "TaskReplace": spec | {"title": "TaskReplace", "required": needed},
        "TaskUpdate": {key: value for key, value in spec.items() if key != "required"}
        | {"title": "TaskUpdate", "properties": nullable, "minProperties": 1},
    }


@router.get("", responses=error_responses(), summary="List tasks")
async def list_tasks(
    service: TaskServiceDep,
    status: Annotated[Status | None, Query()] = None,
    type_: Annotated[str, Query(alias="type", max_length=63)] = "",
    owner: Annotated[str, Query(max_length=100)] = "",
    tag: Annotated[str, Query(max_length=64)] = "",
    cursor: Annotated[
        str, Query(max_length=MAX_DOCUMENT_ID_CHARS, description="`next` of the previous page")
    ] = "",
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> TaskPage:
    """Return tasks by id, a page at a time."""
    which = TaskFilter(status=status, type=type_ or None, owner=owner or None, tag=tag or None)
    page = await service.list_tasks(which, after=cursor, limit=limit)
    ids = [stored.task.id for stored in page.tasks] + [one.id for one in page.invalid]
    return TaskPage.model_construct(
        tasks=[to_task_out(stored, now=service.now()) for stored in page.tasks],
        next=max(ids) if len(ids) >= limit else None,
        unreadable=sorted(one.id for one in page.invalid) if not service.principal.owner else [],
    )


@router.post(
    "",
    status_code=201,
    responses=error_responses(409),
    response_description="Created; or created before with the same key",
    openapi_extra=CREATE_BODY,
    summary="Create a task",
)
async def create_task(
    request: Request,
    service: TaskServiceDep,
    body: TaskBody,
    dependencies: Dependencies,
    response: Response,
    idempotency_key: IdempotencyKey = "",
    run: Annotated[bool, Query(description="also run it once, now; then `schedule` may be left out")] = False,
    wait: Annotated[float, Query(ge=0, le=50, description="with `run`: seconds to wait for its end")] = 0,
) -> TaskOut:
    """Create a task; with `run`, also run it once: at the next tick, or in this request with `wait`.

    Its schedule is unchanged. A task that nothing else starts has ended with that run, and is kept.
    """
    if wait and not run:
        raise InputError("wait: is for a run; add run=true, or leave it out")
    spec = to_spec(body, default_timezone=dependencies.default_timezone, runs_when_asked=run)
    stored = await service.create(spec, idempotency_key=idempotency_key, run_now=run)
    if run:
        await _finish_run(service, dependencies, stored.task, stored.task.created_at, wait_s=wait)
        stored = await service.get_task(spec.id)
    response.headers["Location"] = f"{mount_path(request)}/api/tasks/{spec.id}"
    return await _with_etag(stored, response, dependencies)


@router.get(
    "/{id}",
    responses=error_responses(404, 409) | {304: {"description": "You have this version"}},
    response_model=TaskOut,
    summary="Read a task",
)
async def read_task(
    service: TaskServiceDep,
    task_id: TaskId,
    dependencies: Dependencies,
    response: Response,
    if_none_match: IfNoneMatch = None,
) -> TaskOut | Response:
    """Return a task and its `ETag`."""
    stored = await service.get_task(task_id)
    if if_none_match and has_tag(if_none_match, stored):
        return Response(status_code=304, headers={"ETag": f'"{stored.revision}"'})
    found = await _with_etag(stored, response, dependencies)
    waiting = await find_wait_reason(dependencies.store, stored.task, now=dependencies.now())
    return found.model_copy(update={"waiting": str(waiting)}) if waiting else found


@router.put(
    "/{id}", responses=error_responses(404, 409, 412), openapi_extra=REPLACE_BODY, summary="Edit a task"
)
async def replace_task(
    service: TaskServiceDep,
    task_id: TaskId,
    body: TaskBody,
    dependencies: Dependencies,
    response: Response,
    if_match: IfMatch = None,
    if_none_match: IfNoneMatch = None,
) -> TaskOut:
    """Replace the definition of a task; its state and history stay."""
    stored = await get_unchanged_task(service, task_id, if_match, if_none_match)
    spec = to_spec(
        {"id": task_id} | body,
        default_timezone=dependencies.default_timezone,
        runs_when_asked=bool(why_never_started(stored.task)),
    )
    with matching(if_match, stored) as expected:
        changed = await service.edit(task_id, spec, expected=expected)
    return await _with_etag(changed, response, dependencies)


@router.patch(
    "/{id}",
    responses=error_responses(404, 409, 412),
    openapi_extra=UPDATE_BODY,
    summary="Change fields of a task",
)
async def update_task(
    service: TaskServiceDep,
    task_id: TaskId,
    body: TaskBody,
    dependencies: Dependencies,
    response: Response,
    if_match: IfMatch = None,
    if_none_match: IfNoneMatch = None,
) -> TaskOut:
    """Change the given fields, each as a whole (RFC 7396 at the first level; null means the default)."""
    stored = await get_unchanged_task(service, task_id, if_match, if_none_match)
    await load_holidays_for([stored.task])
    spec = to_spec(
        merge_fields(stored.task, body),
        default_timezone=dependencies.default_timezone,
        runs_when_asked=bool(why_never_started(stored.task)),
    )
    with matching(if_match, stored) as expected:
        changed = await service.edit(task_id, spec, expected=expected, definition=spec_hash(stored.task))
    return await _with_etag(changed, response, dependencies)


@router.delete("/{id}", status_code=204, responses=error_responses(404, 409, 412), summary="Remove a task")
async def delete_task(
    service: TaskServiceDep, task_id: TaskId, if_match: IfMatch = None, if_none_match: IfNoneMatch = None
) -> None:
    """Remove a task, also one that cannot be read. Its history stays until it expires."""
    if if_match is None and if_none_match is None:
        await service.delete(task_id)
        return
    stored = await get_unchanged_task(service, task_id, if_match, if_none_match)
    with matching(if_match, stored) as expected:
        await service.delete(task_id, expected=expected)


async def _with_etag(stored: VersionedTask, response: Response, dependencies: ApiDependencies) -> TaskOut:
    response.headers["ETag"] = f'"{stored.revision}"'
    warnings = await dependencies.find_warnings(stored.task)
    return to_task_out(stored, now=dependencies.now(), warnings=warnings)


# Actions: pause, resume, run, cancel and backfill; pause and resume also for all tasks with a tag.


@action_router.post("/pause", responses=error_responses(), summary="Pause all tasks with a tag")
async def pause_many(service: TaskServiceDep, body: BulkPauseRequest) -> BulkResponse:
    """Pause every task that has the tag and is not paused."""
    return BulkResponse(ids=await pause_by_tag(service, body.tag, note=body.note, until=body.until))


@action_router.post("/resume", responses=error_responses(), summary="Resume all tasks with a tag")
async def resume_many(service: TaskServiceDep, body: BulkResumeRequest) -> BulkResponse:
    """Resume every paused task that has the tag."""
    return BulkResponse(ids=await resume_by_tag(service, body.tag, catch_up=body.catch_up))


@action_router.post("/{id}/pause", responses=error_responses(404, 409), summary="Pause a task")
async def pause_task(service: TaskServiceDep, task_id: TaskId, body: PauseRequest | None = None) -> TaskOut:
    """Pause a task, with a note for other users. A current run finishes."""
    request = body or PauseRequest()
    return to_task_out(
        await service.pause(task_id, note=request.note, until=request.until), now=service.now()
    )


@action_router.post("/{id}/resume", responses=error_responses(404, 409), summary="Resume a task")
async def resume_task(service: TaskServiceDep, task_id: TaskId, body: ResumeRequest | None = None) -> TaskOut:
    """End a pause or a quarantine."""
    return to_task_out(
        await service.resume(task_id, catch_up=(body or ResumeRequest()).catch_up), now=service.now()
    )


@action_router.post("/{id}/run", responses=error_responses(404, 409), summary="Run a task now")
async def run_task(
    service: TaskServiceDep,
    dependencies: Dependencies,
    task_id: TaskId,
    body: RunRequest | None = None,
    idempotency_key: IdempotencyKey = "",
) -> RunResponse:
    """Run a task once: at the next tick, or in this request with `wait`. Its schedule is unchanged."""
    wait_s = (body or RunRequest()).wait
    requested = await run_and_wait(
        service, dependencies, task_id, wait_s=wait_s, idempotency_key=idempotency_key
    )
    return RunResponse.model_construct(
        state=requested.state,
        occurrence=requested.occurrence,
        run=to_run_out(requested.run) if requested.run else None,
        retry_at=requested.retry_at,
        text=requested.text,
    )


@action_router.post("/{id}/cancel", responses=error_responses(404, 409), summary="Cancel the current run")
async def cancel_task(service: TaskServiceDep, task_id: TaskId) -> TaskOut:
    """Cancel the current run: a running attempt within seconds, a waiting retry at once."""
    return to_task_out(await service.cancel(task_id), now=service.now())


@action_router.post("/{id}/backfill", responses=error_responses(404, 409), summary="Run past occurrences")
async def backfill_task(service: TaskServiceDep, task_id: TaskId, body: BackfillRequest) -> BackfillResponse:
    """Run the past occurrences of a period that have not succeeded."""
    occurrences = await service.backfill(task_id, first=body.first, until=body.until, dry_run=body.dry_run)
    return BackfillResponse(occurrences=occurrences, dry_run=body.dry_run)


@router.get("/{id}/audit", responses=error_responses(404, 409), summary="Who changed a task")
async def read_audit_trail(service: TaskServiceDep, task_id: TaskId) -> AuditPage:
    """Return who changed the task, when and why, newest first."""
    return AuditPage(entries=await service.audit_trail(task_id))
