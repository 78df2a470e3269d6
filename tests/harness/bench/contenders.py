"""The competitors of the first line, and its baseline: started once, kept warm, driven a round at a time."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.harness.bench.environments import node_folder_with, python_with
from tests.harness.bench.processes import ROOT, Failed, end, free_port, running, wait_until

NODE = Path(__file__).parent / "competitors" / "bullmq_runner.mjs"
RQ_WORKERS = 16


@dataclass(frozen=True)
class Competitor:
    """A competitor, from its packages to its commands.

    Attributes:
        packages: What is installed for it, in its own environment; the first one's version is shown.
        worker: The words after the interpreter that start its worker; empty when the driver does all.
        driver: Those that start what hands jobs over.
        slow: Whether a quick run leaves it out.
    """

    name: str
    packages: tuple[str, ...]
    worker: tuple[str, ...]
    driver: tuple[str, ...]
    node: bool = False
    redis: bool = True
    slow: bool = False
    note: str = ""

    @property
    def version(self) -> str:
        """Of the competitor itself."""
        return self.packages[0].replace("==", " ").replace("@", " ")


def _module(name: str, *words: str) -> tuple[str, ...]:
    return ("-m", f"tests.harness.bench.competitors.{name}", *words)


def competitors(concurrency: int) -> tuple[Competitor, ...]:
    """All of them, each with *concurrency* jobs at once where it can."""
    return (
        Competitor(
            "BullMQ + Redis",
            ("bullmq@6.7.0", "ioredis@5", "undici@7"),
            (str(NODE), "worker"),
            (str(NODE), "drive"),
            node=True,
        ),
        Competitor(
            "arq + aiohttp + Redis",
            ("arq==0.28.0", "aiohttp==3.14.5"),
            _module("arq_runner", "worker"),
            _module("arq_runner", "drive"),
        ),
        Competitor(
            "taskiq + aiohttp + Redis",
            ("taskiq==0.13.0", "taskiq-redis", "aiohttp==3.14.5"),
            (
                *("-m", "taskiq", "worker", "tests.harness.bench.competitors.taskiq_runner:broker"),
                *("--workers", "1", "--max-async-tasks", str(concurrency)),
            ),
            _module("taskiq_runner", "drive"),
            slow=True,
        ),
        Competitor(
            "APScheduler + aiohttp + SQLite",
            ("apscheduler==3.11.3", "sqlalchemy", "aiohttp==3.14.5"),
            (),
            _module("apscheduler_runner"),
            slow=True,
            redis=False,
            note="no claims, no results",
        ),
        Competitor(
            "Celery + gevent + Redis",
            ("celery==5.7.0", "redis", "packaging", "gevent", "urllib3"),
            (
                *("-m", "celery", "-A", "tests.harness.bench.competitors.celery_runner", "worker"),
                *("--pool", "gevent", "--concurrency", str(concurrency), "--loglevel", "WARNING"),
            ),
            _module("celery_runner"),
            slow=True,
        ),
        Competitor(
            f"RQ + Redis, {RQ_WORKERS} workers",
            ("rq==2.12.0", "urllib3"),
            (
                *("-m", "rq.cli", "worker-pool", "--num-workers", str(RQ_WORKERS)),
                *("--worker-class", "rq.worker.SimpleWorker", "--quiet"),
            ),
            _module("rq_runner"),
            slow=True,
            note="one job a process",
        ),
    )


class Contender:
    """A driver that waits for its next round."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        assert process.stdin is not None
        assert process.stdout is not None
        self._asks: IO[str] = process.stdin
        self._tells: IO[str] = process.stdout

    def ready(self) -> None:
        """Wait until it takes orders."""
        self._line()

    def round(self, jobs: int) -> tuple[float, float]:
        """Let it do *jobs*; return the seconds until all were handed over, and until all were recorded."""
        self._asks.write(f"{jobs}\n")
        self._asks.flush()
        told = json.loads(self._line())
        return told["handedOver"], told["recorded"]

    def _line(self) -> str:
        line = self._tells.readline()
        if not line:
            raise Failed("its driver ended")
        return line


@contextmanager
def contending(
    competitor: Competitor, folder: Path, *, server_url: str, concurrency: int, redis_port: int | None
) -> Iterator[Contender]:
    """*competitor*, warm, while inside.

    Raises:
        Failed: It could not be installed or started.
    """
    if competitor.redis and redis_port is None:
        raise Failed("redis-server is not installed (apt-get install redis-server)")
    folder.mkdir(parents=True, exist_ok=True)
    name = competitor.name.split()[0].lower()
    env = dict(os.environ) | {
        "SERVER_URL": server_url,
        "CONCURRENCY": str(concurrency),
        "REDIS_PORT": str(redis_port),
        "PYTHONPATH": str(ROOT),
        "RQ_REDIS_URL": f"redis://127.0.0.1:{redis_port}/3",
    }
    interpreter, cwd = _interpreter(competitor, name, folder)
    with ExitStack() as stack:
        if competitor.worker:
            stack.enter_context(
                running([interpreter, *competitor.worker], log=folder / f"{name}.log", env=env, cwd=cwd)
            )
        contender = stack.enter_context(driving([interpreter, *competitor.driver], folder, name, env, cwd))
        yield contender


@contextmanager
def driving(
    command: Sequence[str], folder: Path, name: str, env: Mapping[str, str], cwd: Path
) -> Iterator[Contender]:
    """A driver that takes orders while inside."""
    with (folder / f"{name}-driver.log").open("ab") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=dict(env),
            cwd=cwd,
            text=True,
            start_new_session=True,
        )
    try:
        contender = Contender(process)
        contender.ready()
        yield contender
    finally:
        end(process)


@contextmanager
def baseline(folder: Path, *, server_url: str, concurrency: int) -> Iterator[Contender]:
    """Bare aiohttp, in the project's own environment."""
    env = dict(os.environ) | {
        "SERVER_URL": server_url,
        "CONCURRENCY": str(concurrency),
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-m", "tests.harness.bench.baseline.aiohttp_runner"]
    with driving(command, folder, "bare", env, ROOT) as contender:
        yield contender


@contextmanager
def redis(folder: Path) -> Iterator[int | None]:
    """A Redis of our own that keeps nothing on disk; its port, or None where none is installed."""
    command = shutil.which("redis-server")
    if command is None:
        yield None
        return
    port = free_port()
    words = [command, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    with running(words, log=folder / "redis.log", cwd=folder) as process:
        wait_until(lambda: _pongs(port), "redis", process=process)
        yield port


def _interpreter(competitor: Competitor, name: str, folder: Path) -> tuple[str, Path]:
    if competitor.node:
        return "node", node_folder_with(name, competitor.packages)
    return str(python_with(name, competitor.packages)), folder


def _pongs(port: int) -> bool:
    import socket

    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as one:
            one.sendall(b"PING\r\n")
            return one.recv(7) == b"+PONG\r\n"
    except OSError:
        return False
