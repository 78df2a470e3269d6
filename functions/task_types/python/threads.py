"""Threads for functions that block: one each, so that one that never ends takes no place from the others."""

import asyncio
import contextvars
import threading
from collections.abc import Callable
from typing import Any

MAX_THREADS = 64  # under way or left behind in one process: each keeps its memory until the process ends


class TooManyThreadsError(Exception):
    """There are as many threads as may be."""


class WorkerThreads:
    """The threads of one process. None of them keeps the process from ending."""

    def __init__(self, max_threads: int = MAX_THREADS) -> None:
        self._max_threads = max_threads
        self._running: dict[threading.Thread, str] = {}
        self._lock = threading.Lock()

    def is_running(self, owner: str) -> bool:
        """Whether a thread of *owner* has not come back yet."""
        with self._lock:
            return owner in self._running.values()

    async def run(self, owner: str, function: Callable[[], Any]) -> Any:
        """Return what *function* returns, or raise what it raises.

        When the caller is cancelled the thread goes on: nothing can end a thread from outside.

        Raises:
            TooManyThreadsError: Too many threads are under way or were left behind.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        context = contextvars.copy_context()

        def settle(how: Callable[[Any], None], what: Any) -> None:
            if not answer.done():  # the caller may have gone meanwhile
                how(what)

        def work() -> None:
            try:
                result = context.run(function)
            except BaseException as exc:  # noqa: BLE001  # all of it is the caller's to judge
                told = (answer.set_exception, _to_future_exception(exc))
            else:
                told = (answer.set_result, result)
            with self._lock:
                del self._running[threading.current_thread()]
            try:
                loop.call_soon_threadsafe(settle, *told)
            except RuntimeError:  # the loop was closed, so nobody waits any more
                return

        thread = threading.Thread(target=work, name=f"task {owner}", daemon=True)
        with self._lock:
            if len(self._running) >= self._max_threads:
                raise TooManyThreadsError
            self._running[thread] = owner
        thread.start()
        return await answer


def _to_future_exception(exc: BaseException) -> BaseException:
    """*exc* as a future takes it: StopIteration and the signals of asyncio itself would be misread."""
    if isinstance(exc, (StopIteration, asyncio.CancelledError, KeyboardInterrupt)):
        return RuntimeError(type(exc).__name__)
    return exc
