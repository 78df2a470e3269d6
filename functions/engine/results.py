"""The results of one tick on their way into the store: gathered, settled in batches, records first."""

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial

from functions.domain.alerts.model import Alert
from functions.domain.events import Outbox
from functions.domain.lifecycle.complete import settle
from functions.domain.lifecycle.recover import over_budget, recover
from functions.domain.storage import Stored
from functions.engine.events import Publishing, relay
from functions.engine.executor import Attempted
from functions.engine.report import Report
from functions.engine.writer import Books, Decided
from functions.interfaces import Charged, Denied, Parts

log = logging.getLogger(__name__)

FLUSH_EVERY_S = 0.25  # a result waits this long for company
FLUSH_AT = 100
AGAIN_LIMIT = 150  # times one task is due again within a tick: a full backlog, and an end to any mistake


class Results:
    """Takes attempts that are over and writes what follows from them.

    Attributes:
        to_tell: Tasks with notices that wait for delivery, by id, as last written.
        to_pass: Tasks with events that wait for others, by id, as last written.
        events: What programs are to hear of all that was written.
    """

    def __init__(self, books: Books, report: Report, parts: Parts) -> None:
        self.to_tell: dict[str, Stored] = {}
        self.to_pass: dict[str, Stored] = {}
        self._books = books
        self._report = report
        self._parts = parts
        self._clock = parts.clock
        self._dice = parts.dice
        self._credits = parts.credits
        self.events = Publishing(parts.publish, clock=parts.clock)
        self._again: Counter[str] = Counter()
        self._gathered: list[Attempted] = []
        self._flushes: list[asyncio.Task[list[Stored]]] = []
        self._timer: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> bool:
        """Whether anything is not written yet."""
        return bool(self._gathered or self._flushes or self.to_pass)

    def take(self, attempted: Attempted) -> None:
        """Take a result in; it is written with others, soon."""
        self._gathered.append(attempted)
        if len(self._gathered) >= FLUSH_AT:
            self._flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_EVERY_S, self._flush)

    async def written(self) -> list[Stored]:
        """Write all that was taken in; return the tasks that are due again at once."""
        self._flush()
        flushes, self._flushes = self._flushes, []
        due_again = [stored for some in await asyncio.gather(*flushes) for stored in some]
        return due_again + await self._pass_on()

    async def settle(self, decided: Sequence[Decided]) -> list[Stored]:
        """Write *decided* and count it; return the tasks that are due again at once."""
        due_again, credit_notices = [], []
        now = self._clock()
        for item, stored in zip(decided, await self._books.settle(decided), strict=True):
            if stored is None and item.again is None:
                self._report.taken += 1
                continue
            for run in item.settlement.runs:
                self._report.count(run)
            if stored is None:  # the attempt was made; who settles it is another tick's business now
                continue
            self.events.take(item.stored, stored, item.settlement.runs)
            credit_notices += [notice for notice in stored.task.alert.pending if notice.kind == "credits"]
            if _to_be_told_now(stored.task.alert, item.stored.task.alert, now=now):
                self.to_tell[stored.task.id] = stored
            if _to_be_passed_on_now(stored.task.outbox, item.stored.task.outbox, now=now):
                self.to_pass[stored.task.id] = stored
            if stored.task.next_run_at is not None and stored.task.next_run_at <= now:
                self._again[stored.task.id] += 1
                if self._again[stored.task.id] <= AGAIN_LIMIT:
                    due_again.append(stored)
        if credit_notices:
            await self._credits.told(credit_notices)
        return due_again

    async def skip(self, denied: Sequence[Denied]) -> list[Stored]:
        """Settle claims that there are no credits for; return the tasks that are due again at once."""
        now = self._clock()
        decided = []
        for one in denied:
            again = partial(over_budget, reason=one.reason, notices=one.notices, now=now)
            decided.append(Decided(one.stored, again(one.stored.task), again))
        return await self.settle(decided) if decided else []

    async def recovered(self, expired: Mapping[str, Sequence[Stored]], *, now: datetime) -> list[Decided]:
        """Settle expired claims from what their ticks had recorded, if anything."""
        decided = []
        for tick_id, tasks in expired.items():
            recorded = {
                (run.task_id, run.token): run for run in await self._parts.store.runs_of_tick(tick_id)
            }
            for stored in tasks:
                claim = stored.task.claim
                run = recorded.get((stored.task.id, claim.token if claim else ""))
                log.warning("claim_expired", extra={"task_id": stored.task.id, "recorded": run is not None})
                decided.append(Decided(stored, recover(stored.task, run, now=now)))
        return decided

    async def _pass_on(self) -> list[Stored]:
        """Bring events to those they are for; return the tasks that are due now because of it."""
        tasks, self.to_pass = list(self.to_pass.values()), {}
        if not tasks:
            return []
        passed = await relay(tasks, parts=self._parts, books=self._books, report=self._report)
        self.events.add(passed.told)
        return [stored for stored in passed.due if self._parts.takes_others]

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._gathered:
            gathered, self._gathered = self._gathered, []
            self._flushes.append(asyncio.create_task(self._charge_and_settle(gathered)))

    async def _charge_and_settle(self, gathered: Sequence[Attempted]) -> list[Stored]:
        """Count what the attempts cost, then write what they came to: a crash between has counted them."""
        charged = await self._credits.charge([(one.stored, one.outcome) for one in gathered])
        return await self.settle([self._decided(*pair) for pair in zip(gathered, charged, strict=True)])

    def _decided(self, attempted: Attempted, charged: Charged) -> Decided:
        again = partial(
            settle,
            outcome=charged.outcome,
            notices=charged.notices,
            started_at=attempted.started_at,
            now=attempted.finished_at,
            dice=self._dice(),
        )
        return Decided(attempted.stored, again(attempted.stored.task), again)


def _to_be_told_now(alert: Alert, before: Alert, *, now: datetime) -> bool:
    """Whether this tick delivers what is pending: it is new, or its time has come.

    A channel that is down or closed is not asked again at every run of a task that runs each minute.
    """
    at = alert.retry_at
    return bool(alert.pending) and (at is None or at <= now or at != before.retry_at)


def _to_be_passed_on_now(outbox: Outbox, before: Outbox, *, now: datetime) -> bool:
    """Whether this tick passes on what waits: it is new, or its time has come."""
    at = outbox.retry_at
    return bool(outbox.events) and (at is None or at <= now or at != before.retry_at)
