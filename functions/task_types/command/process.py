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

MARK = "CRONFIRE_ATTEMPT"  # the variable by which descendants are known that left the session
_PROC = Path("/proc")
_OVER = "ZX"  # states of processes that have ended: waiting for a parent to notice, or gone


class Family:
    """The process *leader*, started in a session of its own, and its descendants.

    On Linux these are the processes of its session or group, and those that have *mark* in their
    environment: a daemon leaves session and group on purpose, but seldom the variables. Elsewhere
    only the group is known.
    """

    def __init__(self, leader: int, *, mark: str) -> None:
        self._leader = leader
        self._mark = f"{MARK}={mark}".encode()

    def is_alive(self) -> bool:
        """Whether any of them is still running."""
        if _PROC.joinpath("self/stat").exists():
            return any(True for _ in self._members())
        try:
            os.killpg(self._leader, 0)
        except (ProcessLookupError, PermissionError):
            return False
        return True

    def send(self, number: signal.Signals) -> None:
        """Send a signal to each of them; those that are gone by then do not matter."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._leader, number)
        for pid in self._members():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)

    def _members(self) -> Iterator[int]:
        for folder in _PROC.glob("[0-9]*"):
            try:
                state, _, group, session = _stat(folder)
                if state in _OVER:
                    continue
                related = self._leader in (group, session)
                if related or self._mark in (folder / "environ").read_bytes().split(b"\0"):
                    yield int(folder.name)
            except (OSError, ValueError):  # it ended meanwhile, or belongs to somebody else
                continue


def _stat(folder: Path) -> tuple[str, int, int, int]:
    """State, parent, group and session; the name before them may hold spaces and brackets itself."""
    state, parent, group, session = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
    return state, int(parent), int(group), int(session)


# What is kept of a stream of output: its beginning and its end, however long it was.

KEPT_CHARS = 8192  # at each end
SPARE_BYTES = 8192  # read beyond, so that a secret at the cut is seen whole and can be masked
_UNFIT = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Capture:
    """Takes in any number of bytes and remembers few of them."""

    def __init__(self) -> None:
        self._head = bytearray()
        self._tail = bytearray()
        self.size = 0

    def feed(self, data: bytes) -> None:
        """Take in the next bytes."""
        self.size += len(data)
        room = KEPT_CHARS + SPARE_BYTES - len(self._head)
        self._head += data[:room]
        self._tail += data[room:] if room > 0 else data
        excess = len(self._tail) - KEPT_CHARS - SPARE_BYTES
        if excess > 0:
            del self._tail[:excess]

    def text(self, mask: Callable[[str], str]) -> str:
        """What was kept, masked, without control characters; a line in the middle says what is missing."""
        if self.size == len(self._head) + len(self._tail):
            whole = _readable(bytes(self._head + self._tail), mask)
            if len(whole) <= 2 * KEPT_CHARS:
                return whole
            head = tail = whole
        else:
            head, tail = _readable(bytes(self._head), mask), _readable(bytes(self._tail), mask)
        return f"{head[:KEPT_CHARS]}\n[... {self.size} bytes in all ...]\n{tail[-KEPT_CHARS:]}"


def _readable(data: bytes, mask: Callable[[str], str]) -> str:
    return mask(_UNFIT.sub("", data.decode("utf-8", "replace").replace("\r\n", "\n"))).strip()


# One run of a program: started in a session of its own, read without pause, ended with its descendants.

GRACE_S = 2.0  # between SIGTERM and SIGKILL
LETTING_GO_S = 0.5  # of it, how long a cancelled run makes its caller wait
_LOOK_S = 0.02  # between two looks at whether descendants are gone: nobody but their parent is told
_READ_BYTES = 65_536
_closing: set[asyncio.Task[None]] = set()  # the loop itself holds its tasks but weakly


@dataclass(frozen=True, slots=True)
class Finished:
    """How a program ended.

    Attributes:
        code: Its exit code; None when a signal ended it.
        signal: The name of that signal, e.g. SIGKILL; empty when it exited by itself.
        in_time: False when its time was up and it was ended.
    """

    code: int | None
    signal: str
    in_time: bool
    stdout: Capture
    stderr: Capture


@dataclass(slots=True)
class _Started:
    process: "subprocess.Popen[bytes]"
    family: Family
    exited: asyncio.Event = field(default_factory=asyncio.Event)
    streams: dict[int, asyncio.Event] = field(default_factory=dict)


async def run(
    words: Sequence[str],
    *,
    environment: Mapping[str, str],
    folder: str | None,
    stdin: bytes,
    mark: str,
    time_s: float,
) -> Finished:
    """Run a program to its end and return how it ended; nothing it started is left behind.

    When *time_s* is up, and when the caller is cancelled, it and its descendants get SIGTERM, and
    `GRACE_S` later SIGKILL. What it left running when it exited by itself is ended likewise.

    Args:
        words: The program and its arguments; no shell reads them.
        environment: All its variables, but for the mark.
        mark: Unlike that of any other run on this machine.

    Raises:
        OSError: It could not be started.
    """
    stdout, stderr = Capture(), Capture()
    started = _start(words, {**environment, MARK: mark}, folder, stdin, mark)
    _read(started, started.process.stdout, stdout.feed)
    _read(started, started.process.stderr, stderr.feed)
    try:
        in_time = await _within(started.exited.wait(), time_s)
        await _end(started)
    except asyncio.CancelledError:
        # Whoever cancels should not wait for a stubborn program; it is ended all the same.
        closing = asyncio.ensure_future(_end(started))
        _closing.add(closing)
        closing.add_done_callback(_closing.discard)
        await asyncio.wait({closing}, timeout=LETTING_GO_S)
        raise
    code = started.process.returncode
    assert code is not None  # it has exited, of its own will or not
    return Finished(
        code=code if code >= 0 else None,
        signal=signal.Signals(-code).name if code < 0 else "",
        in_time=in_time,
        stdout=stdout,
        stderr=stderr,
    )


def _start(
    words: Sequence[str], environment: Mapping[str, str], folder: str | None, stdin: bytes, mark: str
) -> _Started:
    with tempfile.TemporaryFile() as given:  # a file, because a pipe would have to be fed meanwhile
        given.write(stdin)
        given.seek(0)
        process = subprocess.Popen(  # noqa: S603  # running what the task says is this module's purpose
            list(words),
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(environment),
            cwd=folder,
            start_new_session=True,
            bufsize=0,
        )
    started = _Started(process, Family(process.pid, mark=mark))
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


def _read(started: _Started, stream: IO[bytes] | None, feed: Callable[[bytes], None]) -> None:
    """Feed what comes, as it comes, until the last holder of the other end has closed it."""
    assert stream is not None  # every stream is a pipe
    loop = asyncio.get_running_loop()
    number = stream.fileno()
    os.set_blocking(number, False)
    ended = started.streams[number] = asyncio.Event()

    def take() -> None:
        try:
            data = os.read(number, _READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            feed(data)
        else:
            loop.remove_reader(number)
            ended.set()

    loop.add_reader(number, take)


async def _end(started: _Started) -> None:
    """End whatever is left, read what was written last, and let go of the pipes."""
    try:
        if started.family.is_alive():
            started.family.send(signal.SIGTERM)
            await _within(_gone(started.family), GRACE_S)
            await _within(_killed(started.family), GRACE_S)
        await started.exited.wait()
        for ended in started.streams.values():
            await _within(ended.wait(), LETTING_GO_S)  # somebody out of reach may hold the other end
    except asyncio.CancelledError:
        started.family.send(signal.SIGKILL)
        raise
    finally:
        for number, ended in started.streams.items():
            asyncio.get_running_loop().remove_reader(number)
            ended.set()
        for stream in (started.process.stdout, started.process.stderr):
            assert stream is not None  # every stream is a pipe
            stream.close()


async def _gone(family: Family) -> None:
    while family.is_alive():  # noqa: ASYNC110  # no event tells of the end of somebody else's child
        await asyncio.sleep(_LOOK_S)


async def _killed(family: Family) -> None:
    while family.is_alive():  # more than once, for it may have started another one meanwhile
        family.send(signal.SIGKILL)
        await asyncio.sleep(_LOOK_S)


async def _within(awaited: Awaitable[object], time_s: float) -> bool:
    try:
        async with asyncio.timeout(time_s):
            await awaited
    except TimeoutError:
        return False
    return True
