"""A run that somebody waits for: asked for, ticked alone, and looked up when it is over."""

from datetime import datetime, timedelta

from functions.desk import Desk
from functions.rules.hours import FINISHING, Budget
from functions.rules.outcome import Run
from functions.web.api.parts import ApiParts

SPARE = timedelta(seconds=1)  # for finding and claiming the task


async def run_and_wait(
    desk: Desk, wired: ApiParts, task_id: str, *, wait_s: float
) -> tuple[datetime, Run | None]:
    """Ask for a run and, if the task's longest run fits into *wait_s* seconds, do it here and now.

    Otherwise the next tick does it. It is never begun here and left to itself: where this runs, a process
    has no processor once it has answered.

    Returns:
        The instant that names the run, and its record; None when it has not come to its end.
    """
    occurrence = await desk.run(task_id)
    task = (await desk.task(task_id)).task
    if task.timeout_seconds > wait_s:
        return occurrence, None
    longest = timedelta(seconds=wait_s) + FINISHING + SPARE
    await wired.tick_only([task_id], Budget(stop_starting=longest, answer_by=longest))
    runs = await desk.runs(task_id, since=occurrence)
    ended = [run for run in runs if run.occurrence == occurrence and run.final]
    return occurrence, ended[0] if ended else None
