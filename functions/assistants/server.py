"""The MCP server of one caller, by the official SDK; imported with the first call, for the SDK is large."""

import logging
from typing import Any

from mcp import types
from mcp.server import Server, ServerRequestContext

from functions import __version__
from functions.assistants.results import UNTRUSTED_NOTE
from functions.assistants.tools import TOOLS, AssistantTools

INSTRUCTIONS = (
    "Cronfire runs tasks on a schedule. Use preview_schedule before you suggest a schedule. create_task and "
    "edit_task are dry runs unless dryRun is false: show the user the plan first, and confirm with the call "
    f"under toConfirm only when they agree. {UNTRUSTED_NOTE}"
)

logging.getLogger("mcp").setLevel(logging.CRITICAL)  # it logs what callers send


def build_server(tools: AssistantTools) -> Server[Any]:
    """Return a server that offers *tools*."""

    async def list_tools(
        _: ServerRequestContext[Any], __: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        return types.ListToolsResult(
            tools=[
                types.Tool(
                    name=one.name,
                    description=one.description,
                    input_schema=one.input_schema(),
                    annotations=types.ToolAnnotations(
                        read_only_hint=one.reads_only, destructive_hint=False, open_world_hint=False
                    ),
                )
                for one in TOOLS.values()
            ]
        )

    async def call_tool(
        _: ServerRequestContext[Any], params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        result = await tools.call(params.name, params.arguments or {})
        return types.CallToolResult(
            content=[types.TextContent(type="text", text=result.text())],
            structured_content=dict(result.data),
            is_error=result.is_error,
        )

    return Server(
        "cronfire",
        version=__version__,
        title="Cronfire",
        instructions=INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )
