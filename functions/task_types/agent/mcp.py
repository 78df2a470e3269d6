"""The tools of the MCP servers that a task names, over the client that reaches each server alone.

Imported when the first such agent runs: the SDK is large. A session lives in a task of its own, so that a
server that breaks it breaks no run; every wait has an end, and what a server sends is bounded, and quoted as
the words of strangers.
"""

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain, count, zip_longest
from typing import Any, TypeVar

from mcp import ClientSession, MCPError, types
from mcp.client.streamable_http import streamable_http_client
from pydantic import ValidationError

from functions.domain.json_depth import parse_json
from functions.http_client import FetchError, lower_first
from functions.http_client.httpx import httpx
from functions.parsing.completions import find_fault
from functions.task_types.agent.errors import ModelError
from functions.task_types.agent.tools import CALL_TIMEOUT_S, TOOL_NAMES, ToolResult, quote_untrusted
from functions.task_types.support.limits import truncate
from functions.task_types.support.mcp_servers import McpServer
from functions.task_types.support.responses import is_truncated

MAX_ANSWER_BYTES = 1_048_576
MAX_TOOLS = 40  # of one run
MAX_PAGES = 5  # of a server's list of tools
MAX_SCHEMAS_BYTES = 24_000  # of one run: they are in every request to the model
CLOSING_TIMEOUT_S = 0.4  # beside the time that a run keeps for its end
_MAX_DESCRIPTION_CHARS = 600
_MAX_REASON_CHARS = 200
_MAX_NAME_CHARS = 64  # of a tool, as vendors of models take it
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]")  # vendors of models refuse what MCP allows, such as a dot
_OWN_HEADERS = frozenset({"accept-encoding", "connection", "content-length", "host", "user-agent"})
_NOT_TEXT = "({kind}, left out)"
_NOT_MCP = "the answer is not one of its protocol"
_NO_HANDSHAKE = (types.UNSUPPORTED_PROTOCOL_VERSION, types.METHOD_NOT_FOUND, types.INVALID_PARAMS)
_MAX_ERROR_BYTES = 16_384  # of an answer with an error's status, whose words are read

logging.getLogger("mcp").setLevel(logging.CRITICAL)  # it logs what servers send


@dataclass(frozen=True, slots=True)
class McpTool:
    """A tool of a server, as the model sees it.

    Attributes:
        name: `SERVER_TOOL`, so that two servers may have tools of one name; unique in the run.
        remote_name: Its name at the server.
    """

    server: str
    name: str
    remote_name: str
    description: str
    parameters: Mapping[str, Any]

    @property
    def size(self) -> int:
        """What its schema and description have in a request to the model, in bytes."""
        return len(json.dumps(self.parameters)) + len(self.description)


_R = TypeVar("_R", bound=types.Result)


class McpTools:
    """The sessions of one run.

    Args:
        servers: Those that the task names.
        redact: Masks the task's secrets and the operator's.

    Attributes:
        left_out: How many tools the model does not get, as there are too many or they are too large.
    """

    def __init__(self, servers: Mapping[str, McpServer], redact: Callable[[str], str]) -> None:
        self._redact = redact
        self.left_out = 0
        self._sessions = {name: _Session(server) for name, server in servers.items()}

    async def open(self, *, timeout_s: float) -> list[McpTool]:
        """Connect to each server and return its tools, within *timeout_s* and no more than a call's time.

        Raises:
            ModelError: One of them gives no tools: without them the model would answer from memory.
        """
        within_s = min(CALL_TIMEOUT_S, timeout_s)
        listed = await asyncio.gather(
            *(self._list(name, session, within_s) for name, session in self._sessions.items())
        )
        tools: list[McpTool] = []
        size = 0
        in_turns = [one for turn in zip_longest(*listed) for one in turn if one is not None]
        for tool in in_turns:  # a long list leaves room for those of other servers
            if len(tools) < MAX_TOOLS and size + tool.size <= MAX_SCHEMAS_BYTES:
                size += tool.size
                tools.append(tool)
        self.left_out = len(in_turns) - len(tools)
        served = {one.server for one in tools}
        if bare := next((name for name in self._sessions if name not in served), ""):
            raise ModelError(f"The MCP server {bare}: it has no tool, or none that fits into a run")
        return _with_unique_names(tools)

    async def run(self, tool: McpTool, arguments: Mapping[str, Any], *, timeout_s: float) -> ToolResult:
        """Call *tool*; an error is a text for the model."""
        source = f"the tool {tool.remote_name} of the MCP server {tool.server}"
        try:
            async with asyncio.timeout(min(CALL_TIMEOUT_S, timeout_s)):
                result = await self._sessions[tool.server].call(tool.remote_name, dict(arguments))
        except TimeoutError:
            return ToolResult("No answer in time")
        except _SessionError as exc:
            return ToolResult(f"It did not work:\n{quote_untrusted(self._redact(str(exc)), source=source)}")
        text = quote_untrusted(self._redact(_text_of(result)), source=source)
        return ToolResult(f"The tool reports an error:\n{text}" if result.is_error else text)

    async def close(self) -> None:
        """End the sessions, within a bounded time."""
        await asyncio.gather(*(session.close() for session in self._sessions.values()))

    async def _list(self, name: str, session: "_Session", within_s: float) -> list[McpTool]:
        try:
            async with asyncio.timeout(within_s):
                found = await session.open()
        except TimeoutError:
            reason = f"no answer within {within_s:.0f} s"
        except _SessionError as exc:
            reason = truncate(self._redact(" ".join(str(exc).split())), _MAX_REASON_CHARS)
        else:
            return [
                McpTool(
                    server=name,
                    name=f"{name}_{one.name}",
                    remote_name=one.name,
                    description=truncate(self._redact(one.description or ""), _MAX_DESCRIPTION_CHARS),
                    parameters=one.input_schema,
                )
                for one in {one.name: one for one in found}.values()
            ]
        raise ModelError(f"The MCP server {name}: {lower_first(reason)}")


