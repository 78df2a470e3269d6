"""What every contender calls: a server that answers each GET after a fixed time, or at once under /now."""

import asyncio
import sys

from aiohttp import web

ANSWERS_AFTER_S = 0.05


async def _slow(_: web.Request) -> web.Response:
    await asyncio.sleep(ANSWERS_AFTER_S)
    return web.Response(text="ok")


async def _now(_: web.Request) -> web.Response:
    return web.Response(text="ok")


def main() -> None:
    """Serve on the loopback port given as the argument until told to end."""
    application = web.Application()
    application.router.add_get("/now/{path:.*}", _now)
    application.router.add_get("/{path:.*}", _slow)
    web.run_app(
        application,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        access_log=None,
        print=None,
        backlog=2048,
    )


if __name__ == "__main__":
    main()
