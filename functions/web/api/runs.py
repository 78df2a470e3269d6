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
from functions.web.api.dependencies import TaskServiceDep
from functions.web.api.errors import error_responses
from functions.web.api.schemas import RunOut, RunPage

# Names of runs and cursors of pages: opaque to callers, and good for one exact question to the store.

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
CURSOR = re.compile(r"(-?[0-9]{1,17}) ([0-9]{1,6})")  # instants far beyond any that were ever written


def encode_run_id(run: Run) -> str:
    """The name of a run in addresses: when it finished, which finds it, and its key, which proves it."""
    return _encode(f"{(run.finished_at - EPOCH) // MICROSECOND} {run.key}")


def decode_run_id(run_id: str) -> tuple[datetime, str, str]:
    """When the run of this id finished, its task, and its key.

    Raises:
        NotFoundError: No run has such an id.
    """
    micros, _, key = _decode(run_id).partition(" ")
    task_id, at, _ = key.partition("@")
    if not at or not micros.removeprefix("-").isdecimal() or len(micros) > 18:
        raise NotFoundError("There is no such run")
    return EPOCH + int(micros) * MICROSECOND, task_id, key


def next_cursor(runs: Sequence[Run], cursor: str | None) -> str:
    """The cursor behind *runs*, newest first: the last one's moment, and how many of it were seen."""
    last = runs[-1].finished_at
    seen = sum(run.finished_at == last for run in runs)
    if cursor is not None:
        before, already = decode_cursor(cursor)
        seen += already if before == last else 0
    return _encode(f"{(last - EPOCH) // MICROSECOND} {seen}")


def decode_cursor(cursor: str) -> tuple[datetime, int]:
    """The moment a page begins at, going back, and how many runs of it to leave out.

    Raises:
        InputError: It is no cursor of ours.
    """
    try:
        match = CURSOR.fullmatch(_decode(cursor))
    except NotFoundError:
        match = None
    if match is None:
        raise InputError("cursor: use the one that came with the page before")
    return EPOCH + int(match[1]) * MICROSECOND, int(match[2])


def _encode(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decode(text: str) -> str:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError, ValueError):
        raise NotFoundError("There is no such run") from None


router = APIRouter(prefix="/api/runs", tags=["runs"])

TIME_RESOLUTION = timedelta(microseconds=1)
MAX_RUNS_SCANNED = 5000  # runs read for one page of those with a rare outcome


@router.get("", responses=error_responses(404), summary="List runs")
async def list_runs(
    service: TaskServiceDep,
    task: Annotated[str, Query(max_length=100, description="of this task only")] = "",
    outcome: Annotated[OutcomeKind | None, Query()] = None,
    since: Annotated[Instant | None, Query(description="finished at this instant or later")] = None,
    cursor: Annotated[str, Query(max_length=100, description="`next` of the page before")] = "",
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> RunPage:
    """Runs and skips by the moment they finished, newest first."""
    found: list[Run] = []
    at: str | None = cursor or None
    for _ in range(max(1, MAX_RUNS_SCANNED // limit)):
        page = await _read_page(service, task, since, at, limit)
        kept = [run for run in page if outcome is None or run.outcome is outcome]
        room = limit - len(found)
        if len(kept) > room:
            page = page[: page.index(kept[room])]
            kept = kept[:room]
        found += kept
        at = next_cursor(page, at) if page else None
        if len(page) < limit or len(found) >= limit:
            break
    more = at is not None and (len(page) >= limit or len(found) >= limit)
    return RunPage.model_construct(runs=[to_run_out(run) for run in found], next=at if more else None)


@router.get("/{id}", responses=error_responses(404), summary="One run")
async def read_run(
    service: TaskServiceDep, run_id: Annotated[str, Path(alias="id", min_length=1, max_length=500)]
) -> RunOut:
    """One run, or one record of occurrences that were skipped."""
    return to_run_out(await find_run(service, run_id))


async def find_run(service: TaskService, run_id: str) -> Run:
    """The run of this id.

    Raises:
        NotFoundError: There is none, or its task is not the caller's.
    """
    at, task_id, key = decode_run_id(run_id)
    for run in await service.list_runs(task_id, since=at, before=at + TIME_RESOLUTION, limit=500):
        if run.key == key:
            return run
    raise NotFoundError("There is no such run")


def to_run_out(run: Run) -> RunOut:
    """A run in the API's shape."""
    given = {name: getattr(run, name) for name in type(run).model_fields}
    return RunOut.model_construct(**given, id=encode_run_id(run), duration=run.duration_ms)


async def _read_page(
    service: TaskService, task: str, since: Instant | None, cursor: str | None, limit: int
) -> list[Run]:
    if cursor is None:
        return await service.list_runs(task, since=since, limit=limit)
    at, seen = decode_cursor(cursor)
    page = await service.list_runs(task, since=since, before=at + TIME_RESOLUTION, limit=limit + seen)
    same = [run for run in page if run.finished_at == at][:seen]
    return page[len(same) :]
