"""Routes about runs: the history, a page at a time, and one run."""

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import Path, Query

from functions.domain.lifecycle.executions import Execution
from functions.domain.run import Run
from functions.domain.types import OUT_OF_RANGE, OutcomeKind, check_instant
from functions.errors import InputError, NotFoundError
from functions.services.executions import list_executions
from functions.services.tasks import TaskService
from functions.web.api.dependencies import Dependencies, TaskServiceDep, make_api_router
from functions.web.api.errors import error_responses
from functions.web.api.scheduler import ApiDependencies
from functions.web.api.schemas import QueryInstant, RunOut, RunPage

# Run ids and page cursors: opaque to clients; each holds what one query needs.

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
MICROSECONDS = re.compile(r"[0-9]{1,18}")
CURSOR = re.compile(r"([0-9]{1,18}) ([0-9]{1,6})")
MAX_RUNS_OF_INSTANT = 10_000  # what a cursor may pass over; a tick writes fewer


def encode_run_id(run: Run) -> str:
    """Return the id of *run* in the API: the instant it finished, which finds it, and its key."""
    return _encode(f"{(run.finished_at - EPOCH) // MICROSECOND} {run.key}")


def decode_run_id(run_id: str) -> tuple[datetime, str, str]:
    """Return when the run with this id finished, its task, and its key.

    Raises:
        NotFoundError: No run has such an id.
    """
    micros, _, key = _decode(run_id).partition(" ")
    task_id, at, _ = key.partition("@")
    if not at:
        raise NotFoundError("There is no such run")
    try:
        return _instant_at(micros), task_id, key
    except ValueError:
        raise NotFoundError("There is no such run") from None


def next_cursor(runs: Sequence[Run], cursor: str | None) -> str:
    """Return the cursor after *runs* (newest first): the last one's instant, and how many had it so far."""
    last = runs[-1].finished_at
    seen = sum(run.finished_at == last for run in runs)
    if cursor is not None:
        before, already = decode_cursor(cursor)
        seen += already if before == last else 0
    return _encode(f"{(last - EPOCH) // MICROSECOND} {seen}")


def decode_cursor(cursor: str) -> tuple[datetime, int]:
    """Return the instant a page starts at, backwards, and how many runs of that instant to skip.

    Raises:
        InputError: It is no valid cursor.
    """
    try:
        if (match := CURSOR.fullmatch(_decode(cursor))) and int(match[2]) <= MAX_RUNS_OF_INSTANT:
            return _instant_at(match[1]), int(match[2])
    except (NotFoundError, ValueError):
        pass
    raise InputError("cursor: use `next` of the previous page")


def _instant_at(microseconds: str) -> datetime:
    """Return the instant so many microseconds after 1970.

    Raises:
        ValueError: It is no number, or out of range.
    """
    if not MICROSECONDS.fullmatch(microseconds):
        raise ValueError("must be a number of microseconds")
    try:
        return check_instant(EPOCH + int(microseconds) * MICROSECOND)
    except OverflowError:
        raise ValueError(OUT_OF_RANGE) from None


def _encode(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decode(text: str) -> str:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError, ValueError):
        raise NotFoundError("There is no such run") from None


router = make_api_router("/api/runs", "runs")

TIME_RESOLUTION = timedelta(microseconds=1)
MAX_RUNS_READ = 2000  # run records that one request reads, those of a rare outcome too
READ_SIZE = 200  # of them at once


