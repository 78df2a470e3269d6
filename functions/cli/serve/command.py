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

from functions.cli.console import replace_unprintable
from functions.cli.serve.workers import StatusLine, TriggerLoop, WatchedFiles
from functions.cli.session import PROJECT_ROOT, STATE_FOLDER, CliContext
from functions.errors import InputError, SchedulerError, SettingsError, StoreError

# The function on functions-framework, as a process of this machine that ends with whoever started it.

HOST = "127.0.0.1"  # for one's own machine: what others should reach is deployed
STOP_TIMEOUT_S = 6.0  # then it is killed, so that `serve` itself ends within 8 s
MAX_LINE_BYTES = 1_048_576  # bytes of what the server says


def find_free_port(port: int) -> int:
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
async def run_server(
    port: int, environment: Mapping[str, str], on_line: Callable[[str], None] | None
) -> AsyncIterator[Process]:
    """The server, in a process group of its own: Ctrl-C is for `serve`, which then ends it in order.

    Args:
        on_line: Gets each line the server says; None leaves them where ours go.
    """
    says = None if on_line is None else asyncio.subprocess.PIPE
    words = (
        "--target",
        "scheduler",
        "--source",
        str(PROJECT_ROOT / "main.py"),
        "--host",
        HOST,
        "--port",
        str(port),
    )
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "functions_framework", *words),
        env=dict(environment),
        start_new_session=True,
        limit=MAX_LINE_BYTES,
        stdout=says,
        stderr=None if says is None else asyncio.subprocess.STDOUT,
    )
    listening = None if on_line is None else asyncio.create_task(_forward_output(server, on_line))
    try:
        yield server
    finally:
        await _stop_server(server)
        if listening is not None:
            await listening


async def _forward_output(server: Process, on_line: Callable[[str], None]) -> None:
    """Pass on what the server says, until it has ended."""
    assert server.stdout is not None
    async for line in server.stdout:
        on_line(line.decode(errors="replace").rstrip())


async def _stop_server(server: Process) -> None:
    with suppress(ProcessLookupError):
        server.terminate()
    try:
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await server.wait()
    except TimeoutError:
        pass
    finally:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)  # and whatever it had started
        await server.wait()


# A log file that does not grow for ever: full, it is put aside under a number, and the oldest goes.

MAX_LOG_BYTES = 10_000_000
LOG_BACKUPS = 5  # files put aside: FILE.1, the newest, to FILE.5


class LogFile:
    """Lines with their time, in a file of at most MAX_LOG_BYTES.

    Raises:
        InputError: The file cannot be opened for writing.
    """

    def __init__(self, path: Path, *, max_bytes: int = MAX_LOG_BYTES) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._handler = self._open()

    def write_line(self, text: str) -> None:
        """Write one line."""
        record = logging.LogRecord("serve", logging.INFO, "", 0, replace_unprintable(text), None, None)
        self._handler.handle(record)

    def reopen(self) -> None:
        """Open the file anew: somebody else may have moved it away."""
        self._handler.close()
        self._handler = self._open()

    def close(self) -> None:
        """Let go of the file."""
        self._handler.close()

    def _open(self) -> RotatingFileHandler:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            handler = RotatingFileHandler(
                self._path, maxBytes=self._max_bytes, backupCount=LOG_BACKUPS, encoding="utf-8"
            )
        except OSError as exc:
            raise InputError(f"--log: {self._path} cannot be written ({exc.strerror})") from None
        handler.setFormatter(logging.Formatter("%(asctime)s  %(message)s"))
        return handler


START_TIMEOUT_S = 30.0
WATCH_INTERVAL_S = 2.0  # at watched files
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """How to serve.

    Attributes:
        port: 0 means any that is free.
        tick_interval_s: Seconds between two pings.
        status_interval_s: Seconds between two lines about the state; 0 means none.
        task_paths: Task files and folders that are applied, and applied again when they change.
        log_path: Where lines go, those of the server included; None means the screen.
    """

    port: int = 8080
    tick_interval_s: int = 60
    status_interval_s: int = 30
    task_paths: tuple[Path, ...] = ()
    log_path: Path | None = None


