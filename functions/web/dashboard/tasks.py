"""Pages about tasks: the list, one task, the form to make or edit one, and the buttons that steer them."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from functions.domain.schedule.describe import Preview, preview, starts
from functions.domain.storage import Filter
from functions.domain.task import Task, TaskSpec, slug
from functions.domain.types import Status
from functions.errors import ConflictError, InputError, NotAllowedError, NotFoundError, SchedulerError
from functions.task_types.registry import type_names
from functions.web.api.dependencies import spec_of
from functions.web.api.errors import ProblemError
from functions.web.api.runs import run_id
from functions.web.api.tasks import run_and_wait
from functions.web.dashboard.context import Visit, Visitor
from functions.web.dashboard.forms import PRIORITIES, SEEN, params_fields, task_of, typed_of
from functions.web.dashboard.rendering import away, matches, moment_typed, said_in

router = APIRouter(prefix="/dashboard", include_in_schema=False)

TaskId = Annotated[str, Path(alias="id", max_length=100)]
Word = Annotated[str, Query(max_length=100)]

PAGE = 300  # tasks on one page, which is also the most a search looks at
RUNS = 20
WAIT_S = 30.0  # for a run somebody asked for with the button
NEXT = 5
NEW = {"type": "health_check_url", "schedule": "*/5 * * * *", "priority": "medium"}


@router.get("")
async def list_tasks(
    visit: Visitor,
    status: Word = "",
    type: Word = "",
    tag: Word = "",
    owner: Word = "",
    search: Word = "",
    after: Word = "",
) -> Response:
    """All tasks with their state, their next run and their last twenty outcomes. Reads a document a task."""
    wanted = status if status in set(Status) else None
    which = Filter(status=wanted, type=type or None, tag=tag or None, owner=owner or None)
    found = await visit.desk.list_tasks(which, after=after, limit=PAGE)
    tasks = [stored.task for stored in found.tasks if matches(stored.task, search)]
    seen = [stored.task.id for stored in found.tasks] + [one.id for one in found.broken]
    return visit.page(
        "tasks",
        tasks=tasks,
        broken=found.broken if not visit.desk.principal.owner else (),
        chosen={"status": status, "type": type, "tag": tag, "owner": owner, "search": search},
        statuses=list(Status),
        types=type_names(),
        tags=sorted({one for task in tasks for one in task.tags}),
        more=max(seen) if len(seen) >= PAGE else "",
        public=await visit.request.app.state.public.name("page", tag) if tag and tasks else "",
        said=said_in(visit.request),
    )


@router.get("/tasks/new")
async def new_task(visit: Visitor, type: Word = "") -> Response:
    """The form for a task that is to be made."""
    typed = (
        NEW | {"timezone": visit.parts.default_timezone} | ({"type": type} if type in type_names() else {})
    )
    return _form(visit, typed)


@router.post("/tasks/new")
async def make_task(visit: Visitor) -> Response:
    """Make the task that was typed, or show what it would be."""
    typed = await visit.form()
    shown = _preview(visit, typed)
    if typed.get("do") != "save" or isinstance(shown, str):
        return _form(visit, typed, shown=shown)
    try:
        spec = spec_of(task_of(typed), default_timezone=visit.parts.default_timezone)
        stored = await visit.desk.create(spec, idempotency_key=typed.get("once", ""))
    except (ProblemError, InputError, ConflictError, NotAllowedError) as exc:
        return _form(visit, typed, shown=shown, fault=exc)
    return away(f"/dashboard/tasks/{stored.task.id}", said="The task is made")


@router.get("/tasks/{id}/edit")
async def edit_task(visit: Visitor, task_id: TaskId) -> Response:
    """The form for a task that is to be changed."""
    stored = await visit.desk.get_task(task_id)
    return _form(visit, typed_of(stored.task) | {"etag": str(stored.revision)}, task=stored.task)


@router.post("/tasks/{id}/edit")
async def change_task(visit: Visitor, task_id: TaskId) -> Response:
    """Change the task to what was typed; what the form does not show stays."""
    typed = await visit.form()
    stored = await visit.desk.get_task(task_id)
    shown = _preview(visit, typed)
    if typed.get("do") != "save" or isinstance(shown, str):
        return _form(visit, typed, task=stored.task, shown=shown)
    try:
        kept = stored.task.model_dump(mode="json", by_alias=True, exclude_defaults=True, include=UNSEEN)
        given = kept | task_of(typed) | {"id": task_id}
        spec = spec_of(given, default_timezone=visit.parts.default_timezone)
        await visit.desk.edit(task_id, spec, expected=typed.get("etag") or None)
    except (ProblemError, InputError, ConflictError, NotAllowedError) as exc:
        return _form(visit, typed, task=stored.task, shown=shown, fault=exc)
    return away(f"/dashboard/tasks/{task_id}", said="The task is changed")


@router.get("/tasks/{id}")
async def show_task(visit: Visitor, task_id: TaskId) -> Response:
    """One task: state, history, the error, the schedule in words, the next runs, who changed it."""
    stored = await visit.desk.get_task(task_id)
    task = stored.task
    runs = await visit.desk.list_runs(task_id, limit=RUNS)
    trail = await visit.desk.audit_trail(task_id, limit=10)
    return visit.page(
        "task",
        task=task,
        words=starts(task),
        preview=_preview(visit, typed_of(task)),
        runs=[(run, run_id(run)) for run in runs],
        trail=trail,
        badge=await visit.request.app.state.public.name("badge", task_id),
        said=said_in(visit.request),
    )


@router.post("/tasks/{id}/{verb}")
async def steer_task(visit: Visitor, task_id: TaskId, verb: str) -> Response:
    """Do what a button says, and come back to the task."""
    typed = await visit.form()
    try:
        said, where = await _steer(visit, task_id, verb, typed)
    except NotFoundError:
        raise
    except (InputError, NotAllowedError, ConflictError) as exc:
        said, where = str(exc), f"/dashboard/tasks/{task_id}"
    return away(where, said=said)


async def _steer(visit: Visit, task_id: str, verb: str, typed: Mapping[str, str]) -> tuple[str, str]:
    """Do *verb*; return what to say, and where to go."""
    here = f"/dashboard/tasks/{task_id}"
    match verb:
        case "run":
            _, run = await run_and_wait(visit.desk, visit.parts, task_id, wait_s=WAIT_S)
            if run is None:
                return "It will run at the next tick", here
            return f"It ran: {run.summary}", f"/dashboard/runs/{run_id(run)}"
        case "pause":
            task = (await visit.desk.get_task(task_id)).task
            until = moment_typed(typed.get("until", ""), task.timezone)
            await visit.desk.pause(task_id, note=typed.get("note", "")[:400], until=until)
            return "The task is paused", here
        case "resume":
            await visit.desk.resume(task_id, catch_up=typed.get("catchUp") == "1")
            return "The task goes on", here
        case "cancel":
            await visit.desk.cancel(task_id)
            return "It will be told to stop within seconds", here
        case "delete":
            await visit.desk.delete(task_id)
            return f"{task_id} is removed", "/dashboard"
        case _:
            raise NotFoundError("There is nothing at this address")


UNSEEN = set(TaskSpec.model_fields) - SEEN


def _form(
    visit: Visit,
    typed: Mapping[str, str],
    *,
    task: Task | None = None,
    shown: Preview | str | None = None,
    fault: SchedulerError | ProblemError | None = None,
) -> Response:
    """The form, with all that was typed still in it."""
    type_name = typed.get("type", "")
    type_name = type_name if type_name in type_names() else NEW["type"]
    errors = {one.field: one.reason for one in fault.errors} if isinstance(fault, ProblemError) else {}
    return visit.page(
        "form",
        status=200 if fault is None else 422,
        task=task,
        typed=typed,
        fields=params_fields(type_name, typed),
        types=type_names(),
        priorities=PRIORITIES,
        preview=shown,
        fault=str(fault) if fault else "",
        errors=errors,
        once=typed.get("once") or visit.parts.new_id(),
    )


def _preview(visit: Visit, typed: Mapping[str, str]) -> Preview | str | None:
    """What the typed schedule means, or why it means nothing; None when there is none."""
    schedule = typed.get("schedule", "").strip()
    if not schedule:
        return None
    timezone = typed.get("timezone", "").strip() or visit.parts.default_timezone
    task_id = typed.get("id") or slug(typed.get("title", "")) or "preview"
    try:
        return preview(schedule, timezone=timezone, task_id=task_id, now=visit.parts.now(), count=NEXT)
    except InputError as exc:
        return str(exc)