@router.get("", responses=error_responses(404, 409), summary="List runs")
async def list_runs(
    service: TaskServiceDep,
    dependencies: Dependencies,
    task: Annotated[str, Query(max_length=100, description="of this task only")] = "",
    outcome: Annotated[OutcomeKind | None, Query()] = None,
    since: Annotated[QueryInstant | None, Query(description="finished at this instant or later")] = None,
    before: Annotated[
        QueryInstant | None, Query(description="finished earlier; a cursor counts more")
    ] = None,
    cursor: Annotated[str, Query(max_length=100, description="`next` of the previous page")] = "",
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> RunPage:
    """Return runs and skips by the instant they finished, newest first; and what has not finished.

    A request reads 2,000 records at most. A page with a filter may therefore be short, or empty, while
    `next` goes on: only a page without `next` is the last.
    """
    if since and before and before <= since:
        raise InputError("before: must be later than since")
    runs, following = await search_runs(
        service,
        task,
        span=(since, before),
        cursor=cursor or None,
        limit=limit,
        matches=None if outcome is None else lambda run: run.outcome is outcome,
    )
    is_first = not cursor and outcome is None and before is None
    return RunPage.model_construct(
        current=await _list_current(service, dependencies, task) if is_first else [],
        runs=[to_run_out(run) for run in runs],
        next=following,
    )


async def search_runs(
    service: TaskService,
    task: str,
    *,
    limit: int,
    span: tuple[datetime | None, datetime | None] = (None, None),
    cursor: str | None = None,
    matches: Callable[[Run], bool] | None = None,
) -> tuple[list[Run], str | None]:
    """Return the runs that match, newest first, and the cursor after them; None for no more.

    At most `MAX_RUNS_READ` records are read: a page may be short, or empty, while there is a cursor.

    Args:
        span: Finished at the first or later, and before the second.
    """
    found: list[Run] = []
    at, left = cursor, MAX_RUNS_READ
    while left > 0:
        size = limit if matches is None else min(max(limit, READ_SIZE), left)
        page = await _read_page(service, task, span, at, size)
        is_last = len(page) < size
        left -= len(page)
        matching = [run for run in page if matches is None or matches(run)]
        missing = limit - len(found)
        if len(matching) > missing:  # the next page starts at the first run that does not fit
            page, is_last = page[: page.index(matching[missing])], False
        found += matching[:missing]
        at = next_cursor(page, at) if page else None
        if is_last or len(found) >= limit:
            break
    return found, None if is_last else at


async def _list_current(service: TaskService, dependencies: ApiDependencies, task: str) -> list[Execution]:
    """Return what has not finished, to a caller who has been shown the runs."""
    owner, now = service.principal.owner, dependencies.now()
    try:
        return await list_executions(dependencies.store, owner=owner, task_id=task, now=now)
    except NotFoundError:  # it was removed, and its history is kept
        return []


@router.get("/{id}", responses=error_responses(404), summary="Read a run")
async def read_run(
    service: TaskServiceDep, run_id: Annotated[str, Path(alias="id", min_length=1, max_length=500)]
) -> RunOut:
    """Return a run, or a record of skipped occurrences."""
    return to_run_out(await find_run(service, run_id))


async def find_run(service: TaskService, run_id: str) -> Run:
    """Return the run with this id.

    Raises:
        NotFoundError: There is none, or the caller may not see its task.
    """
    at, task_id, key = decode_run_id(run_id)
    for run in await service.list_runs(task_id, since=at, before=at + TIME_RESOLUTION, limit=500):
        if run.key == key:
            return run
    raise NotFoundError("There is no such run")


def to_run_out(run: Run) -> RunOut:
    """Return *run* as a response."""
    fields = {name: getattr(run, name) for name in type(run).model_fields}
    return RunOut.model_construct(**fields, id=encode_run_id(run), duration=run.duration_ms)


async def _read_page(
    service: TaskService,
    task: str,
    span: tuple[datetime | None, datetime | None],
    cursor: str | None,
    limit: int,
) -> list[Run]:
    since, before = span
    if cursor is None:
        return await service.list_runs(task, since=since, before=before, limit=limit)
    at, seen = decode_cursor(cursor)
    page = await service.list_runs(task, since=since, before=at + TIME_RESOLUTION, limit=limit + seen)
    same = [run for run in page if run.finished_at == at][:seen]
    return page[len(same) :]
