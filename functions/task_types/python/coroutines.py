"""Calls of async functions, of which some do not end when they are cancelled."""

import asyncio
from collections.abc import Awaitable
from typing import Any

END_WITHIN_S = 0.1  # for a function that is cancelled, to clean up


class AsyncCalls:
    """The calls of one process: one that goes on after its time holds no slot, and is not forgotten."""

    def __init__(self) -> None:
        self._cancelled: dict[asyncio.Task[tuple[Any, BaseException | None]], str] = {}

    def is_running(self, owner: str) -> bool:
        """Whether a call of *owner* was cancelled and has not ended yet."""
        return owner in self._cancelled.values()

    async def run(self, owner: str, awaitable: Awaitable[Any]) -> Any:
        """Return what *awaitable* comes to, or raise what it raises.

        When the caller is cancelled, so is the call. One that catches that and goes on, as a bare `except` in
        a loop does, is left.
        """
        call = asyncio.create_task(_end_of(awaitable))
        try:
            await asyncio.wait({call})
        except asyncio.CancelledError:
            call.cancel()
            self._cancelled[call] = owner
            call.add_done_callback(self._cancelled.pop)
            await asyncio.wait({call}, timeout=END_WITHIN_S)
            if not call.done():
                raise
        value, problem = call.result()
        if problem is not None:
            raise problem
        return value


async def _end_of(awaitable: Awaitable[Any]) -> tuple[Any, BaseException | None]:
    """Return the value, or the exception: as that of an asyncio task, SystemExit would end the loop."""
    try:
        return await awaitable, None
    except BaseException as exc:  # noqa: BLE001  # the caller handles every exception
        return None, exc
