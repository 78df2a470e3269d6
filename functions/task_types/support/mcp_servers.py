"""The MCP servers that the operator lists for agents: where they are, and which names params may hold."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from functions.http_client.httpx import httpx

_known: dict[str, Collection[str]] = {}  # the names, under "names", once a process knows them


@dataclass(frozen=True, slots=True)
class McpServer:
    """One server, from the settings.

    Attributes:
        open_http: Returns the client that reaches that server and no other; it may be a private one.
        url: Its address of streamable HTTP.
        headers: Sent to that server alone, with the values of secrets in them.
    """

    open_http: "Callable[[], httpx.AsyncClient]"
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


def know_servers(names: Collection[str] | None) -> None:
    """Let tasks of this process name *names* and no others; None where agents are not set up."""
    _known.clear()
    if names is not None:
        _known["names"] = tuple(names)


def unknown_server(name: str) -> str:
    """Return why a task may not name *name*; empty when it may, or when this process cannot know."""
    names = _known.get("names")
    if names is None or name in names:
        return ""
    listed = f"the operator listed {', '.join(names)}" if names else "AGENT_MCP_SERVERS lists none"
    return f"there is no MCP server {name}; {listed}"
