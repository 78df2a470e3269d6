"""arq with aiohttp: `worker` runs jobs, `drive` hands them over; results are kept in Redis."""

# Its packages are in an environment of its own.
# mypy: ignore-errors
import asyncio
import os
import sys
import time
from uuid import uuid4

import aiohttp
from arq import create_pool, run_worker
from arq.connections import RedisSettings
from arq.constants import result_key_prefix

from tests.harness.bench.competitors.driving import Timed, drive_async, wait_for_async

REDIS = RedisSettings(port=int(os.environ["REDIS_PORT"]))
SERVER_URL = os.environ["SERVER_URL"]
CONCURRENCY = int(os.environ["CONCURRENCY"])


async def fetch(ctx: dict, number: int) -> int:
    async with ctx["session"].get(f"{SERVER_URL}/{number}") as response:
        await response.read()
        return response.status


async def _start(ctx: dict) -> None:
    ctx["session"] = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONCURRENCY))


class Worker:
    functions = (fetch,)
    redis_settings = REDIS
    on_startup = _start
    max_jobs = CONCURRENCY
    poll_delay = 0.01  # the default, 0.5 s, would be most of the time measured


async def _drive() -> None:
    pool = await create_pool(REDIS)

    async def once(count: int) -> Timed:
        names = [uuid4().hex for _ in range(count)]
        keys = [result_key_prefix + name for name in names]
        started = time.perf_counter()
        await asyncio.gather(
            *(pool.enqueue_job("fetch", number, _job_id=name) for number, name in enumerate(names))
        )
        handed_over = time.perf_counter() - started
        await wait_for_async(lambda: pool.exists(*keys), count)
        return handed_over, time.perf_counter() - started

    await drive_async(once)


if __name__ == "__main__":
    if sys.argv[1] == "worker":
        run_worker(Worker)
    else:
        asyncio.run(_drive())
