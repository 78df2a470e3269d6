"""The route that says what a schedule means, before anybody saves it."""

from typing import Annotated

from fastapi import APIRouter, Query

from functions.domain.schedule.describe import preview
from functions.domain.types import Instant
from functions.web.api.dependencies import Caller, Parts
from functions.web.api.errors import responses
from functions.web.api.schemas import NextRun, PreviewOut, TransitionOut, Zone

router = APIRouter(prefix="/api/schedule", tags=["schedules"])


@router.get("/preview", responses=responses(), summary="What a schedule means")
async def preview_schedule(
    _: Caller,
    wired: Parts,
    schedule: Annotated[str, Query(max_length=200, examples=["30 9 * * MON-FRI"])],
    timezone: Annotated[Zone | None, Query(examples=["Europe/Riga"])] = None,
    task: Annotated[
        str, Query(max_length=100, description="the task's id, which `H` is drawn from")
    ] = "preview",
    after: Annotated[Instant | None, Query(description="now, when not given")] = None,
    count: Annotated[int, Query(ge=1, le=100)] = 5,
) -> PreviewOut:
    """The schedule in words, its next runs, and the changes of the clocks it meets within a year."""
    zone = timezone or wired.default_timezone
    found = preview(schedule, timezone=zone, task_id=task, now=after or wired.now(), count=count)
    return PreviewOut(
        text=found.words,
        timezone=zone,
        next=[NextRun(utc=at, local=local.isoformat()) for at, local in found.next],
        transitions=[TransitionOut.of(change) for change in found.transitions],
    )
