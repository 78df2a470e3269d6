"""The processes that parse: started when first needed, kept for the next document, killed when time is up."""

import asyncio
import contextlib
import os
import subprocess
import sys
from asyncio.subprocess import Process
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Generic, Protocol, Self, TypeVar, cast, get_type_hints

from pydantic import TypeAdapter

from functions.errors import SHORTAGES, ShortageError
from functions.parsing.errors import NoParserError, ParsingStoppedError, UnreadableError
from functions.parsing.worker import MAX_RESULT_BYTES, to_json

T = TypeVar("T")

MAX_PROCESSES = 2
MAX_MEMORY_BYTES = 268_435_456  # address space of one process; a feed of 2 MB takes a third of it
MAX_PARSING_S = 8.0  # for one document, whatever the attempt has
ENDS_WITHIN_S = 0.5  # a process that has closed its pipe
PARSING_SHARE = 0.4  # of an attempt's time; what fetches the document needs its own


def parsing_time(attempt_s: float) -> float:
    """Return the seconds that parsing may take in an attempt of *attempt_s*."""
    return min(MAX_PARSING_S, attempt_s * PARSING_SHARE)


class Parse(Protocol):
    """Calls a function on a document of strangers' where it can be stopped."""

    async def __call__(
        self,
        function: Callable[[bytes], T],
        document: bytes,
        *,
        timeout_s: float,
        wait_s: float | None = None,
    ) -> T:
        """Return what *function* returns for *document*.

        Args:
            function: One of a module, or a `partial` of it with named options that JSON can hold. Its return
                type, which it declares, is of JSON values and dataclasses. It imports little, as it runs in
                a process of its own, without the settings and secrets of this one.
            timeout_s: From when a process is free; then the parsing is stopped.
            wait_s: For a process to be free, where the attempt may be made again as if it had not begun; None
                for as long as the attempt has.

        Raises:
            NoParserError: No process was free within *wait_s*.
            ShortageError: No process could be started, where *wait_s* is given.
            UnreadableError: *function* raised it.
            ParsingStoppedError: It took too long or too much memory, or failed in another way.
        """
        ...


@dataclass(frozen=True, slots=True)
class _Call:
    """A function of a module, and its options."""

    function: Callable[..., Any]
    options: dict[str, Any]

    @classmethod
    def of(cls, function: Callable[[bytes], Any]) -> Self:
        options: dict[str, Any] = {}
        if isinstance(function, partial):
            if function.args:
                raise TypeError("give the options of a partial by name")
            options = function.keywords
            function = function.func
        name = getattr(function, "__qualname__", "")
        if not name.isidentifier() or "return" not in getattr(function, "__annotations__", {}):
            raise TypeError(f"{name or function!r} is not a function of a module with a declared return type")
        return cls(function, options)

    def header(self, document: bytes, timeout_s: float) -> bytes:
        fields = {
            "module": self.function.__module__,
            "function": self.function.__name__,
            "options": self.options,
            "cpuSeconds": timeout_s,
            "bytes": len(document),
        }
        return to_json(fields) + b"\n"


@dataclass(frozen=True, slots=True)
class _Answer(Generic[T]):
    """What a process answered: a result, or why there is none."""

    result: T | None = None
    unreadable: str | None = None
    failed: str | None = None
    spent: bool = False

    def unwrap(self) -> T:
        if self.unreadable is not None:
            raise UnreadableError(self.unreadable)
        if self.failed == "MemoryError":
            raise ParsingStoppedError(f"in {MAX_MEMORY_BYTES // 1_048_576} MB of memory")
        if self.failed is not None:
            raise ParsingStoppedError(f"because its parser failed ({self.failed})")
        return cast(T, self.result)


class _EndedError(Exception):
    """A process has ended, or writes what is no answer."""


@cache
def _answer_type(function: Callable[..., Any]) -> TypeAdapter[Any]:
    return TypeAdapter(_Answer[get_type_hints(function)["return"]])  # type: ignore[misc, arg-type]  # known at run time


async def parse_here(
    function: Callable[[bytes], T], document: bytes, *, timeout_s: float, wait_s: float | None = None
) -> T:
    """Do what a `ParserPool` does in this process, without its limits: for tests of task types."""
    call = _Call.of(function)
    call.header(document, timeout_s)
    answer = to_json({"result": function(document)})
    return cast(T, _answer_type(call.function).validate_json(answer).result)


