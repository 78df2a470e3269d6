"""The route `/mcp`: MCP over streamable HTTP, for the keys of the API.

Each request stands alone: a function may be another process at each of them, so no session is kept and no
stream stays open. The key, its rate and the limits on bodies are the API's.
"""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Message, Receive, Scope, Send

from functions.assistants.messages import ONE_MESSAGE, explain_unreadable, is_message
from functions.domain.access import Principal
from functions.web.api.dependencies import (
    ApiRoute,
    CurrentPrincipal,
    Dependencies,
    check_body,
    check_media_type,
)
from functions.web.api.errors import problem_response
from functions.web.api.scheduler import ApiDependencies
from functions.web.app import MAX_BODY_BYTES

INVALID_REQUEST = -32600  # of JSON-RPC

router = APIRouter(include_in_schema=False, route_class=ApiRoute)


@router.post("/mcp")
async def answer_assistant(
    request: Request, principal: CurrentPrincipal, dependencies: Dependencies
) -> Response:
    """Answer one message of an assistant, with the rights of its key."""
    check_media_type(request)
    body = await request.body()
    if len(body) > MAX_BODY_BYTES:
        return _refuse_large(body)
    message = check_body(body)  # what no store can hold is refused as everywhere
    if not is_message(message):
        return problem_response(400, ONE_MESSAGE)  # the SDK's answer would quote its models
    return _Answer(dependencies, principal, body)


@router.api_route("/mcp", methods=["GET", "PUT", "PATCH", "DELETE"])
async def refuse_other_methods(_: CurrentPrincipal) -> Response:
    """Refuse to open a stream, or to end a session: there are none."""
    return problem_response(405, "Send each message by POST: no stream is kept", headers={"Allow": "POST"})


def _refuse_large(body: bytes) -> Response:
    """Return an error that belongs to the request in *body*: a status of its own ends a client's session."""
    id_, _ = explain_unreadable(body.decode("utf-8", "replace"))
    reason = f"Send at most {MAX_BODY_BYTES // 1024} KB in a message"
    if id_ is None:
        return problem_response(413, reason)
    fault = {"code": INVALID_REQUEST, "message": reason}
    return JSONResponse({"jsonrpc": "2.0", "id": id_, "error": fault})


class _Answer(Response):
    """Hands the request to the SDK, which sends the response."""

    def __init__(self, dependencies: ApiDependencies, principal: Principal, body: bytes) -> None:
        super().__init__()
        self._dependencies = dependencies
        self._principal = principal
        self._request_body = body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Imported with the first such request: 0.4 s, which no other pays.
        from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

        from functions.assistants.server import build_server
        from functions.assistants.tools import AssistantTools

        manager = StreamableHTTPSessionManager(
            build_server(AssistantTools(self._dependencies, self._principal)),
            json_response=True,
            stateless=True,
            security_settings=_security_of(scope),
        )
        is_read = False

        async def receive_again() -> Message:
            nonlocal is_read
            if is_read:
                return await receive()
            is_read = True
            return {"type": "http.request", "body": self._request_body, "more_body": False}

        async with manager.run():
            await manager.handle_request(scope, receive_again, send)


def _security_of(scope: Scope) -> Any:
    """Return the SDK's settings against other sites: what a browser sends must come from this host."""
    from mcp.server.transport_security import TransportSecuritySettings

    host = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "")
    return TransportSecuritySettings(
        allowed_hosts=[host], allowed_origins=[f"http://{host}", f"https://{host}"]
    )
