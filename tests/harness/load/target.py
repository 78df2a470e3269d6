"""What the tasks of a load test call: answers at once, and knows how often each address was asked for."""

import sys
from collections import Counter

from aiohttp import web

COUNTED: web.AppKey[Counter[str]] = web.AppKey("counted", Counter)


async def _count(request: web.Request) -> web.Response:
    request.app[COUNTED][request.path] += 1
    return web.Response(text="ok")


async def _counts(request: web.Request) -> web.Response:
    counted = request.app[COUNTED]
    return web.json_response(
        {"addresses": len(counted), "calls": counted.total(), "most": max(counted.values(), default=0)}
    )


async def _forget(request: web.Request) -> web.Response:
    request.app[COUNTED].clear()
    return web.Response(text="ok")


def main() -> None:
    """Serve on the loopback port given as the argument until told to end."""
    application = web.Application()
    application[COUNTED] = Counter()
    application.router.add_get("/ready", lambda _: _ok())
    application.router.add_get("/counts", _counts)
    application.router.add_post("/forget", _forget)
    application.router.add_get("/{path:.*}", _count)
    web.run_app(
        application, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None, backlog=2048
    )


async def _ok() -> web.Response:
    return web.Response(text="ok")


if __name__ == "__main__":
    main()
