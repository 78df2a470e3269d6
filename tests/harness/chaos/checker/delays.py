"""What held a process up although nobody struck it: a busy machine, a store that was slow by itself.

At sixteen times the speed a machine that is busy for 0.2 s keeps a process waiting for three seconds. That is
measured where it happens, and the checker excuses what a measured delay explains, and nothing else.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

LOOK_S = 0.25
LATE_S = 0.2  # claims and answers allow for more than this

Note = Callable[[float], None]


async def watch_loop(time: Callable[[], float], note: Note) -> None:
    """Call *note* with the moment since when, whenever this loop ran nothing for too long. Never ends."""
    while True:
        since = time()
        await asyncio.sleep(LOOK_S)
        if time() - since - LOOK_S > LATE_S:
            note(since)


@asynccontextmanager
async def timed(time: Callable[[], float], note: Note) -> AsyncIterator[None]:
    """Call *note* with the moment at which the body began, when it took too long."""
    since = time()
    try:
        yield
    finally:
        if time() - since > LATE_S:
            note(since)
