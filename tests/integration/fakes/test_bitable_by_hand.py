"""The local Bitable as a program of its own."""

import asyncio
import os
import signal
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


async def test_it_runs_by_hand() -> None:
    """`python -m tests.fakes.bitable` says where it is, and what to open."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.fakes.bitable", "--port", "0",
        stdout=asyncio.subprocess.PIPE, cwd=ROOT, env=dict(os.environ),
    )  # fmt: skip
    assert process.stdout is not None
    async with asyncio.timeout(30):
        lines = [(await process.stdout.readline()).decode().strip() for _ in range(4)]
        process.send_signal(signal.SIGINT)
        code = await process.wait()

    told = dict(line.split("=", 1) for line in lines)
    assert 0 == code
    assert told["FEISHU_BASE_URL"].startswith("http://127.0.0.1:")
    assert told["STORE_URL"].startswith("bitable://bascn")
