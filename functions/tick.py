"""The order of one tick, and what it needs of the rooms around it."""

from collections.abc import Awaitable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from functions.rules.job import Job
from functions.rules.notice import Notice
from functions.rules.outcome import Outcome, Run
from functions.rules.storage import Found, LedgerEntry, Operations, Stored, Write, Written


class Store(Protocol):
    """What a tick needs of a store. Every call is bounded in time; none retries past its bound.

    Raises, from every method:
        StoreUnavailable: No answer in time, or a connection lost. For a write that means *unknown*:
            `write` and `finish` say so item by item instead, with `Result.UNKNOWN`, when they can.
        StoreError: A refusal that trying again will not mend.
    """

    async def due(self, now: datetime, *, limit: int) -> Found:
        """Return tasks whose `next_run_at` is not after *now*, earliest first, at most *limit*.

        A document that cannot be read as a task is in `Found.broken` and counts towards *limit*.
        """
        ...

    async def read(self, ids: Sequence[str]) -> Found:
        """Return the tasks with these ids, in any order; ids that do not exist are left out."""
        ...

    async def write(self, writes: Sequence[Write]) -> list[Written]:
        """Do each write whose guard holds, independently of the others; answer in the same order.

        A write is applied when the document's revision is the expected one (or when it does not
        exist and none is expected). No two writes of one call are for the same task. A write sent
        again after a lost answer may be refused by its own first try: whoever must know compares
        the claim's token after a `read`.
        """
        ...

    async def finish(self, entry: LedgerEntry | None, writes: Sequence[Write]) -> list[Written]:
        """Keep *entry* in the ledger, then do *writes* as `write` does.

        No write is applied unless the entry is kept. Keeping an entry twice leaves one. The entry is
        kept even if some writes are refused: it tells what happened, not what was decided.
        """
        ...

    async def runs_of_tick(self, tick_id: str) -> list[Run]:
        """Return all runs in ledger entries whose id is `<tick_id>.<number>`; empty when none."""
        ...

    def metered(self) -> AbstractContextManager[Operations]:
        """Count the operations done by this asyncio task, and those it starts, while inside."""
        ...


class Perform(Protocol):
    """Do a job's work once. Never raises for a fault of the work; cancellation passes through."""

    def __call__(self, job: Job) -> Awaitable[Outcome]: ...


class Tell(Protocol):
    """Deliver *notices* within *within*; return for each the channels that could not be told.

    An empty tuple means done (or that nobody can ever be told: no such channel, refused for good).
    One message a channel, however many notices. Never raises for a fault of a channel.
    """

    def __call__(
        self, notices: Sequence[Notice], *, within: timedelta
    ) -> Awaitable[list[tuple[str, ...]]]: ...


@dataclass(frozen=True, slots=True)
class Budget:
    """How long an invocation may take, counted from its start. None means without limit."""

    stop_starting: timedelta | None
    answer_by: timedelta | None


__all__ = ["Budget", "Perform", "Store", "Stored", "Tell"]
