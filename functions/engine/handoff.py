"""What a tick cannot do itself and hands to workers: attempts longer than it, and the backlog behind it."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from functions.domain.storage import Stored
from functions.domain.task import Task
from functions.interfaces import Workers

log = logging.getLogger(__name__)

AT_MOST = timedelta(seconds=5)  # for all calls to the queue; attempts run meanwhile
AT_LEAST = timedelta(seconds=0.5)
KEPT_FREE = timedelta(seconds=3)  # before the answer is due


class Handing:
    """Gathers what one tick will hand over. Whatever is handed over stays due until a worker claims it.

    Args:
        workers: None when there are none; then nothing is taken.
    """

    def __init__(self, workers: Workers | None, *, clock: Callable[[], datetime]) -> None:
        self._workers = workers
        self._clock = clock
        self._long: list[Task] = []

    @property
    def longest(self) -> timedelta | None:
        """The longest attempt that a worker takes; None without workers."""
        return self._workers.longest if self._workers else None

    @property
    def waiting(self) -> int:
        """How many tasks are kept for workers."""
        return len(self._long)

    def takes(self, stored: Stored) -> bool:
        """Whether *stored*, for which no tick is long enough, is a worker's task; if so it is kept for it."""
        if self._workers is None or timedelta(seconds=stored.task.timeout_seconds) > self._workers.longest:
            return False
        self._long.append(stored.task)
        return True

    async def over(self, *, backlog: bool, answer_by: datetime | None) -> int:
        """Hand over what was gathered, and with *backlog* all that is due; return how many messages went."""
        if self._workers is None or not (self._long or backlog):
            return 0
        now = self._clock()
        within = AT_MOST
        if answer_by is not None:
            within = min(AT_MOST, max(AT_LEAST, answer_by - KEPT_FREE - now))
        tasks, self._long = self._long, []
        return await self._workers.take(tasks, backlog=backlog, now=now, within=within)
