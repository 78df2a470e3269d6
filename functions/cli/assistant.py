"""The command `mcp`: the tools for assistants over standard input and output."""

from dataclasses import replace

from functions.cli.session import CliContext
from functions.cli.tasks import PRINCIPAL_NAME
from functions.domain.access import ADMINISTRATOR, Scope


async def serve_assistant(context: CliContext, *, owner: str, read_only: bool) -> int:
    """Answer an assistant until it closes its end.

    Args:
        owner: It sees and makes only the tasks of this owner; empty means all tasks.
        read_only: Whether it may change nothing.
    """
    from mcp.server.stdio import stdio_server  # 0.5 s, which no other command pays

    from functions.assistants.server import build_server
    from functions.assistants.tools import AssistantTools

    scopes: frozenset[Scope] = frozenset({"read"}) if read_only else ADMINISTRATOR.scopes
    principal = replace(ADMINISTRATOR, name=PRINCIPAL_NAME, scopes=scopes, owner=owner)
    server = build_server(AssistantTools(context.app, principal))
    context.show_store()
    async with stdio_server() as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())
    return 0
