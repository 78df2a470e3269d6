"""The command `serve`: the function on this machine with its own pinger, for as long as one likes."""

import asyncio
import logging
import os
import secrets
import signal
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from logging.handlers import RotatingFileHandler
from pathlib import Path

from functions.cli.console import plain
from functions.cli.serve.workers import Live, Pinger, WatchedFiles
from functions.cli.session import KEPT, ROOT, Session
from functions.errors import InputError, SchedulerError, SettingsError, StoreError

# The function on functions-framework, as a process of this machine that ends with whoever started it.

HOST = "127.0.0.1"  # for one's own machine: what others should reach is deployed
STOPS_WITHIN_S = 6.0  # then it is killed, so that `serve` itself ends within 8 s
LONGEST_LINE = 1_048_576  # bytes of what the server says


def free_port(port: int) -> int:
    """*port*, or one that is free for 0.

    Raises:
        InputError: It is taken, or no port.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError):
            raise InputError(f"--port: {port} cannot be used; choose another, or 0 for any") from None
        chosen: int = probe.getsockname()[1]
        return chosen


@asynccontextmanager
async def server_on(
    port: int, environment: Mapping[str, str], tell: Callable[[str], None] | None
) -> AsyncIterator[Process]:
    """The server, in a process group of its own: Ctrl-C is for `serve`, which then ends it in order.

    Args:
        tell: Gets each line the server says; None leaves them where ours go.
    """
    says = None if tell is None else asyncio.subprocess.PIPE
    words = ("--target", "scheduler", "--source", str(ROOT / "main.py"), "--host", HOST, "--port", str(port))
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "functions_framework", *words),
        env=dict(environment),
        start_new_session=True,
        limit=LONGEST_LINE,
        stdout=says,
        stderr=None if says is None else asyncio.subprocess.STDOUT,
    )
    listening = None if tell is None else asyncio.create_task(_listen(server, tell))
    try:
        yield server
    finally:
        await _end(server)
        if listening is not None:
            await listening


async def _listen(server: Process, tell: Callable[[str], None]) -> None:
    """Pass on what the server says, until it has ended."""
    assert server.stdout is not None
    async for line in server.stdout:
        tell(line.decode(errors="replace").rstrip())


async def _end(server: Process) -> None:
    with suppress(ProcessLookupError):
        server.terminate()
    try:
        async with asyncio.timeout(STOPS_WITHIN_S):
            await server.wait()
    except TimeoutError:
        pass
    finally:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)  # and whatever it had started
        await server.wait()


# A log file that does not grow for ever: full, it is put aside under a number, and the oldest goes.

MOST_BYTES = 10_000_000
LOG_FILES_KEPT = 5  # files put aside: FILE.1, the newest, to FILE.5


class LogFile:
    """Lines with their time, in a file of at most MOST_BYTES.

    Raises:
        InputError: The file cannot be opened for writing.
    """

    def __init__(self, path: Path, *, most_bytes: int = MOST_BYTES) -> None:
        self._path = path
        self._most_bytes = most_bytes
        self._handler = self._opened()

    def line(self, text: str) -> None:
        """Write one line."""
        record = logging.LogRecord("serve", logging.INFO, "", 0, plain(text), None, None)
        self._handler.handle(record)

    def reopen(self) -> None:
        """Open the file anew: somebody else may have moved it away."""
        self._handler.close()
        self._handler = self._opened()

    def close(self) -> None:
        """Let go of the file."""
        self._handler.close()

    def _opened(self) -> RotatingFileHandler:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            handler = RotatingFileHandler(
                self._path, maxBytes=self._most_bytes, backupCount=LOG_FILES_KEPT, encoding="utf-8"
            )
        except OSError as exc:
            raise InputError(f"--log: {self._path} cannot be written ({exc.strerror})") from None
        handler.setFormatter(logging.Formatter("%(asctime)s  %(message)s"))
        return handler


ANSWERS_WITHIN_S = 30.0
LOOK_EVERY_S = 2.0  # at watched files
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True, slots=True)
class Manner:
    """How to serve.

    Attributes:
        port: 0 means any that is free.
        every_s: Seconds between two pings.
        status_every_s: Seconds between two lines about the state; 0 means none.
        tasks: Task files and folders that are applied, and applied again when they change.
        log: Where lines go, those of the server included; None means the screen.
    """

    port: int = 8080
    every_s: int = 60
    status_every_s: int = 30
    tasks: tuple[Path, ...] = ()
    log: Path | None = None


async def serve(session: Session, *, manner: Manner) -> int:
    """Serve and ping until a signal to stop; 1 when the server ended by itself.

    SIGHUP applies the task files again, whether they changed or not, and opens the log file anew.

    Raises:
        InputError: The port is taken, the log cannot be written, or there is a fault in the task files.
        SettingsError: A setting is wrong; the server is not even started.
        SchedulerError: The server started and does not answer.
    """
    port = free_port(manner.port)
    log = LogFile(manner.log) if manner.log else None
    tell = log.line if log else session.screen.line
    if log:
        session.screen.line(f"What happens is written to {manner.log}.")
    secret, extra = _secret(session)
    files = WatchedFiles(session, manner.tasks)
    if manner.tasks:
        tell(await files.apply())
    signals = _Signals()
    pinger = Pinger(HOST, port, secret=secret, clock=session.now)
    # Ticks are told here, a line each; of the server's own lines those that warn are enough.
    environment = {"LOG_LEVEL": "WARNING", **_given(session.environment), **extra}
    async with server_on(port, environment, tell if log else None) as server:
        ended = asyncio.create_task(server.wait())
        stopping = asyncio.create_task(signals.stop.wait())
        work = asyncio.create_task(_work(session, manner, pinger, files, signals, log, tell))
        try:
            await asyncio.wait({ended, stopping, work}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (work, stopping, ended):
                task.cancel()
    if signals.stop.is_set():
        tell("Stopped.")
        return 0
    if work.done() and not work.cancelled():
        work.result()  # raises what ended it
    why = f"the server ended by itself (exit code {server.returncode})"
    session.screen.complain(f"{why}: what it said is {f'in {manner.log}' if log else 'above'}")
    return 1


async def _work(
    session: Session,
    manner: Manner,
    pinger: Pinger,
    files: WatchedFiles,
    signals: "_Signals",
    log: LogFile | None,
    tell: Callable[[str], None],
) -> None:
    """Ping, tell the state and watch the files, each at its own pace; the first fault ends all three."""
    try:
        async with asyncio.timeout(ANSWERS_WITHIN_S):
            await pinger.until_it_answers()
    except TimeoutError:
        raise SchedulerError(f"the server does not answer within {ANSWERS_WITHIN_S:g} s") from None
    often = "each minute" if manner.every_s == 60 else f"every {manner.every_s} s"
    tell(f"Cronfire answers on {pinger.address}; a tick {often}; Ctrl-C ends it.")

    def timed(text: str) -> None:
        tell(text if log else f"{session.now().astimezone():%H:%M:%S}  {text}")  # a log has its own times

    async with asyncio.TaskGroup() as group:
        group.create_task(pinger.for_ever(every_s=manner.every_s, tell=timed))
        group.create_task(_watch(files, signals, log, tell))
        if manner.status_every_s:
            group.create_task(_tell_state(session, manner.status_every_s, timed))


async def _tell_state(session: Session, every_s: int, tell: Callable[[str], None]) -> None:
    live = Live(session.store, clock=session.now)
    while True:
        await asyncio.sleep(every_s)
        try:
            tell(await live.line())
        except StoreError as exc:
            tell(f"the store does not say how things are: {exc}")


async def _watch(
    files: WatchedFiles, signals: "_Signals", log: LogFile | None, tell: Callable[[str], None]
) -> None:
    """Apply task files when they change or SIGHUP comes; with faults in them what was there stays."""
    while True:
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_EVERY_S):
                await signals.again.wait()
        asked = signals.again.is_set()
        signals.again.clear()
        if asked and log is not None:
            log.reopen()
        if not files or not (asked or files.has_changed()):
            continue
        try:
            tell(await files.apply())
        except (InputError, StoreError) as exc:
            for line in str(exc).splitlines():
                tell(f"tasks: {line}")
            tell("tasks: nothing was changed; mend this and save, or send SIGHUP")


class _Signals:
    """What other processes ask of this one, by signals.

    Attributes:
        stop: Somebody wants it to end.
        again: Somebody wants task files applied and the log file opened anew.
    """

    def __init__(self) -> None:
        self.stop, self.again = asyncio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in STOP_SIGNALS:
            loop.add_signal_handler(number, self.stop.set)
        loop.add_signal_handler(signal.SIGHUP, self.again.set)


def _given(environment: Mapping[str, str]) -> Mapping[str, str]:
    return {name: value for name, value in environment.items() if name != "LOG_LEVEL" or value}


def _secret(session: Session) -> tuple[str, Mapping[str, str]]:
    """The secret to ping with, and the variables the server needs beside those there are."""
    given = session.settings.cron_secret
    if given is not None:
        return given.get_secret_value(), {}
    file = KEPT / "secret"
    secret = kept_secret(file)
    session.screen.line(f"CRON_SECRET is not set; the one in {_shown(file)} is used.")
    return secret, {"CRON_SECRET": secret}


def kept_secret(file: Path) -> str:
    """The secret in *file*, made and kept there the first time, readable by its owner alone."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w") as opened:
                opened.write(secrets.token_urlsafe(32))
        return file.read_text().strip()
    except OSError as exc:
        raise SettingsError(f"CRON_SECRET is not set and cannot be kept in {file} ({exc.strerror})") from exc


def _shown(file: Path) -> Path:
    return file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file
