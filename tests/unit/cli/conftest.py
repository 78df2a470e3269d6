"""The command line as a person has it: words in, an exit code and two streams out, a store in a file."""

import json
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from functions.cli.main import main
from tests.support.serving import in_a_thread


@dataclass(frozen=True)
class Said:
    """What came of one command."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        return json.loads(self.out)


Scheduler = Callable[..., Said]
WriteTasks = Callable[..., str]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {"STORE_URL": f"sqlite:///{tmp_path}/tasks.db", "ALLOW_PRIVATE_NETWORKS": "1"}


@pytest.fixture
def scheduler(environment: dict[str, str]) -> Iterator[Scheduler]:
    """Run one command; environment variables are given by name."""
    before = signal.getsignal(signal.SIGTERM)  # a tick listens to it, as it would in a process of its own

    def run(*words: str, **variables: str) -> Said:
        out, err = StringIO(), StringIO()
        code = main(words, environment | variables, out=out, err=err)
        return Said(code, out.getvalue(), err.getvalue())

    yield run

    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def write_tasks(tmp_path: Path) -> WriteTasks:
    """Write a task file; a task names only the fields it is about. Return its path."""

    def write(*tasks: dict[str, Any], name: str = "tasks.json") -> str:
        whole = [
            {
                "title": task["id"],
                "type": "health_check_url",
                "schedule": "0 9 * * *",
                "params": {"url": "http://127.0.0.1:1/"},
            }
            | task
            for task in tasks
        ]
        path = tmp_path / name
        path.write_text(json.dumps({"tasks": whole}))
        return str(path)

    return write


@pytest.fixture
def site() -> Iterator[str]:
    """The address of a server that answers 200, and 500 under /broken."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Site)
    with in_a_thread(server):
        yield f"http://127.0.0.1:{server.server_port}"


class _Site(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(500 if self.path == "/broken" else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Nobody reads this log."""
