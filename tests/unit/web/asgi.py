"""A client that asks a door directly, without a server in between."""

import json
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from starlette.requests import Request
from starlette.types import ASGIApp

from functions.web.app import TriggerApp


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


async def call(
    app: ASGIApp,
    method: str,
    target: str,
    *headers: tuple[str, str],
    body: bytes = b"",
    chunks: Sequence[bytes] = (),
) -> Answer:
    """Send a request with *body*, or with *chunks* and no announced length, to any application."""
    sent: list[MutableMapping[str, Any]] = []
    parts = list(chunks) or [body]
    length = [] if chunks else [(b"content-length", str(len(body)).encode())]
    incoming = iter(
        {"type": "http.request", "body": part, "more_body": number < len(parts)}
        for number, part in enumerate(parts, 1)
    )

    async def receive() -> MutableMapping[str, Any]:
        return next(incoming, {"type": "http.disconnect"})

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    path, _, query = target.partition("?")
    scope = {
        "type": "http",
        "http_version": "1.1",
        "scheme": "https",
        "server": ("cronfire.example.com", 443),
        "client": ("192.0.2.7", 50000),
        "root_path": "",
        "method": method,
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers] + length,
    }
    await app(scope, receive, send)
    return _answer(sent)


async def ask(door: TriggerApp, method: str, target: str, *headers: tuple[str, str]) -> Answer:
    """Send a request without a body; a header may be given twice."""
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        raise AssertionError("the endpoint reads no bodies")

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
    path, _, query = target.partition("?")
    scope = {"type": "http", "method": method, "path": path, "query_string": query.encode(), "headers": raw}
    response = await door(Request(scope, receive))
    await response(scope, receive, send)

    return _answer(sent)


def _answer(sent: Sequence[MutableMapping[str, Any]]) -> Answer:
    answered = {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}
    return Answer(sent[0]["status"], answered, b"".join(message.get("body", b"") for message in sent[1:]))
