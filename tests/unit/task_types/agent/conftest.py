"""A model's server and a web to look into, both on loopback, and an agent between them as it is deployed."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from functions.domain.run import Outcome
from functions.domain.task import Job
from functions.http_client.client import build_guarded_client, build_single_origin_client
from functions.http_client.requests import ANY_PORT
from functions.parsing.pool import parse_here
from functions.task_types.agent import runner  # noqa: F401  # a second's work, once, before the tests are forked
from functions.task_types.registry import Tools, run_job
from functions.task_types.support.context import LanguageModel
from functions.task_types.support.limits import redact_nothing
from functions.task_types.support.mcp_servers import McpServer
from tests.fakes.llm_server import KEY, MODEL, Answer, LlmServer
from tests.support.peers import Server, only
from tests.unit.task_types.conftest import FakeRecords

Pages = Callable[[Any, Any], Awaitable[None]]


@dataclass
class Agent:
    """An agent with its model, and what became of its runs.

    Attributes:
        reachable: Ports of 127.0.0.1 that count as public.
    """

    model: LlmServer
    stack: AsyncExitStack
    make_job: Callable[..., Job]
    reachable: list[int] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    mcp_servers: dict[str, McpServer] = field(default_factory=dict)
    redact: Callable[[str], str] = redact_nothing

    async def serves(self, script: Pages) -> Server:
        """Put a site on loopback that the guard takes for a public one."""
        server = await Server(script).start()
        self.stack.push_async_callback(server.stop)
        self.reachable.append(server.port)
        return server

    async def run(self, params: Mapping[str, Any] | None = None, *, key: str = KEY, **job: Any) -> Outcome:
        """One run; what is remembered of the one before is there again."""
        http = build_guarded_client(allow=only(*self.reachable), ports=ANY_PORT)
        own = build_single_origin_client(self.model.url)
        model = LanguageModel(open_http=lambda: own, url=self.model.url, api_key=key, default_model=MODEL)
        memory = next((one.memory for one in reversed(self.outcomes) if one.memory is not None), {})
        try:
            outcome = await run_job(
                self.make_job(
                    "agent", {"goal": "What is new?"} | dict(params or {}), **{"memory": memory} | job
                ),
                Tools(
                    open_http=lambda: http,
                    open_store=lambda owner: FakeRecords(),
                    parse=parse_here,
                    model=model,
                    mcp_servers=self.mcp_servers,
                    redact=self.redact,
                ),
            )
        finally:
            await http.close_connections()
            await own.close_connections()
        self.outcomes.append(outcome)
        return outcome


@pytest.fixture
async def agent(make_job: Callable[..., Job]) -> AsyncIterator[Callable[..., Awaitable[Agent]]]:
    """Make an agent whose model gives these answers."""
    async with AsyncExitStack() as stack:

        async def make(*answers: Answer, newer: bool = False) -> Agent:
            model = LlmServer(*answers, newer=newer)
            await model.server.start_server()
            stack.push_async_callback(model.server.close)
            return Agent(model, stack, make_job)

        yield make


async def serve_mcp(stack: AsyncExitStack, handler: Any) -> McpServer:
    """Serve what *handler* answers to each request of an MCP client, until *stack* is closed."""
    app = web.Application()
    app.router.add_route("*", "/mcp", handler)
    server = TestServer(app)
    await server.start_server()
    stack.push_async_callback(server.close)
    url = str(server.make_url("/mcp"))
    http = build_single_origin_client(url)
    stack.push_async_callback(http.close_connections)
    return McpServer(lambda: http, url)
