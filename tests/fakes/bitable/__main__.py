"""Runs the local Feishu by hand: one base with an empty table, until it is interrupted."""

import argparse
import asyncio
import signal

from tests.fakes.bitable import FakeBitable


async def serve(port: int) -> None:
    """Serve on loopback, and say where and what."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):  # set here, for behind a script SIGINT is ignored
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with FakeBitable().serving(port) as feishu:
        base = feishu.add_base()
        [table] = base.tables.values()
        lines = {
            "FEISHU_BASE_URL": feishu.url,
            "FEISHU_APP_ID": feishu.app_id,
            "FEISHU_APP_SECRET": feishu.app_secret,
            "STORE_URL": f"bitable://{base.app_token}/{table.table_id}",
        }
        print("\n".join(f"{name}={value}" for name, value in lines.items()), flush=True)  # noqa: T201  # for hands
        await stop.wait()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fakes.bitable", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes any free one")
    asyncio.run(serve(parser.parse_args().port))


if __name__ == "__main__":
    main()
