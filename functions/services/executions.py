"""Lists what has not finished: running, retrying and queued executions.

A module of its own, as each tick loads `OwnerView` and none needs this.
"""

from datetime import datetime

from functions.domain.lifecycle.executions import Execution, executions_of, sort_executions
from functions.domain.storage import TaskFilter
from functions.domain.task import Task
from functions.domain.types import Status
from functions.interfaces import TaskStore
from functions.services.access.view import OwnerView

MAX_TASKS = 200  # read of each kind: running, retrying, due


async def list_executions(
    store: TaskStore, *, owner: str = "", task_id: str = "", now: datetime
) -> list[Execution]:
    """Return the executions that are not over, those that run first.

    It reads the tasks that run, wait for a retry or are due, at most MAX_TASKS of each; or just one task.

    Args:
        owner: Only of this owner; empty for all.
        task_id: Only of this task; empty for all.

    Raises:
        NotFoundError: There is no such task.
    """
    view = OwnerView(store, owner)
    if task_id:
        return sort_executions(executions_of((await view.find_task(task_id)).task, now=now))
    tasks: dict[str, Task] = {}
    for status in (Status.RUNNING, Status.RETRYING):
        page = await view.list_page(TaskFilter(status=status), limit=MAX_TASKS)
        tasks |= {stored.task.id: stored.task for stored in page.tasks}
    due = await store.list_due(now, limit=MAX_TASKS)
    tasks |= {stored.task.id: stored.task for stored in due.tasks if view.sees(stored.task.owner)}
    return sort_executions(one for task in tasks.values() for one in executions_of(task, now=now))
