"""What the Python competitors share: driven by lines, they wait for results without getting in the way."""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable

LOOK_EVERY_S = 0.005

Timed = tuple[float, float]  # seconds until all was handed over, seconds until all was recorded


def drive(once: Callable[[int], Timed]) -> None:
    """For each line, a number of jobs, do that many *once* and tell how long it took."""
    _tell("ready")
    for line in sys.stdin:
        _tell_times(once(int(line)))


async def drive_async(once: Callable[[int], Awaitable[Timed]]) -> None:
    """As `drive`, for asynchronous producers, all in one loop."""
    _tell("ready")
    while line := await asyncio.to_thread(sys.stdin.readline):
        _tell_times(await once(int(line)))


def wait_for(count: Callable[[], int], wanted: int) -> None:
    """Return once *count* has reached *wanted*."""
    while count() < wanted:
        time.sleep(LOOK_EVERY_S)


async def wait_for_async(count: Callable[[], Awaitable[int]], wanted: int) -> None:
    """Return once *count* has reached *wanted*."""
    while await count() < wanted:  # noqa: ASYNC110  # results are in Redis, which rings no bell here
        await asyncio.sleep(LOOK_EVERY_S)


def _tell_times(times: Timed) -> None:
    _tell(json.dumps({"handedOver": times[0], "recorded": times[1]}))


def _tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
