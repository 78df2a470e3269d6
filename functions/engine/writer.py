"""The guarded writes of one tick: claims won or lost, settlements fenced, answers that never came.

A store that does not answer has said "unknown", not "no": the write may have been applied. Here such
writes are settled by reading the document again and comparing the claim's token.
"""

import asyncio
import logging
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import count
from typing import Any

from functions.domain.lifecycle.complete import Settlement
from functions.domain.storage import RUNS_PER_ENTRY, LedgerEntry, Result, Stored, Write, Written
from functions.domain.task import Task
from functions.errors import StoreUnavailable
from functions.interfaces import Store

log = logging.getLogger(__name__)

ROUNDS = 5  # tries at one settlement; the claim's expiry, or another tick, heals what is left
FIRST_WAIT_S = 0.2  # before the second try; doubled for each later one
LEAST_S = 0.5  # what one try gets even when the time is up


@dataclass(frozen=True, slots=True)
class Decided:
    """A settlement on its way into the store.

    Attributes:
        stored: The task as this tick last knew it.
        again: Decides anew for a task that changed meanwhile, as long as the claim (if it was claimed) is
            still ours; None when a changed task is no longer this tick's business.
        unsure: Whether an earlier try went unanswered, so that a refusal may be our own doing.
    """

    stored: Stored
    settlement: Settlement
    again: Callable[[Task], Settlement] | None = None
    unsure: bool = False


