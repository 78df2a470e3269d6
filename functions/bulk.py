"""Steering many tasks at once, by a tag they share."""

from datetime import datetime

from functions.desk import Desk
from functions.errors import InputError
from functions.rules.storage import Filter
from functions.rules.task import Task
from functions.rules.words import Status

AT_ONCE = 1000  # tasks one wish may be about


async def pause_tagged(desk: Desk, tag: str, *, note: str = "", until: datetime | None = None) -> list[str]:
    """Stop all tasks with *tag* that are not stopped; return their ids.

    Raises:
        InputError: There are too many, or none has the tag. As `Desk.pause` otherwise.
    """
    tasks = await _tagged(desk, tag)
    ids = [task.id for task in tasks if task.pause is None and task.status is not Status.ENDED]
    for task_id in ids:
        await desk.pause(task_id, note=note, until=until)
    return ids


async def resume_tagged(desk: Desk, tag: str, *, catch_up: bool = False) -> list[str]:
    """End the pauses of all tasks with *tag*; return their ids.

    Raises:
        InputError: There are too many, or none has the tag. As `Desk.resume` otherwise.
    """
    ids = [task.id for task in await _tagged(desk, tag) if task.pause is not None]
    for task_id in ids:
        await desk.resume(task_id, catch_up=catch_up)
    return ids


async def _tagged(desk: Desk, tag: str) -> list[Task]:
    found = await desk.tasks(Filter(tag=tag), limit=AT_ONCE + 1)
    if not found.tasks:
        raise InputError(f"tag: no task has the tag {tag!r}")
    if len(found.tasks) > AT_ONCE:
        raise InputError(f"tag: more than {AT_ONCE} tasks have it; use narrower tags")
    return [stored.task for stored in found.tasks]