class ParserPool:
    """Processes that parse, each one document at a time; used from one event loop.

    A process starts when a document finds none free, with `PYTHONPATH` and *environment* as its variables. It
    ends when it is stopped, when it has taken much memory, when the pool is closed, and with this process.
    """

    def __init__(
        self,
        *,
        max_processes: int = MAX_PROCESSES,
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._max_processes = max_processes
        self._slots = asyncio.Semaphore(max_processes)
        self._is_closing = False
        self._environment = environment
        self._processes: set[Process] = set()
        self._free: list[Process] = []
        self._ending: set[asyncio.Task[None]] = set()

    @property
    def process_ids(self) -> frozenset[int]:
        """The ids of the processes that run."""
        return frozenset(process.pid for process in self._processes)

    async def __call__(
        self,
        function: Callable[[bytes], T],
        document: bytes,
        *,
        timeout_s: float,
        wait_s: float | None = None,
    ) -> T:
        """See `Parse`."""
        call = _Call.of(function)
        header = call.header(document, timeout_s)
        try:
            async with asyncio.timeout(wait_s):
                await self._slots.acquire()
        except TimeoutError:
            raise NoParserError("All parsers are busy") from None
        try:
            async with asyncio.timeout(timeout_s):
                answer: _Answer[T] = await self._parse(call, header, document)
        except TimeoutError:
            raise ParsingStoppedError(f"in {timeout_s:.3g} s: its parsing was stopped") from None
        except _EndedError as exc:
            raise ParsingStoppedError("because its parser ended unexpectedly") from exc
        except OSError as exc:
            if wait_s is not None and exc.errno in SHORTAGES:
                raise ShortageError from exc
            raise ParsingStoppedError("because no parser could be started") from exc
        finally:
            self._slots.release()
        return answer.unwrap()

    async def close(self) -> None:
        """End the processes, and the calls that are under way; later ones are refused.

        A call under way ends its process by itself: it is the one that reads from it, or that starts it.
        """
        self._is_closing = True
        while self._free:
            self._stop(self._free.pop())
        for process in self._processes:
            _kill(process)
        for _ in range(self._max_processes):
            await self._slots.acquire()
        for _ in range(self._max_processes):
            self._slots.release()
        if self._ending:
            await asyncio.wait(self._ending)

    async def _parse(self, call: _Call, header: bytes, document: bytes) -> _Answer[Any]:
        """Return the answer of a process that is free, else of a new one.

        A free process may have been ended meanwhile, as when memory was short; the document is not to blame.
        """
        if (process := self._take_free_process()) is not None:
            with contextlib.suppress(_EndedError):
                return await self._ask(process, call, header, document)
        return await self._ask(await self._start_process(), call, header, document)

    async def _ask(self, process: Process, call: _Call, header: bytes, document: bytes) -> _Answer[Any]:
        answer: _Answer[Any] | None = None
        ends_by_itself = False
        try:
            answer = _answer_type(call.function).validate_json(await _exchange(process, header, document))
        except (OSError, EOFError, ValueError) as exc:
            ends_by_itself = True
            raise _EndedError from exc
        finally:  # also when the attempt is cancelled
            if answer is None or answer.spent or self._is_closing:
                self._stop(process, ends_by_itself=ends_by_itself)
            else:
                self._free.append(process)
        return answer

    def _take_free_process(self) -> Process | None:
        while self._free:
            process = self._free.pop()
            if process.returncode is None:
                return process
            self._stop(process)  # it has ended already
        return None

    async def _start_process(self) -> Process:
        if self._is_closing:
            raise _EndedError
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # of modules in the working directory only those that this process finds, too
            "-m",
            "functions.parsing.worker",
            str(MAX_MEMORY_BYTES),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # a traceback would quote what strangers wrote
            env={**self._environment, "PYTHONPATH": _module_path()},
            start_new_session=True,  # Ctrl-C is for this process
        )
        self._processes.add(process)
        if self._is_closing:
            self._stop(process)
            raise _EndedError
        return process

    def _stop(self, process: Process, *, ends_by_itself: bool = False) -> None:
        """Kill *process*, or give it a moment where it seems to have ended.

        A signal to one that has just ended takes its exit code from asyncio, which logs a warning.
        """
        self._processes.discard(process)
        if not ends_by_itself:
            _kill(process)
        ending = asyncio.create_task(_wait_for_end(process))
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)


def _kill(process: Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()


def _module_path() -> str:
    """Return where this process finds modules; the empty entry, for the working directory, written out."""
    return os.pathsep.join(str(Path(folder).absolute()) for folder in sys.path)


async def _wait_for_end(process: Process) -> None:
    """Wait until a process and its pipes are gone: what is left of them outlives no event loop."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(ENDS_WITHIN_S):
            await process.wait()
    _kill(process)
    assert process.stdin is not None  # both are pipes
    assert process.stdout is not None
    if not process.stdin.transport.is_closing():  # as it is by itself where the process ended first
        process.stdin.transport.abort()
    with contextlib.suppress(OSError):
        await process.stdin.wait_closed()
    await process.stdout.read()
    await process.wait()


async def _exchange(process: Process, header: bytes, document: bytes) -> bytes:
    """Send a call; return its answer.

    Raises:
        OSError, EOFError, ValueError: The process has ended, or its answer has no sensible length.
    """
    assert process.stdin is not None  # both are pipes
    assert process.stdout is not None
    process.stdin.write(header)
    process.stdin.write(document)
    await process.stdin.drain()
    length = int(await process.stdout.readline())
    if not 0 < length <= MAX_RESULT_BYTES:
        raise ValueError(f"an answer of {length} bytes")
    return await process.stdout.readexactly(length)