def _with_unique_names(tools: Sequence[McpTool]) -> list[McpTool]:
    """Return *tools* under names that a vendor of models takes, and no two under one.

    docs, files.read    docs_files_read
    a, b_c; a_b, c      a_b_c, a_b_c_2
    """
    named: dict[str, McpTool] = {}
    for tool in tools:
        plain = _NOT_IN_NAMES.sub("_", tool.name)
        ends = chain([""], (f"_{number}" for number in count(2)))
        names = (plain[: _MAX_NAME_CHARS - len(end)] + end for end in ends)
        name = next(name for name in names if name not in named and name not in TOOL_NAMES)
        named[name] = replace(tool, name=name)
    return list(named.values())


def _text_of(result: types.CallToolResult) -> str:
    parts = [_part_text(one) for one in result.content]
    if not parts and result.structured_content is not None:
        parts.append(json.dumps(result.structured_content, ensure_ascii=False))
    return "\n".join(parts) or "(empty)"


def _part_text(part: types.ContentBlock) -> str:
    match part:
        case types.TextContent():
            return part.text
        case types.EmbeddedResource(resource=types.TextResourceContents() as resource):
            return f"{resource.uri}\n{resource.text}"
        case types.ResourceLink():
            return " ".join(filter(None, (part.name, str(part.uri), part.description)))
    return _NOT_TEXT.format(kind=part.type)


class _SessionError(Exception):
    """A request had no usable answer; the text may be the server's."""


class _SessionEndedError(_SessionError):
    """The server does not know the session any more, and did nothing."""


class _Session:
    """One server's session, in a task of its own: the SDK's scopes must end in the task they began in."""

    def __init__(self, server: McpServer) -> None:
        self._wire = _Wire(server)
        self._url = server.url
        self._ready: asyncio.Future[ClientSession] | None = None
        self._end = asyncio.Event()
        self._opening = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> list[types.Tool]:
        """Return the server's tools."""
        self._begin()
        tools: list[types.Tool] = []
        cursor: str | None = None
        for _ in range(MAX_PAGES):
            request = types.ListToolsRequest(params=types.PaginatedRequestParams(cursor=cursor))
            page = await self._request(request, types.ListToolsResult)
            tools += page.tools
            cursor = page.next_cursor
            if not cursor:
                break
        return tools

    async def call(self, name: str, arguments: dict[str, Any]) -> types.CallToolResult:
        """Return the result of a tool, which is not checked against the server's schema and its patterns."""
        params = types.CallToolRequestParams(name=name, arguments=arguments)
        request = types.CallToolRequest(params=params)
        session = self._task
        try:
            return await self._request(request, types.CallToolResult)
        except _SessionEndedError:  # it was idle while the model was thinking, or the server started anew
            async with self._opening:
                if self._task is session:  # no other call has begun a new one
                    await self.close()
                    self._begin()
            return await self._request(request, types.CallToolResult)

    async def close(self) -> None:
        """End the session."""
        self._end.set()
        if self._task is None or self._ready is None:
            return
        if self._ready.done():
            await asyncio.wait({self._task}, timeout=CLOSING_TIMEOUT_S)
        if not self._task.done():
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=CLOSING_TIMEOUT_S)

    def _begin(self) -> None:
        self._wire.problem, self._wire.has_lost_session = "", False
        self._end = asyncio.Event()
        self._ready = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._live(self._ready, self._end))

    async def _request(self, request: Any, kind: type[_R]) -> _R:
        assert self._ready is not None
        assert self._task is not None
        asked = asyncio.ensure_future(self._ask(self._ready, request, kind))
        try:
            await asyncio.wait({asked, self._task}, return_when=asyncio.FIRST_COMPLETED)
            if asked.done() and not asked.cancelled():
                return asked.result()
            raise _SessionError(self._wire.problem or "the server ended the session")
        finally:
            asked.cancel()

    async def _ask(self, ready: "asyncio.Future[ClientSession]", request: Any, kind: type[_R]) -> _R:
        session = await asyncio.shield(ready)
        self._wire.problem = ""
        try:
            return await session.send_request(request, kind)
        except MCPError as exc:
            kind_of_error = _SessionEndedError if self._wire.has_lost_session else _SessionError
            raise kind_of_error(self._words(exc)) from None
        except (ValidationError, ValueError, RuntimeError):
            raise _SessionError(_NOT_MCP) from None

    def _words(self, exc: MCPError) -> str:
        """Return why a request failed: in our words where the SDK's own are about its parser."""
        return self._wire.problem or (_NOT_MCP if exc.code == types.PARSE_ERROR else exc.error.message)

    async def _live(self, ready: "asyncio.Future[ClientSession]", end: asyncio.Event) -> None:
        """Hold the session until it is to end; whatever breaks it is raised to those who wait for it."""
        try:
            async with (
                httpx.AsyncClient(transport=self._wire, trust_env=False, timeout=CALL_TIMEOUT_S) as http,
                streamable_http_client(self._url, http_client=http) as (reading, writing),
                ClientSession(reading, writing) as session,
            ):
                await self._negotiate(session)
                if not ready.done():
                    ready.set_result(session)
                await end.wait()
        except Exception:  # noqa: BLE001  # a group of anyio's may hold anything
            self._wire.problem = self._wire.problem or _NOT_MCP
        finally:
            ready.cancel()

    async def _negotiate(self, session: ClientSession) -> None:
        """Agree on a version: by the handshake, or as a server wants it that has none (2026-07-28)."""
        try:
            try:
                await session.initialize()
            except MCPError as exc:
                if exc.code not in _NO_HANDSHAKE:
                    raise
                await session.discover()
        except MCPError as exc:
            self._wire.problem = self._words(exc)
            raise
        except RuntimeError as exc:  # the SDK's, which names the version that it does not know
            self._wire.problem = str(exc)
            raise


