"""`scheduler heartbeat` shows the address, `scheduler ping` calls it, alone or around a program."""

import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from functions.cli import heartbeats
from tests.unit.cli.conftest import Scheduler, WriteTasks

BACKUP = {"id": "backup", "title": "Backup", "type": "heartbeat", "schedule": "0 2 * * *", "params": {}}


class Called:
    """A server that takes calls, and answers each with the next of *statuses*, 200 at the end."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.bodies: list[bytes] = []
        self.statuses: list[int] = []
        called = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                called.paths.append(self.path)
                called.bodies.append(self.rfile.read(int(self.headers.get("content-length", 0))))
                self.send_response(called.statuses.pop(0) if called.statuses else 200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}/ping/backup~1.abc"


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> Iterator[Called]:
    monkeypatch.setattr(heartbeats, "FIRST_WAIT_S", 0.01)
    stand_in = Called()
    thread = Thread(target=stand_in.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield stand_in
    stand_in.server.shutdown()
    stand_in.server.server_close()


def test_the_address_with_lines_to_copy(scheduler: Scheduler, write_tasks: WriteTasks) -> None:
    scheduler("apply", write_tasks(BACKUP))
    shown = scheduler("heartbeat", "backup", PUBLIC_URL="https://cron.example.com/")
    assert shown.code == 0
    address = shown.out.split()[1]
    assert address.startswith("https://cron.example.com/ping/backup~")
    assert f"curl -fsS -m 10 --retry 5 -o /dev/null {address}" in shown.out

    renewed = scheduler("heartbeat", "backup", "--renew", "--json", PUBLIC_URL="https://cron.example.com")
    assert renewed.data["address"] != address
    again = scheduler("heartbeat", "backup", "--json", PUBLIC_URL="https://cron.example.com")
    assert again.data["address"] == renewed.data["address"]


def test_what_is_no_heartbeat_has_no_address(scheduler: Scheduler, write_tasks: WriteTasks) -> None:
    other = {"id": "other", "type": "http", "schedule": "@daily", "params": {"url": "https://example.com"}}
    scheduler("apply", write_tasks(other))
    for words, reason in (
        (["heartbeat", "other"], "no heartbeat"),
        (["heartbeat", "other", "--renew"], "no heartbeat"),
        (["heartbeat", "nobody"], "no task"),
    ):
        refused = scheduler(*words)
        assert refused.code == 1
        assert reason in refused.err


@pytest.mark.parametrize(("option", "path"), [((), ""), (("--start",), "/start"), (("--fail",), "/fail")])
def test_a_call_without_a_command(
    scheduler: Scheduler, called: Called, option: tuple[str, ...], path: str
) -> None:
    assert scheduler("ping", called.address, *option).code == 0
    assert called.paths == [f"/ping/backup~1.abc{path}"]


def test_a_command_is_reported_with_its_exit_code_and_output(
    scheduler: Scheduler, called: Called, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    program = "import sys; print('copied'); print('disk full', file=sys.stderr); sys.exit(3)"
    ended = scheduler("ping", called.address, "--", sys.executable, "-c", program)
    assert ended.code == 3
    out, err = capfdbinary.readouterr()
    assert (out, err) == (b"copied\n", b"disk full\n")
    [start, end] = called.paths
    run = start.partition("?")[2]
    assert start == f"/ping/backup~1.abc/start?{run}"
    assert end == f"/ping/backup~1.abc/3?{run}"
    assert sorted(called.bodies[1].splitlines()) == [b"copied", b"disk full"]


def test_the_end_of_a_long_output_is_sent(scheduler: Scheduler, called: Called) -> None:
    program = "print('x' * 400_000); print('the end')"
    assert scheduler("ping", called.address, "--", sys.executable, "-c", program).code == 0
    assert len(called.bodies[1]) == heartbeats.KEPT_BYTES
    assert called.bodies[1].endswith(b"the end\n")


def test_a_call_that_is_not_taken_leaves_the_exit_code(scheduler: Scheduler, called: Called) -> None:
    called.statuses = [404, 404]
    ended = scheduler("ping", called.address, "--", sys.executable, "-c", "raise SystemExit(5)")
    assert ended.code == 5
    assert "there is no heartbeat at this address (404)" in ended.err
    assert "abc" not in ended.err


def test_calls_are_repeated_while_the_function_is_away(scheduler: Scheduler, called: Called) -> None:
    called.statuses = [503, 429]
    assert scheduler("ping", called.address).code == 0
    assert len(called.paths) == 3
    called.statuses = [503] * 9
    refused = scheduler("ping", called.address)
    assert (refused.code, refused.err) == (1, "scheduler: the call was not taken: answered 503\n")


def test_nobody_at_the_address(scheduler: Scheduler, called: Called) -> None:
    called.server.shutdown()
    called.server.server_close()
    refused = scheduler("ping", called.address)
    assert refused.code == 1
    assert "the call was not taken" in refused.err


def test_a_program_that_is_not_there(scheduler: Scheduler, called: Called) -> None:
    ended = scheduler("ping", called.address, "--", "no-such-program-here")
    assert ended.code == 127
    assert called.paths[1].partition("?")[0].endswith("/127")


def test_a_program_that_is_killed(scheduler: Scheduler, called: Called) -> None:
    program = "import os; os.kill(os.getpid(), 9)"
    assert scheduler("ping", called.address, "--", sys.executable, "-c", program).code == 137


@pytest.mark.parametrize(
    "words",
    [
        ("ping", "backup"),
        ("ping", "https://example.com/"),
        ("ping", "http://x/ping/a", "--start", "--fail"),
        ("ping", "http://x/ping/a", "--start", "--", "true"),
        ("ping",),
    ],
)
def test_wrong_usage(scheduler: Scheduler, words: tuple[str, ...]) -> None:
    assert scheduler(*words).code == 2
