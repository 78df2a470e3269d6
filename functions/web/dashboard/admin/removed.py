"""The pages of removed tasks: what was removed, its history, and the way back."""

from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import Response

from functions.domain.lifecycle.upcoming import describe_trigger
from functions.errors import ConflictError, InputError, NotAllowedError, NotFoundError
from functions.services.removal import RETENTION, RemovedTasks
from functions.web.dashboard.context import CurrentPage, PageContext, flash_message
from functions.web.dashboard.rendering import redirect

router = APIRouter(prefix="/dashboard", include_in_schema=False)

TaskId = Annotated[str, Path(alias="id", max_length=100)]
MAX_RUNS = 50


@router.get("/removed")
async def list_removed(context: CurrentPage) -> Response:
    """Show the tasks that were removed within a month."""
    return context.render(
        "removed_tasks", removed=await _removed_tasks(context).list_removed(), days=RETENTION.days
    )


@router.get("/removed/{id}")
async def show_removed(context: CurrentPage, task_id: TaskId) -> Response:
    """Show a removed task with its history."""
    tasks = _removed_tasks(context)
    try:
        removed = await tasks.get(task_id)
    except NotFoundError:
        message = flash_message(context.request)
        if not message:
            raise
        return redirect("/dashboard", message=message)  # of a removal that could not be kept
    runs = await tasks.list_runs(removed, limit=MAX_RUNS)
    return context.render(
        "removed_task",
        removed=removed,
        words=describe_trigger(removed.task, context.words.schedule),
        runs=runs,
    )


@router.post("/removed/{id}/restore")
async def restore(context: CurrentPage, task_id: TaskId) -> Response:
    """Undo a removal."""
    await context.read_form()
    try:
        await _removed_tasks(context).restore(task_id)
    except NotFoundError:
        raise
    except (ConflictError, InputError, NotAllowedError) as exc:
        return redirect(f"/dashboard/removed/{task_id}", message=str(exc))
    return redirect(f"/dashboard/tasks/{task_id}", message="The task is there again")


async def is_removed(context: PageContext, task_id: str) -> bool:
    """Whether a task of this id was removed of late that the user may see."""
    try:
        await _removed_tasks(context).get(task_id)
    except NotFoundError:
        return False
    return True


def _removed_tasks(context: PageContext) -> RemovedTasks:
    dependencies = context.dependencies
    return RemovedTasks(
        dependencies.store,
        context.service.principal,
        limits=dependencies.owner_limits,
        clock=dependencies.now,
        new_id=dependencies.new_id,
    )
