"""Pages about what happened: one run with all its attempts."""

from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import Response

from functions.web.api.runs import encode_run_id, find_run
from functions.web.dashboard.context import CurrentPage

router = APIRouter(prefix="/dashboard", include_in_schema=False)


@router.get("/runs/{id}")
async def show_run(
    context: CurrentPage, encoded_run_id: Annotated[str, Path(alias="id", max_length=500)]
) -> Response:
    """Show a run: its result and its attempts."""
    run = await find_run(context.service, encoded_run_id)
    stored = await context.service.get_task(run.task_id)
    nearby = await context.service.list_runs(run.task_id, since=run.occurrence, limit=100)
    attempts = [one for one in nearby if one.occurrence == run.occurrence]
    return context.render(
        "run",
        run=run,
        task=stored.task,
        attempts=[(one, encode_run_id(one)) for one in sorted(attempts, key=lambda one: one.attempt)],
    )
