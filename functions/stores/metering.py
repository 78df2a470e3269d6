"""The meter of the store room: which operations were done, and for whom, as a bill would count them."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace

from functions.domain.storage import OperationCounts, QueryResult

_active_counters: ContextVar[tuple[OperationCounts, ...]] = ContextVar(
    "active_operation_counters", default=()
)
_process_total = OperationCounts()


@contextmanager
def count_operations() -> Iterator[OperationCounts]:
    """Count the operations done by this asyncio task, and those it starts, while inside.

    Blocks may be nested (the outer one sees all that the inner one sees) and may run side by side in
    one process: each sees its own tasks' operations alone. Fit to be a store's `count_operations` as it is.
    """
    operations = OperationCounts()
    token = _active_counters.set((*_active_counters.get(), operations))
    try:
        yield operations
    finally:
        _active_counters.reset(token)


def add_operations(*, reads: int = 0, writes: int = 0, deletes: int = 0) -> None:
    """Add to every open block of this asyncio task, and to the process's total.

    A store calls it in the task that asked, not in a thread of its own: threads know no blocks.
    """
    for operations in (_process_total, *_active_counters.get()):
        operations.reads += reads
        operations.writes += writes
        operations.deletes += deletes


def operation_cost(result: QueryResult) -> int:
    """The reads that a query with *result* costs: never less than one."""
    return max(1, len(result.tasks) + len(result.invalid))


def total_operations() -> OperationCounts:
    """All operations of this process so far, a copy."""
    return replace(_process_total)
