"""Builds the real parts: once, lazily, in the serving process's loop. The only room with clock and dice."""

import random
import secrets
import signal
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from types import FrameType
from typing import TYPE_CHECKING, Any, Protocol

from functions.actions import Tools, perform
from functions.applying import everything
from functions.channels import Channels
from functions.notices import open_channels
from functions.notices.fingerprint import fingerprints
from functions.notices.post import VendorPost
from functions.notices.teller import Teller
from functions.ports import Catalogue, Parts, Shelf, Store
from functions.rules.hours import Budget
from functions.rules.job import Job
from functions.rules.outcome import Outcome, Run
from functions.rules.redact import Redactor
from functions.rules.redacted import redacted
from functions.rules.storage import Filter
from functions.rules.task import Task
from functions.rules.words import instant_text
from functions.settings import Settings
from functions.single import OnlyThese
from functions.store import open_store
from functions.tick import tick

if TYPE_CHECKING:
    from functions.actions.net.client import HttpClient
    from functions.actions.net.response import Response

RUNS_PAGE = 500


def build(settings: Settings) -> "Wired":
    """Put the parts together. Nothing is opened yet: each part connects when it is first used."""
    return Wired(settings, clock=now)


def now() -> datetime:
    """The present moment. Everybody else is told the time."""
    return datetime.now(UTC)


def new_id() -> str:
    """A fresh name for a tick or a ledger entry: 64 random bits."""
    return secrets.token_hex(8)


class FullStore(Store, Catalogue, Shelf, Protocol):
    """What a tick and people's commands need, in one: every store has it all."""


class Wired:
    """The scheduler with its store, its task types and its channels; used from one event loop.

    Args:
        clock: The present moment, aware and in UTC.
    """

    def __init__(self, settings: Settings, *, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self.default_timezone = settings.default_timezone
        self._redact = Redactor(settings.secrets())
        self.store: FullStore = open_store(settings.store_url)
        self._http = _LateHttp(clock=clock, allow_private=settings.allow_private_networks)
        self._tools = Tools(
            http=self._http,
            records=_Records(self.store),
            secrets=settings.task_secrets(),
            allow_commands=settings.allow_commands,
            command_environment=settings.command_environment(),
            python_tasks=settings.python_tasks,
            github_token=settings.github_token.get_secret_value() if settings.github_token else "",
            github_api=settings.github_api_url,
        )
        self._post = VendorPost()
        channels = open_channels(settings.channel_settings(), self._post)
        marks = fingerprints(settings.channel_settings(), channels)
        self.channels = Channels(self.store, marks, clock=clock)
        self.teller = Teller(channels, clock=clock, redact=self._redact, watch=self.channels)
        self._last_tick_at: datetime | None = None
        self._stop = StopSignal()
        self.parts = Parts(
            store=self.store,
            perform=self._perform,
            tell=self.teller,
            routes=self.channels,
            clock=clock,
            token=new_id,
            dice=random.random,
            stopping=self._stop,
            max_concurrency=settings.max_concurrency,
        )

    async def tick(self, budget: Budget) -> Mapping[str, object]:
        """Run what is due, once; return the report."""
        self._stop.listen()
        report = await tick(self.parts, budget)
        self._last_tick_at = self._clock()
        return report

    async def tick_only(self, ids: Collection[str], budget: Budget) -> Mapping[str, object]:
        """Run those of the tasks that are due, for somebody who waits for them; return the report."""
        return await tick(replace(self.parts, store=OnlyThese(self.store, ids)), budget)

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
        await self._post.close()
        await self.store.close()

    async def _perform(self, job: Job) -> Outcome:
        return redacted(await perform(job, self._tools), self._redact)


class StopSignal:
    """Remembers that the process was told to end, and lets the server's own handler know as well."""

    def __init__(self) -> None:
        self._told = False
        self._listening = False

    def __call__(self) -> bool:
        """Whether SIGTERM has come."""
        return self._told

    def listen(self) -> None:
        """Listen from now on. Called when serving, because the server installs its handlers late."""
        if self._listening:
            return
        self._listening = True
        before = signal.getsignal(signal.SIGTERM)

        def handle(number: int, frame: FrameType | None) -> None:
            self._told = True
            if callable(before):
                before(number, frame)
            elif before is signal.SIG_DFL:
                raise SystemExit(128 + number)

        try:
            signal.signal(signal.SIGTERM, handle)
        except ValueError:  # not the main thread: whoever owns that one handles its signals
            return


class _LateHttp:
    """The guarded client, imported with its library when the first task needs it: 100 ms of cold start."""

    def __init__(self, *, clock: Callable[[], datetime], allow_private: bool) -> None:
        self._clock = clock
        self._allow_private = allow_private
        self._client: HttpClient | None = None

    async def request(self, method: str, url: str, **how: Any) -> "Response":
        if self._client is None:
            from functions.actions.net.client import HttpClient

            self._client = HttpClient(
                clock=lambda: self._clock().timestamp(), allow_private=self._allow_private
            )
        return await self._client.request(method, url, **how)

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()


class _Records:
    """What task types may read of the store."""

    def __init__(self, store: FullStore) -> None:
        self._store = store

    async def tasks(self) -> Sequence[Task]:
        return [stored.task for stored in await everything(self._store, Filter())]

    async def runs(self, since: datetime) -> Sequence[Run]:
        runs: list[Run] = []
        before: datetime | None = None
        while True:
            page = await self._store.runs(since=since, before=before, limit=RUNS_PAGE)
            runs += page
            if len(page) < RUNS_PAGE:
                return runs
            before = page[-1].finished_at
