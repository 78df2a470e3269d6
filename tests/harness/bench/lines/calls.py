"""Calls the server many times, with one client, in a process of its own; prints what each round cost.

Run as `python -m tests.harness.bench.lines.calls guarded|bare SERVER_URL CALLS ROUNDS CONCURRENCY`.
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable

import aiohttp

from functions.http_client.client import build_guarded_client

Call = Callable[[], Awaitable[None]]


async def main(which: str, server_url: str, calls: int, rounds: int, concurrency: int) -> list[float]:
    """Processor milliseconds a call, once for each round but the first, which warms up."""
    guarded = build_guarded_client(allow_private=True, max_connections=concurrency)
    connector = aiohttp.TCPConnector(limit=concurrency)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def through_ours() -> None:
            response = await guarded.get(server_url)
            assert response.status_code == 200

        async def through_aiohttp() -> None:
            async with session.get(server_url) as response:
                await response.read()
                assert response.status == 200

        call: Call = through_ours if which == "guarded" else through_aiohttp
        costs = [await _round(call, calls, concurrency) for _ in range(rounds + 1)]
        await guarded.close_connections()
    return costs[1:]


async def _round(call: Call, calls: int, concurrency: int) -> float:
    free = asyncio.Semaphore(concurrency)

    async def one() -> None:
        async with free:
            await call()

    before = time.process_time()
    await asyncio.gather(*(one() for _ in range(calls)))
    return (time.process_time() - before) * 1000 / calls


if __name__ == "__main__":
    numbers = (int(word) for word in sys.argv[3:])
    print(json.dumps(asyncio.run(main(sys.argv[1], sys.argv[2], *numbers))))  # noqa: T201  # its answer
