"""gunicorn with uvicorn's workers, as functions-framework runs them; POSIX only."""

import os
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


PARENT_CHECK_S = 1.0


def end_with_parent(parent: int) -> None:
    """End this process by SIGTERM once *parent* is not its parent any more: one that was killed ends nothing.

    It would keep the port, so that the next one could not begin, and nobody would tick. A timer is what
    no worker inherits; a thread does not go well with their forks.
    """
    own = os.getpid()

    def check(number: int, frame: FrameType | None) -> None:
        if os.getppid() != parent and os.getpid() == own:
            signal.setitimer(signal.ITIMER_REAL, 0)
            os.kill(own, signal.SIGTERM)

    signal.signal(signal.SIGALRM, check)
    signal.setitimer(signal.ITIMER_REAL, PARENT_CHECK_S, PARENT_CHECK_S)


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
