"""The baseline: aiohttp and nothing else. Nothing is found, claimed, checked, recorded or notified."""

# mypy: ignore-errors
import asyncio
import os
import time

import aiohttp

from tests.harness.bench.competitors.driving import Timed, drive_async

SERVER_URL = os.environ["SERVER_URL"]
CONCURRENCY = int(os.environ["CONCURRENCY"])


async def _main() -> None:
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONCURRENCY))

    async def fetch(number: int) -> int:
        async with session.get(f"{SERVER_URL}/{number}") as response:
            await response.read()
            return response.status

    async def once(count: int) -> Timed:
        started = time.perf_counter()
        await asyncio.gather(*(fetch(number) for number in range(count)))
        return 0.0, time.perf_counter() - started

    await drive_async(once)


if __name__ == "__main__":
    asyncio.run(_main())
