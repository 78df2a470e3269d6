"""Running a program on this machine: its output within bounds, its end certain, with all it started."""

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import tempfile
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

# A program and all that it started, found and ended together, wherever its descendants went.

MARKER_VARIABLE = "CRONFIRE_ATTEMPT"  # the variable by which descendants are known that left the session
_PROC = Path("/proc")
_ENDED_STATES = "ZX"  # states of processes that have ended: waiting for a parent to notice, or gone


class ProcessGroup:
    """The process *leader*, started in a session of its own, and its descendants.

    On Linux these are the processes of its session or group, and those that have *marker* in their
    environment: a daemon leaves session and group on purpose, but seldom the variables. Elsewhere
    only the group is known.
    """

    def __init__(self, leader: int, *, marker: str) -> None:
        self._leader = leader
        self._marker = f"{MARKER_VARIABLE}={marker}".encode()

    def is_alive(self) -> bool:
        """Whether any of them is still running."""
        if _PROC.joinpath("self/stat").exists():
            return any(True for _ in self._member_pids())
        try:
            os.killpg(self._leader, 0)
        except (ProcessLookupError, PermissionError):
            return False
        return True

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to each of them; those that are gone by then do not matter."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._leader, number)
        for pid in self._member_pids():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)

    def _member_pids(self) -> Iterator[int]:
        for folder in _PROC.glob("[0-9]*"):
            try:
                state, _, group, session = _stat(folder)
                if state in _ENDED_STATES:
                    continue
                related = self._leader in (group, session)
                if related or self._marker in (folder / "environ").read_bytes().split(b"\0"):
                    yield int(folder.name)
            except (OSError, ValueError):  # it ended meanwhile, or belongs to somebody else
                continue


def _stat(folder: Path) -> tuple[str, int, int, int]:
    """State, parent, group and session; the name before them may hold spaces and brackets itself."""
    state, parent, group, session = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
    return state, int(parent), int(group), int(session)


# What is kept of a stream of output: its beginning and its end, however long it was.

MAX_CHARS_PER_END = 8192  # at each end
REDACTION_MARGIN_BYTES = 8192  # read beyond, so that a secret at the cut is seen whole and can be masked
_CONTROL_SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class OutputBuffer:
    """Takes in any number of bytes and remembers few of them."""

    def __init__(self) -> None:
        self._head = bytearray()
        self._tail = bytearray()
        self.size = 0

    def append(self, data: bytes) -> None:
        """Take in the next bytes."""
        self.size += len(data)
        room = MAX_CHARS_PER_END + REDACTION_MARGIN_BYTES - len(self._head)
        self._head += data[:room]
        self._tail += data[room:] if room > 0 else data
        excess = len(self._tail) - MAX_CHARS_PER_END - REDACTION_MARGIN_BYTES
        if excess > 0:
            del self._tail[:excess]

    def text(self, redact: Callable[[str], str]) -> str:
        """What was kept, masked, without control characters; a line in the middle says what is missing."""
        if self.size == len(self._head) + len(self._tail):
            whole = _printable_text(bytes(self._head + self._tail), redact)
            if len(whole) <= 2 * MAX_CHARS_PER_END:
                return whole
            head = tail = whole
        else:
            head, tail = (
                _printable_text(bytes(self._head), redact),
                _printable_text(bytes(self._tail), redact),
            )
        return f"{head[:MAX_CHARS_PER_END]}\n[... {self.size} bytes in all ...]\n{tail[-MAX_CHARS_PER_END:]}"


def _printable_text(data: bytes, redact: Callable[[str], str]) -> str:
    return redact(_CONTROL_SEQUENCE.sub("", data.decode("utf-8", "replace").replace("\r\n", "\n"))).strip()


# One run of a program: started in a session of its own, read without pause, ended with its descendants.

TERMINATION_GRACE_S = 2.0  # between SIGTERM and SIGKILL
CANCEL_WAIT_S = 0.5  # of it, how long a cancelled run makes its caller wait
_POLL_INTERVAL_S = 0.02  # between two looks at whether descendants are gone: nobody but their parent is told
_READ_BYTES = 65_536
_cleanup_tasks: set[asyncio.Task[None]] = set()  # the loop itself holds its tasks but weakly


@dataclass(frozen=True, slots=True)
class ProcessResult:
    """How a program ended.

    Attributes:
        exit_code: Its exit code; None when a signal ended it.
        signal: The name of that signal, e.g. SIGKILL; empty when it exited by itself.
        ended_in_time: False when its time was up and it was ended.
    """

    exit_code: int | None
    signal: str
    ended_in_time: bool
    stdout: OutputBuffer
    stderr: OutputBuffer


@dataclass(slots=True)
class _RunningProcess:
    process: "subprocess.Popen[bytes]"
    group: ProcessGroup
    exited: asyncio.Event = field(default_factory=asyncio.Event)
    streams: dict[int, asyncio.Event] = field(default_factory=dict)


