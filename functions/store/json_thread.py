"""The one thread that works on the files; what is asked of it is bounded in time, and its errors are ours."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

from functions.errors import StoreError, StoreUnavailable
from functions.store.json_faults import our_error

T = TypeVar("T")


class Unanswered(StoreUnavailable):
    """The work had begun when the time was up; it may have been done all the same."""


class JsonThread:
    """A thread for the files of *path*, started at the first question: a fork in between does no harm.

    The event loop never waits for a disk, and a question is either not begun or done whole, whatever
    becomes of the asyncio task that asked it.

    Args:
        answer_within_s: After this a question is given up, whatever it waits for.
    """

    def __init__(self, path: Path, *, answer_within_s: float) -> None:
        self._path = path
        self._answer_within_s = answer_within_s
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="json")
        self._closed = False

    async def ask(self, work: Callable[[], T]) -> T:
        """Return what *work* returns.

        Raises:
            Unanswered: No answer in time, and it cannot be said whether the work will yet be done.
            StoreUnavailable: Locked for too long, or no answer in time; the work was not done.
            StoreError: The files cannot be used as they are; the text says why.
        """
        if self._closed:
            raise StoreError(f"{self._path}: the store was closed")
        future: Future[T] = self._thread.submit(partial(self._do, work))
        try:
            async with asyncio.timeout(self._answer_within_s):
                return await asyncio.wrap_future(future)
        except TimeoutError:
            begun = not future.cancelled()  # giving up waiting has cancelled what was not begun
            kind = Unanswered if begun else StoreUnavailable
            raise kind(f"{self._path}: no answer within {self._answer_within_s:g} s") from None

    def close(self) -> None:
        """Take no more questions; those asked before are answered. Closing twice is closing once."""
        self._closed = True
        self._thread.shutdown(wait=False)

    def _do(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except OSError as exc:
            raise our_error(exc, self._path) from None