class _Wire(httpx.AsyncBaseTransport):
    """Sends the SDK's requests through the guarded client: bounded, without redirects.

    The SDK's second stream, on which a server may speak unasked, is not opened: nothing waits for it. An
    answer that the server broke off, to be read on later, is.

    Attributes:
        problem: Why the last exchange failed, in our words; the SDK's hold what the server sent.
        has_lost_session: Whether the server said that it does not know the session.
    """

    def __init__(self, server: McpServer) -> None:
        self._server = server
        self.problem = ""
        self.has_lost_session = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Return the answer; one that is no event stream is whole."""
        if request.method == "GET" and "last-event-id" not in request.headers:
            return httpx.Response(405, request=request)
        http = self._server.open_http()
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _OWN_HEADERS}
        is_closing = request.method == "DELETE"
        call = http.build_request(
            request.method,
            str(request.url),
            headers=headers | dict(self._server.headers),
            content=await request.aread(),
            timeout=CLOSING_TIMEOUT_S if is_closing else CALL_TIMEOUT_S,
            extensions={"max_body_bytes": MAX_ANSWER_BYTES},
        )
        try:
            response = await http.send(call, stream=True, follow_redirects=False)
            if response.is_success and "event-stream" in response.headers.get("content-type", "").lower():
                return httpx.Response(
                    response.status_code,
                    headers=_plain_headers(response),
                    stream=_Events(self, response),
                    request=request,
                )
            body = await response.aread()
        except FetchError as exc:
            return self._failed(request, exc.reason)
        self.has_lost_session |= response.status_code == 404 and "mcp-session-id" in request.headers
        if is_truncated(response):
            return self._failed(request, "It answered with more than 1 MB")
        if 300 <= response.status_code < 400:
            return self._failed(request, "It redirects: list the target in AGENT_MCP_SERVERS")
        if response.status_code in (401, 403):
            reason = f"It refused the key ({response.status_code}): check its headers in AGENT_MCP_SERVERS"
            return self._failed(request, reason)
        if response.status_code >= 400:
            self.problem = f"It answered with status {response.status_code}{_error_words(body)}"
        return httpx.Response(
            response.status_code, headers=_plain_headers(response), content=body, request=request
        )

    def _failed(self, request: httpx.Request, reason: str) -> httpx.Response:
        self.problem = reason
        return httpx.Response(502, request=request)


def _error_words(body: bytes) -> str:
    """Return the server's words in an error's body after a colon; nothing where it has none as JSON."""
    try:
        fault = find_fault(parse_json(body.decode())) if len(body) <= _MAX_ERROR_BYTES else None
    except ValueError:
        return ""
    return f": {fault.words}" if fault else ""


class _Events(httpx.AsyncByteStream):
    """An event stream that ends where the server breaks it, and says so in the wire's problem."""

    def __init__(self, wire: _Wire, response: httpx.Response) -> None:
        self._wire = wire
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for part in self._response.aiter_bytes():
                yield part
        except FetchError as exc:
            self._wire.problem = exc.reason
        else:
            if is_truncated(self._response):
                self._wire.problem = "It answered with more than 1 MB"

    async def aclose(self) -> None:
        with suppress(FetchError):
            await self._response.aclose()


def _plain_headers(response: httpx.Response) -> list[tuple[str, str]]:
    """Return the headers without those of the body's coding: it is decoded, and may have been cut."""
    coded = {"content-encoding", "content-length", "transfer-encoding"}
    return [(name, value) for name, value in response.headers.multi_items() if name.lower() not in coded]
