"""Processes that parse: a result for each document or a reason why not, and nothing left behind."""

import asyncio
import contextlib
import errno
import gc
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import pytest

from functions.errors import ShortageError
from functions.parsing.errors import NoParserError, ParsingStoppedError, UnreadableError
from functions.parsing.feeds import parse_feed
from functions.parsing.pool import Parse, ParserPool, parse_here, parsing_time
from tests.unit.parsing import readers
from tests.unit.parsing.readers import Word

ROOT = Path(__file__).parents[3]
LONG_S = 30.0  # never reached


@pytest.fixture
async def pool() -> AsyncIterator[ParserPool]:
    pool = ParserPool(max_processes=1, environment={"SYSTEMROOT": "/windows"})
    yield pool
    await pool.close()


@pytest.fixture(params=["process", "here"])
def parse(request: pytest.FixtureRequest, pool: ParserPool) -> Parse:
    """Both ways to parse, which sign the same contract."""
    return pool if request.param == "process" else parse_here


async def test_a_result_comes_back_as_it_was_made(parse: Parse) -> None:
    shouted = partial(readers.read_words, shout=True)

    assert (Word("ÄB", ("ä", "b")),) == await parse(shouted, "äb".encode(), timeout_s=LONG_S)
    assert await parse(readers.read_words, b" ", timeout_s=LONG_S) is None


async def test_half_a_character_becomes_a_question_mark(parse: Parse) -> None:
    """No store takes a lone surrogate, nor does JSON in UTF-8."""
    assert (Word("a?", ("a", "?")),) == await parse(readers.read_words, b"a\xff", timeout_s=LONG_S)


@pytest.mark.slow
async def test_what_cannot_be_read_says_so(parse: Parse) -> None:
    read = partial(parse_feed, content_type="", url="https://example.com/")

    with pytest.raises(UnreadableError, match=r"^JSON that is no JSON Feed$"):
        await parse(read, b"{}", timeout_s=LONG_S)


@pytest.mark.parametrize(
    "function", [lambda document: 1, partial(readers.read_words, b"x"), {}.get, print, ParserPool.close]
)
async def test_only_functions_of_modules_are_called(parse: Parse, function: Callable[..., Any]) -> None:
    with pytest.raises(TypeError):
        await parse(function, b"", timeout_s=LONG_S)


@pytest.mark.slow
async def test_a_process_is_started_when_needed_and_kept(pool: ParserPool) -> None:
    assert not pool.process_ids

    first = await pool(readers.process_id, b"", timeout_s=LONG_S)
    second = await pool(readers.process_id, b"", timeout_s=LONG_S)

    assert first == second
    assert {first} == pool.process_ids
    assert first != os.getpid()


async def test_one_document_at_a_time(pool: ParserPool) -> None:
    """More wait for a process; their time counts from when they have one."""
    calls = (pool(readers.process_id, b"", timeout_s=LONG_S) for _ in range(5))

    assert 1 == len(set(await asyncio.gather(*calls)))


@pytest.mark.slow
async def test_who_may_wait_for_a_process_no_longer_is_told_so(pool: ParserPool) -> None:
    """The document is not to blame: fifty feeds in one minute are more than two processes read."""
    busy = asyncio.create_task(pool(readers.never_end, b"", timeout_s=LONG_S))
    await asyncio.sleep(0)  # in which it takes the only place

    with pytest.raises(NoParserError):
        await pool(readers.process_id, b"", timeout_s=LONG_S, wait_s=0.3)

    busy.cancel()
    await asyncio.gather(busy, return_exceptions=True)
    assert await pool(readers.process_id, b"", timeout_s=LONG_S, wait_s=LONG_S) in pool.process_ids


async def test_a_machine_that_can_start_no_process_now_fails_only_what_may_not_wait(
    pool: ParserPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*args: object, **options: object) -> NoReturn:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(asyncio, "create_subprocess_exec", refuse)

    with pytest.raises(ShortageError):
        await pool(readers.process_id, b"", timeout_s=LONG_S, wait_s=LONG_S)
    with pytest.raises(ParsingStoppedError, match="because no parser could be started"):
        await pool(readers.process_id, b"", timeout_s=LONG_S)


@pytest.mark.slow
async def test_one_that_does_not_end_is_killed_and_replaced(pool: ParserPool) -> None:
    await pool(readers.process_id, b"", timeout_s=LONG_S)
    (before,) = pool.process_ids

    with pytest.raises(ParsingStoppedError, match=r"could not be read in 0\.2 s: its parsing was stopped$"):
        await pool(readers.never_end, b"", timeout_s=0.2)

    assert before != await pool(readers.process_id, b"", timeout_s=LONG_S)
    assert await has_ended(before)


@pytest.mark.slow
async def test_one_whose_attempt_is_cancelled_is_killed(pool: ParserPool) -> None:
    await pool(readers.process_id, b"", timeout_s=LONG_S)
    (before,) = pool.process_ids

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await pool(readers.never_end, b"", timeout_s=LONG_S)

    assert not pool.process_ids
    assert await has_ended(before)


async def test_memory_is_bounded(pool: ParserPool) -> None:
    with pytest.raises(ParsingStoppedError, match=r"could not be read in 256 MB of memory$"):
        await pool(readers.take_memory, b"", timeout_s=LONG_S)

    assert await pool(readers.process_id, b"", timeout_s=LONG_S)


@pytest.mark.slow
async def test_one_that_keeps_much_memory_is_ended_after_its_answer(pool: ParserPool) -> None:
    assert 150_000_000 == await pool(readers.keep_memory, b"", timeout_s=LONG_S)

    assert not pool.process_ids


