"""Builds the scheduler from its settings, once and lazily. Only here and in `cli` the clock is read."""

import asyncio
import random
import secrets
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from typing import TYPE_CHECKING

from functions.app.factories import (
    ShutdownSignal,
    build_credit_ledger,
    build_heartbeat,
    build_publisher,
    build_store,
    build_workers,
    longest_attempt,
    scheduler_id,
    settled_view,
)
from functions.app.notifications import Notifications
from functions.config.settings import Settings
from functions.domain.capacity.time_budget import TimeBudget, describe_long_timeout
from functions.domain.events import RUN_FINISHED, Audience, Event
from functions.domain.redaction import Redactor
from functions.domain.sharding import WorkerAssignment
from functions.domain.types import format_instant
from functions.engine.report import TickReport
from functions.engine.scoped_store import ShardRangeStore, TaskSubsetStore
from functions.engine.tick import tick
from functions.errors import SchedulerError, StoreError
from functions.http_client.trusted import TrustedHttpClient
from functions.interfaces import AttemptSlots, Store, TickDependencies
from functions.observability.metrics import Metrics
from functions.task_types.support.mcp_servers import know_servers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from functions.app.hooks import BeforeTask, OnEvent
    from functions.app.toolbox import Toolbox
    from functions.domain.alerts.model import Notification
    from functions.domain.lifecycle.permissions import Capabilities
    from functions.domain.run import Outcome
    from functions.domain.storage import StoreStats
    from functions.domain.task import Job, Task, TaskFields, TaskSpec
    from functions.interfaces import FlowControl
    from functions.notifications.dispatcher import NotificationDispatcher
    from functions.observability.tracing import Tracing
    from functions.services.access.accounts import AccountStore
    from functions.services.access.keys import KeyStore
    from functions.services.access.limits import OwnerLimits
    from functions.services.access.signing import Signer
    from functions.services.channels import ChannelService
    from functions.services.events import PublishResult
    from functions.task_types.support.context import Missing
    from functions.task_types.support.trial import Trial

STATS_CACHE_TTL = timedelta(seconds=30)
AFTER_TICK_TIMEOUT = timedelta(seconds=3)  # for those who watch the scheduler itself
AFTER_TICK_OVERRUN = timedelta(seconds=1.5)  # of it, once the answer was due: the endpoint cuts it off at 3
AFTER_TICK_MIN_TIMEOUT = timedelta(seconds=0.3)


def build_app(settings: Settings) -> "App":
    """Return the scheduler. Nothing is opened yet: each part connects when it is first used."""
    return App(settings, clock=now)


now = partial(datetime.now, UTC)  # the present moment; everything else is handed the clock
new_id = partial(secrets.token_hex, 8)  # an id for a tick, a run or a key: 64 random bits
new_secret = partial(secrets.token_urlsafe, 32)  # 256 random bits, in letters, digits, `-` and `_`


def _store_problem(report: TickReport) -> str:
    """Return in a sentence what the store did not take of a tick; empty when it took all."""
    if report.unwritten:
        return f"the store did not take {report.unwritten} results of the last tick"
    return f"the store did not take {report.unclaimed} claims of the last tick" if report.unclaimed else ""


