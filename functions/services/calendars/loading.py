"""The library of public holidays, loaded before it is needed: in a thread, so that other requests go on.

Schedules load it by themselves where nobody did, which holds up the loop for 0.2 to 0.6 s, once in a process.
"""

import asyncio
from collections.abc import Iterable

from functions.domain.schedule.days import public_holidays
from functions.domain.schedule.occurrences import needs_holidays
from functions.domain.task import Task

MAX_LOOKED_AT = 50_000  # characters of a value that may be anything


async def load_holidays() -> None:
    """Load the library of public holidays, which takes a while the first time, without holding up others."""
    await asyncio.to_thread(public_holidays.load)


async def load_holidays_for(tasks: Iterable[Task]) -> None:
    """Load the library where one of *tasks* needs it."""
    if any(needs_holidays(task) for task in tasks if task.excluded):
        await load_holidays()


async def load_holidays_for_text(written: object) -> None:
    """Load the library where *written*, the value of `except` as it was sent, may need it."""
    if written and "holiday" in str(written)[:MAX_LOOKED_AT].lower():
        await load_holidays()
