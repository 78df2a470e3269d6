"""The route that previews a schedule before it is saved."""

from typing import Annotated, Literal

from fastapi import Query

from functions.domain.json_depth import MAX_INT64
from functions.domain.schedule.base import MAX_SCHEDULE_CHARS
from functions.domain.schedule.days.entries import MAX_ENTRIES
from functions.domain.schedule.describe import PreviewBounds, build_preview
from functions.services.calendars.preview import read_days
from functions.web.api.dependencies import CurrentPrincipal, Dependencies, make_api_router
from functions.web.api.errors import error_responses
from functions.web.api.schemas import ClockChangeOut, NextRun, PreviewOut, QueryInstant, TimezoneName

router = make_api_router("/api/schedule", "schedules")


@router.get("/preview", responses=error_responses(), summary="Preview a schedule")
async def preview_schedule(
    principal: CurrentPrincipal,
    dependencies: Dependencies,
    schedule: Annotated[str, Query(max_length=MAX_SCHEDULE_CHARS, examples=["30 9 * * MON-FRI"])],
    timezone: Annotated[TimezoneName | None, Query(examples=["Europe/Riga"])] = None,
    task: Annotated[
        str, Query(max_length=100, description="the task id that `H` is derived from")
    ] = "preview",
    after: Annotated[QueryInstant | None, Query(description="now if not given")] = None,
    count: Annotated[int, Query(ge=1, le=100)] = 5,
    start_at: Annotated[
        QueryInstant | None,
        Query(alias="startAt", description="no run before it; an interval counts from it"),
    ] = None,
    end_at: Annotated[QueryInstant | None, Query(alias="endAt", description="no run after it")] = None,
    max_runs: Annotated[
        int | None,
        Query(alias="maxRuns", ge=0, le=MAX_INT64, description="how many runs are left; all if not given"),
    ] = None,
    excluded: Annotated[
        list[str] | None,
        Query(alias="except", max_length=MAX_ENTRIES, description="days without a run; may be repeated"),
    ] = None,
    on_excluded: Annotated[
        Literal["skip", "next", "previous"],
        Query(alias="onExcluded", description="what becomes of a run on such a day"),
    ] = "skip",
    owner: Annotated[
        str, Query(max_length=100, description="whose calendars `except` names; for keys without an owner")
    ] = "",
    anchor: Annotated[
        QueryInstant | None,
        Query(description="what an interval without `startAt` counts from: `createdAt` of a task; else now"),
    ] = None,
) -> PreviewOut:
    """Return the schedule in words, its next runs within its bounds, and the clock changes of a year."""
    days = await read_days(
        lambda: dependencies.store, excluded or (), on_excluded, owner=principal.owner or owner
    )
    zone = timezone or dependencies.default_timezone
    preview = build_preview(
        schedule,
        timezone=zone,
        task_id=task,
        now=after or dependencies.now(),
        count=count,
        bounds=PreviewBounds(start_at, end_at, anchor, max_runs).check(),
        days=days.rule,
        excluded=days.excluded,
    )
    return PreviewOut(
        text=preview.description,
        timezone=zone,
        next=[NextRun(utc=at, local=local.isoformat()) for at, local in preview.next_runs],
        transitions=[ClockChangeOut.from_change(change) for change in preview.clock_changes],
    )
