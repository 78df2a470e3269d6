"""What MCP servers do beside the SDK's own: names, lists and contents of all kinds, sessions and versions."""

import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any

import pytest
from aiohttp import web

from functions.domain.run import Outcome
from functions.domain.types import OutcomeKind
from functions.task_types.support.mcp_servers import McpServer
from tests.fakes.llm_server import finds, says
from tests.unit.task_types.agent.conftest import Agent, serve_mcp

MakeAgent = Callable[..., Awaitable[Agent]]
MODERN = "2026-07-28"


def tool(name: str, **properties: Any) -> dict[str, Any]:
    return {"name": name, "inputSchema": {"type": "object", "properties": properties}}


def text(said: str) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": said}]}


class LittleServer:
    """Streamable HTTP by hand; a subclass changes what it answers.

    Attributes:
        asked: The methods of all requests.
    """

    def __init__(self, *tools: Mapping[str, Any], result: Mapping[str, Any] | None = None) -> None:
        self.tools = tools
        self.result = result or text("done")
        self.asked: list[str] = []

    async def serve(self, stack: AsyncExitStack) -> McpServer:
        return await serve_mcp(stack, self._handle)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.json() if request.method == "POST" else {}
        self.asked.append(body.get("method") or request.method)
        return await self.respond(request, body)

    async def respond(self, request: web.Request, body: Mapping[str, Any]) -> web.StreamResponse:
        if "id" not in body:
            return web.Response(status=202 if body else 405)
        return reply(body, self.result_of(body))

    def result_of(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        match body["method"]:
            case "initialize":
                version = body["params"]["protocolVersion"]
                return {
                    "protocolVersion": version,
                    "capabilities": {},
                    "serverInfo": {"name": "x", "version": "1"},
                }
            case "tools/list":
                return {"tools": self.tools}
            case _:
                return self.result


def reply(body: Mapping[str, Any], result: Mapping[str, Any], **headers: str) -> web.Response:
    return web.json_response({"jsonrpc": "2.0", "id": body["id"], "result": result}, headers=headers)


def error(body: Mapping[str, Any], code: int, words: str, status: int = 200, **data: Any) -> web.Response:
    fault = {"code": code, "message": words, "data": data}
    return web.json_response({"jsonrpc": "2.0", "id": body.get("id"), "error": fault}, status=status)


async def run(
    agent: MakeAgent, servers: Mapping[str, LittleServer], *calls: str, **params: Any
) -> tuple[Agent, Outcome]:
    """One run whose model calls these tools in one reply."""
    wishes = (says("", calls=tuple((name, {}) for name in calls)),) if calls else ()
    one = await agent(says("plan"), *wishes, finds({"title": "Ripe"}))
    one.mcp_servers = {name: await server.serve(one.stack) for name, server in servers.items()}
    return one, await one.run({"mcpServers": list(servers)} | params)


def offered(one: Agent) -> list[str]:
    return [tool["function"]["name"] for tool in one.model.asked[0]["tools"]]


def results(one: Agent) -> list[str]:
    return [message["content"] for message in one.model.asked[-1]["messages"] if message["role"] == "tool"]


@pytest.mark.parametrize(
    ("servers", "params", "names"),
    [
        ({"docs": ["files.read", "repo/search"]}, {}, ["docs_files_read", "docs_repo_search"]),
        ({"docs": ["查询"]}, {}, ["docs___"]),
        ({"a": ["b_c"], "a_b": ["c"]}, {}, ["a_b_c", "a_b_c_2"]),
        ({"docs": ["a.b", "a_b", "a/b"]}, {}, ["docs_a_b", "docs_a_b_2", "docs_a_b_3"]),
        (
            {"http": ["get"]},
            {"tools": ["http_get"], "hosts": ["example.com"]},
            ["http_get", "http_get_2"],
        ),
        ({"docs": ["x" * 99, "x" * 98]}, {}, [f"docs_{'x' * 59}", f"docs_{'x' * 57}_2"]),
    ],
)
async def test_each_tool_has_a_name_that_models_take_and_none_has_anothers(
    agent: MakeAgent, servers: Mapping[str, list[str]], params: dict[str, Any], names: list[str]
) -> None:
    served = {name: LittleServer(*map(tool, tools)) for name, tools in servers.items()}

    one, outcome = await run(agent, served, names[-1], **params)

    assert OutcomeKind.SUCCEEDED is outcome.kind, outcome.summary
    assert names == offered(one)
    assert "done" in results(one)[0]
    last = list(servers)[-1]
    assert f"the tool {servers[last][-1]} of the MCP server {last}" in results(one)[0]


async def test_a_long_list_leaves_room_for_the_tools_of_other_servers(agent: MakeAgent) -> None:
    many = LittleServer(*(tool(f"t{number}") for number in range(90)))
    large = LittleServer(tool("large", q={"description": "x" * 30_000}), tool("small"))

    one, outcome = await run(agent, {"many": many, "large": large})

    assert OutcomeKind.SUCCEEDED is outcome.kind, outcome.summary
    assert 40 == len(offered(one))
    assert "large_small" in offered(one)
    assert 52 == outcome.metrics["toolsLeftOut"]


async def test_no_run_goes_on_without_the_tools_of_a_server(agent: MakeAgent) -> None:
    one, outcome = await run(agent, {"docs": LittleServer(tool("search")), "crm": LittleServer()})

    assert OutcomeKind.FAILED is outcome.kind
    assert "The MCP server crm: it has no tool, or none that fits into a run" == outcome.summary
    assert [] == one.model.asked


@pytest.mark.slow
async def test_texts_and_links_that_are_resources_are_shown(agent: MakeAgent) -> None:
    content = [
        {"type": "image", "data": "AAAA", "mimeType": "image/png"},
        {"type": "resource", "resource": {"uri": "repo://readme", "text": "Tulips need sun."}},
        {"type": "resource", "resource": {"uri": "repo://logo", "blob": "QUJD"}},
        {
            "type": "resource_link",
            "uri": "https://example.com/tulips",
            "name": "Tulips",
            "description": "All",
        },
    ]

    one, _ = await run(agent, {"docs": LittleServer(tool("read"), result={"content": content})}, "docs_read")

    shown = results(one)[0].splitlines()[1:-1]
    assert [
        "(image, left out)",
        "repo://readme",
        "Tulips need sun.",
        "(resource, left out)",
        "Tulips https://example.com/tulips All",
    ] == shown


@pytest.mark.slow
async def test_a_tool_is_not_called_with_arguments_that_nobody_can_read(agent: MakeAgent) -> None:
    """Without them it may do something else: close all that is open, where one was meant."""
    server = LittleServer(tool("close", context={"type": "string"}))
    given = ('{"context": "4', "[4]", "", '{"context": "4"}')
    one = await agent(says("plan"), says("", calls=tuple(("crm_close", one) for one in given)), finds())
    one.mcp_servers = {"crm": await server.serve(one.stack)}

    outcome = await one.run({"mcpServers": ["crm"]})

    assert OutcomeKind.SUCCEEDED is outcome.kind, outcome.summary
    refused = "It was not called: the arguments were no JSON object, or were cut off"
    assert [True, True, False, False] == [result == refused for result in results(one)]
    assert 2 == server.asked.count("tools/call")


class Forgetful(LittleServer):
    """Forgets a session as soon as it has listed its tools, once."""

    sessions = 0

    async def respond(self, request: web.Request, body: Mapping[str, Any]) -> web.StreamResponse:
        if body.get("method") == "initialize":
            self.sessions += 1
            return reply(body, self.result_of(body), **{"Mcp-Session-Id": str(self.sessions)})
        assert request.headers["Mcp-Session-Id"]
        if body.get("method") == "tools/call" and request.headers["Mcp-Session-Id"] == "1":
            return error({}, -32001, "Session not found", 404)
        return await super().respond(request, body)


@pytest.mark.slow
async def test_a_session_that_the_server_forgot_is_begun_again(agent: MakeAgent) -> None:
    server = Forgetful(tool("read"))

    one, outcome = await run(agent, {"docs": server}, "docs_read", "docs_read")

    assert OutcomeKind.SUCCEEDED is outcome.kind, outcome.summary
    assert [True, True] == ["done" in result for result in results(one)]
    assert (2, 2) == (server.sessions, server.asked.count("initialize"))


class Modern(LittleServer):
    """Knows the version without a handshake alone."""

    async def respond(self, request: web.Request, body: Mapping[str, Any]) -> web.StreamResponse:
        meta = body.get("params", {}).get("_meta", {})
        if meta.get("io.modelcontextprotocol/protocolVersion") != MODERN:
            return error(body, -32022, "Unsupported protocol version", 400, supported=[MODERN], requested="x")
        common = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"}
        if body["method"] == "server/discover":
            return reply(body, common | {"supportedVersions": [MODERN], "capabilities": {"tools": {}}})
        return reply(body, common | dict(self.result_of(body)))


@pytest.mark.slow
async def test_a_server_without_a_handshake_is_asked_as_it_wants(agent: MakeAgent) -> None:
    one, outcome = await run(agent, {"docs": Modern(tool("read"))}, "docs_read")

    assert OutcomeKind.SUCCEEDED is outcome.kind, outcome.summary
    assert "done" in results(one)[0]


class Resuming(LittleServer):
    """Lets go of the connection while a tool works, and gives the result to who comes back."""

    async def respond(self, request: web.Request, body: Mapping[str, Any]) -> web.StreamResponse:
        if body.get("method") == "tools/call":
            self.call = body["id"]
            return await self._stream(request, "id: 1\nretry: 1\ndata: \n\n")
        if request.headers.get("Last-Event-ID") == "1":
            document = {"jsonrpc": "2.0", "id": self.call, "result": self.result}
            return await self._stream(request, f"id: 2\nevent: message\ndata: {json.dumps(document)}\n\n")
        return await super().respond(request, body)

    async def _stream(self, request: web.Request, events: str) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(events.encode())
        return response


async def test_a_result_is_fetched_that_the_server_gives_later(agent: MakeAgent) -> None:
    server = Resuming(tool("read"))

    one, _ = await run(agent, {"docs": server}, "docs_read")

    assert "done" in results(one)[0]
    assert 1 == server.asked.count("GET")


class Refusing(LittleServer):
    """Refuses the handshake."""

    def __init__(self, status: int, document: Any) -> None:
        super().__init__(tool("read"))
        self.status, self.document = status, document

    async def respond(self, request: web.Request, body: Mapping[str, Any]) -> web.StreamResponse:
        document = self.document | {"id": body.get("id")} if "jsonrpc" in self.document else self.document
        return web.json_response(document, status=self.status)


@pytest.mark.parametrize(
    ("status", "document", "said"),
    [
        (401, {"error": "x"}, "it refused the key (401): check its headers in AGENT_MCP_SERVERS"),
        (404, {"detail": "Not Found"}, "it answered with status 404: Not Found"),
        (
            400,
            {"jsonrpc": "2.0", "error": {"code": -32000, "message": "No tenant given"}},
            "it answered with status 400: No tenant given",
        ),
        (200, {"jsonrpc": "2.0", "error": {"code": -32000, "message": "No tenant given"}}, "no tenant given"),
        (
            200,
            {
                "jsonrpc": "2.0",
                "result": {
                    "protocolVersion": "2031-01-01",
                    "capabilities": {},
                    "serverInfo": {"name": "x", "version": "1"},
                },
            },
            "unsupported protocol version from the server: 2031-01-01",
        ),
    ],
)
async def test_a_handshake_that_fails_is_told_in_the_servers_words(
    agent: MakeAgent, status: int, document: dict[str, Any], said: str
) -> None:
    _, outcome = await run(agent, {"docs": Refusing(status, document)})

    assert f"The MCP server docs: {said}" == outcome.summary
