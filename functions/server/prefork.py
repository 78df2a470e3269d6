"""gunicorn with uvicorn's workers, as functions-framework runs them; POSIX only."""

import signal
from collections.abc import Mapping
from types import FrameType
from typing import Any, ClassVar

from gunicorn.app.base import BaseApplication
from starlette.types import ASGIApp
from uvicorn_worker import UvicornWorker

from functions.server.connections import BoundedProtocol


class BoundedWorker(UvicornWorker):  # type: ignore[misc]  # it ships no types
    """A worker whose connections are bounded. No route is a WebSocket."""

    CONFIG_KWARGS: ClassVar[dict[str, Any]] = {"loop": "auto", "http": BoundedProtocol, "ws": "none"}

    def init_signals(self) -> None:
        """End the loop, and not the process, by a signal that the server raises again once it has ended.

        What is left in the loop can then end what it has started: programs of commands, above all.
        """
        super().init_signals()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _leave)


def _leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)


class Prefork(BaseApplication):  # type: ignore[misc]  # gunicorn ships no types
    """A gunicorn application for *app*, which was loaded before the workers are forked.

    Args:
        options: gunicorn's settings by name.
    """

    def __init__(self, app: ASGIApp, options: Mapping[str, Any]) -> None:
        self._app = app
        self._options = options
        super().__init__()

    def load_config(self) -> None:
        """Set the options; gunicorn calls this."""
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def load(self) -> ASGIApp:
        """Return the application; each worker calls this."""
        return self._app
