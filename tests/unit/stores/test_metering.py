"""The meter every store shares."""

import asyncio
import contextvars
from threading import Thread

import pytest

from functions.domain.storage import Operations
from functions.stores.metering import count, metered, total


def test_without_a_block_only_the_total_counts() -> None:
    before = total()

    count(reads=1, writes=2, deletes=3)

    after = total()
    difference = (after.reads - before.reads, after.writes - before.writes, after.deletes - before.deletes)
    assert (1, 2, 3) == difference


def test_the_total_handed_out_is_a_copy() -> None:
    mine = total()
    mine.reads += 1000

    assert mine != total()


def test_a_block_counts_from_nothing_and_keeps_its_figures() -> None:
    with metered() as first:
        count(reads=1)
    with metered() as second:
        count(deletes=1)
    count(writes=5)

    assert (Operations(reads=1), Operations(deletes=1)) == (first, second)


def test_nested_blocks_each_see_what_is_inside_them() -> None:
    with metered() as outer:
        count(reads=1)
        with metered() as inner:
            count(reads=10)
        count(reads=100)

    assert (111, 10) == (outer.reads, inner.reads)


def test_a_block_ends_with_an_error_too() -> None:
    with pytest.raises(ZeroDivisionError), metered() as operations:
        raise ZeroDivisionError
    count(reads=1)

    assert Operations() == operations


async def test_a_task_started_before_the_block_is_not_counted() -> None:
    go = asyncio.Event()

    async def stranger() -> None:
        await go.wait()
        count(reads=7)

    task = asyncio.create_task(stranger())
    with metered() as operations:
        go.set()
        await task

    assert Operations() == operations


async def test_a_task_started_inside_counts_with_all_it_starts_in_turn() -> None:
    async def child() -> None:
        count(reads=1)
        await asyncio.create_task(grandchild())

    async def grandchild() -> None:
        count(writes=1)

    with metered() as operations:
        await asyncio.create_task(child())

    assert Operations(reads=1, writes=1) == operations


async def test_a_thread_with_the_context_counts_for_the_block() -> None:
    """`asyncio.to_thread` hands its context on."""
    with metered() as operations:
        await asyncio.to_thread(count, reads=1)

    assert Operations(reads=1) == operations


def test_a_bare_thread_counts_for_nobody() -> None:
    with metered() as operations:
        thread = Thread(target=contextvars.Context().run, args=(count,))
        thread.start()
        thread.join()

    assert Operations() == operations
