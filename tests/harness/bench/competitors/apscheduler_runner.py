"""APScheduler with aiohttp: jobs due in its SQLite job store; it keeps no results, so ends are counted."""

# Its packages are in an environment of its own.
# mypy: ignore-errors
import asyncio
import os
import time
from datetime import UTC, datetime, timedelta

import aiohttp
from apscheduler.events import EVENT_JOB_EXECUTED
from apscheduler.executors.asyncio import AsyncIOExecutor
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from tests.harness.bench.competitors.driving import Timed, drive_async, wait_for_async

SERVER_URL = os.environ["SERVER_URL"]
CONCURRENCY = int(os.environ["CONCURRENCY"])

session = None


async def fetch(number: int) -> int:
    async with session.get(f"{SERVER_URL}/{number}") as response:
        await response.read()
        return response.status


async def _main() -> None:
    global session
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONCURRENCY))
    scheduler = AsyncIOScheduler(
        jobstores={"default": SQLAlchemyJobStore(url="sqlite:///jobs.db")},
        executors={"default": AsyncIOExecutor()},
        job_defaults={"misfire_grace_time": 600},
    )
    ended = 0

    def count_one(_) -> None:
        nonlocal ended
        ended += 1

    scheduler.add_listener(count_one, EVENT_JOB_EXECUTED)
    scheduler.start(paused=True)

    async def once(count: int) -> Timed:
        """All are due, daily, and stay in the store with a new time: as our tasks do."""
        nonlocal ended
        scheduler.remove_all_jobs()
        due = datetime.now(UTC) - timedelta(seconds=1)
        for number in range(count):
            scheduler.add_job(
                fetch, "cron", hour=number % 24, minute=number % 60, args=(number,), next_run_time=due
            )
        ended = 0

        async def recorded() -> int:
            return ended

        started = time.perf_counter()
        scheduler.resume()
        await wait_for_async(recorded, count)
        seconds = time.perf_counter() - started
        scheduler.pause()
        return 0.0, seconds

    await drive_async(once)


if __name__ == "__main__":
    asyncio.run(_main())
