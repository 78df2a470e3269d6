"""Routes about runs: history, a page at a time, and one run whole."""

import base64
import binascii
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Path, Query

from functions.domain.run import Run
from functions.domain.types import Instant, OutcomeKind
from functions.errors import InputError, NotFoundError
from functions.services.tasks import TaskService
from functions.web.api.dependencies import DeskOf
from functions.web.api.errors import responses
from functions.web.api.schemas import RunOut, RunPage

# Names of runs and cursors of pages: opaque to callers, and good for one exact question to the store.

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
CURSOR = re.compile(r"(-?[0-9]{1,17}) ([0-9]{1,6})")  # instants far beyond any that were ever written


def run_id(run: Run) -> str:
    """The name of a run in addresses: when it finished, which finds it, and its key, which proves it."""
    return _packed(f"{(run.finished_at - EPOCH) // MICROSECOND} {run.key}")


def unpacked_run_id(given: str) -> tuple[datetime, str, str]:
    """When the run of this id finished, its task, and its key.

    Raises:
        NotFoundError: No run has such an id.
    """
    micros, _, key = _unpacked(given).partition(" ")
    task_id, at, _ = key.partition("@")
    if not at or not micros.removeprefix("-").isdecimal() or len(micros) > 18:
        raise NotFoundError("There is no such run")
    return EPOCH + int(micros) * MICROSECOND, task_id, key


def cursor_after(runs: Sequence[Run], earlier: str | None) -> str:
    """The cursor behind *runs*, newest first: the last one's moment, and how many of it were seen."""
    last = runs[-1].finished_at
    seen = sum(run.finished_at == last for run in runs)
    if earlier is not None:
        before, already = unpacked_cursor(earlier)
        seen += already if before == last else 0
    return _packed(f"{(last - EPOCH) // MICROSECOND} {seen}")


def unpacked_cursor(given: str) -> tuple[datetime, int]:
    """The moment a page begins at, going back, and how many runs of it to leave out.

    Raises:
        InputError: It is no cursor of ours.
    """
    try:
        match = CURSOR.fullmatch(_unpacked(given))
    except NotFoundError:
        match = None
    if match is None:
        raise InputError("cursor: use the one that came with the page before")
    return EPOCH + int(match[1]) * MICROSECOND, int(match[2])


def _packed(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _unpacked(given: str) -> str:
    try:
        return base64.b64decode(given + "=" * (-len(given) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError, ValueError):
        raise NotFoundError("There is no such run") from None


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


async def find_run(desk: TaskService, given: str) -> Run:
    """The run of this id.

    Raises:
        NotFoundError: There is none, or its task is not the caller's.
    """
    at, task_id, key = unpacked_run_id(given)
    for run in await desk.list_runs(task_id, since=at, before=at + INSTANT, limit=500):
        if run.key == key:
            return run
    raise NotFoundError("There is no such run")


def run_out(run: Run) -> RunOut:
    """A run in the API's shape."""
    given = {name: getattr(run, name) for name in type(run).model_fields}
    return RunOut.model_construct(**given, id=run_id(run), duration=run.duration_ms)


async def _page(
    desk: TaskService, task: str, since: Instant | None, cursor: str | None, limit: int
) -> list[Run]:
    if cursor is None:
        return await desk.list_runs(task, since=since, limit=limit)
    at, seen = unpacked_cursor(cursor)
    page = await desk.list_runs(task, since=since, before=at + INSTANT, limit=limit + seen)
    same = [run for run in page if run.finished_at == at][:seen]
    return page[len(same) :]
