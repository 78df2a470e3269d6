"""Hands to workers what a tick cannot do itself: attempts longer than a tick, and the backlog behind it."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from functions.domain.storage import VersionedTask
from functions.domain.task import Task
from functions.interfaces import WorkerPool

log = logging.getLogger(__name__)

MAX_TIMEOUT = timedelta(seconds=5)  # for all calls to the queue; attempts run meanwhile
MIN_TIMEOUT = timedelta(seconds=0.5)
RESPONSE_MARGIN = timedelta(seconds=3)  # before the answer is due


class Handoff:
    """Collects what one tick hands over. A task that is handed over stays due until a worker claims it."""

    def __init__(self, workers: WorkerPool, *, clock: Callable[[], datetime]) -> None:
        self._workers = workers
        self._clock = clock
        self._long_tasks: list[Task] = []

    @property
    def max_duration(self) -> timedelta:
        """The longest attempt that a worker accepts."""
        return self._workers.max_duration

    @property
    def pending(self) -> set[str]:
        """The ids of tasks that are kept for workers."""
        return {task.id for task in self._long_tasks}

    def accepts(self, stored: VersionedTask) -> bool:
        """Collect *stored*, which no tick has time for; return False when no worker has it either."""
        is_too_long = timedelta(seconds=stored.task.timeout_seconds) > self._workers.max_duration
        if is_too_long and not stored.task.interruptions:  # a tick tries first: it may well need less
            return False
        self._long_tasks.append(stored.task)
        return True

    async def submit(self, *, backlog: bool, answer_by: datetime | None) -> int:
        """Hand over what was collected, and with *backlog* all that is due; return the messages sent."""
        if not (self._long_tasks or backlog):
            return 0
        now = self._clock()
        within = MAX_TIMEOUT
        if answer_by is not None:
            within = min(MAX_TIMEOUT, max(MIN_TIMEOUT, answer_by - RESPONSE_MARGIN - now))
        tasks, self._long_tasks = self._long_tasks, []
        return await self._workers.submit(tasks, backlog=backlog, now=now, within=within)
