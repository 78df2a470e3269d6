"""Writes what follows from the attempts of one tick: batches of finished attempts, run records first."""

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

from functions.domain.alerts.model import AlertState
from functions.domain.events import Outbox
from functions.domain.lifecycle.attempt import complete_attempt
from functions.domain.lifecycle.complete import Transition
from functions.domain.lifecycle.decide import release_claim
from functions.domain.lifecycle.deferral import can_defer, deferred_transition, mark_deferred
from functions.domain.lifecycle.recover import recover, skip_without_credits
from functions.domain.run import Run
from functions.domain.storage import VersionedTask
from functions.domain.types import OutcomeKind
from functions.engine.events import EventBuffer, deliver_events
from functions.engine.executor import FinishedAttempt
from functions.engine.report import TickReport
from functions.engine.writer import PendingTransition, TickWriter
from functions.errors import StoreError
from functions.interfaces import ChargedOutcome, DeniedAttempt, TickDependencies

log = logging.getLogger(__name__)

FLUSH_EVERY_S = 0.25  # how long a finished attempt waits for others
DEFERRED_FLUSH_S = 2.0  # the same of one that leaves nothing to write but its record
FLUSH_AT = 100  # finished attempts, which are written at once
REREAD_AFTER = timedelta(seconds=2)  # how old a task may be whose notifications are delivered
MAX_RERUNS = 150  # times one task is due again within a tick: a full backlog, and an end to any mistake


