"""Pages about tasks: the list, one task, the form to create or edit one, and the actions on it."""

from collections.abc import Mapping
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from functions.domain.access import AuditEntry, audit_subject
from functions.domain.schedule.describe import SchedulePreview, build_preview, describe_trigger
from functions.domain.task import Task, TaskSpec, slugify, why_never_started
from functions.errors import ConflictError, InputError, NotAllowedError, NotFoundError, SchedulerError
from functions.services.access import record_entry
from functions.services.public_links import LinkKind, revoke_link
from functions.task_types.registry import type_names
from functions.web.api.dependencies import to_spec
from functions.web.api.errors import ProblemError
from functions.web.api.runs import encode_run_id
from functions.web.api.tasks import run_and_wait
from functions.web.dashboard.context import CurrentPage, PageContext
from functions.web.dashboard.forms import (
    PRIORITIES,
    SHOWN_FIELDS,
    params_fields,
    parse_task_form,
    to_form_values,
)
from functions.web.dashboard.public import badge_subject, page_subject
from functions.web.dashboard.rendering import flash_message, parse_local_instant, redirect

router = APIRouter(prefix="/dashboard", include_in_schema=False)

TaskId = Annotated[str, Path(alias="id", max_length=100)]
QueryText = Annotated[str, Query(max_length=100)]

PAGE_SIZE = 300  # tasks on a page; a search covers one page
MAX_RUNS = 20
WAIT_S = 30.0  # for a run requested with the button
PREVIEW_COUNT = 5
NEW_TASK_VALUES = {"type": "health_check_url", "schedule": "*/5 * * * *", "priority": "medium"}


@router.post("/links/revoke")
async def revoke_page_link(context: CurrentPage) -> Response:
    """Revoke the link of a tag's status page. Each owner has one of their own."""
    tag = (await context.read_form()).get("tag", "")[:100]
    name = page_subject(context.service.principal.owner, tag)
    await _revoke_link(context, "page", name, subject=audit_subject("tag", name))
    return redirect(f"/dashboard?tag={quote(tag, safe='')}", message="The old link ends within a minute")


async def _revoke_link(context: PageContext, kind: LinkKind, name: str, *, subject: str) -> None:
    """Revoke a public link, and record it in the audit trail of *subject*."""
    principal, store = context.service.principal, context.dependencies.store
    if not principal.has_scope("write"):
        raise NotAllowedError("Revoking a link needs the scope write")
    await revoke_link(store, kind, name)
    entry = AuditEntry(at=context.dependencies.now(), verb="link revoked", subject=subject, by=principal.name)
    await record_entry(store, entry, new_id=context.dependencies.new_id)


@router.get("/tasks/new")
async def new_task(context: CurrentPage, type: QueryText = "") -> Response:
    """Show the form for a new task."""
    typed = (
        NEW_TASK_VALUES
        | {"timezone": context.dependencies.default_timezone}
        | ({"type": type} if type in type_names() else {})
    )
    return _render_form(context, typed)


@router.post("/tasks/new")
async def create_task(context: CurrentPage) -> Response:
    """Create the task in the form, or preview its schedule."""
    typed = await context.read_form()
    shown = _preview_schedule(context, typed)
    if typed.get("do") != "save" or isinstance(shown, str):
        return _render_form(context, typed, shown=shown)
    try:
        spec = to_spec(parse_task_form(typed), default_timezone=context.dependencies.default_timezone)
        stored = await context.service.create(spec, idempotency_key=typed.get("once", ""))
    except (ProblemError, InputError, ConflictError, NotAllowedError) as exc:
        return _render_form(context, typed, shown=shown, fault=exc)
    return redirect(f"/dashboard/tasks/{stored.task.id}", message="The task is created")


@router.get("/tasks/{id}/edit")
async def edit_task(context: CurrentPage, task_id: TaskId) -> Response:
    """Show the form for an existing task."""
    stored = await context.service.get_task(task_id)
    return _render_form(
        context, to_form_values(stored.task) | {"etag": str(stored.revision)}, task=stored.task
    )


@router.post("/tasks/{id}/edit")
async def update_task(context: CurrentPage, task_id: TaskId) -> Response:
    """Change the task to the values of the form; fields that it does not show stay."""
    typed = await context.read_form()
    stored = await context.service.get_task(task_id)
    shown = _preview_schedule(context, typed)
    if typed.get("do") != "save" or isinstance(shown, str):
        return _render_form(context, typed, task=stored.task, shown=shown)
    try:
        hidden = stored.task.model_dump(
            mode="json", by_alias=True, exclude_defaults=True, include=HIDDEN_FIELDS
        )
        fields = hidden | parse_task_form(typed) | {"id": task_id}
        spec = to_spec(
            fields,
            default_timezone=context.dependencies.default_timezone,
            runs_when_asked=bool(why_never_started(stored.task)),
        )
        await context.service.edit(task_id, spec, expected=typed.get("etag") or None)
    except (ProblemError, InputError, ConflictError, NotAllowedError) as exc:
        return _render_form(context, typed, task=stored.task, shown=shown, fault=exc)
    return redirect(f"/dashboard/tasks/{task_id}", message="The task is changed")


