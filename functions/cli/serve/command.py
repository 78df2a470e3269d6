"""The command `serve`: runs the function on this machine and triggers its ticks until it is stopped."""

import asyncio
import errno
import os
import signal
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from functions.cli.local.location import CODE_FOLDER, STATE_FOLDER
from functions.cli.local.running import announce_service
from functions.cli.local.secret_files import secret_file
from functions.cli.options import LOOPBACK
from functions.cli.serve.config import OlderConfig, read_config
from functions.cli.serve.output import LogFile, Output
from functions.cli.serve.sign_in import find_api_key, sign_in_lines
from functions.cli.serve.workers import TICK_BUDGET_S, StatusLine, TriggerLoop, WatchedFiles
from functions.cli.session import CliContext
from functions.domain.storage import TaskFilter
from functions.domain.types import timezone_or_utc, to_local
from functions.errors import ConflictError, InputError, SchedulerError, StoreError, StoreUnavailableError

# The server: a child process.

WILDCARDS = {"0.0.0.0": LOOPBACK, "::": "::1", "": LOOPBACK}  # noqa: S104  # what is called to reach ourselves
STOP_TIMEOUT_S = 10.0  # then it is killed; a tick gives its attempts 7 s, and has to end and record them
MAX_LINE_BYTES = 1_048_576  # of the server's output


def find_free_port(port: int, host: str = LOOPBACK) -> int:
    """Return *port* of *host*, or a free port for 0.

    Raises:
        InputError: It is in use, or no port, or this machine has no such address.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except socket.gaierror:
            raise InputError(f"--host: {host!r} is no address of this machine") from None
        except (OSError, OverflowError) as exc:
            if isinstance(exc, OSError) and exc.errno == errno.EADDRNOTAVAIL:
                raise InputError(f"--host: {host!r} is no address of this machine") from None
            raise InputError(f"--port: {_port_problem(port, exc)}") from None
        bound: int = probe.getsockname()[1]
        return bound


def _port_problem(port: int, error: Exception) -> str:
    if isinstance(error, OverflowError):
        return "must be from 0 to 65535"
    if isinstance(error, PermissionError):
        return f"{port} needs an administrator's rights; choose one above 1023, or 0 for any"
    return f"{port} is taken, perhaps by a Cronfire started before; end that, or choose another, or 0 for any"


def format_address(host: str, port: int) -> str:
    """Return the address of a server on *host*."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@asynccontextmanager
async def run_server(
    host: str, port: int, environment: Mapping[str, str], on_line: Callable[[str], None] | None
) -> AsyncIterator[Process]:
    """Run the server in a process group of its own: `serve` handles Ctrl-C and then stops the server.

    Args:
        on_line: Receives each line of the server's output; None sends the output to our own streams.
    """
    output = None if on_line is None else asyncio.subprocess.PIPE
    arguments = {
        "--source": str(CODE_FOLDER / "main.py"),
        "--host": host,
        "--port": str(port),
        "--workers": environment.get("WORKERS") or "1",
        "--log-level": environment.get("GUNICORN_LOG_LEVEL") or "error",
        "--parent": str(os.getpid()),
    }
    # -P: a folder `functions` of the user's is not ours. Modules of `python` tasks may lie where they work.
    path = (str(CODE_FOLDER), environment.get("PYTHONPATH"), str(Path.cwd()))
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "functions.server", *chain.from_iterable(arguments.items())),
        env={**environment, "PYTHONPATH": os.pathsep.join(filter(None, path))},
        start_new_session=True,
        limit=MAX_LINE_BYTES,
        stdout=output,
        stderr=None if output is None else asyncio.subprocess.STDOUT,
    )
    forwarding = None if on_line is None else asyncio.create_task(_forward_output(server, on_line))
    try:
        yield server
    finally:
        await _stop_server(server)
        if forwarding is not None:
            await forwarding


async def _forward_output(server: Process, on_line: Callable[[str], None]) -> None:
    """Pass each line of the server's output to *on_line* until it ends."""
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
            if hasattr(os, "killpg"):
                os.killpg(server.pid, signal.SIGKILL)  # with its child processes
            else:  # Windows
                server.kill()
        await server.wait()


START_TIMEOUT_S = 30.0
WATCH_INTERVAL_S = 1.0  # between two checks of watched files, which have to find the same
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """The options of `serve`.

    Attributes:
        port: 0 means any free port.
        tick_interval_s: Seconds between two ticks.
        status_interval_s: Seconds between two status lines; 0 means none.
        task_paths: Task files and folders that are applied, and applied again when they change.
        log_path: The log file, for the server's output as well; None means the screen.
        source: What the task files are known by; empty for their names.
        host: The address to listen on.
        show_sign_in: Whether to print a link that signs in once, and the key.
        config_path: The settings file of an older scheduler; other options and variables come first.
    """

    port: int = 8080
    tick_interval_s: int = 60
    status_interval_s: int = 30
    task_paths: tuple[Path, ...] = ()
    log_path: Path | None = None
    source: str = ""
    host: str = LOOPBACK
    show_sign_in: bool = False
    config_path: Path | None = None


