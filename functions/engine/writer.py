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

from functions.domain.lifecycle.complete import Transition
from functions.domain.storage import (
    RUNS_PER_BATCH,
    ConditionalWrite,
    RunBatch,
    VersionedTask,
    WriteResult,
    WriteStatus,
)
from functions.domain.task import Task
from functions.errors import StoreUnavailableError
from functions.interfaces import TickStore

log = logging.getLogger(__name__)

MAX_TRIES = 5  # tries at one settlement; the claim's expiry, or another tick, heals what is left
FIRST_WAIT_S = 0.2  # before the second try; doubled for each later one
MIN_TIMEOUT_S = 0.5  # what one try gets even when the time is up


@dataclass(frozen=True, slots=True)
class PendingTransition:
    """A settlement on its way into the store.

    Attributes:
        stored: The task as this tick last knew it.
        again: Decides anew for a task that changed meanwhile, as long as the claim (if it was claimed) is
            still ours; None when a changed task is no longer this tick's business.
        unsure: Whether an earlier try went unanswered, so that a refusal may be our own doing.
    """

    task: VersionedTask
    transition: Transition
    recompute: Callable[[Task], Transition] | None = None
    maybe_applied: bool = False


class TickWriter:
    """The writes of one tick. Not shared between ticks.

    Args:
        until: When trying must end, because somebody waits for the tick's answer; None means never.
    """

    def __init__(
        self,
        store: TickStore,
        *,
        tick_id: str,
        clock: Callable[[], datetime],
        deadline: datetime | None = None,
    ) -> None:
        self._store = store
        self._tick_id = tick_id
        self._clock = clock
        self._deadline = deadline
        self._batch_numbers = count(1)
        self._claim_numbers = count(1)

    def new_claim_token(self) -> str:
        """A token for a claim, never used before; its front part finds this tick's ledger entries."""
        return f"{self._tick_id}.{next(self._claim_numbers)}"

    async def claim(self, wanted: Sequence[tuple[VersionedTask, Mapping[str, Any]]]) -> list[VersionedTask]:
        """Try to claim each task; return those that are now ours, as claimed.

        Raises:
            StoreUnavailableError: It is not known what became of the claims. Those that were applied expire.
        """
        writes = [ConditionalWrite.for_changes(stored, changes) for stored, changes in wanted]
        won, unknown = [], {}
        for write, written in zip(writes, await self._send(None, writes), strict=True):
            if written.status is WriteStatus.APPLIED:
                won.append(VersionedTask(write.task, written.revision))
            elif written.status is WriteStatus.UNKNOWN:
                unknown[write.task.id] = write.task
        if unknown:
            log.warning("claims_unanswered", extra={"count": len(unknown)})
            found = await self._store.get_tasks(list(unknown))
            won += [stored for stored in found.tasks if _has_same_claim(stored.task, unknown[stored.task.id])]
        return won

    async def apply(self, transitions: Sequence[PendingTransition]) -> list[VersionedTask | None]:
        """Keep the records and write the settlements; answer in the same order.

        Returns:
            The task as it now stands, or None where somebody else has taken over or the store did
            not answer to the end: the claim's expiry and the ledger heal that.
        """
        settled: list[VersionedTask | None] = []
        for group in _group_by_batch_size(transitions):
            settled += await self._apply_group(group)
        return settled

    async def _apply_group(self, transitions: Sequence[PendingTransition]) -> list[VersionedTask | None]:
        settled: list[VersionedTask | None] = [None] * len(transitions)
        open_items = dict(enumerate(transitions))
        for round_ in range(MAX_TRIES):
            if round_:
                if self._seconds_left() <= MIN_TIMEOUT_S:
                    break
                await asyncio.sleep(FIRST_WAIT_S * 2 ** (round_ - 1))
            open_items = await self._apply_once(open_items, settled)
            if not open_items:
                return settled
        log.error("settlements_not_written", extra={"count": len(open_items)})
        return settled

    async def _apply_once(
        self, items: Mapping[int, PendingTransition], applied: list[VersionedTask | None]
    ) -> dict[int, PendingTransition]:
        """Try each item once; fill in *settled* what is done and return what is to be tried again."""
        runs = tuple(run for item in items.values() for run in item.transition.runs)
        entry = self._run_batch(runs) if runs else None
        writes = [ConditionalWrite.for_changes(item.task, item.transition.changes) for item in items.values()]
        answers = await self._send(entry, writes)
        if entry is not None:
            await self._remove_void_runs(entry, items.values(), answers)
        unsettled: dict[int, PendingTransition] = {}
        for (index, item), write, written in zip(items.items(), writes, answers, strict=True):
            if written.status is WriteStatus.APPLIED:
                applied[index] = VersionedTask(write.task, written.revision)
            else:
                unsure = item.maybe_applied or written.status is WriteStatus.UNKNOWN
                unsettled[index] = replace(item, maybe_applied=unsure)
        return await self._reread_conflicts(unsettled, applied) if unsettled else {}

    async def _remove_void_runs(
        self, batch: RunBatch, items: Iterable[PendingTransition], results: Sequence[WriteResult]
    ) -> None:
        """Strike from *entry* what was decided and did not come to pass: somebody else had been faster.

        An attempt was made, whoever settles it; but a skip, or a claim given up, is only a decision.
        """
        vain = {
            id(run)
            for item, answer in zip(items, results, strict=True)
            if answer.status is WriteStatus.CONFLICT and item.recompute is None and not item.maybe_applied
            for run in item.transition.runs
            if run.has_no_result
        }
        if vain:
            await self._send(replace(batch, runs=tuple(run for run in batch.runs if id(run) not in vain)), ())

    async def _reread_conflicts(
        self, items: Mapping[int, PendingTransition], applied: list[VersionedTask | None]
    ) -> dict[int, PendingTransition]:
        """Read what was refused or unanswered; return what is still ours to write."""
        try:
            found = await self._store.get_tasks([item.task.task.id for item in items.values()])
        except StoreUnavailableError:
            return dict(items)
        fresh = {stored.task.id: stored for stored in found.tasks}
        ours: dict[int, PendingTransition] = {}
        for index, item in items.items():
            now = fresh.get(item.task.task.id)
            if now is None:
                continue  # deleted, or no longer readable: its run is in the ledger, nothing more to do
            if now.revision == item.task.revision:
                ours[index] = item
            elif item.recompute and _claim_is_ours(now.task, item.task.task):
                ours[index] = replace(item, task=now, transition=item.recompute(now.task))
            elif item.maybe_applied:
                applied[index] = now  # most likely our own write, whose answer was lost
            else:
                log.warning("settlement_overtaken", extra={"task_id": now.task.id})
        return ours

    def _run_batch(self, runs: Sequence[Any]) -> RunBatch:
        return RunBatch(id=f"{self._tick_id}.{next(self._batch_numbers)}", at=self._clock(), runs=tuple(runs))

    async def _send(self, batch: RunBatch | None, writes: Sequence[ConditionalWrite]) -> list[WriteResult]:
        try:
            async with asyncio.timeout(_timeout_or_none(self._seconds_left())):
                if batch is None:
                    return await self._store.write(writes)
                return await self._store.write_with_runs(batch, writes)
        except (StoreUnavailableError, TimeoutError):
            return [WriteResult(WriteStatus.UNKNOWN)] * len(writes)

    def _seconds_left(self) -> float:
        """Seconds until the answer is due."""
        return math.inf if self._deadline is None else (self._deadline - self._clock()).total_seconds()


def _timeout_or_none(seconds_left: float) -> float | None:
    return None if math.isinf(seconds_left) else max(seconds_left, MIN_TIMEOUT_S)


def _group_by_batch_size(transitions: Sequence[PendingTransition]) -> Iterator[list[PendingTransition]]:
    """*decided* in groups whose records fit one ledger entry each."""
    group: list[PendingTransition] = []
    size = 0
    for item in transitions:
        runs = len(item.transition.runs)
        if group and size + runs > RUNS_PER_BATCH:
            yield group
            group, size = [], 0
        group.append(item)
        size += runs
    if group:
        yield group


def _claim_is_ours(task: Task, ours: Task) -> bool:
    return ours.claim is None or _has_same_claim(task, ours)


def _has_same_claim(task: Task, ours: Task) -> bool:
    return task.claim is not None and ours.claim is not None and task.claim.token == ours.claim.token
