"""Running a program on this machine: bounded output, and a certain end with all its descendants."""

import asyncio
import contextlib
import ctypes
import errno
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from functions.task_types.support.limits import REDACTION_MARGIN

# A program and its descendants, found and signalled together.

MARKER_VARIABLE = "CRONFIRE_ATTEMPT"  # identifies descendants that have left the session
_PROC = Path("/proc")
_ENDED_STATES = "ZX"  # zombie or dead


class ProcessGroup:
    """The process *leader*, started in a session of its own, and its descendants.

    On Linux these are the processes of its session or group, and those that have *marker* in their
    environment: a daemon leaves session and group on purpose, but seldom the variables. Elsewhere
    only the group is known.
    """

    def __init__(self, leader: int, *, marker: str) -> None:
        self._leader = leader
        self._seen = leader  # the one that was alive last
        self._marker = f"{MARKER_VARIABLE}={marker}".encode()

    def is_alive(self) -> bool:
        """Whether any of them is still running."""
        if _PROC.joinpath("self/stat").exists():
            if self._is_member(_PROC / str(self._seen)):  # a look at all takes 10 ms and more of the loop
                return True
            found = next(self._member_pids(), None)
            self._seen = found or self._leader
            return found is not None
        try:
            os.killpg(self._leader, 0)
        except (ProcessLookupError, PermissionError):
            return False
        return True

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to each of them; ended ones are ignored."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._leader, number)
        for pid in self._member_pids():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)

    def _member_pids(self) -> Iterator[int]:
        return (int(folder.name) for folder in _PROC.glob("[0-9]*") if self._is_member(folder))

    def _is_member(self, folder: Path) -> bool:
        try:
            state, _, group, session = _stat(folder)
            if state in _ENDED_STATES:
                return False
            related = self._leader in (group, session)
            return related or self._marker in (folder / "environ").read_bytes().split(b"\0")
        except (OSError, ValueError):  # it has ended, or belongs to another user
            return False


def _stat(folder: Path) -> tuple[str, int, int, int]:
    """Return state, parent, group and session; the name before them may contain spaces and brackets."""
    state, parent, group, session = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
    return state, int(parent), int(group), int(session)


# The stored part of an output stream: its beginning and its end.

MAX_CHARS_PER_END = 8192  # at each end
# Of a terminal (ECMA-48): colours and places, titles, charsets; then control characters.
_CONTROL_SEQUENCE = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]+[0-~])|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)
_LINE_END = re.compile(r"\r\n?")  # programs write progress over itself, and their error after it


class OutputBuffer:
    """Accepts any number of bytes and stores the first and last of them.

    Args:
        whole_bytes: How many of the first ones are stored unchanged as well, for expectations about them.
    """

    def __init__(self, whole_bytes: int = 0) -> None:
        self._head = bytearray()
        self._tail = bytearray()
        self._whole_bytes = whole_bytes
        self.whole = bytearray()
        self.size = 0

    def append(self, data: bytes) -> None:
        """Add the next bytes."""
        self.size += len(data)
        if len(self.whole) < self._whole_bytes:
            self.whole += data[: self._whole_bytes - len(self.whole)]
        free = MAX_CHARS_PER_END + REDACTION_MARGIN - len(self._head)
        self._head += data[:free]
        self._tail += data[free:] if free > 0 else data
        excess = len(self._tail) - MAX_CHARS_PER_END - REDACTION_MARGIN
        if excess > 0:
            del self._tail[:excess]

    def text(self, redact: Callable[[str], str]) -> str:
        """Return the output, masked, without control characters; a line in the middle marks a gap."""
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
    text = _LINE_END.sub("\n", data.decode("utf-8", "replace"))
    return redact(_CONTROL_SEQUENCE.sub("", text)).strip()


# One run of a program: started in its own session, read as it writes, ended with its descendants.

TERMINATION_GRACE_S = 2.0  # between SIGTERM and SIGKILL
CANCEL_WAIT_S = 0.5  # how long a cancelled run delays its caller
_POLL_INTERVAL_S = 0.02  # no event reports the end of a descendant
_READ_BYTES = 65_536
_cleanup_tasks: set[asyncio.Task[None]] = set()  # the loop holds only weak references to tasks


class NoInputError(OSError):
    """The program's input cannot be kept in a temporary file: there is no folder for it, or no room."""


