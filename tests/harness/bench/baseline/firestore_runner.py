"""The baseline on Firestore: google-cloud-firestore, one query, two BatchWrites, bare aiohttp between."""

# mypy: ignore-errors
import asyncio
import os
import time
from datetime import UTC, datetime, timedelta

import aiohttp
import grpc
from google.auth.credentials import AnonymousCredentials
from google.cloud.firestore import AsyncClient
from google.cloud.firestore_v1 import types
from google.cloud.firestore_v1.base_query import FieldFilter
from google.cloud.firestore_v1.services.firestore import FirestoreAsyncClient
from google.cloud.firestore_v1.services.firestore.transports import FirestoreGrpcAsyncIOTransport

from tests.harness.bench.competitors.driving import Timed, drive_async

SERVER_URL = os.environ["SERVER_URL"]
CONCURRENCY = int(os.environ["CONCURRENCY"])
PROJECT = os.environ["PROJECT"]
DATABASE = f"projects/{PROJECT}/databases/(default)"
EMULATOR = os.environ["FIRESTORE_EMULATOR_HOST"]
AT_ONCE = 500  # the most writes one request may hold
HEADERS = (("authorization", "Bearer owner"),)
SETTLED = {"status": "scheduled", "claim": None, "lastOutcome": "succeeded", "lastDurationMs": 53}


def value(given: object) -> types.Value:
    match given:
        case None:
            return types.Value(null_value=0)
        case datetime():
            return types.Value(timestamp_value=given)
        case int():
            return types.Value(integer_value=given)
        case dict():
            return types.Value(
                map_value=types.MapValue(fields={key: value(one) for key, one in given.items()})
            )
        case _:
            return types.Value(string_value=given)


async def _main() -> None:
    client = AsyncClient(project=PROJECT, credentials=AnonymousCredentials())
    channel = grpc.aio.insecure_channel(EMULATOR)
    transport = FirestoreGrpcAsyncIOTransport(channel=channel)
    writer = FirestoreAsyncClient(transport=transport)  # the only one of the library's that has BatchWrite
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONCURRENCY))

    async def fetch(number: int) -> int:
        async with session.get(f"{SERVER_URL}/{number}") as response:
            await response.read()
            return response.status

    async def send(writes: list) -> list:
        request = types.BatchWriteRequest(database=DATABASE, writes=writes)
        response = await writer.batch_write(request, metadata=HEADERS)
        assert all(status.code == 0 for status in response.status)
        return [result.update_time for result in response.write_results]

    async def write(found: list, fields: dict) -> list:
        """Update *fields* of documents, each guarded by the time of its last update."""
        writes = [
            types.Write(
                update=types.Document(
                    name=f"{DATABASE}/documents/{path}",
                    fields={key: value(one) for key, one in fields.items()},
                ),
                update_mask=types.DocumentMask(field_paths=fields),
                current_document=types.Precondition(update_time=updated_at),
            )
            for path, updated_at in found
        ]
        parts = [writes[start : start + AT_ONCE] for start in range(0, len(writes), AT_ONCE)]
        times = [at for part in await asyncio.gather(*map(send, parts)) for at in part]
        return [(path, at) for (path, _), at in zip(found, times, strict=True)]

    async def once(count: int) -> Timed:
        now = datetime.now(UTC)
        started = time.perf_counter()
        due = client.collection("tasks").where(filter=FieldFilter("nextRunAt", "<=", now)).limit(count)
        found = [(one.reference.path, one.update_time) async for one in due.stream()]
        assert len(found) == count
        until = now + timedelta(seconds=60)
        claimed = await write(
            found, {"status": "running", "nextRunAt": until, "claim": {"token": "t", "until": until}}
        )
        await asyncio.gather(*(fetch(number) for number in range(count)))
        await write(claimed, SETTLED | {"nextRunAt": now + timedelta(days=30), "lastRunAt": now})
        return 0.0, time.perf_counter() - started

    await drive_async(once)


if __name__ == "__main__":
    asyncio.run(_main())