async def serve(context: CliContext, *, options: ServeOptions) -> int:
    """Serve and ping until a signal to stop; 1 when the server ended by itself.

    SIGHUP applies the task files again, whether they changed or not, and opens the log file anew.

    Raises:
        InputError: The port is taken, the log cannot be written, or there is a fault in the task files.
        SettingsError: A setting is wrong; the server is not even started.
        SchedulerError: The server started and does not answer.
    """
    port = find_free_port(options.port)
    log = LogFile(options.log_path) if options.log_path else None
    tell = log.write_line if log else context.screen.write_line
    if log:
        context.screen.write_line(f"What happens is written to {options.log_path}.")
    secret, extra = _find_secret(context)
    files = WatchedFiles(context, options.task_paths)
    if options.task_paths:
        tell(await files.apply())
    signals = _Signals()
    pinger = TriggerLoop(HOST, port, secret=secret, clock=context.now)
    # Ticks are told here, a line each; of the server's own lines those that warn are enough.
    environment = {"LOG_LEVEL": "WARNING", **_server_environment(context.environment), **extra}
    async with run_server(port, environment, tell if log else None) as server:
        ended = asyncio.create_task(server.wait())
        stopping = asyncio.create_task(signals.stop.wait())
        work = asyncio.create_task(_run_loops(context, options, pinger, files, signals, log, tell))
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
    context.screen.error(f"{why}: what it said is {f'in {options.log_path}' if log else 'above'}")
    return 1


async def _run_loops(
    context: CliContext,
    options: ServeOptions,
    trigger: TriggerLoop,
    files: WatchedFiles,
    signals: "_Signals",
    log: LogFile | None,
    write_line: Callable[[str], None],
) -> None:
    """Ping, tell the state and watch the files, each at its own pace; the first fault ends all three."""
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            await trigger.wait_until_ready()
    except TimeoutError:
        raise SchedulerError(f"the server does not answer within {START_TIMEOUT_S:g} s") from None
    often = "each minute" if options.tick_interval_s == 60 else f"every {options.tick_interval_s} s"
    write_line(f"Cronfire answers on {trigger.address}; a tick {often}; Ctrl-C ends it.")

    def timed(text: str) -> None:
        write_line(
            text if log else f"{context.now().astimezone():%H:%M:%S}  {text}"
        )  # a log has its own times

    async with asyncio.TaskGroup() as group:
        group.create_task(trigger.run_forever(interval_s=options.tick_interval_s, write_line=timed))
        group.create_task(_watch_files(files, signals, log, write_line))
        if options.status_interval_s:
            group.create_task(_report_status(context, options.status_interval_s, timed))


async def _report_status(context: CliContext, interval_s: int, write_line: Callable[[str], None]) -> None:
    live = StatusLine(context.store, clock=context.now)
    while True:
        await asyncio.sleep(interval_s)
        try:
            write_line(await live.render())
        except StoreError as exc:
            write_line(f"the store does not say how things are: {exc}")


async def _watch_files(
    files: WatchedFiles, signals: "_Signals", log: LogFile | None, write_line: Callable[[str], None]
) -> None:
    """Apply task files when they change or SIGHUP comes; with faults in them what was there stays."""
    while True:
        with suppress(TimeoutError):
            async with asyncio.timeout(WATCH_INTERVAL_S):
                await signals.reload.wait()
        asked = signals.reload.is_set()
        signals.reload.clear()
        if asked and log is not None:
            log.reopen()
        if not files or not (asked or files.has_changed()):
            continue
        try:
            write_line(await files.apply())
        except (InputError, StoreError) as exc:
            for line in str(exc).splitlines():
                write_line(f"tasks: {line}")
            write_line("tasks: nothing was changed; mend this and save, or send SIGHUP")


class _Signals:
    """What other processes ask of this one, by signals.

    Attributes:
        stop: Somebody wants it to end.
        reload: Somebody wants task files applied and the log file opened anew.
    """

    def __init__(self) -> None:
        self.stop, self.reload = asyncio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in STOP_SIGNALS:
            loop.add_signal_handler(number, self.stop.set)
        loop.add_signal_handler(signal.SIGHUP, self.reload.set)


def _server_environment(environment: Mapping[str, str]) -> Mapping[str, str]:
    return {name: value for name, value in environment.items() if name != "LOG_LEVEL" or value}


def _find_secret(context: CliContext) -> tuple[str, Mapping[str, str]]:
    """The secret to ping with, and the variables the server needs beside those there are."""
    given = context.settings.cron_secret
    if given is not None:
        return given.get_secret_value(), {}
    file = STATE_FOLDER / "secret"
    secret = read_or_create_secret(file)
    context.screen.write_line(f"CRON_SECRET is not set; the one in {_display_path(file)} is used.")
    return secret, {"CRON_SECRET": secret}


def read_or_create_secret(file: Path) -> str:
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


def _display_path(file: Path) -> Path:
    return file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file
