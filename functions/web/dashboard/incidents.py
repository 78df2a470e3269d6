"""The page of incidents: what fails now, what failed before, and what is silenced.

Reads: up to `OPEN_SHOWN` failing tasks and a page of `PAGE_SIZE` tasks, which hold their last incidents. That
page also has the tasks that fail though their last attempt did not, as no success came in time: no index has
them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from functions.domain.alerts.routing import Maintenance
from functions.domain.history.tally import Incident, read_incidents
from functions.domain.storage import MAX_DOCUMENT_ID_CHARS, TaskFilter
from functions.domain.task import Task
from functions.domain.types import format_instant
from functions.errors import InputError, NotAllowedError
from functions.services.access.view import tolerate_missing_index
from functions.web.api.channels import apply_channel_changes, require_admin
from functions.web.dashboard.context import CurrentPage, PageContext
from functions.web.dashboard.rendering import redirect
from functions.web.dashboard.task_list import BAD_OUTCOMES, filter_of_store

router = APIRouter(prefix="/dashboard", include_in_schema=False)

QueryText = Annotated[str, Query(max_length=100)]
Cursor = Annotated[str, Query(max_length=MAX_DOCUMENT_ID_CHARS)]

OPEN_SHOWN = 100
CLOSED_SHOWN = 100
PAGE_SIZE = 300
HOURS = (1, 4, 8, 24, 72)


@dataclass(frozen=True, slots=True)
class TaskIncident:
    """An incident of a task."""

    task: Task
    incident: Incident


@dataclass(frozen=True, slots=True)
class Silence:
    """A window of maintenance, and the channels that have it."""

    window: Maintenance
    channels: list[str]


@router.get("/incidents")
async def list_incidents(context: CurrentPage, tag: QueryText = "", after: Cursor = "") -> Response:
    """Show the incidents that last, then those that are over, newest first."""
    which = TaskFilter(tag=tag or None)
    page = await context.service.list_tasks(which, after=after, limit=PAGE_SIZE)
    closed = [
        TaskIncident(stored.task, one)
        for stored in page.tasks
        for one in read_incidents(stored.task.incidents)
    ]
    silent = [
        stored.task
        for stored in page.tasks
        if stored.task.is_failing and stored.task.last_outcome not in BAD_OUTCOMES
    ]
    ids = [stored.task.id for stored in page.tasks] + [one.id for one in page.invalid]
    return context.render(
        "incidents",
        open=await _list_open(context, tag, silent) if not after else silent,
        closed=sorted(closed, key=_ended_at, reverse=True)[:CLOSED_SHOWN],
        silences=await _list_silences(context),
        can_silence=_may_silence(context),
        tag=tag,
        after=after,
        hours=HOURS,
        more=max(ids) if len(ids) >= PAGE_SIZE else "",
        page_size=PAGE_SIZE,
    )


@router.post("/incidents/silence")
async def silence(context: CurrentPage) -> Response:
    """Hold the notices of a task, or of the tasks with a tag, for some hours, on every channel."""
    typed = await context.read_form()
    require_admin(context.service.principal)
    task, tag = typed.get("task", "").strip(), typed.get("tag", "").strip()
    try:
        await _silence(context, task=task, tag=tag, hours=typed.get("hours", ""), note=typed.get("note", ""))
        message = f"{task or tag} is silent for {typed['hours']} h; urgent tasks are not"
    except InputError as exc:
        message = str(exc)
    return redirect("/dashboard/incidents", message=message)


async def _silence(context: PageContext, *, task: str, tag: str, hours: str, note: str) -> None:
    """Add a window of maintenance to every channel.

    Raises:
        InputError: Nothing is named, the length is none of `HOURS`, or there is no channel.
        NotFoundError: There is no such task.
    """
    if not (task or tag):
        raise InputError("Name a task or a tag to silence")
    if hours not in map(str, HOURS):
        raise InputError(f"hours: must be one of {', '.join(map(str, HOURS))}")
    if task:
        await context.service.get_task(task)
    now = context.dependencies.now()
    start = now.replace(microsecond=0)
    window = {
        "from": format_instant(start),
        "to": format_instant(start + timedelta(hours=int(hours))),
        "note": note[:300],
    } | ({"tasks": [task]} if task else {"tags": [tag]})
    found = await context.dependencies.channels.settings()
    if not found:
        raise InputError("No channel is set up, so there is nothing to silence")
    for name, settings in found.items():
        kept = [one.model_dump(mode="json", by_alias=True) for one in settings.maintenance if one.end > now]
        await apply_channel_changes(
            context.service.principal, context.dependencies, name, {"maintenance": [*kept, window]}
        )


async def _list_open(context: PageContext, tag: str, silent: Sequence[Task]) -> list[Task] | None:
    """Return the failing tasks, *silent* too, the latest first; None while the database lacks the index."""
    which = TaskFilter(tag=tag or None, outcomes=BAD_OUTCOMES)
    asked = filter_of_store(which, context.service.principal.owner)
    limit = PAGE_SIZE if tag else OPEN_SHOWN
    page = await tolerate_missing_index(context.service.list_tasks(asked, limit=limit), None)
    if page is None:
        return None
    found = (stored.task for stored in page.tasks if which.matches(stored.task))
    failing = [task for task in found if task.is_failing]
    return sorted([*failing, *silent], key=_failing_since, reverse=True)[:OPEN_SHOWN]


def _failing_since(task: Task) -> datetime:
    return task.alert.failing_since or task.last_run_at or task.updated_at


def _ended_at(one: TaskIncident) -> datetime:
    return one.incident.until or one.incident.since


def _may_silence(context: PageContext) -> bool:
    try:
        require_admin(context.service.principal)
    except NotAllowedError:
        return False
    return True


async def _list_silences(context: PageContext) -> list[Silence]:
    """Return the windows of maintenance that are not over, for those who may see the channels."""
    if not _may_silence(context):
        return []
    now = context.dependencies.now()
    found: dict[str, Silence] = {}
    for name, settings in (await context.dependencies.channels.settings()).items():
        for window in settings.maintenance:
            if window.end > now:
                found.setdefault(window.model_dump_json(), Silence(window, [])).channels.append(name)
    return sorted(found.values(), key=lambda one: one.window.start)
