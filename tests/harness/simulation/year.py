"""A year of the scheduler's life in seconds: the real tick and a real store, on a clock that jumps."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count

from functions.domain.alerts.model import Notification
from functions.domain.capacity.time_budget import TimeBudget
from functions.domain.lifecycle.edit import new_task
from functions.domain.run import Run
from functions.domain.storage import ConditionalWrite, TaskFilter
from functions.domain.task import Task, TaskSpec
from functions.engine.tick import tick
from functions.interfaces import NotificationRouting, RunTask, TickDependencies
from functions.stores.sqlite.store import SqliteStore
from tests.support.same_thread import in_this_thread

MINUTE = timedelta(minutes=1)
BUDGET = TimeBudget(start_limit=timedelta(seconds=18), response_limit=timedelta(seconds=24))
PAGE = 5000


@dataclass
class World:
    """A scheduler with a pinger that pings each minute, unless it is away.

    Attributes:
        work: What an attempt comes to.
        away: Spans without a ping; the first minute out of each is pinged again.
    """

    start: datetime
    end: datetime
    work: RunTask
    away: Sequence[tuple[datetime, datetime]] = ()
    store: SqliteStore = field(
        default_factory=lambda: in_this_thread(SqliteStore(":memory:", auto_prune=False))
    )
    ticks: int = 0
    told: list[Notification] = field(default_factory=list)
    told_at: list[datetime] = field(default_factory=list)
    routing: NotificationRouting | None = None

    def __post_init__(self) -> None:
        self.now = self.start
        names = count(1)
        self._parts = TickDependencies(
            store=self.store,
            run_task=self.work,
            notify=self._tell,
            routing=self.routing,
            clock=lambda: self.now,
            new_tick_id=lambda: f"tick{next(names)}",
            random=random.Random(2026).random,
        )

    async def create(self, *specs: TaskSpec) -> None:
        await self.store.write(
            [ConditionalWrite(new_task(spec, now=self.start, origin="test"), None) for spec in specs]
        )

    async def live(self) -> None:
        """Ping each minute until the end. Minutes in which nothing could happen are passed over."""
        while self.now < self.end:
            await tick(self._parts, BUDGET)
            self.ticks += 1
            self.now = self._present(await self._next_ping())

    async def tasks(self) -> dict[str, Task]:
        found = await self.store.list_tasks(TaskFilter(), limit=1000)
        return {stored.task.id: stored.task for stored in found.tasks}

    async def runs(self, task_id: str) -> list[Run]:
        """The whole history of a task, oldest first."""
        found: list[Run] = []
        before: datetime | None = None
        while page := await self.store.runs(task_id=task_id, before=before, limit=PAGE):
            found += page
            before = page[-1].finished_at
            if len(page) < PAGE:
                break
        return found[::-1]

    async def _next_ping(self) -> datetime:
        """The next minute in which there is something to do."""
        next_due = (await self.store.fetch_due(self.end, limit=1)).tasks
        looks = [stored.task.next_run_at for stored in next_due if stored.task.next_run_at]
        wanted = max(min(looks, default=self.end), self.now + timedelta(microseconds=1))
        return _whole_minute(wanted)

    def _present(self, ping: datetime) -> datetime:
        for gone, back in self.away:
            if gone <= ping < back:
                return _whole_minute(back)
        return ping

    async def _tell(
        self, notifications: Sequence[Notification], *, within: timedelta
    ) -> list[tuple[str, ...]]:
        self.told += notifications
        self.told_at += [self.now] * len(notifications)
        return [() for _ in notifications]


def _whole_minute(at: datetime) -> datetime:
    """*at*, or the next whole minute."""
    whole = at.replace(second=0, microsecond=0)
    return whole if whole == at else whole + MINUTE


def spans(runs: Sequence[Run]) -> Iterator[tuple[datetime, datetime, int]]:
    """First, last and number of the occurrences of each skip."""
    for run in runs:
        if run.skip_reason is not None:
            yield run.occurrence, run.last or run.occurrence, run.count
