"""A hook that a setting names: loaded at its first call, and run beside the loop."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from inspect import isawaitable
from typing import Any

from functions.errors import InputError
from functions.task_types.python import check_arguments, load_function
from functions.task_types.python.threads import WorkerThreads

MAX_THREADS = 8  # of one hook, calls included that did not return in time
IMPORT_TIMEOUT_S = 10.0  # a hook whose import takes longer is of no use before a task


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


async def find_hook_problem(name: str, allowed: Sequence[str]) -> str:
    """Return why the hook *name* cannot be called; empty when it can. Its module is imported."""

    def load() -> None:
        check_arguments(load_function(name, allowed), (None,), {})

    try:
        async with asyncio.timeout(IMPORT_TIMEOUT_S):
            await WorkerThreads(1).run(name, load)
    except InputError as exc:
        return str(exc).replace(
            "params: the function does not take these arguments", f"{name} takes one argument"
        )
    except TimeoutError:
        return f"{name.partition(':')[0]} was not imported within {IMPORT_TIMEOUT_S:g} s"
    return ""
