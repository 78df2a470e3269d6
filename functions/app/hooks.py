"""Callbacks of the program around: before each attempt, and for each event. None of them can stop a run."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from inspect import isawaitable
from typing import TypeVar

from functions.domain.cloud_events import CloudEvent
from functions.domain.run import Outcome
from functions.domain.task import Job
from functions.errors import InputError
from functions.interfaces import PublishEvents, RunTask

log = logging.getLogger(__name__)

BEFORE_TIMEOUT_S = 2.0  # of one callback before an attempt, at most a quarter of the attempt's time

Given = TypeVar("Given")
BeforeTask = Callable[[Job], Awaitable[None] | None]
OnEvent = Callable[[CloudEvent], Awaitable[None] | None]


class HookedRun:
    """Runs a job after *before* was called with it; a callback that fails or hangs is logged and left."""

    def __init__(self, run_task: RunTask, before: BeforeTask) -> None:
        self._run_task = run_task
        self._before = before

    async def __call__(self, job: Job) -> Outcome:
        """Return the outcome of the job; the callback has no part in it."""
        await _call(self._before, job, within_s=min(BEFORE_TIMEOUT_S, job.timeout_s / 4), task_id=job.task_id)
        return await self._run_task(job)


class Listener:
    """Publishes events to *callback*, and then to *others*.

    Args:
        types: Only events of these types; empty for all.
        others: Where events went before; None for nowhere.
    """

    def __init__(self, callback: OnEvent, types: frozenset[str], others: PublishEvents | None) -> None:
        self._callback = callback
        self._types = types
        self._others = others

    async def __call__(self, events: Sequence[CloudEvent], *, within: timedelta) -> int:
        """Publish *events*; return how many *others* lost, and the callback was too slow for."""
        loop = asyncio.get_running_loop()
        until = loop.time() + within.total_seconds()
        lost = 0
        for event in events:
            if self._types and event.type not in self._types:
                continue
            left = until - loop.time()
            lost += not (
                left > 0 and await _call(self._callback, event, within_s=left, task_id=event.subject)
            )
        if self._others is not None:
            lost += await self._others(events, within=within)
        return lost


async def _call(
    callback: Callable[[Given], Awaitable[None] | None], given: Given, *, within_s: float, task_id: str
) -> bool:
    """Call *callback*; return whether it ended in time and without an error."""
    try:
        async with asyncio.timeout(within_s):
            found = callback(given)
            if isawaitable(found):
                await found
    except (Exception, SystemExit, asyncio.CancelledError) as exc:  # whatever it is, the run goes on
        if (task := asyncio.current_task()) is not None and task.cancelling():
            raise
        name = getattr(callback, "__qualname__", type(callback).__name__)
        error = (
            str(exc) if isinstance(exc, InputError) else type(exc).__name__
        )  # texts of others may hold secrets
        log.warning("hook_failed", extra={"task_id": task_id, "hook": name, "error": error})
        return False
    return True
