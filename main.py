"""The entry point of the function: reads the environment, configures logs, and answers requests."""

import gc
import logging
import os
from pathlib import Path

import functions_framework.aio
from starlette.requests import Request
from starlette.types import ASGIApp

from functions.config.dotenv import read_environment
from functions.config.settings import Settings
from functions.domain.redaction import Redactor
from functions.domain.types import timezone_or_utc
from functions.errors import SettingsError
from functions.observability import logs
from functions.web.app import SchedulerApp
from functions.web.factory import create_app

log = logging.getLogger(__name__)

# New objects between two collections. A tick makes little cyclic garbage. With Python's 700 a tick of a
# thousand tasks spends 5 % of its time on collections, and a full one takes 10 to 20 ms.
GC_THRESHOLD = 100_000

# pydantic looks for plugins among all installed packages when it builds its first model, 8 ms of each start.
# Set to nothing, the variable lets it.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

try:
    _environment = read_environment(os.environ, Path(".env"))
    _settings = Settings.from_env(_environment)
    _settings.require_packages()
except SettingsError as exc:
    raise SystemExit(f"Cronfire cannot start. {exc}") from None  # text and exit code 1, no traceback

_log_handler = logs.configure(
    _environment, Redactor(_settings.secrets()), zone=timezone_or_utc(_settings.default_timezone)
)
if "K_SERVICE" in _environment and _settings.store_url.startswith("sqlite:"):
    log.warning(
        "store_not_durable", extra={"remedy": "set STORE_URL; Cloud Run forgets files with the instance"}
    )


def _build_app() -> SchedulerApp:
    # Imported in the first request that needs it: the libraries of the store and of HTTP take about 400 ms,
    # and this module is loaded before the server forks. Imported objects live as long as the process: without
    # the freeze their first collection takes 15 ms, and later ones a part of every tick.
    gc.disable()
    try:
        from functions.app import application

        return application.build_app(_settings)
    finally:
        gc.freeze()
        gc.set_threshold(GC_THRESHOLD)
        gc.enable()


_app = create_app(_settings, _build_app)


@functions_framework.aio.http  # type: ignore[arg-type]  # any ASGI application is a valid response; the hint is narrower
async def scheduler(request: Request) -> ASGIApp:
    """Return the response to *request*."""
    if _log_handler not in logging.root.handlers:  # functions-framework has configured logging again
        logs.install_handler(_log_handler)
    logs.request_headers.set(request.headers)
    return await _app(request)


# The server forks after this module is loaded. A collection writes to every object it visits, which would
# copy the shared pages into each worker: 6 MiB in a tick of a thousand tasks. It skips frozen objects.
gc.freeze()
