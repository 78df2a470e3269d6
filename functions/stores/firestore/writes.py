"""Guarded writes in batches: how they are cut into requests, and what the answers mean."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

import grpc  # type: ignore[import-untyped]  # it ships no types

from functions.domain.storage import LedgerEntry, Result, Write, Written
from functions.errors import StoreError, StoreUnavailable
from functions.stores.firestore import messages_pb2 as wire
from functions.stores.firestore.client import Calls, translated
from functions.stores.firestore.codec import put_write, revision_of
from functions.stores.firestore.queries import Names
from functions.stores.firestore.runs_and_documents import put_entry
from functions.stores.metering import count

CHUNK_WRITES = 400
CHUNK_BYTES = 3_500_000  # the emulator refuses 4 MiB (with an error that invites to try again), Firestore 10

UNKNOWN = Written(Result.UNKNOWN)
REFUSED = Written(Result.REFUSED)

OK = 0
GUARD_DID_NOT_HOLD = {
    grpc.StatusCode.NOT_FOUND.value[0],
    grpc.StatusCode.ALREADY_EXISTS.value[0],
    grpc.StatusCode.FAILED_PRECONDITION.value[0],
}
FROM_THE_FUTURE = "Invalid base version"  # what a guard gets whose revision is later than the document's
WILL_NOT_MEND = {
    grpc.StatusCode.INVALID_ARGUMENT.value[0],
    grpc.StatusCode.PERMISSION_DENIED.value[0],
}

Fill = Callable[[wire.Write], None]

#: What became of one write. An error is its own fault, and trying again will not mend it.
Answer = Written | StoreError


async def keep(calls: Calls, names: Names, entry: LedgerEntry, *, deadlines: Sequence[float]) -> bool:
    """Leave *entry* in the ledger; whether it is certainly there. Leaving it there again changes nothing.

    Args:
        deadlines: One for each try, in the running loop's time.

    Raises:
        StoreError: It cannot be kept, and trying again will not mend it.
    """
    request = wire.BatchWriteRequest(database=names.database)
    put_entry(request.writes.add(), entry, name=names.entry(entry.id))
    for deadline in deadlines:
        [answer] = await _send(calls, request, deadline=deadline)
        count(writes=1)
        if isinstance(answer, StoreError):
            raise answer
        if answer.result is Result.APPLIED:
            return True
    return False


async def write_all(calls: Calls, names: Names, writes: Sequence[Write], *, deadline: float) -> list[Written]:
    """Do each write whose guard holds, in parallel requests; answer in the same order.

    A write that Firestore will not take at all (too large, say) stops no other: it is UNKNOWN among
    others that were done, and raised when there are none.

    Args:
        deadline: In the running loop's time; what has not been answered by then is UNKNOWN.

    Raises:
        StoreError: Nothing could be done, and trying again will not mend it.
    """
    deletes = sum(write.delete for write in writes)
    fills: list[tuple[str, Fill]] = [
        (f"Task {write.task.id}", partial(put_write, write=write, name=names.task(write.task.id)))
        for write in writes
    ]
    count(writes=len(writes) - deletes, deletes=deletes)  # refused ones too: a bill may hold them
    return await send_all(calls, names, fills, deadline=deadline)


async def send_all(
    calls: Calls, names: Names, fills: Sequence[tuple[str, Fill]], *, deadline: float
) -> list[Written]:
    """As `write_all`, for any documents.

    Args:
        fills: For each write what it is about, for an error, and what fills an empty message with it.
    """
    chunks = [fills[start : start + CHUNK_WRITES] for start in range(0, len(fills), CHUNK_WRITES)]
    parts = await asyncio.gather(*(_chunk(calls, names, chunk, deadline=deadline) for chunk in chunks))
    answers = [answer for part in parts for answer in part]
    faults = [answer for answer in answers if isinstance(answer, StoreError)]
    if faults and len(faults) == len(answers):
        raise faults[0]
    return [UNKNOWN if isinstance(answer, StoreError) else answer for answer in answers]


async def _chunk(
    calls: Calls, names: Names, fills: Sequence[tuple[str, Fill]], *, deadline: float
) -> list[Answer]:
    """Encode and send some writes; one that cannot be encoded is left out."""
    request = wire.BatchWriteRequest(database=names.database)
    faults: dict[int, StoreError] = {}
    for index, (subject, fill) in enumerate(fills):
        try:
            fill(request.writes.add())
        except (ValueError, TypeError) as error:
            del request.writes[-1]
            why = f"it holds a value that cannot be kept ({type(error).__name__})"
            faults[index] = StoreError(f"{subject}: {why}")
    sent = iter(await _send(calls, request, deadline=deadline) if request.writes else ())
    return [faults.get(index) or next(sent) for index in range(len(fills))]


async def _send(calls: Calls, request: wire.BatchWriteRequest, *, deadline: float) -> list[Answer]:
    """Send *request*, in halves when it is too large or one of its writes spoils it."""
    size = len(request.writes)
    body = request.SerializeToString()
    if len(body) > CHUNK_BYTES and size > 1:
        return await _send_halves(calls, request, deadline=deadline)
    try:
        async with asyncio.timeout_at(deadline):
            response = await calls.line.batch_write(body)
    except TimeoutError:
        return [UNKNOWN] * size
    except grpc.aio.AioRpcError as error:
        if error.code() is grpc.StatusCode.INVALID_ARGUMENT and size > 1:
            return await _send_halves(calls, request, deadline=deadline)
        fault = translated(error)
        return [UNKNOWN if isinstance(fault, StoreUnavailable) else fault] * size
    return [answer_to(*each) for each in zip(response.status, response.write_results, strict=True)]


async def _send_halves(calls: Calls, request: wire.BatchWriteRequest, *, deadline: float) -> list[Answer]:
    middle = len(request.writes) // 2
    halves = (
        wire.BatchWriteRequest(database=request.database, writes=part)
        for part in (request.writes[:middle], request.writes[middle:])
    )
    first, second = await asyncio.gather(*(_send(calls, half, deadline=deadline) for half in halves))
    return [*first, *second]


def answer_to(status: wire.Status, result: wire.WriteResult) -> Answer:
    """What one write came to. A lock held by somebody else, say, leaves it open: UNKNOWN."""
    if status.code == OK:
        return Written(Result.APPLIED, revision_of(result.update_time))
    if status.code in GUARD_DID_NOT_HOLD or status.message.startswith(FROM_THE_FUTURE):
        return REFUSED
    if status.code in WILL_NOT_MEND:
        return StoreError(f"Firestore refused a write: {status.message[:300]}")
    return UNKNOWN
