"""The slots of groups in a store: one small document for each group, changed by compare-and-set."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from functions.domain.capacity.flow_control import (
    GroupState,
    SlotAnswer,
    SlotRequest,
    WaitReason,
    exchange_slots,
    group_id,
    why_waiting,
)
from functions.domain.storage import Document, WriteStatus
from functions.domain.task import Task
from functions.errors import StoreError
from functions.interfaces import DocumentStore
from functions.services.compare_and_set import compare_and_set

log = logging.getLogger(__name__)

KEPT_FOR = timedelta(days=7)  # a group that nobody uses leaves nothing behind
EXCHANGE_TIMEOUT_S = 5.0  # due tasks of other groups wait meanwhile
UNREADABLE = "The slots of its group could not be written: other processes change them, or the store is slow"


class StoredFlowControl:
    """The `FlowControl` over the documents of a store.

    What was written last is remembered, so that a process that works alone on a group reads it once: a slot
    is then given or freed by one write. After a conflict it is read anew, and before a refusal.

    Args:
        clock: The present moment, aware and in UTC.
    """

    def __init__(self, store: DocumentStore, *, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock
        self._known: dict[str, Document] = {}

    async def exchange(
        self,
        wanted: Mapping[str, Sequence[SlotRequest]],
        *,
        ended: Mapping[str, Sequence[str]],
        unused: Mapping[str, Sequence[str]],
    ) -> SlotAnswer:
        """Free slots and give others, all groups at once."""
        ids = sorted({*wanted, *ended, *unused})
        answers = await asyncio.gather(
            *(
                self._exchange_in_time(one, wanted.get(one, ()), (*ended.get(one, ()),), unused.get(one, ()))
                for one in ids
            )
        )
        refused: dict[str, str] = {}
        failed = set()
        for one, answer in zip(ids, answers, strict=True):
            if answer is None:
                failed.add(one)
                refused |= dict.fromkeys((request.token for request in wanted.get(one, ())), UNREADABLE)
            else:
                refused |= answer
        return SlotAnswer(refused, frozenset(failed))

    async def _exchange_in_time(
        self, id_: str, wanted: Sequence[SlotRequest], ended: Sequence[str], unused: Sequence[str]
    ) -> Mapping[str, str] | None:
        """Return the refused tokens of one group; None when its document could not be written."""

        async def attempt() -> Mapping[str, str] | None:
            return await self._try_exchange(id_, wanted, ended, unused)

        try:
            async with asyncio.timeout(EXCHANGE_TIMEOUT_S):
                return await compare_and_set(attempt, subject=f"the group {id_}")
        except (StoreError, TimeoutError) as exc:
            self._known.pop(id_, None)
            log.warning("group_not_written", extra={"group": id_, "error": type(exc).__name__})
            return None

    async def _try_exchange(
        self, id_: str, wanted: Sequence[SlotRequest], ended: Sequence[str], unused: Sequence[str]
    ) -> Mapping[str, str] | None:
        """Write once; return the refused tokens, or None when what was decided on has changed."""
        known = self._known.pop(id_, None)
        found = known or await self._read(id_)
        before = GroupState.from_data(found.data) if found else GroupState({})
        after, refused = exchange_slots(before, wanted, ended=ended, unused=unused, now=self._clock())
        if refused and known is not None:
            return None  # others may have freed slots since
        if after == before or (not wanted and after.holders == before.holders):
            if found is not None:
                self._known[id_] = found
            return refused
        document = Document(
            "groups", id_, after.to_data(), found.revision if found else None, self._clock() + KEPT_FOR
        )
        [written] = await self._store.put_documents([document])
        if written.status is not WriteStatus.APPLIED:
            return None
        self._known[id_] = Document("groups", id_, document.data, written.revision, document.expire_at)
        return refused

    async def _read(self, id_: str) -> Document | None:
        found = await self._store.get_documents("groups", [id_])
        return found[0] if found else None


async def find_wait_reason(store: DocumentStore, task: Task, *, now: datetime) -> WaitReason | None:
    """Return why *task*, which is due, has not started, as far as its group is the reason.

    A task without a group, or one that is not due, costs no read.

    Raises:
        StoreError: The store could not be read.
    """
    if task.group is None or task.next_run_at is None or task.next_run_at > now:
        return None
    found = await store.get_documents("groups", [group_id(task)])
    return why_waiting(task, GroupState.from_data(found[0].data if found else {}), now=now)