@dataclass(frozen=True, slots=True)
class ProcessResult:
    """How a program ended.

    Attributes:
        exit_code: Its exit code; None when a signal ended it.
        signal: The name of that signal, e.g. SIGKILL; empty when it exited by itself.
        ended_in_time: False when it was ended because its time was up.
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
    whole_bytes: int = 0,
) -> ProcessResult:
    """Run a program to its end and return its result; no process it started is left running.

    When *timeout_s* is up, and when the caller is cancelled, it and its descendants get SIGTERM, and
    `TERMINATION_GRACE_S` later SIGKILL. Descendants that outlive it are ended in the same way.

    Args:
        argv: The program and its arguments; no shell interprets them.
        environment: All its variables except the marker.
        marker: Unique among the runs on this machine.
        whole_bytes: Of each output, how many of the first bytes are stored unchanged.

    Raises:
        OSError: The program could not be started.
    """
    stdout, stderr = OutputBuffer(whole_bytes), OutputBuffer(whole_bytes)
    started = _start_process(argv, {**environment, MARKER_VARIABLE: marker}, working_directory, stdin, marker)
    _read_stream(started, started.process.stdout, stdout.append)
    _read_stream(started, started.process.stderr, stderr.append)
    try:
        in_time = await _wait_with_timeout(started.exited.wait(), timeout_s)
        await _end_process(started)
    except asyncio.CancelledError:
        # The caller does not wait for a program that ignores SIGTERM; it is ended in the background.
        closing = asyncio.ensure_future(_end_process(started))
        _cleanup_tasks.add(closing)
        closing.add_done_callback(_cleanup_tasks.discard)
        await asyncio.wait({closing}, timeout=CANCEL_WAIT_S)
        raise
    code = started.process.returncode
    assert code is not None  # it has exited
    return ProcessResult(
        exit_code=code if code >= 0 else None,
        signal=signal_name(-code) if code < 0 else "",
        ended_in_time=in_time,
        stdout=stdout,
        stderr=stderr,
    )


def signal_name(number: int) -> str:
    """Return the name of a signal, e.g. `SIGKILL`; real-time ones are counted, e.g. `SIGRTMIN+1`."""
    try:
        return signal.Signals(number).name
    except ValueError:
        is_real_time = signal.SIGRTMIN < number < signal.SIGRTMAX
        return f"SIGRTMIN+{number - signal.SIGRTMIN}" if is_real_time else f"number {number}"


_PR_SET_DUMPABLE = 4


def _hide_environment() -> None:
    """Keep programs of the same user from reading this process's variables and memory, on Linux.

    `/proc/PID/environ` holds every secret. A program that is started is readable again: exec resets it.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def _start_process(
    argv: Sequence[str],
    environment: Mapping[str, str],
    working_directory: str | None,
    stdin: bytes,
    marker: str,
) -> _RunningProcess:
    _hide_environment()
    with _open_input(stdin) as stdin_file:
        process = subprocess.Popen(  # noqa: S603  # running the user's program is this module's purpose
            list(argv),
            stdin=stdin_file,
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
        except RuntimeError:  # the loop is closed, so no caller waits
            return

    # Not asyncio's subprocesses: their `wait` may hang while a descendant holds a pipe open.
    try:
        threading.Thread(target=wait, name=f"waits-for-{process.pid}", daemon=True).start()
    except RuntimeError:  # the machine has no thread left
        started.group.send_signal(signal.SIGKILL)
        process.communicate()
        raise BlockingIOError(errno.EAGAIN, "no thread left") from None
    return started


def _open_input(stdin: bytes) -> IO[bytes]:
    """Return a file of *stdin*: a pipe would have to be fed while the program runs.

    Raises:
        NoInputError: There is no folder for temporary files, or no room in it.
    """
    if not stdin:
        return Path(os.devnull).open("rb")
    with contextlib.ExitStack() as opened:
        try:
            file = opened.enter_context(tempfile.TemporaryFile(buffering=0))
            file.write(stdin)
            file.seek(0)
        except OSError as exc:
            raise NoInputError(exc.errno, exc.strerror) from exc
        opened.pop_all()  # the caller closes it
    return file


def _read_stream(running: _RunningProcess, stream: IO[bytes] | None, append: Callable[[bytes], None]) -> None:
    """Pass output to *append* as it arrives, until the last holder of the other end has closed it."""
    assert stream is not None  # every stream is a pipe
    loop = asyncio.get_running_loop()
    number = stream.fileno()
    os.set_blocking(number, False)
    ended = running.streams[number] = asyncio.Event()

    def read_available() -> None:
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

    loop.add_reader(number, read_available)


async def _end_process(running: _RunningProcess) -> None:
    """End the remaining processes, read the last output, and close the pipes."""
    try:
        if running.group.is_alive():
            running.group.send_signal(signal.SIGTERM)
            await _wait_with_timeout(_wait_for_exit(running.group), TERMINATION_GRACE_S)
            await _wait_with_timeout(_kill_group(running.group), TERMINATION_GRACE_S)
        await running.exited.wait()
        for ended in running.streams.values():
            # A process of another user may hold the other end.
            await _wait_with_timeout(ended.wait(), CANCEL_WAIT_S)
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
    while group.is_alive():  # noqa: ASYNC110  # no event reports the end of another process's child
        await asyncio.sleep(_POLL_INTERVAL_S)


async def _kill_group(group: ProcessGroup) -> None:
    while group.is_alive():  # repeated, as a process may start another one meanwhile
        group.send_signal(signal.SIGKILL)
        await asyncio.sleep(_POLL_INTERVAL_S)


async def _wait_with_timeout(awaited: Awaitable[object], timeout_s: float) -> bool:
    try:
        async with asyncio.timeout(timeout_s):
            await awaited
    except TimeoutError:
        return False
    return True
