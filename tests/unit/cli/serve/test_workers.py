"""The local pinger says in one line what came of each ping, whatever came of it."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from functions.cli.serve.workers import TriggerLoop

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


class Answers:
    """A server that gives one answer and keeps what it was asked."""

    def __init__(self) -> None:
        self.status, self.body = 200, b"{}"
        self.asked: list[tuple[str, str, str]] = []
        answers = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                answers.asked.append((self.command, self.path, self.headers["Authorization"]))
                self.send_response(answers.status)
                self.send_header("Content-Length", str(len(answers.body)))
                self.end_headers()
                self.wfile.write(answers.body)

            do_GET = do_POST = answer  # noqa: N815  # names of the library

            def log_message(self, *_: Any) -> None:
                """Nobody reads this log."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def pinger(self) -> TriggerLoop:
        return TriggerLoop("127.0.0.1", self.server.server_port, secret="s3cret", clock=lambda: NOON)


@pytest.fixture
def answers() -> Iterator[Answers]:
    answers = Answers()
    thread = Thread(target=answers.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()

    yield answers

    answers.server.shutdown()
    thread.join()
    answers.server.server_close()


async def test_a_ping_is_a_post_with_the_secret(answers: Answers) -> None:
    await answers.pinger().trigger_tick()

    assert [("POST", "/tick", "Bearer s3cret")] == answers.asked


async def test_a_report_is_told_without_its_zeros(answers: Answers) -> None:
    report = {
        "status": "ok",
        "due": 3,
        "started": 3,
        "succeeded": 2,
        "failed": 1,
        "postponed": 0,
        "durationMs": 214,
    }
    answers.body = json.dumps(report).encode()

    assert "3 due, 3 started, 2 succeeded, 1 failed; 0.21 s" == await answers.pinger().trigger_tick()


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (401, b'{"error": "no"}', 'HTTP 401: {"error": "no"}'),
        (200, b'{"status": "degraded"}', 'HTTP 200: {"status": "degraded"}'),
        (502, b"<html>", "HTTP 502: {}"),
        (200, b"[1]", "HTTP 200: {}"),
    ],
)
async def test_what_is_no_report_is_shown_as_it_came(
    answers: Answers, status: int, body: bytes, expected: str
) -> None:
    answers.status, answers.body = status, body

    assert expected == await answers.pinger().trigger_tick()


async def test_no_answer_is_told_and_not_raised(answers: Answers) -> None:
    pinger = TriggerLoop("127.0.0.1", 1, secret="s3cret", clock=lambda: NOON)

    assert "no response (ConnectionRefusedError)" == await pinger.trigger_tick()


async def test_a_proxy_of_the_environment_is_not_used(
    answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be sent the secret."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    answers.body = b'{"status": "ok", "due": 0}'

    assert "0 due; 0.00 s" == await answers.pinger().trigger_tick()


async def test_waiting_ends_when_the_server_answers(answers: Answers) -> None:
    await answers.pinger().wait_until_ready()

    assert "/healthz" == answers.asked[0][1]
