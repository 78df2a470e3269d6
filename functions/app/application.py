"""Builds the real parts: once, lazily, in the serving process's loop. The only room with clock and dice."""

import asyncio
import random
import secrets
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from typing import TYPE_CHECKING, Protocol

from functions.app.factories import (
    Models,
    StopSignal,
    StoredRecords,
    heartbeat,
    opened,
    publisher,
    spending,
    workers,
)
from functions.config.settings import Settings
from functions.domain.event_outbox import sent_by_task
from functions.domain.events import Event
from functions.domain.lifecycle.time_budget import Budget
from functions.domain.redaction import Redactor, redacted
from functions.domain.run import Outcome
from functions.domain.sharding import Share
from functions.domain.storage import Counts
from functions.domain.task import Job
from functions.domain.types import instant_text
from functions.engine.scoped_store import OldestSeen, OnlyShards, OnlyThese
from functions.engine.tick import tick
from functions.errors import StoreError
from functions.http_client.lazy import LateHttp
from functions.http_client.trusted import VendorPost
from functions.interfaces import Catalogue, Parts, Sharded, Shelf
from functions.notifications import fingerprints, open_channels
from functions.notifications.dispatcher import Teller
from functions.observability.metrics import Metrics
from functions.observability.tracing import traces
from functions.services.channels import Channels
from functions.services.dependencies import listeners
from functions.services.watchdog import Lateness
from functions.task_types.registry import Tools, perform, register

if TYPE_CHECKING:
    from functions.services.credits import Owners
    from functions.services.events import Announced

COUNTS_KNOWN_FOR = timedelta(seconds=30)
AFTERWARDS = timedelta(seconds=3)  # for those who watch the scheduler itself
AFTERWARDS_LATE = timedelta(seconds=1.5)  # so much of it after the answer was due: the door cuts off at 3
AFTERWARDS_LEAST = timedelta(seconds=0.3)


def build(settings: Settings) -> "Wired":
    """Put the parts together. Nothing is opened yet: each part connects when it is first used."""
    return Wired(settings, clock=now)


def now() -> datetime:
    """The present moment. Everybody else is told the time."""
    return datetime.now(UTC)


def new_id() -> str:
    """A fresh name for a tick or a ledger entry: 64 random bits."""
    return secrets.token_hex(8)


class FullStore(Sharded, Catalogue, Shelf, Protocol):
    """What a tick and people's commands need, in one: every store has it all."""


