"""The due tasks of one tick, in the order in which they start: on time first, then what is caught up."""

import logging
from collections import deque
from collections.abc import Sequence
from datetime import datetime

from functions.domain.lifecycle.time_budget import by_priority
from functions.domain.storage import VersionedTask
from functions.engine.report import TickReport
from functions.interfaces import TickStore

log = logging.getLogger(__name__)

QUERY_LIMIT = 1000  # due tasks read at once


class DueTasks:
    """Reads what is due, a window at a time, and keeps it in two queues.

    Attributes:
        on_time: Tasks to start first, in this order.
        backlog: Tasks that were missed and are caught up, after all that are on time.
        may_have_more: Whether the store may hold due tasks that were not read yet.
    """

    def __init__(self, store: TickStore, report: TickReport) -> None:
        self.on_time: deque[VersionedTask] = deque()
        self.backlog: deque[VersionedTask] = deque()
        self.may_have_more = True
        self._store = store
        self._report = report
        self._seen_ids: set[str] = set()

    @property
    def waiting(self) -> int:
        """How many tasks wait for their start."""
        return len(self.on_time) + len(self.backlog)

    async def fetch(self, *, now: datetime) -> None:
        """Read the next window and queue its tasks by priority; tasks that were read before are left out.

        Raises:
            StoreError: The store refused, or could not be reached.
        """
        result = await self._store.fetch_due(now, limit=QUERY_LIMIT)
        invalid = [one for one in result.invalid if one.id not in self._seen_ids]
        for one in invalid:
            log.warning("task_unreadable", extra={"task_id": one.id, "reason": one.reason})
        tasks = [stored for stored in result.tasks if stored.task.id not in self._seen_ids]
        self._seen_ids.update(one.id for one in invalid)
        self._seen_ids.update(stored.task.id for stored in tasks)
        due_at = [self._report.oldest_due_at, *(stored.task.next_run_at for stored in tasks)]
        self._report.oldest_due_at = min((at for at in due_at if at is not None), default=None)
        self._report.due += len(tasks) + len(invalid)
        self._report.unreadable += len(invalid)
        self.on_time.extend(by_priority(tasks, now=now))
        self.may_have_more = bool(tasks) and _is_full(result.tasks, result.invalid)


def _is_full(*parts: Sequence[object]) -> bool:
    return sum(len(part) for part in parts) >= QUERY_LIMIT
