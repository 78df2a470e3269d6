"""Cronfire within a web application: its own routes, a tick each minute, and the API below /scheduler."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI

from functions import Scheduler

scheduler = Scheduler(
    os.environ.get("STORE_URL", "sqlite:///scheduler.db"),
    settings={"API_KEY": os.environ["API_KEY"]},
)
last_runs: list[dict[str, Any]] = []


def remember(event: Any) -> None:
    """Keep the last hundred runs."""
    last_runs.append(dict(event.data))
    del last_runs[:-100]


scheduler.subscribe(remember, "cronfire.run.finished")


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Tick as long as the application serves."""
    ticks = asyncio.create_task(scheduler.run_forever())
    yield
    ticks.cancel()
    await asyncio.gather(ticks, return_exceptions=True)
    await scheduler.close()


app = FastAPI(lifespan=lifespan)


@app.get("/last-runs")
async def show_last_runs() -> list[dict[str, Any]]:
    """Return the last runs, oldest first."""
    return last_runs


app.mount("/scheduler", scheduler.asgi_app())
