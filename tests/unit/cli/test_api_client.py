"""The command line over an address that is not the API: one line that names the variable, no traceback."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support.serving import in_a_thread
from tests.unit.cli.conftest import Scheduler

ANSWERS = {
    "object": (200, '{"status":"ok"}'),
    "list": (200, '[{"id":"a"}]'),
    "text": (200, '"ok"'),
    "page": (200, "<!doctype html><title>For sale</title>"),
    "newer": (200, '{"tasks":[{"id":"a","title":"A","status":"dreaming"}],"runs":[{}]}'),
    "empty": (200, ""),
    "nothing": (204, ""),
    "moved": (302, ""),
    "elsewhere": (404, '{"detail":"Not Found"}'),
    "limit": (429, '{"title":"Too many requests","detail":"SCHEDULER_URL: wait 3 s"}'),
    "gate": (403, "<html>Your client does not have permission</html>"),
}


class _Host(BaseHTTPRequestHandler):
    """Answers what the first part of the path says, and 400 to a key that it does not know."""

    def do_GET(self) -> None:
        status, body = ANSWERS[self.path.split("/")[1]]
        if self.headers["Authorization"] != "Bearer a-key":
            status, body = 401, '{"title":"Unauthorized","detail":"another key"}'
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/object/api/tasks")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        """Nobody reads this log."""


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Host)
    with in_a_thread(server):
        yield f"http://127.0.0.1:{server.server_port}"


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize(
    "words", [("list",), ("show", "a"), ("runs",), ("status",)], ids=lambda words: words[0]
)
def test_what_is_no_answer_of_ours_is_said_in_a_line(
    scheduler: Scheduler, host: str, answer: str, words: tuple[str, ...]
) -> None:
    said = scheduler(*words, SCHEDULER_URL=f"{host}/{answer}", SCHEDULER_KEY="a-key")

    assert (1, 1) == (said.code, len(said.err.strip().splitlines()))
    assert said.err.startswith("scheduler: SCHEDULER_URL: ")
    assert ("leads to another address (302)" in said.err) == (answer == "moved")
    assert ("Google's access control" in said.err) == (answer == "gate")


def test_a_key_that_the_function_does_not_know_is_named(scheduler: Scheduler, host: str) -> None:
    said = scheduler("list", SCHEDULER_URL=f"{host}/object", SCHEDULER_KEY="another")

    assert (1, True) == (said.code, "SCHEDULER_KEY: the function has no such key" in said.err)


def test_a_key_in_a_file_of_windows_is_the_key(scheduler: Scheduler, host: str, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_bytes(b"\xef\xbb\xbfa-key\r\n")

    said = scheduler("list", SCHEDULER_URL=f"{host}/object", SCHEDULER_KEY_FILE=str(file))

    assert "none that this version knows" in said.err  # it was let in


@pytest.mark.parametrize(
    "content", ["schl\u00fcssel".encode("latin-1"), "schl\u00fcssel".encode(), b"two words"]
)
def test_a_key_that_no_header_carries_is_named(scheduler: Scheduler, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "key"
    file.write_bytes(content)

    said = scheduler("list", SCHEDULER_URL="http://127.0.0.1:9", SCHEDULER_KEY_FILE=str(file))

    assert 2 == said.code
    assert said.err.startswith("scheduler: SCHEDULER_KEY")
    assert "schl" not in said.err


@pytest.mark.parametrize("end", ["?page=1", "/#tasks"])
def test_an_address_with_a_query_is_refused(scheduler: Scheduler, host: str, end: str) -> None:
    """What is asked for would stand in the query, and each address answer alike."""
    said = scheduler("list", SCHEDULER_URL=f"{host}/object{end}", SCHEDULER_KEY="a-key")

    assert (2, True) == (said.code, "without ? and #" in said.err)
