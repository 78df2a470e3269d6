"""The entry point Google calls: reads the environment once, starts the logs, opens the door."""

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
from functions.errors import SettingsError
from functions.observability import logs
from functions.web.app import Wired, open_door

log = logging.getLogger(__name__)

# New objects. A tick makes hardly any garbage that needs looking for. With Python's 700 a tick of a thousand
# tasks spends 5 % of its time on it, and a single look at all it has made takes 10 to 20 ms: it makes fewer.
COLLECT_AFTER = 100_000

try:
    _environment = read_environment(os.environ, Path(".env"))
    _settings = Settings.from_env(_environment)
except SettingsError as fault:
    raise SystemExit(f"Cronfire cannot start. {fault}") from None  # text and exit code 1, no traceback

_log_handler = logs.configure(_environment, Redactor(_settings.secrets()))
if "K_SERVICE" in _environment and _settings.store_url.startswith("sqlite:"):
    log.warning(
        "store_not_durable", extra={"remedy": "set STORE_URL; Cloud Run forgets files with the instance"}
    )


def _wire() -> Wired:
    # Imported in the first request that needs it: the store's and the HTTP libraries take about 400 ms,
    # and this module is loaded before the server forks.
    # What imports make lives as long as the process: looking for garbage in it takes 15 ms more, and later
    # something of every tick.
    gc.disable()
    try:
        from functions.app import application

        return application.build(_settings)
    finally:
        gc.freeze()
        gc.set_threshold(COLLECT_AFTER)
        gc.enable()


_door = open_door(_settings, _wire)


@functions_framework.aio.http  # type: ignore[arg-type]  # any ASGI application will do; the hint says less
async def scheduler(request: Request) -> ASGIApp:
    """Answer one request."""
    logs.attach(_log_handler)
    logs.follow(request.headers)
    return await _door(request)


# The server forks after this module is loaded. Collecting garbage touches every object it looks at, which
# would copy the shared pages into each worker: 6 MiB in a tick of a thousand tasks. It skips frozen ones.
gc.freeze()
