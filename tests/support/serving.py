"""The function on a free port of loopback: a process on functions-framework, or a thread of this one."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socketserver import BaseServer
from threading import Thread

import aiohttp
import uvicorn
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from functions.app import application
from functions.config.settings import Settings
from functions.web.factory import create_app

ROOT = Path(__file__).parents[2]


def environment(**variables: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)} | variables


def free_port() -> int:
    """A port of loopback nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def serving(source: Path, folder: Path, port: int | None = None, /, **variables: str) -> Iterator[str]:
    """As `starting`, for those who need the address alone."""
    with starting(source, folder, port, **variables) as (_, address):
        yield address


@contextmanager
def starting(
    source: Path, folder: Path, port: int | None = None, /, **variables: str
) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Run functions-framework with *source* on *port*, or a free one; its output goes to *folder*."""
    port = port or free_port()
    command = [sys.executable, "-m", "functions_framework", "--target", "scheduler", "--source", str(source)]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    with (folder / "out").open("w") as out, (folder / "err").open("w") as err:
        process = subprocess.Popen(command, env=environment(**variables), cwd=folder, stdout=out, stderr=err)
        try:
            yield process, f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(40)


@contextmanager
def serving_here(**variables: str) -> Iterator[str]:
    """Serve the function in a thread, for those who ask it: a process takes a second to import everything."""
    settings = Settings.from_env(variables)
    wired = application.build_app(settings)
    function = create_app(settings, lambda: wired)

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        response = await function(Request(scope, receive))
        await response(scope, receive, send)

    config = uvicorn.Config(answer, interface="asgi3", lifespan="off", log_config=None)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(config)

        async def serve() -> None:
            await server.serve(sockets=[listening])
            await wired.close()  # what its tasks have called is open in this loop

        thread = Thread(target=lambda: asyncio.run(serve()))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


async def answered(session: aiohttp.ClientSession, address: str) -> None:
    """Return when the server answers."""
    async with asyncio.timeout(60):
        while True:
            try:
                async with session.get(f"{address}/healthz"):
                    return
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.03)  # between two looks, not instead of one


@contextmanager
def in_a_thread(server: BaseServer) -> Iterator[None]:
    """Let *server* answer while inside; its thread and its port are gone afterwards."""
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
