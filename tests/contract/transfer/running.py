"""One tick over a store that something was moved into, at a moment the test chooses."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

from functions.app.application import App
from functions.config.settings import Settings
from functions.domain.capacity.time_budget import TimeBudget
from functions.domain.run import Run

NO_LIMIT = TimeBudget(start_limit=None, response_limit=None)


@asynccontextmanager
async def ticking(path: Path, at: datetime) -> AsyncIterator[App]:
    """The scheduler over the SQLite file *path*, at the moment *at*."""
    environment = {"STORE_URL": f"sqlite:///{path}", "ALLOW_COMMANDS": "1", "ALLOW_PRIVATE_NETWORKS": "1"}
    wired = App(Settings.from_env(environment, serves_http=False), clock=lambda: at)
    try:
        yield wired
    finally:
        await wired.close()


async def run_due(path: Path, ids: Collection[str], *, at: datetime) -> list[Run]:
    """Run what is due of *ids* at the moment *at*; return the records there are then, oldest first."""
    async with ticking(path, at) as wired:
        await wired.run_tasks(ids, NO_LIMIT)
        return list(reversed(await wired.store.runs(limit=100)))
