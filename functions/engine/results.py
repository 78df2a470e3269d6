"""The results of one tick on their way into the store: gathered, settled in batches, records first."""

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial

from functions.domain.alerts.model import AlertState
from functions.domain.events import Outbox
from functions.domain.lifecycle.complete import complete_attempt
from functions.domain.lifecycle.recover import recover, skip_without_credits
from functions.domain.storage import VersionedTask
from functions.engine.events import EventBuffer, deliver_events
from functions.engine.executor import FinishedAttempt
from functions.engine.report import TickReport
from functions.engine.writer import PendingTransition, TickWriter
from functions.interfaces import ChargedOutcome, DeniedAttempt, TickDependencies

log = logging.getLogger(__name__)

FLUSH_EVERY_S = 0.25  # a result waits this long for company
FLUSH_AT = 100
MAX_RERUNS = 150  # times one task is due again within a tick: a full backlog, and an end to any mistake


class Results:
    """Takes attempts that are over and writes what follows from them.

    Attributes:
        to_tell: Tasks with notices that wait for delivery, by id, as last written.
        to_pass: Tasks with events that wait for others, by id, as last written.
        events: What programs are to hear of all that was written.
    """

    def __init__(self, writer: TickWriter, report: TickReport, dependencies: TickDependencies) -> None:
        self.tasks_to_notify: dict[str, VersionedTask] = {}
        self.tasks_with_events: dict[str, VersionedTask] = {}
        self._writer = writer
        self._report = report
        self._dependencies = dependencies
        self._clock = dependencies.clock
        self._random = dependencies.random
        self._credits = dependencies.credits
        self.event_buffer = EventBuffer(dependencies.publish, clock=dependencies.clock)
        self._rerun_counts: Counter[str] = Counter()
        self._finished: list[FinishedAttempt] = []
        self._flushes: list[asyncio.Task[list[VersionedTask]]] = []
        self._timer: asyncio.TimerHandle | None = None

    @property
    def has_unwritten(self) -> bool:
        """Whether anything is not written yet."""
        return bool(self._finished or self._flushes or self.tasks_with_events)

    def add(self, attempt: FinishedAttempt) -> None:
        """Take a result in; it is written with others, soon."""
        self._finished.append(attempt)
        if len(self._finished) >= FLUSH_AT:
            self._start_flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_EVERY_S, self._start_flush)

    async def flush(self) -> list[VersionedTask]:
        """Write all that was taken in; return the tasks that are due again at once."""
        self._start_flush()
        flushes, self._flushes = self._flushes, []
        due_again = [stored for some in await asyncio.gather(*flushes) for stored in some]
        return due_again + await self._deliver_events()

    async def apply(self, transitions: Sequence[PendingTransition]) -> list[VersionedTask]:
        """Write *decided* and count it; return the tasks that are due again at once."""
        due_again, credit_notices = [], []
        now = self._clock()
        for item, stored in zip(transitions, await self._writer.apply(transitions), strict=True):
            if stored is None and item.recompute is None:
                self._report.lost_claims += 1
                continue
            for run in item.transition.runs:
                self._report.count(run)
            if stored is None:  # the attempt was made; who settles it is another tick's business now
                continue
            self.event_buffer.collect(item.task, stored, item.transition.runs)
            credit_notices += [notice for notice in stored.task.alert.pending if notice.kind == "credits"]
            if _is_delivery_due(stored.task.alert, item.task.task.alert, now=now):
                self.tasks_to_notify[stored.task.id] = stored
            if _are_events_due(stored.task.outbox, item.task.task.outbox, now=now):
                self.tasks_with_events[stored.task.id] = stored
            if stored.task.next_run_at is not None and stored.task.next_run_at <= now:
                self._rerun_counts[stored.task.id] += 1
                if self._rerun_counts[stored.task.id] <= MAX_RERUNS:
                    due_again.append(stored)
        if credit_notices:
            await self._credits.mark_notified(credit_notices)
        return due_again

    async def skip(self, denied: Sequence[DeniedAttempt]) -> list[VersionedTask]:
        """Settle claims that there are no credits for; return the tasks that are due again at once."""
        now = self._clock()
        decided = []
        for one in denied:
            again = partial(skip_without_credits, reason=one.reason, notifications=one.notifications, now=now)
            decided.append(PendingTransition(one.stored, again(one.stored.task), again))
        return await self.apply(decided) if decided else []

    async def recover(
        self, expired: Mapping[str, Sequence[VersionedTask]], *, now: datetime
    ) -> list[PendingTransition]:
        """Settle expired claims from what their ticks had recorded, if anything."""
        decided = []
        for tick_id, tasks in expired.items():
            recorded = {
                (run.task_id, run.token): run for run in await self._dependencies.store.runs_of_tick(tick_id)
            }
            for stored in tasks:
                claim = stored.task.claim
                run = recorded.get((stored.task.id, claim.token if claim else ""))
                log.warning("claim_expired", extra={"task_id": stored.task.id, "recorded": run is not None})
                decided.append(PendingTransition(stored, recover(stored.task, run, now=now)))
        return decided

    async def _deliver_events(self) -> list[VersionedTask]:
        """Bring events to those they are for; return the tasks that are due now because of it."""
        tasks, self.tasks_with_events = list(self.tasks_with_events.values()), {}
        if not tasks:
            return []
        passed = await deliver_events(
            tasks, dependencies=self._dependencies, writer=self._writer, report=self._report
        )
        self.event_buffer.add(passed.delivered)
        return [stored for stored in passed.now_due if self._dependencies.run_dependents]

    def _start_flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._finished:
            gathered, self._finished = self._finished, []
            self._flushes.append(asyncio.create_task(self._charge_and_apply(gathered)))

    async def _charge_and_apply(self, finished: Sequence[FinishedAttempt]) -> list[VersionedTask]:
        """Count what the attempts cost, then write what they came to: a crash between has counted them."""
        charged = await self._credits.charge([(one.stored, one.outcome) for one in finished])
        return await self.apply([self._to_transition(*pair) for pair in zip(finished, charged, strict=True)])

    def _to_transition(self, attempt: FinishedAttempt, charged: ChargedOutcome) -> PendingTransition:
        again = partial(
            complete_attempt,
            outcome=charged.outcome,
            notifications=charged.notifications,
            started_at=attempt.started_at,
            now=attempt.finished_at,
            random_fraction=self._random(),
        )
        return PendingTransition(attempt.stored, again(attempt.stored.task), again)


def _is_delivery_due(alert: AlertState, before: AlertState, *, now: datetime) -> bool:
    """Whether this tick delivers what is pending: it is new, or its time has come.

    A channel that is down or closed is not asked again at every run of a task that runs each minute.
    """
    at = alert.retry_at
    return bool(alert.pending) and (at is None or at <= now or at != before.retry_at)


def _are_events_due(outbox: Outbox, before: Outbox, *, now: datetime) -> bool:
    """Whether this tick passes on what waits: it is new, or its time has come."""
    at = outbox.retry_at
    return bool(outbox.events) and (at is None or at <= now or at != before.retry_at)
