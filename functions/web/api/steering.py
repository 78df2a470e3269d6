"""Routes that steer tasks: pause, resume, run, cancel, backfill, and the same for all with a tag."""

from fastapi import APIRouter

from functions.bulk import pause_tagged, resume_tagged
from functions.web.api.context import DeskOf, Parts, task_out
from functions.web.api.problems import responses
from functions.web.api.running import run_and_wait
from functions.web.api.runs import run_out
from functions.web.api.shapes import (
    BackfillAnswer,
    BackfillWish,
    BulkAnswer,
    BulkResumeWish,
    BulkWish,
    PauseWish,
    ResumeWish,
    RunAnswer,
    RunWish,
    TaskOut,
    Trail,
)
from functions.web.api.tasks import TaskId

router = APIRouter(prefix="/api/tasks", tags=["steering"])


@router.post("/pause", responses=responses(), summary="Pause all tasks with a tag")
async def pause_many(desk: DeskOf, wish: BulkWish) -> BulkAnswer:
    """Stop every task that has the tag and is not stopped."""
    return BulkAnswer(ids=await pause_tagged(desk, wish.tag, note=wish.note, until=wish.until))


@router.post("/resume", responses=responses(), summary="Resume all tasks with a tag")
async def resume_many(desk: DeskOf, wish: BulkResumeWish) -> BulkAnswer:
    """End the pause of every task that has the tag."""
    return BulkAnswer(ids=await resume_tagged(desk, wish.tag, catch_up=wish.catch_up))


@router.post("/{id}/pause", responses=responses(404), summary="Pause a task")
async def pause_task(desk: DeskOf, task_id: TaskId, wish: PauseWish | None = None) -> TaskOut:
    """Stop a task, with a note for whoever wonders. A run in work is let finish."""
    asked = wish or PauseWish()
    return task_out(await desk.pause(task_id, note=asked.note, until=asked.until))


@router.post("/{id}/resume", responses=responses(404), summary="Resume a task")
async def resume_task(desk: DeskOf, task_id: TaskId, wish: ResumeWish | None = None) -> TaskOut:
    """End a pause or a quarantine."""
    return task_out(await desk.resume(task_id, catch_up=(wish or ResumeWish()).catch_up))


@router.post("/{id}/run", responses=responses(404), summary="Run a task now")
async def run_task(desk: DeskOf, wired: Parts, task_id: TaskId, wish: RunWish | None = None) -> RunAnswer:
    """Run a task once, beside its schedule: at the next tick, or here and now with `wait`."""
    occurrence, run = await run_and_wait(desk, wired, task_id, wait_s=(wish or RunWish()).wait)
    return RunAnswer.model_construct(
        state="finished" if run else "queued", occurrence=occurrence, run=run_out(run) if run else None
    )


@router.post("/{id}/cancel", responses=responses(404), summary="Cancel what runs")
async def cancel_task(desk: DeskOf, task_id: TaskId) -> TaskOut:
    """End the run in hand: a running attempt within seconds, a waiting retry at once."""
    return task_out(await desk.cancel(task_id))


@router.post("/{id}/backfill", responses=responses(404), summary="Run past occurrences")
async def backfill_task(desk: DeskOf, task_id: TaskId, wish: BackfillWish) -> BackfillAnswer:
    """Run the occurrences of a span of the past that have not succeeded."""
    found = await desk.backfill(task_id, first=wish.first, until=wish.until, dry_run=wish.dry_run)
    return BackfillAnswer(occurrences=found, dry_run=wish.dry_run)


@router.get("/{id}/audit", responses=responses(404), summary="Who changed a task")
async def read_trail(desk: DeskOf, task_id: TaskId) -> Trail:
    """Who changed the task, when and why, newest first."""
    return Trail(entries=await desk.trail(task_id))
