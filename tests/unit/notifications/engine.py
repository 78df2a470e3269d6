"""The real engine in virtual time: ticks on SQLite in memory, the real teller, channels that listen."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from functions.domain.alerts.model import Notice
from functions.domain.lifecycle.edit import first_look
from functions.domain.lifecycle.time_budget import Budget
from functions.domain.redaction import Redactor, redacted
from functions.domain.run import Outcome, succeeded
from functions.domain.storage import Filter, Write
from functions.domain.task import Job, Task, TaskSpec
from functions.engine.tick import tick
from functions.interfaces import Parts, Store
from functions.notifications.channel import Sent
from functions.notifications.dispatcher import Teller
from functions.services.channels import Channels
from functions.stores.sqlite.store import SqliteStore
from tests.unit.notifications.conftest import NOON, Clock

UNLIMITED = Budget(None, None)
MINUTE = timedelta(minutes=1)

Work = Callable[[Job], Outcome]


class Listener:
    """A channel that remembers what it was told, and when."""

    def __init__(self, name: str, clock: Clock) -> None:
        self.name = name
        self.answer: Sent | BaseException = Sent(ok=True)
        self.messages: list[tuple[datetime, list[Notice]]] = []
        self._clock = clock

    async def send(self, notices: Sequence[Notice], now: datetime) -> Sent:
        if isinstance(self.answer, BaseException):
            raise self.answer
        if self.answer.ok:
            self.messages.append((self._clock(), list(notices)))
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
        self.engine_store: Store = self.store
        self.restart()

    def restart(self) -> None:
        """Forget all that only a process knows."""
        marks = {name: self.fingerprints.get(name, "one") for name in self.listeners}
        self.channels = Channels(self.store, marks, clock=self.clock)
        redact = Redactor(self.secrets)
        self.teller = Teller(self.listeners, clock=self.clock, redact=redact, watch=self.channels)

    async def put(self, *specs: Mapping[str, Any]) -> None:
        """Save tasks; each names only what it is about."""
        whole = [TaskSpec.model_validate({**_DEFAULTS, **one}) for one in specs]
        tasks = [first_look(spec, now=self.clock(), origin="") for spec in whole]
        await self.store.write([Write(task, None) for task in tasks])

    async def task(self, task_id: str) -> Task:
        return (await self.store.read([task_id])).tasks[0].task

    async def tick(self) -> Mapping[str, Any]:
        parts = Parts(
            store=self.engine_store,
            perform=self._perform,
            tell=self.teller,
            routes=self.channels,
            clock=self.clock,
            token=lambda: f"tick{next(self.names)}",
            dice=random.Random(1).random,
        )
        report = await tick(parts, UNLIMITED)
        self.reports.append(report)
        return report

    async def live(self, until: datetime) -> None:
        """Ping at each full minute until then at which something is due; the others change nothing."""
        while True:
            looks = [stored.task.next_run_at for stored in (await self.store.page(Filter(), limit=500)).tasks]
            wake = min((look for look in looks if look is not None), default=until)
            on_the_minute = NOON + -((NOON - max(wake, self.clock.now)) // MINUTE) * MINUTE
            if on_the_minute >= until:
                self.clock.now = until
                return
            self.clock.now = max(on_the_minute, self.clock.now)
            await self.tick()

    async def _perform(self, job: Job) -> Outcome:
        self.runs.append(job)
        return redacted(self.work(job), Redactor(self.secrets))


_DEFAULTS: Mapping[str, Any] = {
    "type": "health_check_url",
    "schedule": "*/15 * * * *",
    "retry": {"maxAttempts": 1},
}
