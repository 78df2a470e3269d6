"""The command `serve`: the function on functions-framework on this machine, pinged each minute."""

import asyncio
import os
import secrets
import signal
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from functions.commands.pinging import Pinger
from functions.commands.session import KEPT, ROOT, Session
from functions.errors import InputError, SchedulerError, SettingsError

HOST = "127.0.0.1"  # for one's own machine: what others should reach is deployed
ANSWERS_WITHIN_S = 30.0
STOPS_WITHIN_S = 6.0  # then it is killed, so that `serve` itself ends within 8 s
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


async def serve(session: Session, *, port: int) -> int:
    """Serve and ping until a signal to stop; 1 when the server ended by itself.

    Args:
        port: 0 means any that is free.

    Raises:
        InputError: The port is taken.
        SettingsError: A setting is wrong; the server is not even started.
        SchedulerError: The server started and does not answer.
    """
    screen = session.screen
    port = _free(port)
    secret, extra = _secret(session)
    pinger = Pinger(HOST, port, secret=secret, clock=session.now)
    stop = asyncio.Event()
    _listen(stop)
    # Ticks are told here, a line each; of the server's own lines those that warn are enough.
    environment = {"LOG_LEVEL": "WARNING", **_given(session.environment), **extra}
    async with _server(port, environment) as server:
        ended = asyncio.create_task(server.wait())
        stopping = asyncio.create_task(stop.wait())
        work = asyncio.create_task(_ping(session, pinger))
        try:
            await asyncio.wait({ended, stopping, work}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (work, stopping, ended):
                task.cancel()
    if stop.is_set():
        screen.line("Stopped.")
        return 0
    if work.done() and not work.cancelled():
        work.result()  # raises what ended it
    screen.complain(f"the server ended by itself (exit code {server.returncode}): what it said is above")
    return 1


async def _ping(session: Session, pinger: Pinger) -> None:
    try:
        async with asyncio.timeout(ANSWERS_WITHIN_S):
            await pinger.until_it_answers()
    except TimeoutError:
        raise SchedulerError(f"the server does not answer within {ANSWERS_WITHIN_S:g} s") from None
    session.screen.line(f"Cronfire answers on {pinger.address}; a tick each minute; Ctrl-C ends it.")
    await pinger.each_minute(tell=session.screen.line)


def _given(environment: Mapping[str, str]) -> Mapping[str, str]:
    return {name: value for name, value in environment.items() if name != "LOG_LEVEL" or value}


def _free(port: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError):
            raise InputError(f"--port: {port} cannot be used; choose another, or 0 for any") from None
        chosen: int = probe.getsockname()[1]
        return chosen


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


def _listen(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, stop.set)


@asynccontextmanager
async def _server(port: int, environment: Mapping[str, str]) -> AsyncIterator[Process]:
    """The server, in a process group of its own: Ctrl-C is for `serve`, which then ends it in order."""
    words = ("--target", "scheduler", "--source", str(ROOT / "main.py"), "--host", HOST, "--port", str(port))
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "functions_framework", *words, env=dict(environment), start_new_session=True
    )
    try:
        yield server
    finally:
        await _end(server)


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
