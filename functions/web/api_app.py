"""What people use, put together: the API, the dashboard, and the walls around both."""

import time

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from functions import __version__
from functions.config.settings import Settings
from functions.web.api import build_api
from functions.web.api.dependencies import ApiDependencies
from functions.web.auth import GoogleTokenVerifier
from functions.web.dashboard import add_dashboard

MAX_BODY_BYTES = 65_536


def build_api_app(
    settings: Settings, dependencies: ApiDependencies, token_verifier: GoogleTokenVerifier | None = None
) -> ASGIApp:
    """Return the application that answers everything but ticks; *token_verifier* knows who pushes events."""
    administrator = None if settings.api_key is None else settings.api_key.get_secret_value()
    api = build_api(
        dependencies,
        admin_key=administrator,
        version=__version__,
        clock=time.monotonic,
        token_verifier=token_verifier,
    )
    add_dashboard(api, dependencies)
    return RequestLimitsMiddleware(api)


class RequestLimitsMiddleware:
    """Bounds what comes in and marks what goes out, whatever route answers.

    A body without an announced length is counted as it comes. Answers are nobody's to keep, unless their
    route says otherwise.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        taken = 0

        async def bounded() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > MAX_BODY_BYTES:
                raise HTTPException(413)
            return message

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("Cache-Control", "no-store")
                headers.setdefault("X-Content-Type-Options", "nosniff")
                headers.setdefault("Referrer-Policy", "no-referrer")
            await send(message)

        await self._app(scope, bounded, marked)