class Results:
    """Collects finished attempts and writes the transitions of a tick.

    `collect` starts writes by itself; `flush` writes at once what was collected, and waits for all writes.

    Attributes:
        tasks_to_notify: Tasks with notifications to deliver in this tick, by id, as written, and when.
        postponed: Ids of tasks that cannot begin for now: they are left for a later tick.
        event_buffer: What programs are to receive of all that was written; None when there is no topic.
    """

    def __init__(self, writer: TickWriter, report: TickReport, dependencies: TickDependencies) -> None:
        self.tasks_to_notify: dict[str, tuple[VersionedTask, datetime]] = {}
        self.postponed: set[str] = set()
        self.event_buffer = None
        if dependencies.publish is not None:
            self.event_buffer = EventBuffer(dependencies.publish, clock=dependencies.clock)
        self._tasks_with_events: dict[str, VersionedTask] = {}
        self._writer = writer
        self._report = report
        self._dependencies = dependencies
        self._rerun_counts: Counter[str] = Counter()
        self._collected: list[FinishedAttempt] = []  # to be written together
        self._timer: asyncio.TimerHandle | None = None  # writes them, if they do not become many before
        self._writes: list[asyncio.Task[list[VersionedTask]]] = []
        self._is_closed = False

    @property
    def has_unwritten(self) -> bool:
        """Whether anything is not written, or not delivered to other tasks, yet."""
        return bool(self._collected or self._writes or self._tasks_with_events)

    def collect(self, attempt: FinishedAttempt) -> None:
        """Take an attempt that has ended; write when there are `FLUSH_AT`, or the first has waited long."""
        if self._is_closed:
            return
        self._collected.append(attempt)
        if len(self._collected) >= FLUSH_AT:
            self._start_write()
        else:
            self._write_within(DEFERRED_FLUSH_S if self._may_wait(attempt) else FLUSH_EVERY_S)

    async def flush(self) -> list[VersionedTask]:
        """Write all finished attempts; return the tasks that are due again at once.

        Raises:
            StoreError: The store refused.
        """
        self._start_write()
        writes, self._writes = self._writes, []
        due_again = [stored for tasks in await asyncio.gather(*writes) for stored in tasks]
        return await self._deliver_events(due_again)

    def close(self) -> None:
        """Collect nothing any more: what ends later is left to the expiry of its claim."""
        self._is_closed = True

    async def apply(self, transitions: Sequence[PendingTransition]) -> list[VersionedTask]:
        """Write *transitions* and count their runs; return the tasks that are due again at once."""
        now = self._dependencies.clock()
        due_again: list[VersionedTask] = []
        credit_notifications = []
        for item, after in zip(transitions, await self._writer.apply(transitions), strict=True):
            if after is None and item.task.task.id in self._writer.unwritten:
                self._report.unwritten += 1  # and nothing else: a later tick counts what it makes of it
                continue
            if after is None and item.recompute is None:
                self._report.lost_claims += 1
                continue
            for run in item.transition.runs:
                self._report.count(run)
            if after is None:  # the attempt was made; another tick writes the rest of it
                continue
            self._note_followups(item.task, after, item.transition.runs, now=now)
            credit_notifications += [one for one in after.task.alert.pending if one.kind == "credits"]
            if self._is_due_again(after, now=now):
                due_again.append(after)
        if credit_notifications:
            await self._dependencies.credits.mark_notified(credit_notifications)
        return due_again

    async def take_tasks_to_notify(self) -> list[VersionedTask]:
        """Return, once, the tasks whose notifications this tick is to deliver.

        What has waited for a while is read again: another tick may have delivered it, or be at it, since.
        """
        noted, self.tasks_to_notify = self.tasks_to_notify, {}
        now = self._dependencies.clock()
        old = [task_id for task_id, (_, at) in noted.items() if now - at > REREAD_AFTER]
        try:
            result = await self._dependencies.store.get_tasks(old) if old else None
        except StoreError:
            result = None  # better twice than not at all
        current = {stored.task.id: stored for stored in result.tasks} if result else {}
        tasks = [(written, current.get(task_id, written)) for task_id, (written, _) in noted.items()]
        return [task for written, task in tasks if task.task.alert.retry_at == written.task.alert.retry_at]

    async def skip(self, denied: Sequence[DeniedAttempt]) -> list[VersionedTask]:
        """Write the skips of claims that have no credits; return the tasks that are due again at once."""
        now = self._dependencies.clock()
        transitions = []
        for one in denied:
            recompute = partial(
                skip_without_credits, reason=one.reason, notifications=one.notifications, now=now
            )
            transitions.append(PendingTransition(one.stored, recompute(one.stored.task), recompute))
        return await self.apply(transitions)

    async def recover(
        self, expired: Mapping[str, Sequence[VersionedTask]], *, now: datetime
    ) -> list[PendingTransition]:
        """Return the transitions of *expired* claims, by the id of their tick, from what it had recorded."""
        transitions = []
        for tick_id, tasks in expired.items():
            runs = await self._dependencies.store.runs_of_tick(tick_id)
            recorded = {(run.task_id, run.token): run for run in runs}
            for stored in tasks:
                claim = stored.task.claim
                run = recorded.get((stored.task.id, claim.token if claim else ""))
                if settled := deferred_transition(stored.task, run):
                    transitions.append(PendingTransition(stored, settled))
                    continue
                log.warning("claim_expired", extra={"task_id": stored.task.id, "recorded": run is not None})
                transitions.append(PendingTransition(stored, recover(stored.task, run, now=now)))
        return transitions

    def _may_wait(self, attempt: FinishedAttempt) -> bool:
        """Whether the settlement of *attempt* will most likely be deferred."""
        claim, due_at = attempt.stored.task.claim, attempt.stored.task.next_run_at
        is_success = attempt.outcome is not None and attempt.outcome.kind is OutcomeKind.SUCCEEDED
        return is_success and claim is not None and due_at is not None and claim.until < due_at

    def _write_within(self, seconds: float) -> None:
        """Write what is collected within *seconds*, or sooner, as something collected before asks for."""
        loop = asyncio.get_running_loop()
        if self._timer is not None and self._timer.when() <= loop.time() + seconds:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_later(seconds, self._start_write)

    def _start_write(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._collected:
            self._writes.append(asyncio.create_task(self._charge_and_apply(self._collected)))
            self._collected = []

    async def _charge_and_apply(self, finished: Sequence[FinishedAttempt]) -> list[VersionedTask]:
        """Charge what the attempts cost, then write their outcomes: a crash in between has charged them."""
        outcomes = [(one.stored, one.outcome) for one in finished if one.outcome is not None]
        for reason in sorted({one.postponed for one in finished} - {""}):
            tasks = [one.stored.task.id for one in finished if one.postponed == reason]
            log.info("attempts_postponed", extra={"tasks": tasks, "reason": reason})
        self.postponed.update(one.stored.task.id for one in finished if one.wait is not None)
        charged = iter(await self._dependencies.credits.charge(outcomes))
        return await self.apply(
            [_release(one) if one.outcome is None else self._complete(one, next(charged)) for one in finished]
        )

    def _complete(self, attempt: FinishedAttempt, charged: ChargedOutcome) -> PendingTransition:
        recompute = partial(
            complete_attempt,
            outcome=charged.outcome,
            notifications=charged.notifications,
            started_at=attempt.started_at,
            now=attempt.finished_at,
            random_fraction=self._dependencies.random(),
        )
        task, transition = attempt.stored.task, recompute(attempt.stored.task)
        if self._dependencies.defers_settlements and can_defer(task, transition):
            return PendingTransition(attempt.stored, mark_deferred(transition), recompute, is_deferred=True)
        return PendingTransition(attempt.stored, transition, recompute)

    def _note_followups(
        self, before: VersionedTask, after: VersionedTask, runs: Sequence[Run], *, now: datetime
    ) -> None:
        """Remember what a written transition asks for: events, notifications, deliveries to other tasks."""
        if self.event_buffer is not None:
            self.event_buffer.collect(before, after, runs)
        if dropped := after.task.alert.dropped - before.task.alert.dropped:
            log.warning("notices_dropped", extra={"task_id": after.task.id, "count": dropped})
        if _is_delivery_due(after.task.alert, before.task.alert, now=now):
            self.tasks_to_notify[after.task.id] = after, now
        if _are_events_due(after.task.outbox, before.task.outbox, now=now):
            self._tasks_with_events[after.task.id] = after

    def _is_due_again(self, after: VersionedTask, *, now: datetime) -> bool:
        if after.task.next_run_at is None or after.task.next_run_at > now:
            return False
        self._rerun_counts[after.task.id] += 1
        return self._rerun_counts[after.task.id] <= MAX_RERUNS

    async def _deliver_events(self, due_again: list[VersionedTask]) -> list[VersionedTask]:
        """Deliver events to the tasks they are for; return *due_again* with those that are due because of it.

        Delivery writes senders and receivers once more: each is returned as it is after that, and once.
        """
        tasks, self._tasks_with_events = list(self._tasks_with_events.values()), {}
        if not tasks:
            return due_again
        delivery = await deliver_events(
            tasks, dependencies=self._dependencies, writer=self._writer, report=self._report
        )
        if self.event_buffer is not None:
            self.event_buffer.add(delivery.delivered)
        due = [*due_again, *(delivery.now_due if self._dependencies.run_dependents else ())]
        latest = {one.task.id: one for one in (*due, *delivery.now_due, *delivery.senders)}
        return [latest[task_id] for task_id in dict.fromkeys(one.task.id for one in due)]


def _release(attempt: FinishedAttempt) -> PendingTransition:
    changes = release_claim(attempt.stored.task, now=attempt.finished_at, wait=attempt.wait)
    return PendingTransition(attempt.stored, Transition(changes, ()))


def _is_delivery_due(alert: AlertState, before: AlertState, *, now: datetime) -> bool:
    """Whether this tick delivers what is pending: it is new, or its time has come.

    A channel that is down or closed is not asked again at every run of a task that runs each minute.
    """
    at = alert.retry_at
    return bool(alert.pending) and (at is None or at <= now or at != before.retry_at)


def _are_events_due(outbox: Outbox, before: Outbox, *, now: datetime) -> bool:
    """Whether this tick delivers the events that wait: they are new, or their time has come."""
    at = outbox.retry_at
    return bool(outbox.events) and (at is None or at <= now or at != before.retry_at)
