"""The function's processes under the real server: started, killed, frozen, told to end."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import aiohttp

from tests.harness.chaos.world.clock import Clock

ROOT = Path(__file__).parents[4]
SECRET = "chaos-" + "s" * 40
READY_WITHIN_S = 90.0


class Process:
    """One `functions-framework` with its worker, in a process group of its own.

    Args:
        code: The checkout, or a copy of it.
    """

    def __init__(
        self, name: str, folder: Path, environment: dict[str, str], clock: Clock, *, code: Path = ROOT
    ) -> None:
        self.name = name
        self._folder = folder
        self._environment = environment | clock.variables
        self._clock = clock
        self._code = code
        self._popen: subprocess.Popen[bytes] | None = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it; `ready` says when it answers."""
        command = [sys.executable, "-m", "functions_framework", "--target", "scheduler"]
        command += ["--source", str(self._code / "tests" / "harness" / "chaos" / "world" / "function.py")]
        command += ["--host", "127.0.0.1", "--port", str(self.port)]
        variables = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(self._code),
            "CRON_SECRET": SECRET,
            "ALLOW_PRIVATE_NETWORKS": "1",
            "LOG_LEVEL": "WARNING",
            "CHAOS_DIR": str(self._folder),
            "CHAOS_PROCESS": self.name,
        }
        with (self._folder / f"{self.name}.log").open("ab") as log:
            self._popen = subprocess.Popen(
                command,
                env=variables | self._environment,
                cwd=self._folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    async def ready(self, session: aiohttp.ClientSession) -> None:
        """Return when it answers."""
        async with asyncio.timeout(self._clock.real(READY_WITHIN_S)):
            while True:
                with suppress(aiohttp.ClientError, TimeoutError):
                    limit = aiohttp.ClientTimeout(self._clock.real(2))
                    async with session.get(f"{self.address}/healthz", timeout=limit):
                        return
                await asyncio.sleep(self._clock.real(0.05))  # between two looks, not instead of one

    def signal(self, number: int) -> None:
        """Send a signal to the server and its worker at once."""
        if self._popen is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._popen.pid, number)

    def kill(self) -> None:
        """End it without a warning."""
        self.signal(signal.SIGKILL)
        self._reap(5)

    async def terminate(self, within_s: float) -> bool:
        """Ask it to end, as Cloud Run does, and kill it when it has not *within_s*; whether it had to."""
        if self._popen is None:
            return False
        with suppress(ProcessLookupError):
            self._popen.terminate()
        loop = asyncio.get_running_loop()
        until = loop.time() + within_s
        while self._popen.poll() is None and loop.time() < until:  # noqa: ASYNC110  # it sets no event of ours
            await asyncio.sleep(self._clock.real(0.05))
        forced = self._popen.poll() is None
        self.kill()
        return forced

    def _reap(self, within_s: float) -> None:
        if self._popen is not None:
            self._popen.wait(within_s)


def copied(folder: Path) -> Path:
    """Copy what processes run into *folder*: a long run must not stumble over what is being edited."""
    code = folder / "code"
    for package in ("functions", "tests/harness/chaos"):
        shutil.copytree(ROOT / package, code / package, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("main.py", "tests/__init__.py", "tests/harness/__init__.py"):
        shutil.copy(ROOT / file, code / file)
    return code


def order(folder: Path, name: str, kind: str, text: str) -> None:
    """Leave an order for a process: whole or not at all."""
    file = folder / f"{name}.{kind}"
    fresh = file.with_suffix(file.suffix + ".new")
    fresh.write_text(text)
    fresh.replace(file)


def revoke(folder: Path, name: str, kind: str) -> None:
    """Take an order back."""
    (folder / f"{name}.{kind}").unlink(missing_ok=True)
