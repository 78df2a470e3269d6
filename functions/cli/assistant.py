"""The command `mcp`: the tools for assistants over standard input and output."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from pydantic import ValidationError

from functions.assistants.messages import explain_unreadable
from functions.cli.session import CliContext
from functions.cli.tasks import PRINCIPAL_NAME
from functions.domain.access import ADMINISTRATOR, Scope

if TYPE_CHECKING:
    from mcp.shared.message import SessionMessage


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
        readable = ReadableMessages(incoming, outgoing)
        await server.run(readable, outgoing, server.create_initialization_options())
    return 0


class ReadableMessages:
    """The stream of what a caller sends, without what cannot be read.

    That is answered here: the SDK drops it, and the caller would wait for ever.
    """

    def __init__(self, incoming: Any, outgoing: Any) -> None:
        self._incoming = incoming
        self._outgoing = outgoing

    async def receive(self) -> "SessionMessage | Exception":
        """Return the next message that can be read."""
        while isinstance(received := await self._incoming.receive(), ValidationError):
            await self._refuse(received)
        message: SessionMessage | Exception = received
        return message

    async def aclose(self) -> None:
        """End the stream."""
        await self._incoming.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> "SessionMessage | Exception":
        while isinstance(received := await anext(self._incoming), ValidationError):
            await self._refuse(received)
        message: SessionMessage | Exception = received
        return message

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _refuse(self, problem: ValidationError) -> None:
        from mcp import types
        from mcp.shared.message import SessionMessage

        inputs = [one["input"] for one in problem.errors(include_url=False)]
        line = next((one for one in inputs if isinstance(one, dict)), inputs[0])  # the whole, not one field
        if isinstance(line, str) and not line.strip():
            return
        id_, reason = explain_unreadable(line)
        error = types.ErrorData(code=types.INVALID_REQUEST, message=reason)
        await self._outgoing.send(SessionMessage(types.JSONRPCError(jsonrpc="2.0", id=id_, error=error)))
