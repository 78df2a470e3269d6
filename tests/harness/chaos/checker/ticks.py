"""A process that ticks at the moments it is told, without a server: for deaths in a known place.

python -m tests.harness.chaos.checker.ticks 0 25 50     ticks now, as of 25 s later, and as of 50 s later
"""

import asyncio
import os
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from functions.config.settings import Settings
from functions.domain.capacity.time_budget import TimeBudget
from tests.harness.chaos.faults.inside import wire
from tests.harness.chaos.world.processes import order

BUDGET = TimeBudget(start_limit=timedelta(seconds=18), response_limit=timedelta(seconds=24))


async def main(moments: Sequence[str]) -> None:
    """Tick at each of *moments*, seconds from now."""
    wired = wire(Settings.from_env(os.environ, serves_http=False))
    for ahead in moments:
        order(Path(os.environ["CHAOS_DIR"]), os.environ["CHAOS_PROCESS"], "clock", ahead)
        await wired.tick(BUDGET)
    await wired.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
