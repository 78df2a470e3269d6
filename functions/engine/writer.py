"""The conditional writes of one tick: claims won or lost, transitions fenced by the claim's token.

A store that does not answer has said "unknown", not "no": the write may have been applied. Such a write is
resolved by reading the document again and comparing the token.
"""

import asyncio
import logging
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from itertools import count
from typing import Any

from functions.domain.lifecycle.complete import Transition
from functions.domain.lifecycle.decide import release_claim
from functions.domain.lifecycle.recover import make_storable
from functions.domain.storage import (
    RUNS_PER_BATCH,
    ConditionalWrite,
    RunBatch,
    VersionedTask,
    WriteResult,
    WriteStatus,
)
from functions.domain.task import Task
from functions.errors import InvalidWriteError, StoreError, StoreUnavailableError
from functions.interfaces import TickStore

log = logging.getLogger(__name__)

MAX_TRIES = 5  # at one transition; the claim's expiry, or another tick, heals what is left
FIRST_WAIT_S = 0.2  # before the second try; doubled for each later one
MIN_TIMEOUT_S = 0.5  # of one try, even when the time is up


@dataclass(frozen=True, slots=True)
class PendingTransition:
    """A transition that is not in the store yet.

    Attributes:
        task: The task as this tick last read or wrote it.
        recompute: Decides again for a task that has changed, as long as the claim (if there was one) is still
            this tick's; None when a changed task is no longer this tick's business.
        maybe_applied: Whether an earlier try was not answered, so that a conflict may be with our own write.
        refusals: How often the store refused it for what it holds.
        is_deferred: Whether its record is all that is written now: see `lifecycle.deferral`.
    """

    task: VersionedTask
    transition: Transition
    recompute: Callable[[Task], Transition] | None = None
    maybe_applied: bool = False
    refusals: int = 0
    is_deferred: bool = False