class Wired:
    """The scheduler with its store, its task types and its channels; used from one event loop.

    Args:
        clock: The present moment, aware and in UTC.
    """

    def __init__(self, settings: Settings, *, clock: Callable[[], datetime]) -> None:
        for module in settings.task_types:
            register(module)
        self._clock = clock
        self.default_timezone = settings.default_timezone
        self._redact = Redactor(settings.secrets())
        self.store: FullStore = opened(settings)
        self._http = LateHttp(clock=clock, allow_private=settings.allow_private_networks)
        self._models = Models(settings, clock=clock)
        self._tools = Tools(
            http=self._http,
            records=StoredRecords(self.store),
            secrets=settings.task_secrets(),
            allow_commands=settings.allow_commands,
            command_environment=settings.command_environment(),
            python_tasks=settings.python_tasks,
            github_token=settings.github_token.get_secret_value() if settings.github_token else "",
            github_api=settings.github_api_url,
            model=self._models.model,
        )
        self._post = VendorPost()
        channels = open_channels(settings.channel_settings(), self._post)
        marks = fingerprints(settings.channel_settings(), channels)
        self.channels = Channels(self.store, marks, clock=clock)
        self.teller = Teller(channels, clock=clock, redact=self._redact, watch=self.channels)
        self._last_tick_at: datetime | None = None
        self._stop = StopSignal()
        self._metrics = Metrics()
        self._counts: tuple[datetime, Counts] | None = None
        endpoint = settings.otel_exporter_otlp_endpoint
        self._traces = traces(endpoint) if endpoint else None
        late_after = timedelta(minutes=settings.late_after_minutes)
        self._lateness = Lateness(self.store, self.teller, clock=clock, after=late_after)
        self._heartbeat = heartbeat(settings, self._post)
        self._workers = workers(settings, self._post, clock=clock)
        self.parts = Parts(
            store=self.store,
            perform=self._traces.around(self._perform) if self._traces else self._perform,
            tell=self.teller,
            routes=self.channels,
            clock=clock,
            token=new_id,
            dice=random.random,
            stopping=self._stop,
            max_concurrency=settings.max_concurrency,
            workers=self._workers,
            credits=spending(settings, lambda: self.owners, clock=clock),
            publish=publisher(settings, self._post, clock=clock),
            listeners=partial(listeners, self.store),
        )

    async def tick(self, budget: Budget) -> Mapping[str, object]:
        """Run what is due, once; return the report."""
        self._stop.listen()
        began_at = self._clock()
        seen = OldestSeen(self.store)
        report = await self._counted("tick", replace(self.parts, store=seen), budget)
        await self._afterwards(seen.oldest, began_at, budget)
        self._last_tick_at = self._clock()
        return report

    async def _afterwards(self, oldest: datetime | None, began_at: datetime, budget: Budget) -> None:
        """Let those know who watch the scheduler itself, in time for the answer."""
        within = AFTERWARDS
        if budget.answer_by is not None:
            left = began_at + budget.answer_by + AFTERWARDS_LATE - self._clock()
            within = max(AFTERWARDS_LEAST, min(AFTERWARDS, left))
        late = self._lateness.judge(oldest, found_at=began_at, last_tick=self._last_tick_at, within=within)
        beat = self._heartbeat.beat(within=within) if self._heartbeat else asyncio.sleep(0)
        await asyncio.gather(late, beat, self._traces_sent())

    async def work(self, share: Share, budget: Budget) -> Mapping[str, object]:
        """Run what is due of *share*, as a worker; return the report."""
        self._stop.listen()
        some = OnlyThese(self.store, share.tasks) if share.tasks else OnlyShards(self.store, share.shards)
        store = self.store if share.is_everything else some
        after = self._workers.after(share) if self._workers else None
        report = await self._counted("work", replace(self.parts, store=store, workers=after), budget)
        await self._traces_sent()
        return report

    async def metrics(self) -> str:
        """The figures of `GET /metrics`; those of the store are at most half a minute old."""
        now = self._clock()
        if self._counts is None or now - self._counts[0] >= COUNTS_KNOWN_FOR:
            try:
                self._counts = (now, await self.store.counts(now))
            except StoreError:
                self._counts = None
        self._metrics.heartbeats_missed = self._heartbeat.missed if self._heartbeat else 0
        return self._metrics.text(self._counts[1] if self._counts else None)

    async def _counted(self, kind: str, parts: Parts, budget: Budget) -> Mapping[str, object]:
        try:
            report = await tick(parts, budget)
        except (Exception, asyncio.CancelledError):
            self._metrics.unfinished += 1
            raise
        self._metrics.count(kind, report, at=self._clock())
        return report

    async def _traces_sent(self) -> None:
        if self._traces is not None:
            await self._traces.sent()

    async def tick_only(self, ids: Collection[str], budget: Budget) -> Mapping[str, object]:
        """Run those of the tasks that are due, for somebody who waits for them; return the report."""
        return await tick(replace(self.parts, store=OnlyThese(self.store, ids), takes_others=False), budget)

    @cached_property
    def owners(self) -> "Owners":
        """Whose tasks there are, and their credits."""
        from functions.services.credits import Owners  # 0.5 ms, and most ticks need no accounts

        return Owners(self.store, clock=self._clock)

    async def announce(self, event: Event, *, forward: bool = True) -> "Announced":
        """Let tasks hear *event* and, with *forward*, the topic for programs outside."""
        from functions.services.events import announce  # 1.5 ms, and no tick needs it

        heard = await announce(self.store, event, now=self._clock(), new_id=new_id)
        if forward and self.parts.publish is not None:
            await self.parts.publish([sent_by_task(event)], within=AFTERWARDS)
        return heard

    def now(self) -> datetime:
        """The present moment."""
        return self._clock()

    def new_id(self) -> str:
        """A fresh name: 64 random bits."""
        return new_id()

    def new_secret(self) -> str:
        """A fresh secret: 256 random bits, in letters, digits, `-` and `_`."""
        return secrets.token_urlsafe(32)

    async def status(self) -> Mapping[str, object]:
        """The figures of `GET /status`."""
        moment = self._clock()
        counts = await self.store.counts(moment)
        ticks = [at for at in (counts.last_tick_at, self._last_tick_at) if at is not None]
        return {
            "status": "healthy",
            "scheduledTasks": counts.scheduled,
            "tasksCurrentlyDue": counts.due,
            "lastTickAt": instant_text(max(ticks)) if ticks else None,
            "timestamp": instant_text(moment),
        }

    async def close(self) -> None:
        """Let go of connections."""
        await self._http.close()
        await self._models.close()
        await self._post.close()
        await self.store.close()

    async def _perform(self, job: Job) -> Outcome:
        return redacted(await perform(job, self._tools), self._redact)
