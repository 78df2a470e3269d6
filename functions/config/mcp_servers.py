"""The setting AGENT_MCP_SERVERS: the MCP servers that agents may use, by name."""

import json
import re
from collections.abc import Container, Mapping
from dataclasses import dataclass, field

from pydantic import TypeAdapter, ValidationError

from functions.config.types import HTTP_URL, HttpUrl
from functions.domain.json_depth import parse_json
from functions.domain.lifecycle.permissions import SECRET_REFERENCE

MAX_SERVERS = 20
MCP_SERVERS = 'JSON such as {"docs": "https://mcp.example.com/mcp"}'
_NAME = re.compile(r"[a-z][a-z0-9_]{0,23}")
_HEADER = re.compile(r"[A-Za-z0-9-]{1,64}")
_FIELDS = {"url", "headers"}


@dataclass(frozen=True, slots=True)
class McpServerSetting:
    """An address, and headers whose values refer to secrets: `Bearer {{secret:NAME}}`."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def resolved_headers(self, secrets: Mapping[str, str]) -> dict[str, str]:
        """Return the headers with the values of *secrets*, which has all that they refer to."""
        return {
            name: SECRET_REFERENCE.sub(lambda found: secrets[found[1]], value)
            for name, value in self.headers.items()
        }


def parse_servers(value: object) -> object:
    """Return the servers by name; any other value than a text unchanged.

    Raises:
        ValueError: The text is not what the setting takes.
    """
    if not isinstance(value, str):
        return value
    servers, problems = _read(value)
    if problems:
        raise ValueError(problems[0])
    return servers


def server_problems(text: str, secrets: Container[str]) -> list[str]:
    """Return what is wrong with the setting's *text*, without its values."""
    servers, problems = _read(text)
    for name, server in servers.items():
        for value in server.headers.values():
            problems += [
                f"AGENT_MCP_SERVERS: {name}: there is no secret {secret}: set TASK_SECRET_{secret}."
                for secret in SECRET_REFERENCE.findall(value)
                if secret not in secrets
            ]
    return problems


def _read(text: str) -> tuple[dict[str, McpServerSetting], list[str]]:
    try:
        given = parse_json(text)
    except (ValueError, json.JSONDecodeError):
        given = None
    if not isinstance(given, dict) or len(given) > MAX_SERVERS:
        return {}, [f"AGENT_MCP_SERVERS must be {MCP_SERVERS}, with at most {MAX_SERVERS} servers."]
    servers: dict[str, McpServerSetting] = {}
    problems = []
    for name, one in given.items():
        if not _NAME.fullmatch(name):
            problems.append("AGENT_MCP_SERVERS: names have 1 to 24 of a-z, 0-9 and _, a letter first.")
        elif reason := _problem(one):
            problems.append(f"AGENT_MCP_SERVERS: {name}: {reason}.")
        else:
            fields = one if isinstance(one, dict) else {"url": one}
            servers[name] = McpServerSetting(fields["url"], fields.get("headers", {}))
    return servers, problems


def _problem(given: object) -> str:
    fields = given if isinstance(given, dict) else {"url": given}
    url, headers = fields.get("url"), fields.get("headers", {})
    if not isinstance(url, str) or not fields.keys() <= _FIELDS:
        return 'must be an address, or {"url": ..., "headers": {...}}; a server is not started as a process'
    if "@" in url or "{{" in url or "?" in url:
        return "the address may hold no user, no query and no secret; use headers"
    if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
        return "headers must be names with texts"
    if any(not SECRET_REFERENCE.search(value) for value in headers.values()):
        return "each header must refer to a secret, such as Bearer {{secret:NAME}}"
    if not all(_HEADER.fullmatch(name) and value.isprintable() for name, value in headers.items()):
        return "a header has a character that none may have"
    try:
        TypeAdapter(HttpUrl).validate_python(url)
    except ValidationError:
        return f"must be {HTTP_URL}"
    return ""