class TickWriter:
    """The writes of one tick. Not shared between ticks.

    Args:
        deadline: When trying ends, because a caller waits for the tick's answer; None means never.

    Attributes:
        unwritten: The ids of tasks whose transitions the store did not take until the deadline.
        unclaimed: The ids of tasks that were not claimed because the store did not take the claim: when read
            again, they were as before.
        unanswered_claims: Tasks, as claimed, by id: the store did not answer and, when read again, did not
            have the claim. It may still get it, for an attempt that nobody makes.
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
        self.unwritten: set[str] = set()
        self.unclaimed: set[str] = set()
        self.unanswered_claims: dict[str, Task] = {}

    def new_claim_token(self) -> str:
        """Return a token that was never used; the part before its dot names this tick's run batches."""
        return f"{self._tick_id}.{next(self._claim_numbers)}"

    async def claim(self, wanted: Sequence[tuple[VersionedTask, Mapping[str, Any]]]) -> list[VersionedTask]:
        """Try to claim each task; return those whose claim was won, as claimed.

        Raises:
            StoreUnavailableError: It is not known what became of the claims. Those that were applied expire.
        """
        writes = [ConditionalWrite.for_changes(stored, changes) for stored, changes in wanted]
        won, unknown, revisions, refused = [], {}, {}, []
        for (stored, _), write, written in zip(wanted, writes, await self._send(None, writes), strict=True):
            if written.status is WriteStatus.APPLIED:
                won.append(VersionedTask(write.task, written.revision))
            elif written.status is WriteStatus.UNKNOWN:
                unknown[write.task.id], revisions[write.task.id] = write.task, write.revision
            elif written.status is WriteStatus.INVALID:
                refused.append(PendingTransition(stored, Transition({}, ())))
        if refused:
            now = self._clock()
            await self.apply([one for item in refused if (one := _make_storable(item, now=now))])
        if unknown:
            log.warning("claims_unanswered", extra={"count": len(unknown)})
            self.unanswered_claims |= unknown
            found, others = await self._find_claims(unknown)
            self.unclaimed |= {one.task.id for one in others if one.revision == revisions[one.task.id]}
            for stored in found:
                del self.unanswered_claims[stored.task.id]
            won += found
        return won

    async def release_unanswered_claims(self) -> None:
        """Release the claims that were applied after all: as expired ones they would look like a death.

        Never raises: a claim that stays expires.
        """
        claimed, self.unanswered_claims = self.unanswered_claims, {}
        try:
            found, _ = await self._find_claims(claimed)
        except StoreError:
            return
        now = self._clock()
        await self._send(
            None, [ConditionalWrite.for_changes(one, release_claim(one.task, now=now)) for one in found]
        )

    async def _find_claims(
        self, claimed: Mapping[str, Task]
    ) -> tuple[list[VersionedTask], list[VersionedTask]]:
        """Read the tasks of *claimed* again; return those that have the claim, and the others."""
        ours: list[VersionedTask] = []
        others: list[VersionedTask] = []
        for stored in (await self._store.get_tasks(list(claimed))).tasks:
            (ours if _has_same_claim(stored.task, claimed[stored.task.id]) else others).append(stored)
        return ours, others

    async def apply(self, transitions: Sequence[PendingTransition]) -> list[VersionedTask | None]:
        """Write the run records and then the transitions that are not deferred; answer in the same order.

        Returns:
            The task as it is now, or None where another writer has taken over or the store did not answer
            until the deadline: the claim's expiry and the run batch heal that.
        """
        applied: list[VersionedTask | None] = []
        for group in _group_by_batch_size(transitions):
            applied += await self._apply_group(group)
        return applied

    async def _apply_group(self, transitions: Sequence[PendingTransition]) -> list[VersionedTask | None]:
        applied: list[VersionedTask | None] = [None] * len(transitions)
        remaining = dict(enumerate(transitions))
        for tries in range(MAX_TRIES):
            if tries:
                if self._seconds_left() <= MIN_TIMEOUT_S:
                    break
                await asyncio.sleep(FIRST_WAIT_S * 2 ** (tries - 1))
            remaining = await self._apply_once(remaining, applied, transitions)
            if not remaining:
                return applied
        log.error("settlements_not_written", extra={"count": len(remaining)})
        self.unwritten |= {item.task.task.id for item in remaining.values()}
        return applied

    async def _apply_once(
        self,
        items: Mapping[int, PendingTransition],
        applied: list[VersionedTask | None],
        first: Sequence[PendingTransition],
    ) -> dict[int, PendingTransition]:
        """Try each item once; fill in *applied* what is done and return what is to be tried again.

        Args:
            first: The items by their numbers, as they were before any try.
        """
        runs = tuple(run for item in items.values() for run in item.transition.runs)
        batch = self._run_batch(runs) if runs else None
        written = {index: item for index, item in items.items() if not item.is_deferred}
        writes = [_to_write(item) for item in written.values()]
        results, is_recorded = await self._send_recorded(batch, writes)
        if batch is not None:
            await self._remove_void_runs(batch, written.values(), results)
        remaining: dict[int, PendingTransition] = {}
        for index in items.keys() - written.keys():
            if is_recorded:
                applied[index] = _task_after_deferred(items[index])
            else:
                remaining[index] = items[index]
        for (index, item), write, result in zip(written.items(), writes, results, strict=True):
            if result.status is WriteStatus.APPLIED:
                applied[index] = VersionedTask(write.task, result.revision)
            elif result.status is WriteStatus.INVALID:
                smaller = _make_storable(item, now=self._clock())
                if smaller is None:
                    self.unwritten.add(item.task.task.id)
                else:
                    remaining[index] = smaller
            else:
                maybe_applied = item.maybe_applied or result.status is WriteStatus.UNKNOWN
                remaining[index] = replace(item, maybe_applied=maybe_applied)
        return await self._reread_conflicts(remaining, applied, first) if remaining else {}

    async def _remove_void_runs(
        self, batch: RunBatch, items: Iterable[PendingTransition], results: Sequence[WriteResult]
    ) -> None:
        """Remove from *batch* the runs of decisions that were not applied: another writer was first.

        An attempt was made, whichever tick writes it; a skip, or a claim given up, is only a decision.
        """
        void = {
            id(run)
            for item, result in zip(items, results, strict=True)
            if result.status is WriteStatus.CONFLICT and item.recompute is None and not item.maybe_applied
            for run in item.transition.runs
            if run.has_no_result
        }
        if void:
            await self._send(replace(batch, runs=tuple(run for run in batch.runs if id(run) not in void)), ())

    async def _reread_conflicts(
        self,
        items: Mapping[int, PendingTransition],
        applied: list[VersionedTask | None],
        first: Sequence[PendingTransition],
    ) -> dict[int, PendingTransition]:
        """Read again what met a conflict or no answer; return what this tick still has to write.

        A task read again may be claimed by another tick: that claim was never this tick's, and its end is
        no reason to drop a transition that needed none.
        """
        try:
            result = await self._store.get_tasks([item.task.task.id for item in items.values()])
        except StoreUnavailableError:
            return dict(items)
        stored_now = {stored.task.id: stored for stored in result.tasks}
        ours: dict[int, PendingTransition] = {}
        for index, item in items.items():
            current = stored_now.get(item.task.task.id)
            if current is None:
                continue  # deleted, or no longer readable: its run is recorded, nothing more to do
            if current.revision == item.task.revision:
                ours[index] = item
            elif item.recompute and _claim_is_ours(current.task, first[index].task.task):
                again = item.recompute(current.task)
                ours[index] = replace(item, task=current, transition=again, is_deferred=False)
            elif item.maybe_applied:
                applied[index] = current  # most likely our own write, whose answer was lost
            else:
                log.warning("settlement_overtaken", extra={"task_id": current.task.id})
        return ours

    def _run_batch(self, runs: Sequence[Any]) -> RunBatch:
        return RunBatch(id=f"{self._tick_id}.{next(self._batch_numbers)}", at=self._clock(), runs=tuple(runs))

    async def _send(self, batch: RunBatch | None, writes: Sequence[ConditionalWrite]) -> list[WriteResult]:
        return (await self._send_recorded(batch, writes))[0]

    async def _send_recorded(
        self, batch: RunBatch | None, writes: Sequence[ConditionalWrite]
    ) -> tuple[list[WriteResult], bool]:
        """Return the results, and whether all of *batch* is on record for certain."""
        try:
            async with asyncio.timeout(_timeout_or_none(self._seconds_left())):
                if batch is None:
                    return await self._store.write(writes), True
                results = await self._store.write_with_runs(batch, writes)
        except (StoreUnavailableError, TimeoutError) as exc:
            log.warning(
                "writes_unanswered", extra={"count": len(writes), "error": str(exc) or "no time left"}
            )
            return [WriteResult(WriteStatus.UNKNOWN)] * len(writes), False
        except InvalidWriteError:
            if len(writes) <= 1:
                return [WriteResult(WriteStatus.INVALID)] * len(writes), False
            return await self._send_halves(batch, writes), False
        return results, not writes or any(one.status is not WriteStatus.UNKNOWN for one in results)

    async def _send_halves(
        self, batch: RunBatch | None, writes: Sequence[ConditionalWrite]
    ) -> list[WriteResult]:
        """Find what spoils a call, so that it stops nothing else."""
        results: list[WriteResult] = []
        for part in (writes[: len(writes) // 2], writes[len(writes) // 2 :]):
            ids = {write.task.id for write in part}
            runs = tuple(run for run in batch.runs if run.task_id in ids) if batch else ()
            results += await self._send(self._run_batch(runs) if runs else None, part)
        return results

    def _seconds_left(self) -> float:
        """Return the seconds until the deadline."""
        return math.inf if self._deadline is None else (self._deadline - self._clock()).total_seconds()


def _to_write(item: PendingTransition) -> ConditionalWrite:
    write = ConditionalWrite.for_changes(item.task, item.transition.changes)
    return replace(write, delete=True) if item.transition.removes else write


def _task_after_deferred(item: PendingTransition) -> VersionedTask:
    """The task of *item* after its transition, which its document does not hold yet."""
    changes = item.transition.changes
    task = item.task.task.model_copy(update=changes)
    return VersionedTask(task, item.task.revision, item.task.unwritten.union(changes))


def _make_storable(item: PendingTransition, *, now: datetime) -> PendingTransition | None:
    """Return what to try in place of an item that the store refused for what it holds; None for nothing."""
    task, refusals = item.task.task, item.refusals + 1
    log.error("task_not_storable", extra={"task_id": task.id, "refusals": refusals})
    smaller = make_storable(task, item.transition, refusals=refusals, now=now)
    if smaller is None:
        return None
    recompute = partial(_recompute_storable, item=item, refusals=refusals, now=now)
    return replace(item, transition=smaller, recompute=recompute, refusals=refusals)


def _recompute_storable(task: Task, *, item: PendingTransition, refusals: int, now: datetime) -> Transition:
    again = item.recompute(task) if item.recompute else item.transition
    return make_storable(task, again, refusals=refusals, now=now) or again


def _timeout_or_none(seconds_left: float) -> float | None:
    return None if math.isinf(seconds_left) else max(seconds_left, MIN_TIMEOUT_S)


def _group_by_batch_size(transitions: Sequence[PendingTransition]) -> Iterator[list[PendingTransition]]:
    """Yield *transitions* in groups whose runs fit one batch each."""
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