async def serve(context: CliContext, *, options: ServeOptions) -> int:
    """Serve and trigger ticks until a signal to stop; 1 when the server ended by itself.

    SIGHUP applies the task files again, changed or not, and reopens the log file.

    Raises:
        InputError: The port is in use, the log cannot be written, or a task file has an error and the store
            no task.
        SettingsError: A setting is wrong; the server is not started.
        SchedulerError: The server started and does not respond.
    """
    if options.config_path:
        options = _apply_config(context, options, read_config(options.config_path))
    port = find_free_port(options.port, options.host)
    zone = timezone_or_utc(context.settings.default_timezone)
    log = LogFile(options.log_path, zone=zone) if options.log_path else None
    signals = _Signals()
    output = Output(log.write_line if log else context.screen.write_line, stop=signals.stop.set)
    write_line = output.write_line
    if log:
        context.screen.write_line(f"Output is written to {options.log_path}.")
    secret, extra = _find_secret(context)
    if options.show_sign_in:
        extra = {**extra, **find_api_key(context)}
    files = WatchedFiles(context, options.task_paths, source=options.source)
    if options.task_paths:
        await _apply_at_start(context, files, write_line)
    address = format_address(WILDCARDS.get(options.host, options.host), port)
    trigger = TriggerLoop(address, secret=secret, clock=context.now)
    environment = {**server_environment(context.environment), **extra}
    async with (
        running_here(context, url=address),
        run_server(options.host, port, environment, write_line if log else None) as server,
    ):
        ended = asyncio.create_task(server.wait())
        stopping = asyncio.create_task(signals.stop.wait())
        loops = asyncio.create_task(
            _run_loops(context, options, trigger, files, signals, log, write_line, extra)
        )
        try:
            await asyncio.wait({ended, stopping, loops}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (loops, stopping, ended):
                task.cancel()
    if output.problem is not None:
        raise output.problem
    if signals.stop.is_set():
        write_line("Stopped.")
        return 0
    if loops.done() and not loops.cancelled():
        loops.result()  # raises what ended it
    place = f"in {options.log_path}" if log else "above"
    context.screen.error(f"the server ended by itself (exit code {server.returncode}): its output is {place}")
    return 1


def _apply_config(context: CliContext, options: ServeOptions, config: OlderConfig) -> ServeOptions:
    """Return *options* with what *config* says and they do not; say what became of each setting."""
    for line in config.report:
        context.screen.write_line(line)
    given = {name: value for name, value in context.environment.items() if value}
    for name in sorted(config.environment.keys() & given.keys()):
        context.screen.write_line(f"config: {name} is set as a variable, which is kept")
    context.environment = {**context.environment, **config.environment, **given}
    default = ServeOptions()
    if config.tick_interval_s and options.tick_interval_s == default.tick_interval_s:
        options = replace(options, tick_interval_s=config.tick_interval_s)
    return options if options.log_path else replace(options, log_path=config.log_path)


async def _run_loops(
    context: CliContext,
    options: ServeOptions,
    trigger: TriggerLoop,
    files: WatchedFiles,
    signals: "_Signals",
    log: LogFile | None,
    write_line: Callable[[str], None],
    extra: Mapping[str, str],
) -> None:
    """Trigger ticks, report the status and watch the files, concurrently; the first error ends all three."""
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            await trigger.wait_until_ready()
    except TimeoutError:
        raise SchedulerError(f"the server does not respond within {START_TIMEOUT_S:g} s") from None
    interval = "each minute" if options.tick_interval_s == 60 else f"every {options.tick_interval_s} s"
    write_line(f"Cronfire answers on {trigger.address}; a tick {interval}; Ctrl-C ends it.")
    write_line(f"Tasks are kept in {context.describe_store()}")
    if options.host not in (LOOPBACK, "localhost", "::1"):
        write_line(f"It listens on {options.host}: others reach it, over HTTP without encryption.")
    if options.show_sign_in:
        for line in await sign_in_lines(context, trigger.address, extra):
            context.screen.write_line(line)  # never into the log

    zone = timezone_or_utc(context.settings.default_timezone)

    def write_timed(text: str) -> None:  # the log file has its own times
        write_line(text if log else f"{to_local(context.now(), zone):%H:%M:%S}  {text}")

    async with asyncio.TaskGroup() as group:
        group.create_task(trigger.run_forever(interval_s=options.tick_interval_s, write_line=write_timed))
        group.create_task(_watch_files(files, signals, log, write_line))
        if options.status_interval_s:
            group.create_task(_report_status(context, options.status_interval_s, write_timed))


async def _report_status(context: CliContext, interval_s: int, write_line: Callable[[str], None]) -> None:
    status = StatusLine(
        context.store, clock=context.now, zone=timezone_or_utc(context.settings.default_timezone)
    )
    while True:
        await asyncio.sleep(interval_s)
        try:
            write_line(await status.render())
        except StoreError as exc:
            write_line(f"the status cannot be read: {exc}")


async def _apply_at_start(
    context: CliContext, files: WatchedFiles, write_line: Callable[[str], None]
) -> None:
    """Apply task files. As later on, an error in them stops no task that the store has already.

    Raises:
        InputError: They have errors, and there is no task.
    """
    try:
        await _apply(files, write_line)
    except InputError as exc:
        found = await context.store.list_tasks(TaskFilter(), after="", limit=1)
        if not found.tasks and not found.invalid:
            raise
        _report_not_applied(exc, write_line)


async def _apply(files: WatchedFiles, write_line: Callable[[str], None]) -> None:
    try:
        write_line(await files.apply())
    except ConflictError as exc:
        write_line(f"tasks: {exc}")  # the next round does


def _report_not_applied(exc: Exception, write_line: Callable[[str], None]) -> None:
    for line in str(exc).splitlines():
        write_line(f"tasks: {line}")
    write_line("tasks: nothing was changed; fix this and save, or send SIGHUP")


async def _watch_files(
    files: WatchedFiles, signals: "_Signals", log: LogFile | None, write_line: Callable[[str], None]
) -> None:
    """Apply task files when they change or on SIGHUP; an error in them changes nothing.

    While the store does not answer they are tried again, which is said once.
    """
    is_down = False
    while True:
        with suppress(TimeoutError):
            async with asyncio.timeout(WATCH_INTERVAL_S):
                await signals.reload.wait()
        is_requested = signals.reload.is_set()
        signals.reload.clear()
        if is_requested and log is not None:
            try:
                log.reopen()
            except InputError as exc:  # a daemon that is to reload must not end for it
                write_line(f"{exc}; lines go on to the file that was open")
        if not files or not (is_requested or files.has_settled()):
            continue
        try:
            await _apply(files, write_line)
        except StoreUnavailableError as exc:
            if not is_down:
                write_line(f"tasks: {exc}; they are applied when it answers")
            is_down = True
            continue
        except (InputError, StoreError) as exc:
            _report_not_applied(exc, write_line)
        is_down = False


class _Signals:
    """The signals that this process receives.

    Attributes:
        stop: SIGINT or SIGTERM: shut down.
        reload: SIGHUP: apply the task files and reopen the log file.
    """

    def __init__(self) -> None:
        self.stop, self.reload = asyncio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in STOP_SIGNALS:
            _on_signal(loop, number, self.stop.set)
        if hasattr(signal, "SIGHUP"):  # not on Windows
            _on_signal(loop, signal.SIGHUP, self.reload.set)


def _on_signal(loop: asyncio.AbstractEventLoop, number: int, call: Callable[[], None]) -> None:
    try:
        loop.add_signal_handler(number, call)
    except NotImplementedError:  # the loop of Windows has no handlers
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(call))