@pytest.mark.slow
@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (readers.crash, "because its parser ended unexpectedly"),
        (readers.fail, r"because its parser failed \(RecursionError\)"),
        (readers.answer_much, r"because its parser failed \(its result is too big\)"),
    ],
)
async def test_one_that_fails_says_how_and_harms_no_other(
    pool: ParserPool, function: Callable[[bytes], Any], reason: str
) -> None:
    """A text of the document's is never part of it."""
    with pytest.raises(ParsingStoppedError, match=f"^The document could not be read {reason}$"):
        await pool(function, b"s3cret", timeout_s=LONG_S)

    assert await pool(readers.process_id, b"", timeout_s=LONG_S)


@pytest.mark.slow
async def test_one_that_somebody_else_ended_is_replaced(pool: ParserPool) -> None:
    before = await pool(readers.process_id, b"", timeout_s=LONG_S)
    os.kill(before, signal.SIGKILL)
    assert await has_ended(before)

    assert before != await pool(readers.process_id, b"", timeout_s=LONG_S)


@pytest.mark.slow
async def test_one_that_ended_unnoticed_is_not_blamed_on_the_document(pool: ParserPool) -> None:
    """The loop learns of an end later than the next document may come."""
    before = await pool(readers.process_id, b"", timeout_s=LONG_S)
    os.kill(before, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):  # asyncio's own thread may be faster
        os.waitid(os.P_PID, before, os.WEXITED | os.WNOWAIT)  # noqa: ASYNC222  # without a turn of the loop

    assert before != await pool(readers.process_id, b"", timeout_s=LONG_S)
    with pytest.raises(ParsingStoppedError, match="ended unexpectedly"):
        await pool(readers.crash, b"", timeout_s=LONG_S)  # it ends the free one and a new one


async def test_no_variable_of_this_process_is_passed_on_but_what_was_named(
    pool: ParserPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRON_SECRET", "canary")

    variables = await pool(readers.read_environment, b"", timeout_s=LONG_S)

    assert variables.keys() <= {"PYTHONPATH", "SYSTEMROOT", "LC_CTYPE"}  # Python sets the last by itself
    assert "/windows" == variables["SYSTEMROOT"]


@pytest.mark.slow
async def test_closing_ends_them_all() -> None:
    pool = ParserPool(max_processes=2)
    calls = (pool(readers.read_words, b"x" * 100_000, timeout_s=LONG_S) for _ in range(2))
    await asyncio.gather(*calls)
    ids = pool.process_ids

    await pool.close()

    assert 2 == len(ids)
    assert [True, True] == [await has_ended(one) for one in ids]


@pytest.mark.slow
async def test_one_that_ended_by_itself_is_put_away_without_an_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its pipe may be closed before anybody closes it, which asyncio does not take twice."""
    pool = ParserPool()
    for _ in range(5):
        with pytest.raises(ParsingStoppedError):
            await pool(readers.crash, b"", timeout_s=LONG_S)

    await pool.close()
    gc.collect()  # the loop names a task that failed when it is dropped

    assert [] == [record.getMessage() for record in caplog.records if record.name == "asyncio"]


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.mark.parametrize("count", range(0, 12, 2))
async def test_closing_ends_one_that_starts_or_has_just_begun(count: int) -> None:
    """A start takes some turns of the loop; what came of it was in no list of what to end."""
    pool = ParserPool()
    call = asyncio.create_task(pool(readers.never_end, b"", timeout_s=LONG_S))
    await turns(count)

    await pool.close()

    assert not pool.process_ids
    with pytest.raises(ParsingStoppedError, match="ended unexpectedly"):
        await call


async def test_closing_ends_one_that_parses_and_starts_none_in_its_place(pool: ParserPool) -> None:
    """A free process that has ended is replaced, as nobody knows why; here everybody knows."""
    process_id = await pool(readers.process_id, b"", timeout_s=LONG_S)
    calls = [asyncio.create_task(pool(readers.never_end, b"", timeout_s=LONG_S)) for _ in range(3)]
    await turns(5)

    await pool.close()

    assert not pool.process_ids
    assert await has_ended(process_id)
    ends = await asyncio.gather(*calls, return_exceptions=True)
    assert [ParsingStoppedError] * 3 == [type(one) for one in ends]


@pytest.mark.slow
def test_one_whose_parent_is_gone_ends_by_its_own_limit() -> None:
    """Nobody is left to kill it: at most two seconds of processor time more than it was given."""
    call = {
        "module": readers.__name__,
        "function": "never_end",
        "options": {},
        "cpuSeconds": -1.9,
        "bytes": 0,
    }

    done = subprocess.run(
        [sys.executable, "-m", "functions.parsing.worker", str(1 << 28)],
        input=json.dumps(call).encode() + b"\n",
        cwd=ROOT,
        check=False,
        timeout=60,
    )

    assert -signal.SIGXCPU == done.returncode


@pytest.mark.slow
def test_a_process_imports_what_parsing_needs_and_no_more() -> None:
    """It starts in a few hundredths of a second of processor time."""
    script = (
        "import sys, functions.parsing.worker, functions.parsing.feeds, functions.parsing.replies;"
        "print(sorted({'pydantic', 'asyncio', 'feedparser', 'lxml', 'httpx2', 'aiohttp'} & {*sys.modules}))"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )

    assert "[]" == done.stdout.strip()


def test_parsing_leaves_time_for_the_rest() -> None:
    assert (8.0, 2.0) == (parsing_time(300.0), parsing_time(5.0))


async def has_ended(process: int) -> bool:
    """Whether a process of ours is gone; it is reaped in the background."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        await asyncio.sleep(0.01)
    return False
