"""The protocols that engine and services need fulfilled: stores, task types, notifications, workers."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # what only annotations need is not loaded by all that import a protocol
    from functions.domain.alerts.model import Notification
    from functions.domain.alerts.outbox import Undelivered
    from functions.domain.alerts.routing import Route
    from functions.domain.capacity.flow_control import SlotAnswer, SlotRequest
    from functions.domain.cloud_events import CloudEvent
    from functions.domain.events import Audience
    from functions.domain.run import Outcome, Run
    from functions.domain.storage import (
        ConditionalWrite,
        Document,
        DocumentKind,
        DuePosition,
        OperationCounts,
        OrderedPage,
        OrderPosition,
        QueryResult,
        RunBatch,
        StoreStats,
        TaskFilter,
        TaskOrder,
        VersionedTask,
        WriteResult,
    )
    from functions.domain.task import Job, Task


@dataclass(frozen=True, slots=True)
class GrantedAttempt:
    """An attempt that may start, with the tokens it may use; None means no limit."""

    stored: VersionedTask
    max_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class DeniedAttempt:
    """An occurrence to skip, the reason, and what to notify besides."""

    stored: VersionedTask
    reason: str
    notifications: tuple[Notification, ...] = ()


@dataclass(frozen=True, slots=True)
class ReservationResult:
    """The credits of a batch of claims.

    Attributes:
        postponed: Claims to release: a later tick may have credits for them, or reach the accounts.
    """

    granted: Sequence[GrantedAttempt]
    denied: Sequence[DeniedAttempt] = ()
    postponed: Sequence[VersionedTask] = ()


@dataclass(frozen=True, slots=True)
class ChargedOutcome:
    """An outcome with its cost among its metrics, and what to notify besides."""

    outcome: Outcome
    notifications: tuple[Notification, ...] = ()


class CreditLedger(Protocol):
    """Keeps the accounts. Never raises; tasks that cost nothing cost no operation of the store either."""

    async def reserve(self, claimed: Sequence[VersionedTask]) -> ReservationResult:
        """Reserve what the attempts may cost: one read and one write per owner, however many they are."""
        ...

    async def charge(self, done: Sequence[tuple[VersionedTask, Outcome]]) -> list[ChargedOutcome]:
        """Charge what attempts really cost, each once; answer in the same order."""
        ...

    async def mark_notified(self, notifications: Sequence[Notification]) -> None:
        """Record that these are written with their tasks, and will be delivered."""
        ...


class NoCredits:
    """The ledger of an installation without prices."""

    async def reserve(self, claimed: Sequence[VersionedTask]) -> ReservationResult:
        """Everything may be attempted."""
        return ReservationResult([GrantedAttempt(stored) for stored in claimed])

    async def charge(self, done: Sequence[tuple[VersionedTask, Outcome]]) -> list[ChargedOutcome]:
        """Nothing costs anything."""
        return [ChargedOutcome(outcome) for _, outcome in done]

    async def mark_notified(self, notifications: Sequence[Notification]) -> None:
        """Nothing has to be recorded."""


class FlowControl(Protocol):
    """Keeps the slots of groups. Never raises: without an answer of the store nothing is admitted."""

    async def exchange(
        self,
        wanted: Mapping[str, Sequence[SlotRequest]],
        *,
        ended: Mapping[str, Sequence[str]],
        unused: Mapping[str, Sequence[str]],
    ) -> SlotAnswer:
        """Free slots and give others, by the ids of groups: a read and a write for each group.

        Args:
            ended: Tokens of attempts that are over.
            unused: Tokens that were admitted, and whose attempts never began.
        """
        ...


class RunQuery(Protocol):
    """The part of a store that returns run records."""

    async def runs(
        self,
        *,
        task_id: str | None = None,
        since: datetime | None = None,
        before: datetime | None = None,
        limit: int = 100,
    ) -> list[Run]:
        """Return run records by `finished_at`, newest first: not before *since*, earlier than *before*."""
        ...


class TickStore(RunQuery, Protocol):
    """What a tick needs of a store. Every call is bounded in time; none retries beyond its bound.

    Raises, from every method:
        StoreUnavailableError: No answer in time, or a connection lost. For a write that means *unknown*:
            `write` and `write_with_runs` say so per item instead, with `WriteStatus.UNKNOWN`, when they can.
        StoreError: A refusal that trying again will not mend.
    """

    async def fetch_due(self, now: datetime, *, limit: int, after: DuePosition | None = None) -> QueryResult:
        """Return tasks whose `next_run_at` is not after *now*, earliest first, at most *limit*.

        With *after* only those behind it, in the order of `next_run_at` and id.
        A document that cannot be read as a task is in `QueryResult.invalid` and counts towards *limit*. Such
        documents stay due for ever, so they get at most half of *limit*: tasks behind them are found.
        """
        ...

    async def get_tasks(self, ids: Sequence[str]) -> QueryResult:
        """Return the tasks with these ids, in any order; ids that do not exist are left out."""
        ...

    async def write(self, writes: Sequence[ConditionalWrite]) -> list[WriteResult]:
        """Apply each write whose precondition holds, independently of the others; answer in the same order.

        A write is applied when the document's revision is the expected one (or when it does not
        exist and none is expected). No two writes of one call are for the same task. A write sent
        again after a lost answer may conflict with its own first try: a caller who must know compares the
        claim's token after `get_tasks`.
        """
        ...

    async def write_with_runs(
        self, batch: RunBatch | None, writes: Sequence[ConditionalWrite]
    ) -> list[WriteResult]:
        """Store *batch*, then apply *writes* as `write` does.

        No write is applied unless the batch is stored. Storing a batch twice leaves one, with the runs of the
        second time. The batch stays even if some writes meet conflicts: the caller removes the runs of what
        was not applied.
        """
        ...

    async def runs_of_tick(self, tick_id: str) -> list[Run]:
        """Return all runs in the batches whose id is `<tick_id>.<number>`; empty when there are none."""
        ...

    def count_operations(self) -> AbstractContextManager[OperationCounts]:
        """Count the operations done by this asyncio task, and those it starts, while inside."""
        ...


class ShardedTickStore(TickStore, Protocol):
    """A store whose due tasks can be queried by shard, so that workers do not compete for the same ones."""

    async def fetch_due(
        self,
        now: datetime,
        *,
        limit: int,
        after: DuePosition | None = None,
        shards: tuple[int, int] | None = None,
    ) -> QueryResult:
        """As in `TickStore`; only of the shards from the first to the last of *shards*, if it is given.

        A document that cannot be read, and so may have no shard, need not be found by shard.
        """
        ...


class TaskStore(RunQuery, Protocol):
    """What services need of a store; errors as in `TickStore`."""

    async def get_tasks(self, ids: Sequence[str]) -> QueryResult:
        """As in `TickStore`."""
        ...

    async def write(self, writes: Sequence[ConditionalWrite]) -> list[WriteResult]:
        """As in `TickStore`."""
        ...

    async def write_with_runs(
        self, batch: RunBatch | None, writes: Sequence[ConditionalWrite]
    ) -> list[WriteResult]:
        """As in `TickStore`."""
        ...

    async def list_tasks(self, which: TaskFilter, *, after: str = "", limit: int = 100) -> QueryResult:
        """Return tasks that match *which*, by id, those with ids greater than *after* only.

        At most *limit* tasks; fewer than *limit* (invalid ones included) means there are no more.
        """
        ...

    async def list_ordered(
        self, order: TaskOrder, *, after: OrderPosition | None = None, limit: int = 100
    ) -> OrderedPage:
        """Return a page of all tasks in *order*, which begins behind *after*.

        Titles are in the order of their code points. A page without a following one is the last; any other
        may still be short, or empty.
        """
        ...

    async def count_tasks(self, which: TaskFilter) -> int:
        """Return how many tasks match *which*, unreadable ones included; a read for each thousand."""
        ...

    async def list_due(self, now: datetime, *, limit: int) -> QueryResult:
        """As `TickStore.fetch_due`, for those who only look: it takes no lease, and imports no edit."""
        ...

    async def stats(self, now: datetime) -> StoreStats:
        """Return the counts of the status page."""
        ...

    async def prune(self, now: datetime) -> int:
        """Remove run batches that have expired; return how many. A store may do it by itself."""
        ...

    async def close(self) -> None:
        """Release connections. The store is not used afterwards."""
        ...


class DocumentStore(Protocol):
    """Small documents that a store holds beside tasks and runs, by kind; errors as in `TickStore`."""

    async def get_documents(self, kind: DocumentKind, ids: Sequence[str]) -> list[Document]:
        """Return the documents of *kind* with these ids, in any order; ids that do not exist are left out."""
        ...

    async def list_documents(
        self, kind: DocumentKind, *, after: str = "", limit: int = 100
    ) -> list[Document]:
        """Return documents of *kind* by id, those with ids greater than *after* only, at most *limit*."""
        ...

    async def put_documents(self, documents: Sequence[Document]) -> list[WriteResult]:
        """Create each document whose revision is None, replace each whose revision is the stored one.

        Independently of one another, and answered in the same order, as by `TickStore.write`; no two are the
        same document. Use it to read, decide, and put again after a conflict.
        """
        ...

    async def delete_documents(self, documents: Sequence[Document]) -> list[WriteResult]:
        """Remove each document whose revision is the stored one; answers as from `put`."""
        ...


class Store(ShardedTickStore, TaskStore, DocumentStore, Protocol):
    """All that a store does: what a tick needs, and what services need."""


class RunTask(Protocol):
    """Run a job once. Never raises for a failure of the work; cancellation passes through."""

    def __call__(self, job: Job) -> Awaitable[Outcome]: ...


class Notify(Protocol):
    """Deliver *notifications* within *within*; return for each the channels that did not take it.

    An empty tuple means done, or never deliverable: it was refused for what it holds.
    One message per channel, however many notifications. Never raises for a failure of a channel.
    """

    def __call__(
        self, notifications: Sequence[Notification], *, within: timedelta
    ) -> Awaitable[list[tuple[str, ...]]]: ...


class NotificationRouting(Protocol):
    """Knows which channels exist, which of them are closed to what, and which were disabled."""

    async def route(self, notifications: Sequence[Notification]) -> list[Route]:
        """Return where each notification goes now and where it waits. Never raises for a failing store."""
        ...

    def undelivered(self) -> list[Notification]:
        """Return notifications of channels that were disabled, for the others."""
        ...

    def take_rejections(self, notification_id: str) -> Mapping[str, str]:
        """Return the channels whose vendors refused it for what it holds, with reasons, and forget them."""
        ...

    def take_unconfirmed(self, notification_id: str) -> frozenset[str]:
        """Return the channels that it was sent on without a reply, and forget them."""
        ...

    def take_lacking(self, notification_id: str) -> Mapping[str, tuple[str, ...]]:
        """Return, by channel, the recipients that have not got it when others have, and forget them."""
        ...

    def failing_until(self) -> Mapping[str, datetime]:
        """Return until when channels that fail are not tried."""
        ...

    def open_channels(self) -> tuple[str, ...]:
        """Return the channels that take messages, those that fail at present included."""
        ...

    async def record_lost(self, undelivered: Sequence[Undelivered]) -> None:
        """Record notifications that reached nobody. Never raises."""
        ...

    async def mark_delivered(
        self, notifications: Sequence[Notification], remaining: Sequence[tuple[str, ...]]
    ) -> None:
        """Record the delivery of what `undelivered` returned: for each the channels that did not take it."""
        ...


class WorkerPool(Protocol):
    """Invocations with more time than a tick, requested by message."""

    @property
    def max_duration(self) -> timedelta:
        """The longest attempt that fits into a worker."""
        ...

    async def submit(self, tasks: Sequence[Task], *, backlog: bool, now: datetime, within: timedelta) -> int:
        """Request that *tasks* run, and with *backlog* all that is due; return how many messages were sent.

        The same request twice is one. Never raises for a failing queue: what is not handed over stays due.
        """
        ...


class PublishEvents(Protocol):
    """Publish *events* within *within*; return how many were lost. Never raises."""

    async def __call__(self, events: Sequence[CloudEvent], *, within: timedelta) -> int: ...


class AttemptSlots:
    """The slots that attempts run in: all ticks of a process share them, however many go on at once.

    Attributes:
        limit: Attempts that may run at once.
        free: Slots that no attempt has.
        waiting: What begins the attempts that wait for a slot, the first one first; each returns whether it
            takes the slot.
        claimed: Attempts that run or wait for a slot.
        slow: Those of them that are likely to hang.
    """

    def __init__(self, limit: int = 200) -> None:
        self.limit = limit
        self.free = limit
        self.waiting: deque[Callable[[], bool]] = deque()
        self.claimed = 0
        self.slow = 0


@dataclass(frozen=True, slots=True)
class TickDependencies:
    """Everything a tick works with.

    Attributes:
        clock: The present moment, aware and in UTC.
        new_tick_id: A new random id for this tick: at least 64 bits, lower-case letters and digits.
        random: A random number in [0, 1), for backoff.
        is_shutting_down: Whether the process is to end; a tick then starts nothing more.
        routing: None when all channels are open to everything.
        workers: None when there are none: a task that no tick is long enough for is skipped.
        publish: None when there is no topic for programs outside.
        subscribers: The tasks that receive events, by audience; errors as in `TickStore`. None when no task
            can.
        run_dependents: Whether tasks that become due because of others run as well, in the same tick.
        credits: The ledger of what attempts cost.
        flow_control: Builds what keeps the slots of groups, when the first task of one is due; None when
            groups limit nothing.
        defers_settlements: Whether a success that is nothing new is only recorded, and written with the
            task's next claim.
    """

    store: TickStore
    run_task: RunTask
    notify: Notify
    clock: Callable[[], datetime]
    new_tick_id: Callable[[], str]
    random: Callable[[], float]
    is_shutting_down: Callable[[], bool] = lambda: False
    slots: AttemptSlots = field(default_factory=AttemptSlots)
    routing: NotificationRouting | None = None
    workers: WorkerPool | None = None
    publish: PublishEvents | None = None
    subscribers: Callable[[Collection[Audience]], Awaitable[Mapping[Audience, Collection[str]]]] | None = None
    run_dependents: bool = True
    credits: CreditLedger = field(default_factory=NoCredits)
    flow_control: Callable[[], FlowControl] | None = None
    defers_settlements: bool = False
