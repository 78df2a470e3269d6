"""Pages about what happened: all runs, and one run with all its attempts.

Reads: of all runs a page of them and their tasks, with a filter or for an owner up to `SEARCHED` records; of
one run the task and up to 100 records since its occurrence.
"""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from functions.domain.run import Run
from functions.domain.storage import TaskFilter
from functions.domain.task import Task
from functions.domain.types import OutcomeKind, Trigger
from functions.web.api.runs import decode_cursor, encode_run_id, find_run, next_cursor, search_runs
from functions.web.dashboard.context import CurrentPage, PageContext
from functions.web.dashboard.presentation.charts import time_line
from functions.web.dashboard.task_page import PERIODS, run_filter

router = APIRouter(prefix="/dashboard", include_in_schema=False)

QueryText = Annotated[str, Query(max_length=100)]

PAGE_RUNS = 50
SEARCHED = 1000  # records, for a key of an owner


@router.get("/runs")
async def list_runs(
    context: CurrentPage,
    outcome: QueryText = "",
    trigger: QueryText = "",
    period: QueryText = "",
    search: QueryText = "",
    cursor: QueryText = "",
) -> Response:
    """Show the runs of all tasks, newest first."""
    since = context.dependencies.now() - PERIODS[period] if period in PERIODS else None
    matches = run_filter(outcome, trigger, search)
    if context.service.principal.owner:
        found, following = await _list_own(context, cursor)
        runs = [
            run
            for run in found
            if (since is None or run.finished_at >= since) and (matches is None or matches(run))
        ]
    else:
        runs, more = await search_runs(
            context.service, "", limit=PAGE_RUNS, span=(since, None), cursor=cursor or None, matches=matches
        )
        following = more or ""
    tasks = await _tasks_of(context, runs)
    return context.render(
        "runs",
        runs=[(run, encode_run_id(run), tasks.get(run.task_id)) for run in runs],
        chosen={"outcome": outcome, "trigger": trigger, "period": period, "search": search},
        outcomes=list(OutcomeKind),
        triggers=list(Trigger),
        periods=list(PERIODS),
        cursor=cursor,
        more=following,
    )


async def _list_own(context: PageContext, cursor: str) -> tuple[list[Run], str]:
    """Return a page of the runs of an owner's tasks behind *cursor*, and the next cursor; empty at the end.

    A cursor counts records of all tasks, because many finish at one instant: what a tick skips, for instance.
    """
    after = decode_cursor(cursor) if cursor else None
    records, own = await context.service.view.list_newest_runs(after=after, searched=SEARCHED)
    runs = own[:PAGE_RUNS]
    if len(own) > PAGE_RUNS:
        records = records[: records.index(runs[-1]) + 1]
    elif len(records) < SEARCHED:
        return runs, ""
    return runs, next_cursor(records, cursor or None)


async def _tasks_of(context: PageContext, runs: Sequence[Run]) -> dict[str, Task]:
    ids = frozenset(run.task_id for run in runs)
    if not ids:
        return {}
    found = await context.service.list_tasks(TaskFilter(ids=ids), limit=len(ids))
    return {stored.task.id: stored.task for stored in found.tasks}


@router.get("/runs/{id}")
async def show_run(
    context: CurrentPage, encoded_run_id: Annotated[str, Path(alias="id", max_length=500)]
) -> Response:
    """Show a run: its result, and all attempts at its occurrence on one time line."""
    run = await find_run(context.service, encoded_run_id)
    stored = await context.service.get_task(run.task_id)
    nearby = await context.service.list_runs(run.task_id, since=run.occurrence, limit=100)
    attempts = sorted(
        (one for one in nearby if one.occurrence == run.occurrence),
        key=lambda one: (one.attempt, one.started_at),
    )
    return context.render(
        "run",
        run=run,
        task=stored.task,
        attempts=[
            (one, encode_run_id(one), span) for one, span in zip(attempts, time_line(attempts), strict=True)
        ],
    )
