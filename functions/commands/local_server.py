"""The function on functions-framework, as a process of this machine that ends with whoever started it."""

import asyncio
import os
import signal
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress

from functions.commands.session import ROOT
from functions.errors import InputError

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
