"""The due tasks of one tick, in the order in which they start: on time first, then what is caught up.

The query has the longest overdue first. After an outage they are thousands, and fill window after window; so
a full window of late tasks is put aside, and reading goes on with what has become due lately. Tasks that are
late but have a newer run, such as those of every minute, are on time with that; so are those that are late by
little, within their grace, which are looked for at the newest end of the late ones.
"""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import chain

from functions.domain.capacity.fair_slots import MAY_HAVE_HUNG, POLITE_AT_ONCE, find_crowds, find_slow
from functions.domain.capacity.time_budget import by_priority
from functions.domain.lifecycle.decide import KnownTicks, has_missed, has_newer_run, is_on_time
from functions.domain.lifecycle.deferral import claiming_ticks, settle_by_records
from functions.domain.run import Run
from functions.domain.schedule.days.public_holidays import load as load_holidays
from functions.domain.schedule.occurrences import needs_holidays
from functions.domain.storage import QUERY_LIMIT, DuePosition, QueryResult, VersionedTask
from functions.domain.task import Task
from functions.domain.types import Status
from functions.engine.report import TickReport
from functions.errors import StoreError
from functions.interfaces import TickStore

log = logging.getLogger(__name__)

RECORDS_OF_TICKS = 100  # newest runs among which one that a tick has made is looked for: one document
LATE_AFTER = timedelta(minutes=2)  # behind a full window of what is due for longer, others are looked for
LEDGER_READS = 20  # at once: claims are those of one tick as a rule, after an outage of many
LATE_WINDOWS = 8  # of late tasks that a tick looks at, at most, for those whose newest run is on time
NEWEST_LATE = (timedelta(minutes=30), timedelta(minutes=8))  # where two more begin, if there are others


