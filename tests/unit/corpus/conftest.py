"""Sites on loopback whose answers are given byte by byte, and calls to them as tasks make them."""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import pytest

from functions.domain.run import Outcome
from functions.domain.task import Job
from functions.domain.types import OutcomeKind
from functions.http_client.client import build_guarded_client
from functions.http_client.requests import ANY_PORT
from functions.parsing.pool import parse_here
from functions.task_types.registry import Tools, run_job
from tests.support.authority import Authority
from tests.support.peers import Request, Script, Server, only
from tests.unit.task_types.conftest import FakeRecords, make_job

__all__ = ["make_job"]  # the fixture

NOW = datetime.now(UTC)  # certificates are held against the machine's clock
Site = Mapping[str, bytes] | Script
Visit = Callable[..., Awaitable[Outcome]]


def head(*lines: str, status: str = "200 OK") -> bytes:
    """The head of an answer."""
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode("latin-1")


def page(body: bytes | str = b"ok", *lines: str, status: str = "200 OK") -> bytes:
    """A whole answer."""
    data = body if isinstance(body, bytes) else body.encode()
    return head(f"Content-Length: {len(data)}", *lines, status=status) + data


def moved(location: str | bytes, *lines: str, status: str = "302 Found") -> bytes:
    """A redirect; bytes of a location go out as they are."""
    target = location if isinstance(location, bytes) else location.encode()
    return head("Content-Length: 0", *lines, status=status)[:-2] + b"Location: " + target + b"\r\n\r\n"


def by_path(answers: Mapping[str, bytes]) -> Script:
    """A script that gives each path its answer, and closes the connection only when the answer says so."""

    async def script(request: Request, writer: Any) -> None:
        path = request.line.split(" ")[1]
        answer = answers.get(path, answers.get("*", head("Content-Length: 0", status="404 Not Found")))
        writer.write(answer)
        if b"connection: close" in answer.lower() or b"HTTP/1." not in answer:
            writer.close()

    return script


def verdict(outcome: Outcome) -> str:
    """The outcome in words; how many milliseconds it took is left out."""
    words = outcome.summary.replace(f" in {outcome.metrics.get('latencyMs')} ms", " in N ms")
    return words if outcome.kind is OutcomeKind.SUCCEEDED else f"FAILED {words}"


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), now=NOW)


@pytest.fixture
async def serve() -> AsyncIterator[Callable[..., Awaitable[Server]]]:
    """Start a site."""
    servers: list[Server] = []

    async def start(site: Site, tls: ssl.SSLContext | None = None) -> Server:
        script = site if callable(site) else by_path(site)
        servers.append(await Server(script, tls=tls).start())
        return servers[-1]

    yield start
    for server in servers:
        await server.stop()


@pytest.fixture
async def visit(
    serve: Callable[..., Awaitable[Server]], make_job: Callable[..., Job], authority: Authority
) -> AsyncIterator[Visit]:
    """Run a task that calls a site: `/` of it at 127.0.0.1, or *url* with `PORT` for its port.

    Every name ends at 127.0.0.1; what a task may reach besides these servers is as in production.
    """
    clients = []

    async def run(
        site: Site | Server,
        type_name: str = "health_check_url",
        *,
        url: str = "",
        others: tuple[Server, ...] = (),
        tls: ssl.SSLContext | None = None,
        trust: bool = True,
        job: Mapping[str, Any] | None = None,
        **params: Any,
    ) -> Outcome:
        server = site if isinstance(site, Server) else await serve(site, tls)

        async def resolve(host: str, port: int) -> list[str]:
            return ["127.0.0.1"]

        trusted = authority.trusted if trust else None
        if trusted is not None:
            trusted.set_alpn_protocols(["http/1.1"])  # as aiohttp's own context has
        client = build_guarded_client(
            allow=only(server.port, *(one.port for one in others)),
            ports=ANY_PORT,
            resolve=resolve,
            ssl_context=trusted,
        )
        clients.append(client)
        tools = Tools(open_http=lambda: client, open_store=lambda owner: FakeRecords(), parse=parse_here)
        default = f"{'https' if server.tls else 'http'}://127.0.0.1:PORT/"
        given = {"url": (url or default).replace("PORT", str(server.port))} | params
        assert urlsplit(given["url"]).scheme
        return await run_job(make_job(type_name, given, started_at=NOW, **(job or {})), tools)

    yield run
    for client in clients:
        await client.close_connections()
