"""The floor on Firestore: Google's client, one query, two BatchWrites, and bare aiohttp in between."""

# One more of the peers.
# mypy: ignore-errors
import asyncio
import os
import time
from datetime import UTC, datetime, timedelta

import aiohttp
from google.auth.credentials import AnonymousCredentials
from google.cloud.firestore import AsyncClient
from google.cloud.firestore_v1 import _helpers
from google.cloud.firestore_v1.base_query import FieldFilter

from tests.harness.bench.peers.driving import Timed, drive_async

TARGET = os.environ["TARGET"]
CONCURRENCY = int(os.environ["CONCURRENCY"])
PROJECT = os.environ["PROJECT"]
AT_ONCE = 500  # the most writes one request may hold
SETTLED = {"status": "scheduled", "claim": None, "lastOutcome": "succeeded", "lastDurationMs": 53}


async def _main() -> None:
    client = AsyncClient(project=PROJECT, credentials=AnonymousCredentials())
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONCURRENCY))

    async def fetch(number: int) -> int:
        async with session.get(f"{TARGET}/{number}") as response:
            await response.read()
            return response.status

    async def send(writes: list) -> list:
        request = {"database": client._database_string, "writes": writes}
        response = await client._firestore_api.batch_write(request=request, metadata=client._rpc_metadata)
        assert all(status.code == 0 for status in response.status)
        return [result.update_time for result in response.write_results]

    async def write(found: list, fields: dict) -> list:
        """Update *fields* of documents, each guarded by the time of its last update."""
        writes = [
            _helpers.pbs_for_update(
                reference._document_path, fields, client.write_option(last_update_time=updated_at)
            )[0]
            for reference, updated_at in found
        ]
        parts = [writes[start : start + AT_ONCE] for start in range(0, len(writes), AT_ONCE)]
        times = [at for part in await asyncio.gather(*map(send, parts)) for at in part]
        return [(reference, at) for (reference, _), at in zip(found, times, strict=True)]

    async def once(count: int) -> Timed:
        now = datetime.now(UTC)
        started = time.perf_counter()
        due = client.collection("tasks").where(filter=FieldFilter("nextRunAt", "<=", now))
        found = [(one.reference, one.update_time) async for one in due.limit(count).stream()]
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
