"""taskiq with aiohttp: the `taskiq` command serves `broker`, `drive` hands jobs over; results go to Redis."""

# Its packages are in an environment of its own.
# mypy: ignore-errors
import asyncio
import os
import time

import aiohttp
from redis.asyncio import Redis
from taskiq import TaskiqEvents
from taskiq_redis import ListQueueBroker, RedisAsyncResultBackend

from tests.harness.bench.competitors.driving import Timed, drive_async, wait_for_async

URL = f"redis://127.0.0.1:{os.environ['REDIS_PORT']}"
SERVER_URL = os.environ["SERVER_URL"]
CONCURRENCY = int(os.environ["CONCURRENCY"])

broker = ListQueueBroker(URL, queue_name="taskiq").with_result_backend(RedisAsyncResultBackend(URL))


@broker.on_event(TaskiqEvents.WORKER_STARTUP)
async def _start(state) -> None:
    state.session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONCURRENCY))


@broker.task(task_name="fetch")
async def fetch(number: int) -> int:
    async with broker.state.session.get(f"{SERVER_URL}/{number}") as response:
        await response.read()
        return response.status


async def _drive() -> None:
    await broker.startup()
    redis = Redis.from_url(URL)

    async def once(count: int) -> Timed:
        started = time.perf_counter()
        tasks = await asyncio.gather(*(fetch.kiq(number) for number in range(count)))
        handed_over = time.perf_counter() - started
        keys = [task.task_id for task in tasks]
        await wait_for_async(lambda: redis.exists(*keys), count)
        return handed_over, time.perf_counter() - started

    await drive_async(once)


if __name__ == "__main__":
    asyncio.run(_drive())
