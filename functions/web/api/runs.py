"""Routes about runs: history, a page at a time, and one run whole."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Path, Query

from functions.desk import Desk
from functions.errors import NotFoundError
from functions.rules.outcome import Run
from functions.rules.words import Instant, OutcomeKind
from functions.web.api.context import DeskOf
from functions.web.api.cursors import cursor_after, run_id, unpacked_cursor, unpacked_run_id
from functions.web.api.problems import responses
from functions.web.api.shapes import RunOut, RunPage

router = APIRouter(prefix="/api/runs", tags=["runs"])

INSTANT = timedelta(microseconds=1)
LOOKED_THROUGH = 5000  # runs read for one page of those with a rare outcome


@router.get("", responses=responses(404), summary="List runs")
async def list_runs(
    desk: DeskOf,
    task: Annotated[str, Query(max_length=100, description="of this task only")] = "",
    outcome: Annotated[OutcomeKind | None, Query()] = None,
    since: Annotated[Instant | None, Query(description="finished at this instant or later")] = None,
    cursor: Annotated[str, Query(max_length=100, description="`next` of the page before")] = "",
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> RunPage:
    """Runs and skips by the moment they finished, newest first."""
    found: list[Run] = []
    at: str | None = cursor or None
    for _ in range(max(1, LOOKED_THROUGH // limit)):
        page = await _page(desk, task, since, at, limit)
        kept = [run for run in page if outcome is None or run.outcome is outcome]
        room = limit - len(found)
        if len(kept) > room:
            page = page[: page.index(kept[room])]
            kept = kept[:room]
        found += kept
        at = cursor_after(page, at) if page else None
        if len(page) < limit or len(found) >= limit:
            break
    more = at is not None and (len(page) >= limit or len(found) >= limit)
    return RunPage.model_construct(runs=[run_out(run) for run in found], next=at if more else None)


@router.get("/{id}", responses=responses(404), summary="One run")
async def read_run(
    desk: DeskOf, given: Annotated[str, Path(alias="id", min_length=1, max_length=500)]
) -> RunOut:
    """One run, or one record of occurrences that were skipped."""
    return run_out(await find_run(desk, given))


async def find_run(desk: Desk, given: str) -> Run:
    """The run of this id.

    Raises:
        NotFoundError: There is none, or its task is not the caller's.
    """
    at, task_id, key = unpacked_run_id(given)
    for run in await desk.runs(task_id, since=at, before=at + INSTANT, limit=500):
        if run.key == key:
            return run
    raise NotFoundError("There is no such run")


def run_out(run: Run) -> RunOut:
    """A run in the API's shape."""
    given = {name: getattr(run, name) for name in type(run).model_fields}
    return RunOut.model_construct(**given, id=run_id(run), duration=run.duration_ms)


async def _page(desk: Desk, task: str, since: Instant | None, cursor: str | None, limit: int) -> list[Run]:
    if cursor is None:
        return await desk.runs(task, since=since, limit=limit)
    at, seen = unpacked_cursor(cursor)
    page = await desk.runs(task, since=since, before=at + INSTANT, limit=limit + seen)
    same = [run for run in page if run.finished_at == at][:seen]
    return page[len(same) :]
