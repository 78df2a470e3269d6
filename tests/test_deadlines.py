"""Many deadlines under one timer, held to the promises of `asyncio.timeout`, and to some of their own."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from functions.deadlines import Deadlines

Timeout = Callable[[float], AbstractAsyncContextManager[Any]]


def ours() -> Timeout:
    deadlines = Deadlines()

    @asynccontextmanager
    async def within(seconds: float) -> Any:
        with deadlines.within(seconds) as one:
            yield one

    return within


def asyncios() -> Timeout:
    return asyncio.timeout


@pytest.fixture(params=[ours, asyncios])
async def timeout(request: pytest.FixtureRequest) -> Timeout:
    made: Timeout = request.param()
    return made


async def test_what_ends_in_time_is_left_alone(timeout: Timeout) -> None:
    async with timeout(0.02):
        await asyncio.sleep(0)
    await asyncio.sleep(0.04)  # its moment comes, and nobody is meant


async def test_what_does_not_is_cancelled(timeout: Timeout) -> None:
    task = asyncio.current_task()
    assert task is not None

    with pytest.raises(TimeoutError):
        async with timeout(0.01):
            await asyncio.sleep(60)

    assert 0 == task.cancelling()  # the task goes on as if nothing had been


@pytest.mark.parametrize("seconds", [0, -1])
async def test_one_that_has_passed_already_ends_the_first_wait(timeout: Timeout, seconds: float) -> None:
    with pytest.raises(TimeoutError):
        async with timeout(seconds):
            await asyncio.sleep(60)


async def test_what_fails_fails_as_it_would(timeout: Timeout) -> None:
    with pytest.raises(KeyError):
        async with timeout(60):
            raise KeyError


async def test_cancelled_by_somebody_else_is_no_matter_of_time(timeout: Timeout) -> None:
    begun = asyncio.Event()

    async def work() -> None:
        async with timeout(60):
            begun.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(work())
    await begun.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_cancelled_by_both_is_cancelled(timeout: Timeout) -> None:
    async def work() -> None:
        async with timeout(0.01):
            try:
                await asyncio.sleep(60)
            finally:
                task.cancel()
                await asyncio.sleep(60)

    task = asyncio.create_task(work())

    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize(("outer", "inner"), [(0.01, 60), (60, 0.01), (0.01, 0.01)])
async def test_each_of_two_ends_its_own_block(timeout: Timeout, outer: float, inner: float) -> None:
    ended = []
    try:
        async with timeout(outer):
            try:
                async with timeout(inner):
                    await asyncio.sleep(60)
            except TimeoutError:
                ended.append("inner")
                await asyncio.sleep(0)
    except TimeoutError:
        ended.append("outer")

    assert ended == (["outer"] if outer <= inner else ["inner"])


async def test_what_swallows_its_end_has_its_way(timeout: Timeout) -> None:
    async with timeout(0.01):
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            result = "said after all"

    assert "said after all" == result


async def test_each_comes_at_its_own_time_whatever_the_order_they_began_in() -> None:
    deadlines, order = Deadlines(), []

    async def wait(seconds: float) -> None:
        try:
            with deadlines.within(seconds):
                await asyncio.sleep(60)
        except TimeoutError:
            order.append(seconds)

    await asyncio.gather(*(wait(seconds) for seconds in (0.06, 0.02, 0.1, 0.04)))

    assert [0.02, 0.04, 0.06, 0.1] == order


async def test_one_that_ends_in_time_takes_nobody_elses_with_it() -> None:
    """Its own was the one the timer was at."""
    deadlines = Deadlines()

    async def short() -> None:
        with deadlines.within(0.02):
            await asyncio.sleep(0)

    async def long() -> None:
        with deadlines.within(0.04):
            await asyncio.create_task(short())
            await asyncio.sleep(60)

    with pytest.raises(TimeoutError):
        await long()


async def test_there_is_one_timer_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    deadlines = Deadlines()
    made = timers(monkeypatch)

    for _ in range(1000):
        with deadlines.within(60):
            pass

    assert 1 == len(made)


async def test_one_that_does_not_let_go_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its deadline has passed for good: to look at it again and again would leave the others no time."""
    deadlines, told, may_end = Deadlines(), 0, asyncio.Event()
    made = timers(monkeypatch)

    async def stubborn() -> None:
        nonlocal told
        with deadlines.within(0.01):
            while not may_end.is_set():
                try:
                    await may_end.wait()
                except asyncio.CancelledError:
                    told += 1

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0.05)
    may_end.set()
    await task

    assert (1, 2) == (told, len(made))  # a timer for its deadline, and one for the test's own sleep


def timers(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The moments the running loop is asked to call at, from now on."""
    loop, moments = asyncio.get_running_loop(), []
    call_at = loop.call_at

    def noting(when: float, *rest: Any, **more: Any) -> asyncio.TimerHandle:
        moments.append(when)
        return call_at(when, *rest, **more)

    monkeypatch.setattr(loop, "call_at", noting)
    return moments
