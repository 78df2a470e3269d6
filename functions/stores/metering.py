"""Counts store operations as Firestore would bill them, for each caller."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any

from functions.domain.storage import ConditionalWrite, OperationCounts, QueryResult, RunBatch, WriteResult

_active_counters: ContextVar[tuple[OperationCounts, ...]] = ContextVar(
    "active_operation_counters", default=()
)
COUNTED_PER_READ = 1000  # index entries


@contextmanager
def count_operations() -> Iterator[OperationCounts]:
    """Count the operations done by this asyncio task, and those it starts, while inside.

    Blocks may be nested (the outer one sees all that the inner one sees) and may run side by side in
    one process: each sees its own tasks' operations alone.
    """
    operations = OperationCounts()
    token = _active_counters.set((*_active_counters.get(), operations))
    try:
        yield operations
    finally:
        _active_counters.reset(token)


def add_operations(*, reads: int = 0, writes: int = 0, deletes: int = 0) -> None:
    """Add to every open block of this asyncio task.

    A store calls it in the caller's asyncio task: a thread of its own has another context.
    """
    for operations in _active_counters.get():
        operations.reads += reads
        operations.writes += writes
        operations.deletes += deletes


def operation_cost(result: QueryResult) -> int:
    """The reads that a query with *result* costs: never less than one."""
    return max(1, len(result.tasks) + len(result.invalid))


def _write_counts(result: Any, batch: Any, writes: Any) -> OperationCounts:
    deletes = sum(write.delete for write in writes)
    return OperationCounts(writes=len(writes) - deletes + (batch is not None), deletes=deletes)


# The operations of a call that returned, from its result and its arguments. Conflicts count: a bill may hold
# them. `write` is missing because it calls `write_with_runs`.
CALL_COUNTS: Mapping[str, Callable[..., OperationCounts]] = {
    "fetch_due": lambda result, *_, **__: OperationCounts(reads=operation_cost(result)),
    "list_tasks": lambda result, *_, **__: OperationCounts(reads=operation_cost(result)),
    "list_ordered": lambda result, *_, **__: OperationCounts(reads=max(1, len(result.tasks))),
    "count_tasks": lambda result, *_, **__: OperationCounts(reads=max(1, -(-result // COUNTED_PER_READ))),
    "get_tasks": lambda result, ids: OperationCounts(reads=len(ids)),
    "write_with_runs": _write_counts,
    "runs_of_tick": lambda result, *_, **__: OperationCounts(reads=1),
    "runs": lambda result, *_, **__: OperationCounts(reads=max(1, len(result))),
    "stats": lambda result, *_, **__: OperationCounts(reads=3),  # two counts and the last batch
    "get_documents": lambda result, kind, ids: OperationCounts(reads=len(ids)),
    "list_documents": lambda result, *_, **__: OperationCounts(reads=max(1, len(result))),
    "put_documents": lambda result, documents: OperationCounts(writes=len(documents)),
    "delete_documents": lambda result, documents: OperationCounts(deletes=len(documents)),
    "prune": lambda result, *_, **__: OperationCounts(deletes=result),
}


class CountingStore:
    """A store that calls `add_operations` itself."""

    def count_operations(self) -> AbstractContextManager[OperationCounts]:
        """Count the operations of this asyncio task, and those it starts, while inside."""
        return count_operations()


class MeteredStore(CountingStore, ABC):
    """A store whose calls are counted by `CALL_COUNTS`: a trial run shows what production would cost.

    What such a method shares with another is in a function of its own: called by it, it would count twice.
    """

    @abstractmethod
    async def write_with_runs(
        self, batch: RunBatch | None, writes: Sequence[ConditionalWrite]
    ) -> list[WriteResult]:
        """As in `Store`."""

    async def write(self, writes: Sequence[ConditionalWrite]) -> list[WriteResult]:
        """Do each write whose precondition holds, as `write_with_runs` does."""
        return await self.write_with_runs(None, writes)

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if MeteredStore in cls.__bases__:  # further down the calls are counted already
            for name, counts in CALL_COUNTS.items():
                setattr(cls, name, _with_counts(getattr(cls, name), counts))


def _with_counts(
    method: Callable[..., Awaitable[Any]], counts: Callable[..., OperationCounts]
) -> Callable[..., Awaitable[Any]]:
    @wraps(method)
    async def call(self: Any, *args: Any, **options: Any) -> Any:
        result = await method(self, *args, **options)
        done = counts(result, *args, **options)
        add_operations(reads=done.reads, writes=done.writes, deletes=done.deletes)
        return result

    return call
