"""The real engine in virtual time: ticks on SQLite in memory, the real teller, channels that listen."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from functions.domain.alerts.model import Notification
from functions.domain.capacity.time_budget import TimeBudget
from functions.domain.lifecycle.edit import new_task
from functions.domain.redaction import Redactor
from functions.domain.run import Outcome, succeeded
from functions.domain.storage import ConditionalWrite, TaskFilter
from functions.domain.task import Job, Task, TaskSpec
from functions.engine.tick import tick
from functions.interfaces import TickDependencies, TickStore
from functions.notifications.channel import SendResult
from functions.notifications.dispatcher import NotificationDispatcher
from functions.services.channels import ChannelService
from functions.stores.sqlite.store import SqliteStore
from functions.task_types.support.limits import clamp_outcome
from tests.conftest import NOON
from tests.support.clock import Clock

UNLIMITED = TimeBudget(None, None)
MINUTE = timedelta(minutes=1)

Work = Callable[[Job], Outcome]


class Listener:
    """A channel that remembers what it was told, and when."""

    recognises_repeats = False

    def __init__(self, name: str, clock: Clock) -> None:
        self.name = name
        self.answer: SendResult | BaseException = SendResult(ok=True)
        self.messages: list[tuple[datetime, list[Notification]]] = []
        self._clock = clock

    async def send(self, notifications: Sequence[Notification], now: datetime) -> SendResult:
        if isinstance(self.answer, BaseException):
            raise self.answer
        if self.answer.ok:
            self.messages.append((self._clock(), list(notifications)))
        return self.answer

    @property
    def kinds(self) -> list[list[str]]:
        """The kinds of each message."""
        return [[notice.kind for notice in notices] for _, notices in self.messages]


@dataclass
class Engine:
    """A store, a clock, and people; `restart` makes a new process of it."""

    listeners: Mapping[str, Listener]
    clock: Clock
    work: Work = lambda job: succeeded("Done")
    secrets: Sequence[str] = ()
    fingerprints: dict[str, str] = field(default_factory=dict)
    runs: list[Job] = field(default_factory=list)
    reports: list[Mapping[str, Any]] = field(default_factory=list)
    names: Any = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        self.store = SqliteStore(":memory:")
        self.engine_store: TickStore = self.store
        self.restart()

    def restart(self) -> None:
        """Forget all that only a process knows."""
        marks = {name: self.fingerprints.get(name, "one") for name in self.listeners}
        self.channels = ChannelService(self.store, marks, clock=self.clock)
        redact = Redactor(self.secrets)
        self.teller = NotificationDispatcher(
            self.listeners, clock=self.clock, redact=redact, observer=self.channels
        )

    async def put(self, *specs: Mapping[str, Any]) -> None:
        """Save tasks; each names only what it is about."""
        whole = [TaskSpec.model_validate({**_DEFAULTS, **one}) for one in specs]
        tasks = [new_task(spec, now=self.clock(), origin="") for spec in whole]
        await self.store.write([ConditionalWrite(task, None) for task in tasks])

    async def task(self, task_id: str) -> Task:
        return (await self.store.get_tasks([task_id])).tasks[0].task

    async def tick(self) -> Mapping[str, Any]:
        parts = TickDependencies(
            store=self.engine_store,
            run_task=self._perform,
            notify=self.teller,
            routing=self.channels,
            clock=self.clock,
            new_tick_id=lambda: f"tick{next(self.names)}",
            random=random.Random(1).random,
        )
        report = (await tick(parts, UNLIMITED)).as_json()
        self.reports.append(report)
        return report

    async def live(self, until: datetime) -> None:
        """Ping at each full minute until then at which something is due; the others change nothing."""
        while True:
            looks = [
                stored.task.next_run_at
                for stored in (await self.store.list_tasks(TaskFilter(), limit=500)).tasks
            ]
            wake = min((look for look in looks if look is not None), default=until)
            on_the_minute = NOON + -((NOON - max(wake, self.clock.now)) // MINUTE) * MINUTE
            if on_the_minute >= until:
                self.clock.now = until
                return
            self.clock.now = max(on_the_minute, self.clock.now)
            await self.tick()

    async def _perform(self, job: Job) -> Outcome:
        self.runs.append(job)
        return clamp_outcome(self.work(job), task_type=job.type, redact=Redactor(self.secrets))


_DEFAULTS: Mapping[str, Any] = {
    "type": "health_check_url",
    "schedule": "*/15 * * * *",
    "retry": {"maxAttempts": 1},
}
