"""The product as it is deployed: a real functions-framework process, and what its tick answers."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from tests.harness.bench.processes import ROOT, Process, answers, children, free_port, running, wait_until

SECRET = "a-secret-of-the-benchmark-and-of-nothing-else"
COMMAND = str(ROOT / ".venv" / "bin" / "functions-framework")
KEPT = ("PATH", "HOME", "LANG", "FIRESTORE_EMULATOR_HOST", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH")


@dataclass(frozen=True)
class Answer:
    """What one request came to, and how long that took."""

    seconds: float
    body: dict[str, Any]


@dataclass(frozen=True)
class Served:
    """A serving process.

    Attributes:
        worker: The process that answers requests, which the server has forked.
    """

    port: int
    process: Process = field(repr=False)

    @property
    def worker(self) -> int:
        found = children(self.process.pid)
        return found[0] if found else self.process.pid

    def tick(self) -> Answer:
        """Ask for one tick and wait for its answer."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        started = time.perf_counter()
        connection.request("POST", "/tick", headers={"Authorization": f"Bearer {SECRET}"})
        response = connection.getresponse()
        text = response.read()
        seconds = time.perf_counter() - started
        connection.close()
        assert response.status == 200, text
        return Answer(seconds, json.loads(text))


def environment(**changes: str) -> dict[str, str]:
    """What a served function's process gets to see: what it needs to run at all, and *changes*."""
    return {name: os.environ[name] for name in KEPT if name in os.environ} | changes


@contextmanager
def product(url: str, folder: Path, **settings: str) -> Iterator[Served]:
    """The scheduler with the store at *url*, answering while inside.

    Args:
        folder: Where it runs and logs; not the project's own, whose `.env` would count.
    """
    given = {"CRON_SECRET": SECRET, "STORE_URL": url, "ALLOW_PRIVATE_NETWORKS": "1", "LOG_LEVEL": "WARNING"}
    with function(ROOT / "main.py", "scheduler", folder, **(given | settings)) as served:
        wait_until(lambda: answers(served.port, "/healthz"), "the scheduler", process=served.process)
        yield served


@contextmanager
def function(source: Path, target: str, folder: Path, **settings: str) -> Iterator[Served]:
    """Any function on functions-framework, started but perhaps not answering yet."""
    port = free_port()
    where = ("--host", "127.0.0.1", "--port", str(port))
    command = [COMMAND, "--source", str(source), "--target", target, *where]
    with running(command, log=folder / "served.log", env=environment(**settings), cwd=folder) as process:
        yield Served(port, process)