class App:
    """The scheduler with its store, its task types and its channels; used from one event loop.

    Args:
        clock: The present moment, aware and in UTC.

    Attributes:
        now: The clock.
        tick_store: The store of ticks, with documents as they are.
        store: What all others see of it.
        new_id: Returns 64 random bits as text.
        new_secret: Returns 256 random bits as text.
        redact: Masks the installation's secrets in a text.
        scheduler_id: By which it recognises its own events when they return from a topic.
        last_tick_ms: How long the last tick of this process took; None before its first one.
        language: The tag of the language of messages and pages; empty means English.
    """

    def __init__(self, settings: Settings, *, clock: Callable[[], datetime]) -> None:
        if settings.task_types:
            from functions.task_types.registry import register  # few have types of their own

            for module in settings.task_types:
                register(module)
        know_servers(settings.agent_mcp_servers if settings.llm_base_url is not None else None)
        self._settings = settings
        self.now = clock
        self.new_id, self.new_secret = new_id, new_secret
        self.default_timezone = settings.default_timezone
        self.language = settings.notice_language
        self.redact = Redactor(settings.secrets())
        self.scheduler_id = scheduler_id(settings)
        self.tick_store: Store = build_store(settings)
        self.store: Store = self.tick_store
        if defers := settings.settlements == "deferred":
            self.store = settled_view(self.tick_store)
        self._post = TrustedHttpClient()
        self._notifications = Notifications(settings, self.store, self._post, clock=clock, redact=self.redact)
        self._longest_attempt = longest_attempt(settings)
        self._last_tick_at: datetime | None = None
        self.last_tick_ms: int | None = None
        self._tick_problem = ""
        self._shutdown = ShutdownSignal()
        self._metrics = Metrics()
        self._stats: tuple[datetime, StoreStats] | None = None
        self._tracing: Tracing | None = None
        if settings.otel_exporter_otlp_endpoint:
            from functions.observability.tracing import build_tracing  # few collect traces

            self._tracing = build_tracing(settings.otel_exporter_otlp_endpoint)
        self._late_after = timedelta(minutes=settings.late_after_minutes)
        self._heartbeat = build_heartbeat(settings, self._post)
        self._workers = build_workers(settings, self._post, clock=clock)
        self._stored_flow_control: FlowControl | None = None
        self.tick_dependencies = TickDependencies(
            store=self.tick_store,
            run_task=self._tracing.span(self._run_task) if self._tracing else self._run_task,
            notify=self._notifications,
            routing=self._notifications,
            clock=clock,
            new_tick_id=new_id,
            random=random.random,
            is_shutting_down=self._shutdown.received.is_set,
            slots=AttemptSlots(settings.max_concurrency),
            workers=self._workers,
            credits=build_credit_ledger(settings, lambda: self.accounts, clock=clock),
            publish=build_publisher(settings, self._post, clock=clock),
            subscribers=self._subscribers,
            flow_control=self._flow_control,
            defers_settlements=defers,
        )
        if settings.before_task or settings.after_task:
            self._call_named_hooks(settings)

    @cached_property
    def toolbox(self) -> "Toolbox":
        """What attempts work with."""
        from functions.app.toolbox import Toolbox  # 20 ms, and most ticks make no attempt

        return Toolbox(
            self._settings,
            self.store,
            redact=self.redact,
            capabilities=lambda owner: self.owner_limits.capabilities(owner),
        )

    def _run_task(self, job: "Job") -> "Awaitable[Outcome]":
        return self.toolbox.run_task(job)

    async def _subscribers(self, audiences: Collection[Audience]) -> Mapping[Audience, Collection[str]]:
        from functions.services.dependencies import subscribers

        return await subscribers(self.store, audiences)

    def _flow_control(self) -> "FlowControl":
        """Return what keeps the slots of groups: one for all ticks of this process."""
        if self._stored_flow_control is None:
            from functions.services.access.flow_control import StoredFlowControl  # few tasks have a group

            self._stored_flow_control = StoredFlowControl(self.store, clock=self.now)
        return self._stored_flow_control

    def _call_named_hooks(self, settings: Settings) -> None:
        """Call what BEFORE_TASK and AFTER_TASK name."""
        from functions.app.named_hooks import NamedHook  # few have hooks

        if settings.before_task:
            self.call_before_tasks(NamedHook(settings.before_task, settings.python_tasks))
        if settings.after_task:
            self.call_on_events(NamedHook(settings.after_task, settings.python_tasks), (RUN_FINISHED,))

    @property
    def channels(self) -> "ChannelService":
        """The preferences of the channels, and which of them are disabled."""
        return self._notifications.channels

    @property
    def dispatcher(self) -> "NotificationDispatcher":
        """What sends messages to the channels."""
        return self._notifications.dispatcher

    def call_before_tasks(self, callback: "BeforeTask") -> None:
        """Call *callback* with the job before each attempt."""
        from functions.app.hooks import HookedRun  # few have callbacks

        run_task = HookedRun(self.tick_dependencies.run_task, callback)
        self.tick_dependencies = replace(self.tick_dependencies, run_task=run_task)

    def call_on_events(self, callback: "OnEvent", types: Collection[str]) -> None:
        """Call *callback* with each event of a tick that has one of *types*; with each if there are none."""
        from functions.app.hooks import Listener

        publish = Listener(callback, frozenset(types), self.tick_dependencies.publish)
        self.tick_dependencies = replace(self.tick_dependencies, publish=publish)

    async def tick(self, budget: TimeBudget) -> Mapping[str, object]:
        """Run what is due, once; return the report."""
        self._shutdown.install()
        began_at = self.now()
        try:
            report, figures = await self._with_metrics("tick", self.tick_dependencies, budget)
        except SchedulerError as exc:
            self._tick_problem = f"the last tick did not work: {self.redact(str(exc))}"
            raise
        self._tick_problem = _store_problem(report)
        await self._after_tick(report, began_at, budget)
        self._last_tick_at = self.now()
        self.last_tick_ms = round((self._last_tick_at - began_at).total_seconds() * 1000)
        return figures

    async def _after_tick(self, report: TickReport, started_at: datetime, budget: TimeBudget) -> None:
        """Check for lateness, send the heartbeat and the traces, in time for the answer."""
        within = AFTER_TICK_TIMEOUT
        if budget.response_limit is not None:
            left = started_at + budget.response_limit + AFTER_TICK_OVERRUN - self.now()
            within = max(AFTER_TICK_MIN_TIMEOUT, min(AFTER_TICK_TIMEOUT, left))
        steps: list[Awaitable[None]] = []
        if report.without_room or (self._late_after and report.oldest_due_at is not None):
            from functions.services.upkeep.watchdog import Watchdog  # most ticks find nothing due

            watchdog = Watchdog(self.store, self._notifications, clock=self.now, late_after=self._late_after)
            steps.append(
                watchdog.check(
                    report.oldest_due_at,
                    found_at=started_at,
                    last_tick=self._last_tick_at,
                    within=within,
                    without_room=report.without_room,
                )
            )
        if self._heartbeat is not None:
            steps.append(self._heartbeat.send(within=within))
        if self._tracing is not None:
            steps.append(self._tracing.flush())
        if steps:
            await asyncio.gather(*steps)

    async def run_worker(self, assignment: WorkerAssignment, budget: TimeBudget) -> Mapping[str, object]:
        """Run what is due of *assignment*, as a worker; return the report."""
        self._shutdown.install()
        some = (
            TaskSubsetStore(self.tick_store, assignment.tasks)
            if assignment.tasks
            else ShardRangeStore(self.tick_store, assignment.shards)
        )
        store = self.tick_store if assignment.is_unrestricted else some
        after = self._workers.for_next_worker(assignment) if self._workers else None
        _, figures = await self._with_metrics(
            "work", replace(self.tick_dependencies, store=store, workers=after), budget
        )
        await self._flush_traces()
        return figures

    async def metrics(self) -> str:
        """Return the text of `GET /metrics`; the store's figures are at most half a minute old."""
        now = self.now()
        if self._stats is None or now - self._stats[0] >= STATS_CACHE_TTL:
            try:
                self._stats = (now, await self.store.stats(now))
            except StoreError:
                self._stats = None
        self._metrics.heartbeats_missed = self._heartbeat.missed if self._heartbeat else 0
        from functions.observability.exposition import render_metrics  # 47 ms, which no tick pays

        return render_metrics(self._metrics, self._stats[1] if self._stats else None)

    async def _with_metrics(
        self, kind: str, dependencies: TickDependencies, budget: TimeBudget
    ) -> tuple[TickReport, Mapping[str, object]]:
        """Run a tick and count it; return the report, and its figures as the caller gets them."""
        try:
            report = await tick(dependencies, budget)
        except (Exception, asyncio.CancelledError):
            self._metrics.unfinished += 1
            raise
        figures = report.as_json()
        self._metrics.add_report(kind, figures, at=self.now())
        return report, figures

    async def _flush_traces(self) -> None:
        if self._tracing is not None:
            await self._tracing.flush()

    async def run_tasks(self, ids: Collection[str], budget: TimeBudget) -> Mapping[str, object]:
        """Run those of the tasks that are due, for a caller who waits for them; return the report."""
        store = TaskSubsetStore(self.tick_store, ids)
        dependencies = replace(self.tick_dependencies, store=store, run_dependents=False)
        return (await tick(dependencies, budget)).as_json()

    async def try_request(self, spec: "TaskSpec") -> "Trial":
        """Make the request of *spec* once, without storing anything; return what came of it."""
        from functions.app.trials import try_request  # for a button that is seldom pressed

        return await try_request(spec, self.toolbox.tools, now=self.now(), new_id=new_id)

    @cached_property
    def accounts(self) -> "AccountStore":
        """The owners of tasks, and their credits."""
        from functions.services.access.accounts import AccountStore  # 0.5 ms, and most ticks need no accounts

        return AccountStore(self.store, clock=self.now)

    @cached_property
    def owner_limits(self) -> "OwnerLimits":
        """What owners may use; read when the first task of one runs."""
        from functions.services.access.limits import OwnerLimits

        return OwnerLimits(self.store, clock=self.now, default_max_tasks=self._settings.max_tasks_per_owner)

    @cached_property
    def signer(self) -> "Signer":
        """What sessions, rows of keys and public links are signed with."""
        from functions.services.access.signing import Signer  # as above: no tick signs anything

        return Signer(self.store, self._settings.signing_secrets(), new_secret=new_secret)

    @cached_property
    def keys(self) -> "KeyStore":
        """The API keys."""
        from functions.services.access.keys import KeyStore

        return KeyStore(
            self.store,
            self.signer,
            clock=self.now,
            new_id=new_id,
            new_secret=new_secret,
            refusal=self._settings.keys_refusal(),
        )

    async def publish_event(
        self, event: Event, *, forward: bool = True, sender: "Capabilities | None" = None
    ) -> "PublishResult":
        """Deliver *event* to its subscribers and, with *forward*, to the topic for programs outside.

        One that is for a task alone is not published.

        Args:
            sender: What tasks that the sender starts may use; None means anything.
        """
        from functions.domain.event_outbox import to_published_event
        from functions.services.events import publish_event  # no tick needs it

        result = await publish_event(self.store, event, now=self.now(), new_id=new_id, sender=sender)
        if forward and not event.to and self.tick_dependencies.publish is not None:
            await self.tick_dependencies.publish([to_published_event(event)], within=AFTER_TICK_TIMEOUT)
        return result

    async def status(self) -> Mapping[str, object]:
        """Return the fields of `GET /status`."""
        from functions.services.upkeep import watchdog

        moment = self.now()
        counts = await self.store.stats(moment)
        last, ahead = await watchdog.find_last_tick(self.store, counts.last_tick_at, now=moment)
        ticks = [at for at in (last, self._last_tick_at) if at is not None]
        last_at = max(ticks, default=None)
        after, silence = self._late_after or watchdog.SILENT_AFTER, ""
        if self._last_tick_at is None or moment - self._last_tick_at > after:  # none came to this process
            silence = await watchdog.describe_silence(
                self.store, counts.due, last_at, now=moment, after=after
            )
        problem = (
            self._tick_problem
            or ahead
            or (f"{silence}: {watchdog.IS_PINGER_OFF}" if silence else await self._notifications.problem())
        )
        return {
            "status": "degraded" if problem else "healthy",
            "scheduledTasks": counts.scheduled,
            "tasksCurrentlyDue": counts.due,
            "lastTickAt": format_instant(last_at) if last_at else None,
            "timestamp": format_instant(moment),
        } | ({"problem": problem} if problem else {})

    def task_warnings(self, task: "TaskFields") -> list[str]:
        """Return one sentence, with its field, for all of *task* that will not work wherever it runs."""
        found = [f"notify: {text}" for text in self.channels.warnings(task.notify)]
        if text := describe_long_timeout(task, longest=self._longest_attempt):
            found.append(f"timeoutSeconds: {text}")
        return found

    async def find_warnings(self, task: "Task") -> list[str]:
        """Return one sentence, with its field or its remedy, for all of *task* that will not work here."""
        # Channels that are not set up are among the warnings of every task.
        lacking = await self.find_requirements(task.model_copy(update={"notify": None}))
        return [*self.task_warnings(task), *(f"{one.what}; {one.remedy}" for one in lacking)]

    def message_text(self, notifications: "Sequence[Notification]") -> str:
        """Return the message that *notifications*, at least one, make, as plain text."""
        return self._notifications.message_text(notifications)

    async def notices_problem(self) -> str:
        """Return in a sentence which notices reached nobody of late; empty when all did."""
        return await self._notifications.problem()

    async def find_requirements(self, task: "Task") -> "Sequence[Missing]":
        """Return what *task* needs and is not set up here."""
        from functions.app.requirements import find_requirements  # no tick needs it

        channels = tuple(await self.channels.settings())
        return list(
            find_requirements(
                task,
                self.toolbox.tools,
                channels=channels,
                allow_private=self._settings.allow_private_networks,
                allow_ports=self._settings.allow_ports,
            )
        )

    async def close(self) -> None:
        """Release the connections, and end the processes that parse."""
        if "toolbox" in vars(self):  # it was built
            await self.toolbox.close()
        await self._post.close()
        await self.store.close()
