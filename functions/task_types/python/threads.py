"""One thread per blocking function, so that one that never returns does not block the others."""

import asyncio
import contextvars
import threading
from collections.abc import Callable
from typing import Any

MAX_THREADS = 64  # of one process, those that outlive their attempt included


class TooManyThreadsError(Exception):
    """The limit of threads is reached."""


class WorkerThreads:
    """The threads of one process, all daemons: the process can end while they run."""

    def __init__(self, max_threads: int = MAX_THREADS) -> None:
        self._max_threads = max_threads
        self._running: dict[threading.Thread, str] = {}
        self._lock = threading.Lock()

    def is_running(self, owner: str) -> bool:
        """Whether a thread of *owner* has not returned yet."""
        with self._lock:
            return owner in self._running.values()

    async def run(self, owner: str, function: Callable[[], Any]) -> Any:
        """Return what *function* returns, or raise what it raises.

        When the caller is cancelled the thread goes on: nothing can end a thread from outside.

        Raises:
            TooManyThreadsError: The limit of threads is reached.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        context = contextvars.copy_context()

        def resolve(set_value: Callable[[Any], None], value: Any) -> None:
            if not future.done():  # the caller may have been cancelled
                set_value(value)

        def work() -> None:
            try:
                result = context.run(function)
            except BaseException as exc:  # noqa: BLE001  # the caller handles every exception
                resolution = (future.set_exception, _to_future_exception(exc))
            else:
                resolution = (future.set_result, result)
            with self._lock:
                del self._running[threading.current_thread()]
            try:
                loop.call_soon_threadsafe(resolve, *resolution)
            except RuntimeError:  # the loop is closed, so no caller waits
                return

        thread = threading.Thread(target=work, name=f"task {owner}", daemon=True)
        with self._lock:
            if len(self._running) >= self._max_threads:
                raise TooManyThreadsError
            self._running[thread] = owner
        thread.start()
        return await future


def _to_future_exception(exc: BaseException) -> BaseException:
    """Return *exc* as a future accepts it; some exceptions have another meaning there."""
    if isinstance(exc, (StopIteration, GeneratorExit, asyncio.CancelledError, KeyboardInterrupt)):
        return RuntimeError(type(exc).__name__)
    return exc
