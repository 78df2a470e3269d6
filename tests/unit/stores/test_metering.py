"""The meter every store shares."""

import asyncio
import contextvars
from threading import Thread

import pytest

from functions.domain.storage import OperationCounts
from functions.stores.metering import add_operations, count_operations


def test_a_block_counts_from_nothing_and_keeps_its_figures() -> None:
    with count_operations() as first:
        add_operations(reads=1)
    with count_operations() as second:
        add_operations(deletes=1)
    add_operations(writes=5)

    assert (OperationCounts(reads=1), OperationCounts(deletes=1)) == (first, second)


def test_nested_blocks_each_see_what_is_inside_them() -> None:
    with count_operations() as outer:
        add_operations(reads=1)
        with count_operations() as inner:
            add_operations(reads=10)
        add_operations(reads=100)

    assert (111, 10) == (outer.reads, inner.reads)


def test_a_block_ends_with_an_error_too() -> None:
    with pytest.raises(ZeroDivisionError), count_operations() as operations:
        raise ZeroDivisionError
    add_operations(reads=1)

    assert OperationCounts() == operations


async def test_a_task_started_before_the_block_is_not_counted() -> None:
    go = asyncio.Event()

    async def stranger() -> None:
        await go.wait()
        add_operations(reads=7)

    task = asyncio.create_task(stranger())
    with count_operations() as operations:
        go.set()
        await task

    assert OperationCounts() == operations


async def test_a_task_started_inside_counts_with_all_it_starts_in_turn() -> None:
    async def child() -> None:
        add_operations(reads=1)
        await asyncio.create_task(grandchild())

    async def grandchild() -> None:
        add_operations(writes=1)

    with count_operations() as operations:
        await asyncio.create_task(child())

    assert OperationCounts(reads=1, writes=1) == operations


async def test_a_thread_with_the_context_counts_for_the_block() -> None:
    """`asyncio.to_thread` hands its context on."""
    with count_operations() as operations:
        await asyncio.to_thread(add_operations, reads=1)

    assert OperationCounts(reads=1) == operations


def test_a_bare_thread_counts_for_nobody() -> None:
    with count_operations() as operations:
        thread = Thread(target=contextvars.Context().run, args=(add_operations,))
        thread.start()
        thread.join()

    assert OperationCounts() == operations
