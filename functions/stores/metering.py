"""The meter of the store room: which operations were done, and for whom, as a bill would count them."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace

from functions.domain.storage import Found, Operations

_open: ContextVar[tuple[Operations, ...]] = ContextVar("open_meters", default=())
_total = Operations()


@contextmanager
def metered() -> Iterator[Operations]:
    """Count the operations done by this asyncio task, and those it starts, while inside.

    Blocks may be nested (the outer one sees all that the inner one sees) and may run side by side in
    one process: each sees its own tasks' operations alone. Fit to be a store's `metered` as it is.
    """
    operations = Operations()
    token = _open.set((*_open.get(), operations))
    try:
        yield operations
    finally:
        _open.reset(token)


def count(*, reads: int = 0, writes: int = 0, deletes: int = 0) -> None:
    """Add to every open block of this asyncio task, and to the process's total.

    A store calls it in the task that asked, not in a thread of its own: threads know no blocks.
    """
    for operations in (_total, *_open.get()):
        operations.reads += reads
        operations.writes += writes
        operations.deletes += deletes


def cost(found: Found) -> int:
    """The reads that a query for *found* costs: never less than one."""
    return max(1, len(found.tasks) + len(found.broken))


def total() -> Operations:
    """All operations of this process so far, a copy."""
    return replace(_total)
