"""`python -m functions.server` serves the function as functions-framework does, with bounded connections.

functions-framework starts its server with options of its own and lets nobody add to them, hence this command
where we start the server. See decision 132.
"""

import argparse
from collections.abc import Callable

import functions_framework.aio
from starlette.types import ASGIApp

TARGET = "scheduler"


def main() -> None:
    """Serve until a signal to end."""
    parser = argparse.ArgumentParser(prog="python -m functions.server", description=__doc__.splitlines()[0])
    parser.add_argument("--source", default="main.py", help="the file with the function")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=whole_number(0, 65_535), default=8080)
    parser.add_argument("--workers", type=whole_number(1, 64), default=1, help="processes")
    parser.add_argument("--log-level", default="error", help="of the server's own log")
    parser.add_argument(
        "--parent", type=int, help="the process by which it was started, and with which it ends"
    )
    options = parser.parse_args()
    app = functions_framework.aio.create_asgi_app(  # type: ignore[no-untyped-call]  # untyped
        TARGET, options.source, "http"
    )
    run(app, options.host, options.port, options.workers, options.log_level, parent=options.parent)


def whole_number(low: int, high: int) -> Callable[[str], int]:
    """Return the parser of an option; the server itself listens without any worker, and answers nobody."""

    def parse(text: str) -> int:
        if not text.isdecimal() or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"must be a whole number from {low} to {high}")
        return int(text)

    return parse


def run(
    app: ASGIApp, host: str, port: int, workers: int, log_level: str, *, parent: int | None = None
) -> None:
    """Serve *app*; without gunicorn's processes where there is no fork, as on Windows."""
    try:
        from functions.server.prefork import BoundedWorker, Prefork, end_with_parent
    except ImportError:
        import uvicorn

        from functions.server.connections import BoundedProtocol

        uvicorn.run(app, host=host, port=port, http=BoundedProtocol, ws="none", log_level=log_level)
        return
    if parent is not None:
        end_with_parent(parent)
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    Prefork(
        app,
        {
            "bind": address,
            "workers": workers,
            "worker_class": BoundedWorker,
            "timeout": 0,  # a tick may take long, and the loop is watched by nobody but the pinger
            "loglevel": log_level,
        },
    ).run()


if __name__ == "__main__":
    main()