async def run_process(
    argv: Sequence[str],
    *,
    environment: Mapping[str, str],
    working_directory: str | None,
    stdin: bytes,
    marker: str,
    timeout_s: float,
) -> ProcessResult:
    """Run a program to its end and return how it ended; nothing it started is left behind.

    When *timeout_s* is up, and when the caller is cancelled, it and its descendants get SIGTERM, and
    `TERMINATION_GRACE_S` later SIGKILL. What it left running when it exited by itself is ended likewise.

    Args:
        argv: The program and its arguments; no shell reads them.
        environment: All its variables, but for the mark.
        marker: Unlike that of any other run on this machine.

    Raises:
        OSError: It could not be started.
    """
    stdout, stderr = OutputBuffer(), OutputBuffer()
    started = _start_process(argv, {**environment, MARKER_VARIABLE: marker}, working_directory, stdin, marker)
    _read_stream(started, started.process.stdout, stdout.append)
    _read_stream(started, started.process.stderr, stderr.append)
    try:
        in_time = await _wait_with_timeout(started.exited.wait(), timeout_s)
        await _end_process(started)
    except asyncio.CancelledError:
        # Whoever cancels should not wait for a stubborn program; it is ended all the same.
        closing = asyncio.ensure_future(_end_process(started))
        _cleanup_tasks.add(closing)
        closing.add_done_callback(_cleanup_tasks.discard)
        await asyncio.wait({closing}, timeout=CANCEL_WAIT_S)
        raise
    code = started.process.returncode
    assert code is not None  # it has exited, of its own will or not
    return ProcessResult(
        exit_code=code if code >= 0 else None,
        signal=signal.Signals(-code).name if code < 0 else "",
        ended_in_time=in_time,
        stdout=stdout,
        stderr=stderr,
    )


def _start_process(
    argv: Sequence[str],
    environment: Mapping[str, str],
    working_directory: str | None,
    stdin: bytes,
    marker: str,
) -> _RunningProcess:
    with tempfile.TemporaryFile() as given:  # a file, because a pipe would have to be fed meanwhile
        given.write(stdin)
        given.seek(0)
        process = subprocess.Popen(  # noqa: S603  # running what the task says is this module's purpose
            list(argv),
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(environment),
            cwd=working_directory,
            start_new_session=True,
            bufsize=0,
        )
    started = _RunningProcess(process, ProcessGroup(process.pid, marker=marker))
    loop = asyncio.get_running_loop()

    def wait() -> None:
        process.wait()
        try:
            loop.call_soon_threadsafe(started.exited.set)
        except RuntimeError:  # the loop was closed, so nobody waits any more
            return

    # asyncio's own processes are not told apart from their pipes: `wait` may hang while one is open.
    threading.Thread(target=wait, name=f"waits-for-{process.pid}", daemon=True).start()
    return started


def _read_stream(running: _RunningProcess, stream: IO[bytes] | None, append: Callable[[bytes], None]) -> None:
    """Feed what comes, as it comes, until the last holder of the other end has closed it."""
    assert stream is not None  # every stream is a pipe
    loop = asyncio.get_running_loop()
    number = stream.fileno()
    os.set_blocking(number, False)
    ended = running.streams[number] = asyncio.Event()

    def take() -> None:
        try:
            data = os.read(number, _READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            append(data)
        else:
            loop.remove_reader(number)
            ended.set()

    loop.add_reader(number, take)


async def _end_process(running: _RunningProcess) -> None:
    """End whatever is left, read what was written last, and let go of the pipes."""
    try:
        if running.group.is_alive():
            running.group.send_signal(signal.SIGTERM)
            await _wait_with_timeout(_wait_for_exit(running.group), TERMINATION_GRACE_S)
            await _wait_with_timeout(_kill_group(running.group), TERMINATION_GRACE_S)
        await running.exited.wait()
        for ended in running.streams.values():
            await _wait_with_timeout(
                ended.wait(), CANCEL_WAIT_S
            )  # somebody out of reach may hold the other end
    except asyncio.CancelledError:
        running.group.send_signal(signal.SIGKILL)
        raise
    finally:
        for number, ended in running.streams.items():
            asyncio.get_running_loop().remove_reader(number)
            ended.set()
        for stream in (running.process.stdout, running.process.stderr):
            assert stream is not None  # every stream is a pipe
            stream.close()


async def _wait_for_exit(group: ProcessGroup) -> None:
    while group.is_alive():  # noqa: ASYNC110  # no event tells of the end of somebody else's child
        await asyncio.sleep(_POLL_INTERVAL_S)


async def _kill_group(group: ProcessGroup) -> None:
    while group.is_alive():  # more than once, for it may have started another one meanwhile
        group.send_signal(signal.SIGKILL)
        await asyncio.sleep(_POLL_INTERVAL_S)


async def _wait_with_timeout(awaited: Awaitable[object], timeout_s: float) -> bool:
    try:
        async with asyncio.timeout(timeout_s):
            await awaited
    except TimeoutError:
        return False
    return True
