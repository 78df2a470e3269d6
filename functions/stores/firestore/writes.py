"""Guarded writes in batches: how they are cut into requests, and what the answers mean."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeAlias

import grpc  # type: ignore[import-untyped]  # it ships no types
from google.api_core.exceptions import GoogleAPICallError
from google.cloud.firestore_v1.types import BatchWriteRequest, BatchWriteResponse

from functions.domain.storage import ConditionalWrite, RunBatch, WriteResult, WriteStatus
from functions.errors import InvalidWriteError, StoreError, StoreUnavailableError
from functions.stores.firestore.client import FirestoreConnection, to_store_error
from functions.stores.firestore.codec import RawWrite, encode_write, revision_of
from functions.stores.firestore.queries import ResourcePaths
from functions.stores.firestore.runs_and_documents import encode_run_batch
from functions.stores.metering import add_operations

log = logging.getLogger(__name__)

CHUNK_WRITES = 400
CHUNK_BYTES = 3_500_000  # the emulator refuses 4 MiB (with an error that invites to try again), Firestore 10

UNKNOWN = WriteResult(WriteStatus.UNKNOWN)
CONFLICT = WriteResult(WriteStatus.CONFLICT)
INVALID = WriteResult(WriteStatus.INVALID)

OK = 0
CONFLICT_CODES = {
    grpc.StatusCode.NOT_FOUND.value[0],
    grpc.StatusCode.ALREADY_EXISTS.value[0],
    grpc.StatusCode.FAILED_PRECONDITION.value[0],
}
FUTURE_REVISION_MESSAGE = (
    "Invalid base version"  # what a guard gets whose revision is later than the document's
)
INVALID_CODES = {grpc.StatusCode.INVALID_ARGUMENT.value[0]}  # it is about the document
PERMANENT_CODES = INVALID_CODES | {grpc.StatusCode.PERMISSION_DENIED.value[0]}

RawBatchWriteRequest: TypeAlias = Any
RawStatus: TypeAlias = Any
RawWriteResult: TypeAlias = Any

EncodeWrite = Callable[[RawWrite], None]

#: What became of one write. An error is its own fault, and trying again will not mend it.
WriteStatusResult = WriteResult | StoreError


async def save_run_batch(
    connection: FirestoreConnection, paths: ResourcePaths, batch: RunBatch, *, deadlines: Sequence[float]
) -> bool:
    """Save *batch*; return whether it is certainly stored. Saving it again changes nothing.

    Args:
        deadlines: One for each try, in the running loop's time.

    Raises:
        StoreError: It cannot be stored, and trying again does not help.
    """
    request = BatchWriteRequest.pb()(database=paths.database)
    encode_run_batch(request.writes.add(), batch, name=paths.run_batch_path(batch.id))
    for deadline in deadlines:
        [answer] = await _send(connection, request, deadline=deadline)
        add_operations(writes=1)
        if isinstance(answer, StoreError):
            raise answer
        if answer.status is WriteStatus.APPLIED:
            return True
    return False


async def write_tasks(
    connection: FirestoreConnection,
    paths: ResourcePaths,
    writes: Sequence[ConditionalWrite],
    *,
    deadline: float,
) -> list[WriteResult]:
    """Do each write whose precondition holds, in parallel requests; answer in the same order.

    A write that Firestore will not take at all (too large, say) stops no other: it is INVALID among
    others that were done, and raised when there are none.

    Args:
        deadline: In the running loop's time; what has not been answered by then is UNKNOWN.

    Raises:
        InvalidWriteError: Firestore takes none of the documents, and never will.
        StoreError: Nothing could be done, and trying again will not mend it.
    """
    deletes = sum(write.delete for write in writes)
    fills: list[tuple[str, EncodeWrite]] = [
        (f"Task {write.task.id}", partial(encode_write, write=write, name=paths.task_path(write.task.id)))
        for write in writes
    ]
    add_operations(writes=len(writes) - deletes, deletes=deletes)  # refused ones too: a bill may hold them
    return await write_documents(connection, paths, fills, deadline=deadline)


async def write_documents(
    connection: FirestoreConnection,
    paths: ResourcePaths,
    encoders: Sequence[tuple[str, EncodeWrite]],
    *,
    deadline: float,
) -> list[WriteResult]:
    """As `write_tasks`, for any documents.

    Args:
        encoders: For each write what it is about, for an error, and what fills an empty message with it.
    """
    chunks = [encoders[start : start + CHUNK_WRITES] for start in range(0, len(encoders), CHUNK_WRITES)]
    parts = await asyncio.gather(
        *(_send_chunk(connection, paths, chunk, deadline=deadline) for chunk in chunks)
    )
    answers = [answer for part in parts for answer in part]
    faults = [answer for answer in answers if isinstance(answer, StoreError)]
    if faults and len(faults) == len(answers):
        raise next((one for one in faults if not isinstance(one, InvalidWriteError)), faults[0])
    return [_without_fault(answer) for answer in answers]


def _without_fault(answer: WriteStatusResult) -> WriteResult:
    if isinstance(answer, StoreError):
        return INVALID if isinstance(answer, InvalidWriteError) else UNKNOWN
    return answer


async def _send_chunk(
    connection: FirestoreConnection,
    paths: ResourcePaths,
    encoders: Sequence[tuple[str, EncodeWrite]],
    *,
    deadline: float,
) -> list[WriteStatusResult]:
    """Encode and send some writes; one that cannot be encoded is left out."""
    request = BatchWriteRequest.pb()(database=paths.database)
    faults: dict[int, StoreError] = {}
    for index, (subject, fill) in enumerate(encoders):
        try:
            fill(request.writes.add())
        except (ValueError, TypeError) as error:
            del request.writes[-1]
            why = f"it holds a value that cannot be kept ({type(error).__name__})"
            faults[index] = InvalidWriteError(f"{subject}: {why}")
    sent = iter(await _send(connection, request, deadline=deadline) if request.writes else ())
    return [faults.get(index) or next(sent) for index in range(len(encoders))]


async def _send(
    connection: FirestoreConnection, request: RawBatchWriteRequest, *, deadline: float
) -> list[WriteStatusResult]:
    """Send *request*, in halves when it is too large or one of its writes spoils it."""
    size = len(request.writes)
    if request.ByteSize() > CHUNK_BYTES and size > 1:
        return await _send_halves(connection, request, deadline=deadline)
    try:
        async with asyncio.timeout_at(deadline):
            client = await connection.client()
            options = connection.call_options(deadline - asyncio.get_running_loop().time())
            answer = await client.batch_write(BatchWriteRequest.wrap(request), **options)
    except TimeoutError:
        return [UNKNOWN] * size
    except GoogleAPICallError as error:
        if error.grpc_status_code is grpc.StatusCode.INVALID_ARGUMENT and size > 1:
            return await _send_halves(connection, request, deadline=deadline)
        fault = to_store_error(error)
        if error.grpc_status_code is grpc.StatusCode.INVALID_ARGUMENT:
            fault = InvalidWriteError(str(fault))
        if not isinstance(fault, StoreUnavailableError):
            return [fault] * size
        log.warning("writes_unanswered", extra={"count": size, "error": str(fault)})
        return [UNKNOWN] * size
    response = BatchWriteResponse.pb(answer)
    return [to_write_status(*each) for each in zip(response.status, response.write_results, strict=True)]


async def _send_halves(
    connection: FirestoreConnection, request: RawBatchWriteRequest, *, deadline: float
) -> list[WriteStatusResult]:
    middle = len(request.writes) // 2
    halves = (
        BatchWriteRequest.pb()(database=request.database, writes=part)
        for part in (request.writes[:middle], request.writes[middle:])
    )
    first, second = await asyncio.gather(*(_send(connection, half, deadline=deadline) for half in halves))
    return [*first, *second]


def to_write_status(status: RawStatus, result: RawWriteResult) -> WriteStatusResult:
    """Return the result of one write. A lock held by another client, say, leaves it open: UNKNOWN."""
    if status.code == OK:
        return WriteResult(WriteStatus.APPLIED, revision_of(result.update_time))
    if status.code in CONFLICT_CODES or status.message.startswith(FUTURE_REVISION_MESSAGE):
        return CONFLICT
    if status.code in PERMANENT_CODES:
        kind = InvalidWriteError if status.code in INVALID_CODES else StoreError
        return kind(f"Firestore refused a write: {status.message[:300]}")
    return UNKNOWN