class DueTasks:
    """Reads what is due, a window at a time, and keeps it in two queues.

    Args:
        first: The first window, where it has been read.

    Attributes:
        on_time: Tasks to start first, in this order.
        backlog: Tasks that were missed and are caught up, after all that are on time.
        ticks: When tasks last ran, as far as is known: ticks came then.
        slow: The ids of those that are likely to hang: see `find_slow`.
        crowds: The hosts of those that share one with many others: see `find_crowds`.
        suspects: Tasks that were in flight when a process died, to be tried apart.
        may_have_more: Whether the store may hold due tasks, on time or a little late, that were not read.
        has_late: Whether it may hold others, behind a full window of late ones.
    """

    def __init__(self, store: TickStore, report: TickReport, *, first: QueryResult | None = None) -> None:
        self.on_time: deque[VersionedTask] = deque()
        self.backlog: deque[VersionedTask] = deque()
        self.suspects: deque[VersionedTask] = deque()
        self.may_have_more = True
        self.has_late = False
        self._behind: DuePosition | None = None  # where the next window begins
        self._late_behind: DuePosition | None = None  # where the next window of late tasks begins
        self._late_until: datetime | None = None  # where those end
        self._first = first
        self._store = store
        self._report = report
        self._seen_ids: set[str] = set()
        self._recent: set[str] = set()  # ids of those that are late by little, behind many others
        self.slow: set[str] = set()
        self.crowds: dict[str, str] = {}
        self.ticks = KnownTicks()
        self._has_looked_for_ticks = False

    @property
    def waiting(self) -> list[VersionedTask]:
        """The tasks that wait for their start."""
        return [*self.on_time, *self.backlog, *self.suspects]

    async def fetch(self, *, now: datetime) -> None:
        """Read the next window and queue its tasks by priority; tasks that were read before are left out.

        Raises:
            StoreError: The store refused, or could not be reached.
        """
        is_first = self._behind is None
        tasks = await self._read_next(now)
        late: list[VersionedTask] = []
        if is_first and self._behind is not None and self._behind.at < now - LATE_AFTER:
            late, tasks = await self._read_late_windows(tasks, now), await self._read_next(now)
        if is_first and self.may_have_more and _is_mostly_one_owners(tasks):
            tasks += await self._read_next(now)  # where others may be, whose turn is before most of these
        newer = [stored for stored in late if self._is_on_time(stored.task, now)]
        ids = {stored.task.id for stored in newer}
        self.on_time.extend(by_priority(tasks, now=now) + by_priority(newer, now=now))
        others = [stored for stored in late if stored.task.id not in ids]
        self.backlog.extend(by_priority(others, now=now))

    async def _read_next(self, now: datetime) -> list[VersionedTask]:
        result, self._first = self._first, None
        if result is None:
            result = await self._store.fetch_due(now, limit=QUERY_LIMIT, after=self._behind)
        self.may_have_more = _is_full(result)
        if self.may_have_more:
            self._behind = DuePosition.of(result.tasks[-1].task)
        if any(stored.task.excluded and needs_holidays(stored.task) for stored in result.tasks):
            await asyncio.to_thread(load_holidays)
        return self._note_new(await self._settle_recorded(result))

    async def _read_late_windows(self, tasks: list[VersionedTask], now: datetime) -> list[VersionedTask]:
        """Read on behind *tasks*, the first window, for a while; the next window is of what is not late."""
        self.has_late, self._late_behind, self._late_until = True, self._behind, now - LATE_AFTER
        found = list(tasks)
        for _ in range(LATE_WINDOWS - 1):
            if self.has_late:
                found += await self._read_late()
        for late_by in NEWEST_LATE:
            if self.has_late:
                found += await self._read_recent(DuePosition(now - late_by))
        self._behind = DuePosition(now - LATE_AFTER)
        return found

    async def _read_recent(self, since: DuePosition) -> list[VersionedTask]:
        """Read a window of the late tasks behind *since*, or the next one if that is later."""
        assert self._late_until is not None  # there are late tasks
        if self._late_behind is None or self._late_behind.at >= since.at:
            return await self._read_late()
        result = await self._store.fetch_due(self._late_until, limit=QUERY_LIMIT, after=since)
        tasks = self._note_new(await self._settle_recorded(result))
        self._recent |= {stored.task.id for stored in tasks}
        return tasks

    def _is_on_time(self, task: Task, now: datetime) -> bool:
        """Whether *task*, a late one, is on time all the same: by a newer run, or by its grace."""
        if task.status is Status.RETRYING or task.id in self._recent:
            return is_on_time(task, now=now)
        return has_newer_run(task, now=now)

    async def fetch_late(self, *, now: datetime) -> None:
        """Read the next window of those that are late, for the backlog; errors as of `fetch`."""
        self.backlog.extend(by_priority(await self._read_late(), now=now))

    async def _read_late(self) -> list[VersionedTask]:
        assert self._late_until is not None  # there are late tasks
        result = await self._store.fetch_due(self._late_until, limit=QUERY_LIMIT, after=self._late_behind)
        self.has_late = _is_full(result)
        if self.has_late:
            self._late_behind = DuePosition.of(result.tasks[-1].task)
        return self._note_new(await self._settle_recorded(result))

    async def _settle_recorded(self, result: QueryResult) -> QueryResult:
        """Settle those whose ticks left it at the record; the claim that follows writes that as well."""
        if all(stored.task.claim is None for stored in result.tasks):
            return result
        ticks, runs = claiming_ticks(result.tasks), list[list[Run]]()
        for start in range(0, len(ticks), LEDGER_READS):
            some = ticks[start : start + LEDGER_READS]
            runs += await asyncio.gather(*(self._store.runs_of_tick(tick_id) for tick_id in some))
        return replace(result, tasks=tuple(settle_by_records(result.tasks, chain(*runs))))

    async def look_for_ticks(
        self, tasks: Iterable[VersionedTask], *, now: datetime, began_at: datetime
    ) -> None:
        """Find out from the run records whether a tick came, once, if one of *tasks* was missed.

        What is due shows earlier ticks only where those ran the same tasks; and it shows none where a user
        had one task run, or a program called its heartbeat.

        Args:
            began_at: When this tick began; its own records show nothing.
        """
        if self._has_looked_for_ticks or not any(has_missed(stored.task, now=now) for stored in tasks):
            return
        self._has_looked_for_ticks = True
        try:
            runs = await self._store.runs(before=began_at, limit=RECORDS_OF_TICKS)
        except StoreError:
            return  # then it stays unknown
        by_ticks = {run.started_at for run in runs if run.shows_tick}
        self.ticks.add(by_ticks)
        self.ticks.remove({run.started_at for run in runs} - by_ticks)

    def _note_new(self, result: QueryResult) -> list[VersionedTask]:
        """Count what *result* has that was not read before, and return the tasks of it."""
        invalid = [one for one in result.invalid if one.id not in self._seen_ids]
        for one in invalid:
            log.warning("task_unreadable", extra={"task_id": one.id, "reason": one.reason})
        tasks = [stored for stored in result.tasks if stored.task.id not in self._seen_ids]
        self._seen_ids.update(one.id for one in invalid)
        self._seen_ids.update(stored.task.id for stored in tasks)
        due_at = [self._report.oldest_due_at, *(stored.task.next_run_at for stored in tasks)]
        self._report.oldest_due_at = min((at for at in due_at if at is not None), default=None)
        self.ticks.add(stored.task.last_run_at for stored in tasks if stored.task.last_run_at is not None)
        self._report.due += len(tasks) + len(invalid)
        self._report.unreadable += len(invalid)
        if any(stored.task.last_outcome in MAY_HAVE_HUNG for stored in tasks):
            self.slow |= find_slow(tasks)
        if len(tasks) > POLITE_AT_ONCE:
            self.crowds |= find_crowds(tasks)
        return tasks


def _is_mostly_one_owners(tasks: list[VersionedTask]) -> bool:
    """Whether one owner, who is not the operator, has more than half of *tasks*."""
    owners = Counter(stored.task.owner for stored in tasks if stored.task.owner)
    return any(2 * count > len(tasks) for count in owners.values())


def _is_full(result: QueryResult) -> bool:
    """Whether there may be more behind *result*. A window without a single task shows no way on."""
    return bool(result.tasks) and len(result.tasks) + len(result.invalid) >= QUERY_LIMIT