class Books:
    """The writes of one tick. Not shared between ticks.

    Args:
        until: When trying must end, because somebody waits for the tick's answer; None means never.
    """

    def __init__(
        self, store: Store, *, tick_id: str, clock: Callable[[], datetime], until: datetime | None = None
    ) -> None:
        self._store = store
        self._tick_id = tick_id
        self._clock = clock
        self._until = until
        self._entries = count(1)
        self._claims = count(1)

    def next_token(self) -> str:
        """A token for a claim, never used before; its front part finds this tick's ledger entries."""
        return f"{self._tick_id}.{next(self._claims)}"

    async def claim(self, wanted: Sequence[tuple[Stored, Mapping[str, Any]]]) -> list[Stored]:
        """Try to claim each task; return those that are now ours, as claimed.

        Raises:
            StoreUnavailable: It is not known what became of the claims. Those that were applied expire.
        """
        writes = [Write.changing(stored, changes) for stored, changes in wanted]
        won, unknown = [], {}
        for write, written in zip(writes, await self._answers(None, writes), strict=True):
            if written.result is Result.APPLIED:
                won.append(Stored(write.task, written.revision))
            elif written.result is Result.UNKNOWN:
                unknown[write.task.id] = write.task
        if unknown:
            log.warning("claims_unanswered", extra={"count": len(unknown)})
            found = await self._store.read(list(unknown))
            won += [stored for stored in found.tasks if _same_claim(stored.task, unknown[stored.task.id])]
        return won

    async def settle(self, decided: Sequence[Decided]) -> list[Stored | None]:
        """Keep the records and write the settlements; answer in the same order.

        Returns:
            The task as it now stands, or None where somebody else has taken over or the store did
            not answer to the end: the claim's expiry and the ledger heal that.
        """
        settled: list[Stored | None] = []
        for group in _entries_full(decided):
            settled += await self._settle_group(group)
        return settled

    async def _settle_group(self, decided: Sequence[Decided]) -> list[Stored | None]:
        settled: list[Stored | None] = [None] * len(decided)
        open_items = dict(enumerate(decided))
        for round_ in range(ROUNDS):
            if round_:
                if self._left_s() <= LEAST_S:
                    break
                await asyncio.sleep(FIRST_WAIT_S * 2 ** (round_ - 1))
            open_items = await self._one_round(open_items, settled)
            if not open_items:
                return settled
        log.error("settlements_not_written", extra={"count": len(open_items)})
        return settled

    async def _one_round(
        self, items: Mapping[int, Decided], settled: list[Stored | None]
    ) -> dict[int, Decided]:
        """Try each item once; fill in *settled* what is done and return what is to be tried again."""
        runs = tuple(run for item in items.values() for run in item.settlement.runs)
        entry = self._entry(runs) if runs else None
        writes = [Write.changing(item.stored, item.settlement.changes) for item in items.values()]
        answers = await self._answers(entry, writes)
        if entry is not None:
            await self._take_back(entry, items.values(), answers)
        unsettled: dict[int, Decided] = {}
        for (index, item), write, written in zip(items.items(), writes, answers, strict=True):
            if written.result is Result.APPLIED:
                settled[index] = Stored(write.task, written.revision)
            else:
                unsure = item.unsure or written.result is Result.UNKNOWN
                unsettled[index] = replace(item, unsure=unsure)
        return await self._look_again(unsettled, settled) if unsettled else {}

    async def _take_back(
        self, entry: LedgerEntry, items: Iterable[Decided], answers: Sequence[Written]
    ) -> None:
        """Strike from *entry* what was decided and did not come to pass: somebody else had been faster.

        An attempt was made, whoever settles it; but a skip, or a claim given up, is only a decision.
        """
        vain = {
            id(run)
            for item, answer in zip(items, answers, strict=True)
            if answer.result is Result.REFUSED and item.again is None and not item.unsure
            for run in item.settlement.runs
            if run.only_decided
        }
        if vain:
            await self._answers(
                replace(entry, runs=tuple(run for run in entry.runs if id(run) not in vain)), ()
            )

    async def _look_again(
        self, items: Mapping[int, Decided], settled: list[Stored | None]
    ) -> dict[int, Decided]:
        """Read what was refused or unanswered; return what is still ours to write."""
        try:
            found = await self._store.read([item.stored.task.id for item in items.values()])
        except StoreUnavailable:
            return dict(items)
        fresh = {stored.task.id: stored for stored in found.tasks}
        ours: dict[int, Decided] = {}
        for index, item in items.items():
            now = fresh.get(item.stored.task.id)
            if now is None:
                continue  # deleted, or no longer readable: its run is in the ledger, nothing more to do
            if now.revision == item.stored.revision:
                ours[index] = item
            elif item.again and _still_ours(now.task, item.stored.task):
                ours[index] = replace(item, stored=now, settlement=item.again(now.task))
            elif item.unsure:
                settled[index] = now  # most likely our own write, whose answer was lost
            else:
                log.warning("settlement_overtaken", extra={"task_id": now.task.id})
        return ours

    def _entry(self, runs: Sequence[Any]) -> LedgerEntry:
        return LedgerEntry(id=f"{self._tick_id}.{next(self._entries)}", at=self._clock(), runs=tuple(runs))

    async def _answers(self, entry: LedgerEntry | None, writes: Sequence[Write]) -> list[Written]:
        try:
            async with asyncio.timeout(_bound(self._left_s())):
                if entry is None:
                    return await self._store.write(writes)
                return await self._store.finish(entry, writes)
        except (StoreUnavailable, TimeoutError):
            return [Written(Result.UNKNOWN)] * len(writes)

    def _left_s(self) -> float:
        """Seconds until the answer is due."""
        return math.inf if self._until is None else (self._until - self._clock()).total_seconds()


def _bound(left_s: float) -> float | None:
    return None if math.isinf(left_s) else max(left_s, LEAST_S)


def _entries_full(decided: Sequence[Decided]) -> Iterator[list[Decided]]:
    """*decided* in groups whose records fit one ledger entry each."""
    group: list[Decided] = []
    size = 0
    for item in decided:
        runs = len(item.settlement.runs)
        if group and size + runs > RUNS_PER_ENTRY:
            yield group
            group, size = [], 0
        group.append(item)
        size += runs
    if group:
        yield group


def _still_ours(task: Task, ours: Task) -> bool:
    return ours.claim is None or _same_claim(task, ours)


def _same_claim(task: Task, ours: Task) -> bool:
    return task.claim is not None and ours.claim is not None and task.claim.token == ours.claim.token
