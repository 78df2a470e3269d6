"""What `doctor` asks the servers of agents: it costs nothing, and says whether a run could use them."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from functions.http_client.client import build_single_origin_client
from functions.task_types.agent.mcp import MAX_TOOLS
from functions.task_types.agent.probe import Probe, probe_mcp_server, probe_model
from functions.task_types.support.context import LanguageModel
from functions.task_types.support.limits import redact_nothing
from tests.fakes.llm_server import KEY
from tests.unit.task_types.agent.conftest import serve_mcp
from tests.unit.task_types.agent.test_mcp_habits import LittleServer, tool

LISTED = {"data": [{"id": "small"}, {"id": "models/large"}, {"id": "local:latest"}, {"name": "odd"}, 7]}


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as opened:
        yield opened


async def ask(
    stack: AsyncExitStack, respond: Callable[[web.Request], web.Response], **model: Any
) -> tuple[Probe, list[web.Request]]:
    """Ask a model's server that answers so; return what it was asked, too."""
    asked: list[web.Request] = []

    async def handle(request: web.Request) -> web.Response:
        asked.append(request)
        return respond(request)

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", handle)
    server = TestServer(app)
    await server.start_server()
    stack.push_async_callback(server.close)
    url = str(server.make_url("/v1" if model.get("provider", "openai") == "openai" else "/"))
    http = build_single_origin_client(url)
    stack.push_async_callback(http.close_connections)
    found = await probe_model(LanguageModel(open_http=lambda: http, url=url, api_key=KEY, **model))
    return found, asked


@pytest.mark.parametrize("name", ["small", "large", "models/large", "local", "local:latest"])
async def test_a_model_is_found_under_each_of_its_names(stack: AsyncExitStack, name: str) -> None:
    found, [request] = await ask(stack, lambda _: web.json_response(LISTED), default_model=name)

    assert Probe(f"its server has {name}") == found
    assert ("GET", "/v1/models", f"Bearer {KEY}") == (
        request.method,
        request.path,
        request.headers["Authorization"],
    )


async def test_anthropics_list_is_asked_for_as_anthropic_wants_it(stack: AsyncExitStack) -> None:
    found, [request] = await ask(
        stack, lambda _: web.json_response(LISTED), default_model="small", provider="anthropic"
    )

    assert "its server has small" == found.text
    assert ("/v1/models", KEY) == (request.path, request.headers["x-api-key"])
    assert {"anthropic-version"} <= {one.lower() for one in request.headers}


@pytest.mark.parametrize(
    ("respond", "fails", "said"),
    [
        (lambda _: web.json_response(LISTED), False, "does not list tiny, but small, models/large"),
        (lambda _: web.json_response({"error": f"no {KEY}"}, status=401), True, "refuses the key (401)"),
        (lambda _: web.Response(status=302, headers={"Location": "/x"}), True, "redirects (302)"),
        (lambda _: web.Response(status=404), False, "answers 404, without a list"),
        (lambda _: web.Response(text="<html>", content_type="text/html"), False, "without a list"),
        (lambda _: web.json_response({"data": None}), False, "answers 200, without a list"),
        (lambda _: web.json_response([]), False, "answers 200, without a list"),
    ],
)
async def test_what_agents_would_meet_is_said_with_its_remedy(
    stack: AsyncExitStack, respond: Callable[[web.Request], web.Response], fails: bool, said: str
) -> None:
    found, _ = await ask(stack, respond, default_model="tiny")

    assert (fails, True) == (found.fails, said in found.text), found
    assert found.remedy
    assert KEY not in str(found)


async def test_a_model_that_is_not_there_is_said() -> None:
    http = build_single_origin_client("http://127.0.0.1:9/v1")
    found = await probe_model(LanguageModel(open_http=lambda: http, url="http://127.0.0.1:9/v1"))
    await http.close_connections()

    assert (True, "its server cannot be used: the connection was refused") == (found.fails, found.text)


async def test_an_mcp_server_is_asked_for_its_tools_and_calls_none(stack: AsyncExitStack) -> None:
    well, full = LittleServer(tool("read")), LittleServer(*(tool(f"t{one}") for one in range(MAX_TOOLS + 5)))

    found = await probe_mcp_server("docs", await well.serve(stack), redact_nothing)
    many = await probe_mcp_server("docs", await full.serve(stack), redact_nothing)

    assert Probe("docs has 1 tool") == found
    assert "tools/call" not in well.asked
    assert (False, f"docs has {MAX_TOOLS} tools, and 5 more that do not fit into a run") == (
        many.fails,
        many.text,
    )
    assert many.remedy


async def test_an_mcp_server_that_is_none_fails(stack: AsyncExitStack) -> None:
    async def refuse(_: web.Request) -> web.Response:
        return web.Response(status=401)

    found = await probe_mcp_server("crm", await serve_mcp(stack, refuse), redact_nothing)

    assert (True, True) == (found.fails, "The MCP server crm: it refused the key (401)" in found.text)
