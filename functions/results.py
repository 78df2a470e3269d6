"""The results of one tick on their way into the store: gathered, settled in batches, records first."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial

from functions.attempts import Attempted
from functions.books import Books, Decided
from functions.rules.report import Report
from functions.rules.settlement import settle
from functions.rules.storage import Stored

FLUSH_EVERY_S = 0.25  # a result waits this long for company
FLUSH_AT = 100
AGAIN_LIMIT = 150  # times one task is due again within a tick: a full backlog, and an end to any mistake


class Results:
    """Takes attempts that are over and writes what follows from them.

    Attributes:
        to_tell: Tasks with notices that wait for delivery, by id, as last written.
    """

    def __init__(
        self,
        books: Books,
        report: Report,
        *,
        clock: Callable[[], datetime],
        dice: Callable[[], float],
    ) -> None:
        self.to_tell: dict[str, Stored] = {}
        self._books = books
        self._report = report
        self._clock = clock
        self._dice = dice
        self._again: Counter[str] = Counter()
        self._gathered: list[Attempted] = []
        self._flushes: list[asyncio.Task[list[Stored]]] = []
        self._timer: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> bool:
        """Whether anything is not written yet."""
        return bool(self._gathered or self._flushes)

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
        return [stored for due_again in await asyncio.gather(*flushes) for stored in due_again]

    async def settle(self, decided: Sequence[Decided]) -> list[Stored]:
        """Write *decided* and count it; return the tasks that are due again at once."""
        due_again = []
        now = self._clock()
        for item, stored in zip(decided, await self._books.settle(decided), strict=True):
            if stored is None and item.again is None:
                self._report.taken += 1
                continue
            for run in item.settlement.runs:
                self._report.count(run)
            if stored is None:  # the attempt was made; who settles it is another tick's business now
                continue
            if stored.task.alert.pending:
                self.to_tell[stored.task.id] = stored
            if stored.task.next_run_at is not None and stored.task.next_run_at <= now:
                self._again[stored.task.id] += 1
                if self._again[stored.task.id] <= AGAIN_LIMIT:
                    due_again.append(stored)
        return due_again

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._gathered:
            gathered, self._gathered = self._gathered, []
            decided = [self._decided(attempted) for attempted in gathered]
            self._flushes.append(asyncio.create_task(self.settle(decided)))

    def _decided(self, attempted: Attempted) -> Decided:
        again = partial(
            settle,
            outcome=attempted.outcome,
            started_at=attempted.started_at,
            now=attempted.finished_at,
            dice=self._dice(),
        )
        return Decided(attempted.stored, again(attempted.stored.task), again)
