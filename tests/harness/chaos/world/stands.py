"""The stores a run can have, and what can be done to each: locked, frozen, restarted, cut off."""

import asyncio
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Protocol
from uuid import uuid4

import aiohttp

from tests.harness.chaos.world.clock import Clock
from tests.harness.chaos.world.proxy import Proxy

EMULATOR_READY_S = 40.0
PROJECT = "chaos"
LOCK_WAIT_S = 8.0  # real seconds: longer than anybody waits for the lock of the file


class NoEmulator(Exception):
    """The Firestore emulator is not installed, or does not start."""


class Stand(Protocol):
    """A store under test.

    Attributes:
        url: For `STORE_URL`.
        variables: What a process needs besides.
        proxy: Between the processes and the store; None where there is no network.
        restarts: Whether `restart` does anything.
    """

    url: str
    variables: dict[str, str]
    proxy: Proxy | None
    restarts: bool

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def hold(self, seconds: float) -> None:
        """Let it answer nobody for so long, by the run's clock."""
        ...

    async def restart(self) -> None:
        """Stop it without a warning to those who talk to it, and start it again with what it had kept."""
        ...

    async def replace(self) -> None:
        """Put a copy in its place, with all it holds, under those who have it open."""
        ...


class SqliteStand:
    """One file, which another program can lock."""

    restarts = False
    proxy: Proxy | None = None

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._clock = clock
        self.url = f"sqlite:///{folder}/chaos.db"
        self.variables: dict[str, str] = {}
        self._file = folder / "chaos.db"

    async def start(self) -> None:
        """Nothing: the first who asks makes the file."""

    async def stop(self) -> None:
        """Nothing to stop."""

    async def hold(self, seconds: float) -> None:
        """Hold the lock that every writer needs."""
        connection = sqlite3.connect(self._file, timeout=0, isolation_level=None)
        try:
            with suppress(sqlite3.OperationalError):  # somebody is just writing: then it is not held
                connection.execute("BEGIN IMMEDIATE")
                await asyncio.sleep(seconds)
        finally:
            connection.close()

    async def restart(self) -> None:
        """A file cannot be restarted."""

    async def replace(self) -> None:
        """Copy the file while nobody can write, and put the copy in its place.

        What waits for the lock of the file that was there must give up before it is let go of: a write to
        that would be lost.
        """
        connection = sqlite3.connect(self._file, timeout=0, isolation_level=None)
        try:
            with suppress(sqlite3.OperationalError):  # somebody is just writing: then it is not replaced
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                connection.execute("BEGIN IMMEDIATE")
                if self._has_frames():
                    return
                copy = self._file.with_name("copy.db")
                copy.unlink(missing_ok=True)
                shutil.copy(self._file, copy)
                for end in ("-wal", "-shm"):  # those who have them open keep them
                    beside = self._file.with_name(self._file.name + end)
                    beside.unlink(missing_ok=True)
                copy.replace(self._file)
                await asyncio.sleep(self._clock.real(LOCK_WAIT_S))
        finally:
            connection.close()

    def _has_frames(self) -> bool:
        log = self._file.with_name(self._file.name + "-wal")
        return log.exists() and log.stat().st_size > 0


class EmulatorStand:
    """A Firestore emulator behind a proxy.

    Args:
        host: Of one that is shared and must not be held or restarted; None starts one of its own.
    """

    def __init__(self, folder: Path, clock: Clock, *, host: str | None = None) -> None:
        self._folder = folder
        self._clock = clock
        self._popen: subprocess.Popen[bytes] | None = None
        self.restarts = host is None
        self.project = PROJECT if host is None else f"chaos-{uuid4().hex[:12]}"
        self.host = host or f"127.0.0.1:{_free_port()}"
        name, _, port = self.host.partition(":")
        self.proxy: Proxy | None = Proxy(name, int(port))
        self.url = f"firestore://{self.project}"
        self.variables: dict[str, str] = {}

    async def start(self) -> None:
        """Start the emulator, where it is ours, and the proxy."""
        if self.restarts:
            self._launch()
            await self._answers()
        assert self.proxy is not None
        await self.proxy.start()
        self.variables = {"FIRESTORE_EMULATOR_HOST": f"127.0.0.1:{self.proxy.port}"}

    async def stop(self) -> None:
        """Stop what `start` started."""
        assert self.proxy is not None
        await self.proxy.stop()
        self._kill()

    async def hold(self, seconds: float) -> None:
        """Stop its process, and let it go on: what had come in is done then, for nobody."""
        self._signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            self._signal(signal.SIGCONT)

    async def restart(self) -> None:
        """Cut it off, keep what it holds, kill it, and start another with that."""
        assert self.proxy is not None
        self.proxy.refusing = True
        self.proxy.cut()
        await asyncio.sleep(self._clock.real(0.2))  # what had come in before the cut is done by then
        kept = self._folder / "export"
        shutil.rmtree(kept, ignore_errors=True)
        kept.mkdir()
        wanted = {
            "database": f"projects/{self.project}/databases/(default)",
            "export_directory": str(kept),
            "export_name": "kept",
        }
        async with (
            aiohttp.ClientSession() as session,
            session.post(
                f"http://{self.host}/emulator/v1/projects/{self.project}:export", json=wanted
            ) as done,
        ):
            done.raise_for_status()
        self._kill()
        self._launch(kept / "kept" / "kept.overall_export_metadata")
        await self._answers()
        self.proxy.refusing = False

    async def replace(self) -> None:
        """There is no file to replace."""

    def _launch(self, kept: Path | None = None) -> None:
        if shutil.which("gcloud") is None:
            raise NoEmulator("gcloud is not installed: see scripts/emulator --help")
        words = ["gcloud", "emulators", "firestore", "start", f"--host-port={self.host}", "--quiet"]
        if kept is not None:
            words.append(f"--import-data={kept}")
        with (self._folder / "emulator.log").open("ab") as log:
            self._popen = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    async def _answers(self) -> None:
        try:
            async with (
                asyncio.timeout(self._clock.real(EMULATOR_READY_S)),
                aiohttp.ClientSession() as session,
            ):
                while True:
                    with suppress(aiohttp.ClientError):
                        async with session.get(f"http://{self.host}/"):
                            return
                    await asyncio.sleep(self._clock.real(0.05))  # between two looks, not instead of one
        except TimeoutError:
            raise NoEmulator(f"the emulator does not answer; see {self._folder}/emulator.log") from None

    def _signal(self, number: int) -> None:
        if self._popen is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._popen.pid, number)

    def _kill(self) -> None:
        self._signal(signal.SIGKILL)
        if self._popen is not None:
            self._popen.wait(10)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
