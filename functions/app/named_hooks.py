"""A hook that a setting names: loaded at its first call, and run beside the loop."""

from collections.abc import Callable, Sequence
from functools import partial
from inspect import isawaitable
from typing import Any

from functions.task_types.python import load_function
from functions.task_types.python.threads import WorkerThreads

MAX_THREADS = 8  # of one hook, calls included that did not return in time


class NamedHook:
    """The function *name*, which is defined in a module of *allowed*.

    It runs in a thread, so that one that blocks keeps nothing else waiting; a coroutine runs in the loop.
    """

    def __init__(self, name: str, allowed: Sequence[str]) -> None:
        self.__qualname__ = name  # in the log
        self._load: Callable[[], Callable[[Any], Any]] = partial(load_function, name, allowed)
        self._threads = WorkerThreads(MAX_THREADS)

    async def __call__(self, given: Any) -> None:
        """Call the function with *given*.

        Raises:
            InputError: There is no such function, or it is not allowed.
        """
        found = await self._threads.run(self.__qualname__, lambda: self._load()(given))
        if isawaitable(found):
            await found
