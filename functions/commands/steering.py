"""The commands that steer tasks: `pause`, `resume`, `cancel`, `run` and `backfill`."""

from collections.abc import Sequence
from datetime import datetime

from functions import control
from functions.commands.looking import task_data
from functions.commands.session import Session
from functions.commands.times import local
from functions.rules.task import Task
from functions.rules.words import instant_text

BY = "command line"


async def pause(session: Session, *, task_id: str, note: str, until: datetime | None) -> int:
    """Stop a task until *until*, or until it is resumed."""
    task = await control.pause(
        session.store, task_id, note=note, until=until, by=BY, now=session.now(), new_id=session.new_id
    )
    end = f"until {local(until, task.timezone)}" if until else "until somebody resumes it"
    return told(session, task, f"{task_id} is paused {end}")


async def resume(session: Session, *, task_id: str, catch_up: bool) -> int:
    """End a pause or a quarantine."""
    task = await control.resume(
        session.store, task_id, catch_up=catch_up, now=session.now(), new_id=session.new_id
    )
    return told(session, task, f"{task_id} is resumed; next look {local(task.next_run_at, task.timezone)}")


async def cancel(session: Session, *, task_id: str) -> int:
    """End the occurrence in hand."""
    task = await control.cancel(session.store, task_id, now=session.now(), new_id=session.new_id)
    done = "will be told to stop within seconds" if task.cancel_requested else "is cancelled"
    return told(session, task, f"{task_id} {done}")


async def run(session: Session, *, task_ids: Sequence[str]) -> int:
    """Ask for one run of each task at the next tick."""
    tasks = [
        await control.run_now(session.store, task_id, now=session.now(), new_id=session.new_id)
        for task_id in task_ids
    ]
    lines = [f"{task.id} runs at the next tick" for task in tasks]
    session.screen.answer([task_data(task) for task in tasks], lines)
    return 0


async def backfill(session: Session, *, task_id: str, first: datetime, until: datetime, dry_run: bool) -> int:
    """Ask for runs of past occurrences that have not succeeded."""
    wanted = await control.backfill(
        session.store,
        task_id,
        first=first,
        until=until,
        now=session.now(),
        new_id=session.new_id,
        dry_run=dry_run,
    )
    done = "would run" if dry_run else "run at the next ticks"
    many = "occurrence" if len(wanted) == 1 else "occurrences"
    lines = [f"{len(wanted)} {many} of {task_id} {done}", *(f"  {instant_text(at)}" for at in wanted)]
    session.screen.answer([instant_text(at) for at in wanted], lines)
    return 0


def told(session: Session, task: Task, text: str) -> int:
    """Tell what became of a task; return the exit code."""
    session.screen.answer(task_data(task), [text])
    return 0