SECRET_FILE = "secret"  # noqa: S105  # the name of the file


@asynccontextmanager
async def running_here(context: CliContext, *, url: str) -> AsyncIterator[None]:
    """Let commands of this project find the store of this service, and its address, while the block runs."""
    with announce_service(STATE_FOLDER, context.settings.store_url, context.environment, url=url):
        yield


def server_environment(environment: Mapping[str, str]) -> Mapping[str, str]:
    """Return *environment* with what is different for a server whose pinger waits for no answer.

    Each tick gets a line here; of the server's own log, warnings are enough. How long a pinger waits
    (TICK_BUDGET_SECONDS) is for others.
    """
    level = environment.get("LOG_LEVEL") or "WARNING"
    return {**environment, "LOG_LEVEL": level, "TICK_BUDGET_SECONDS": str(TICK_BUDGET_S)}


def _find_secret(context: CliContext) -> tuple[str, Mapping[str, str]]:
    """Return the secret for ticks, and the variables to add to the server's environment."""
    signing = context.local_signing_secret(create=True)
    secret_setting = context.settings.cron_secret
    if secret_setting is not None:
        return secret_setting.get_secret_value(), signing
    secret = context.local_secret(SECRET_FILE, "CRON_SECRET")
    file = secret_file(context.settings.store_url, SECRET_FILE)
    context.screen.write_line(f"CRON_SECRET is not set; the one in {_display_path(file)} is used.")
    return secret, {"CRON_SECRET": secret, **signing}


def _display_path(file: Path) -> Path:
    return file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file