@router.get("/tasks/{id}")
async def show_task(context: CurrentPage, task_id: TaskId) -> Response:
    """Show a task: state, error, schedule in words, next runs, history and audit trail."""
    stored = await context.service.get_task(task_id)
    task = stored.task
    runs = await context.service.list_runs(task_id, limit=MAX_RUNS)
    trail = await context.service.audit_trail(task_id, limit=10)
    return context.render(
        "task",
        task=task,
        words=describe_trigger(task),
        preview=_preview_schedule(context, to_form_values(task)),
        runs=[(run, encode_run_id(run)) for run in runs],
        trail=trail,
        warnings=context.dependencies.task_warnings(task),
        badge=await context.request.app.state.public_links.sign_name("badge", badge_subject(task)),
        message=flash_message(context.request),
    )


@router.post("/tasks/{id}/{verb}")
async def run_task_action(context: CurrentPage, task_id: TaskId, verb: str) -> Response:
    """Run the action of a button, and return to the task."""
    typed = await context.read_form()
    try:
        message, target = await _run_command(context, task_id, verb, typed)
    except NotFoundError:
        raise
    except (InputError, NotAllowedError, ConflictError) as exc:
        message, target = str(exc), f"/dashboard/tasks/{task_id}"
    return redirect(target, message=message)


async def _run_command(
    context: PageContext, task_id: str, verb: str, typed: Mapping[str, str]
) -> tuple[str, str]:
    """Run the action *verb*; return a message and the next page."""
    here = f"/dashboard/tasks/{task_id}"
    match verb:
        case "run":
            _, run = await run_and_wait(context.service, context.dependencies, task_id, wait_s=WAIT_S)
            if run is None:
                return "It will run at the next tick", here
            return f"It ran: {run.summary}", f"/dashboard/runs/{encode_run_id(run)}"
        case "pause":
            task = (await context.service.get_task(task_id)).task
            until = parse_local_instant(typed.get("until", ""), task.timezone)
            await context.service.pause(task_id, note=typed.get("note", "")[:400], until=until)
            return "The task is paused", here
        case "resume":
            await context.service.resume(task_id, catch_up=typed.get("catchUp") == "1")
            return "The task is resumed", here
        case "cancel":
            await context.service.cancel(task_id)
            return "It stops within seconds", here
        case "revoke-badge":
            task = (await context.service.get_task(task_id)).task  # refused when the user may not see it
            await _revoke_link(context, "badge", badge_subject(task), subject=task_id)
            return "The old address of the badge ends within a minute", here
        case "delete":
            await context.service.delete(task_id)
            return f"{task_id} is removed", "/dashboard"
        case _:
            raise NotFoundError("There is nothing at this address")


HIDDEN_FIELDS = set(TaskSpec.model_fields) - SHOWN_FIELDS


def _render_form(
    context: PageContext,
    typed: Mapping[str, str],
    *,
    task: Task | None = None,
    shown: SchedulePreview | str | None = None,
    fault: SchedulerError | ProblemError | None = None,
) -> Response:
    """Return the form with the values *typed*."""
    type_name = typed.get("type", "")
    type_name = type_name if type_name in type_names() else NEW_TASK_VALUES["type"]
    errors = {one.field: one.reason for one in fault.errors} if isinstance(fault, ProblemError) else {}
    return context.render(
        "form",
        status=200 if fault is None else 422,
        task=task,
        typed={"type": type_name, **typed} if not typed.get("type") else typed,
        fields=params_fields(type_name, typed),
        types=type_names(),
        priorities=PRIORITIES,
        preview=shown,
        fault=str(fault) if fault else "",
        errors=errors,
        once=typed.get("once") or context.dependencies.new_id(),
    )


def _preview_schedule(context: PageContext, typed: Mapping[str, str]) -> SchedulePreview | str | None:
    """Return the preview of the schedule in the form, or its error; None when the field is empty."""
    schedule = typed.get("schedule", "").strip()
    if not schedule:
        return None
    timezone = typed.get("timezone", "").strip() or context.dependencies.default_timezone
    task_id = typed.get("id") or slugify(typed.get("title", "")) or "preview"
    try:
        return build_preview(
            schedule, timezone=timezone, task_id=task_id, now=context.dependencies.now(), count=PREVIEW_COUNT
        )
    except InputError as exc:
        return str(exc)
