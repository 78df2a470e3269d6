"""Tasks that a clock far ahead had moved, put back by their schedules."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from functions.domain.lifecycle.clock_repair import repair_clock_ahead
from functions.domain.lifecycle.complete import Transition
from functions.domain.task import Task
from functions.errors import InputError
from functions.interfaces import TaskStore
from functions.services.compare_and_set import update_task


@dataclass(frozen=True, slots=True)
class MendedTask:
    """A task that a clock far ahead had moved, and when it is due: before, and by its schedule."""

    id: str
    before: datetime | None
    after: datetime | None


async def mend_clock_ahead(
    store: TaskStore, tasks: Iterable[Task], *, now: datetime, new_id: Callable[[], str], dry_run: bool
) -> list[MendedTask]:
    """Undo what a clock that was far ahead did to *tasks*; return those it concerns.

    See `lifecycle.clock_repair`. A task whose schedule cannot be read is left as it is.

    Args:
        dry_run: Only return what would be changed.
    """
    mended = []
    for task in tasks:
        with suppress(InputError):  # it cannot be read, or was removed meanwhile
            changes = repair_clock_ahead(task, now=now)
            if not changes:
                continue
            after = task.model_copy(update=changes)
            if not dry_run:
                decide = partial(_mend, now=now)
                after = (await update_task(store, task.id, decide, now=now, new_id=new_id)).task
            mended.append(MendedTask(task.id, task.next_run_at, after.next_run_at))
    return mended


def _mend(task: Task, *, now: datetime) -> Transition:
    return Transition(repair_clock_ahead(task, now=now), ())
