"""The loops of `serve`: watched files are seen to change, and each ping gets one line."""

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest

from functions.cli.console import Screen
from functions.cli.serve import command
from functions.cli.serve.command import server_environment
from functions.cli.serve.workers import TriggerLoop, WatchedFiles
from functions.cli.session import CliContext
from functions.domain.storage import ConditionalWrite, RunBatch, WriteResult, WriteStatus
from functions.errors import ConflictError, InputError, StoreUnavailableError
from functions.stores.sqlite.store import SqliteStore
from tests.support.serving import in_a_thread

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


class Answers:
    """A server that gives one answer and keeps what it was asked."""

    def __init__(self) -> None:
        self.status, self.body = 200, b"{}"
        self.asked: list[tuple[str, str, str]] = []
        self.holds: list[Event] = []  # what the first requests wait for
        answers = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                answers.asked.append((self.command, self.path, self.headers["Authorization"]))
                if answers.holds:
                    answers.holds.pop().wait(30)
                self.send_response(answers.status)
                self.send_header("Content-Length", str(len(answers.body)))
                self.end_headers()
                self.wfile.write(answers.body)

            do_GET = do_POST = answer  # noqa: N815  # names of the library

            def log_message(self, *_: Any) -> None:
                """Nobody reads this log."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def pinger(self) -> TriggerLoop:
        return TriggerLoop(f"http://127.0.0.1:{self.server.server_port}", secret="s3cret", clock=lambda: NOON)


@pytest.fixture
def answers() -> Iterator[Answers]:
    answers = Answers()
    with in_a_thread(answers.server):
        yield answers


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
    pinger = TriggerLoop("http://127.0.0.1:1", secret="s3cret", clock=lambda: NOON)

    assert "no response (the connection was refused)" == await pinger.trigger_tick()


async def test_a_proxy_of_the_environment_is_not_used(
    answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be sent the secret."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    answers.body = b'{"status": "ok", "due": 0}'

    assert "0 due; 0.00 s" == await answers.pinger().trigger_tick()


async def test_a_tick_that_lasts_holds_up_no_other(answers: Answers) -> None:
    """A job of a quarter of an hour runs in one tick, and those of each minute in the others."""
    answers.body = b'{"status": "ok", "due": 0}'
    answers.holds.append(Event())
    first = answers.holds[0]
    lines: asyncio.Queue[str] = asyncio.Queue()
    loop = answers.pinger().run_forever(interval_s=0.01, write_line=lines.put_nowait)
    running = asyncio.create_task(loop)

    async with asyncio.timeout(20):
        said = [await lines.get() for _ in range(2)]
    begun = len(answers.asked)
    first.set()
    running.cancel()

    assert ["0 due; 0.00 s"] * 2 == said
    assert 3 <= begun


def test_a_server_that_nobody_waits_for_has_no_end_of_a_tick() -> None:
    assert "3300" == server_environment({})["TICK_BUDGET_SECONDS"]
    assert "3300" == server_environment({"TICK_BUDGET_SECONDS": "24"})["TICK_BUDGET_SECONDS"]


async def test_waiting_ends_when_the_server_answers(answers: Answers) -> None:
    await answers.pinger().wait_until_ready()

    assert "/healthz" == answers.asked[0][1]


# -- watched files ---------------------------------------------------------------------------------------


def seen_to_change(files: WatchedFiles) -> bool:
    """Whether the second of two looks finds a change."""
    files.has_settled()
    return files.has_settled()


TASK = "{id: a, title: %s, type: http, schedule: daily, params: {url: 'http://a.example'}}"


@pytest.fixture
async def context(tmp_path: Path) -> AsyncIterator[CliContext]:
    context = CliContext({"STORE_URL": f"sqlite:///{tmp_path}/watch.db"}, Screen(StringIO(), StringIO()))
    yield context
    await context.close()


def replace_file(file: Path, text: str) -> None:
    """Save as most editors do: a new file takes the name of the old one."""
    new = file.with_name("new.tmp")
    new.write_text(text)
    new.replace(file)


def restore_folder(file: Path) -> None:
    """What changing a branch does to a folder."""
    shutil.rmtree(file.parent)
    file.parent.mkdir()
    file.write_text(TASK % "Restored")


@pytest.mark.parametrize("watched", ["file", "folder"])
@pytest.mark.parametrize(
    "change",
    [
        lambda file: file.write_text(TASK % "Longer"),
        lambda file: replace_file(file, TASK % "Longer"),
        lambda file: file.unlink(),
        restore_folder,
    ],
    ids=["saved", "replaced", "removed", "restored"],
)
async def test_a_changed_file_is_seen_each_time(
    context: CliContext, tmp_path: Path, watched: str, change: Callable[[Path], None]
) -> None:
    file = tmp_path / "tasks" / "a.yaml"
    file.parent.mkdir()
    files = WatchedFiles(context, [file if watched == "file" else file.parent])

    for _ in range(2):
        file.write_text(TASK % "A")
        await files.apply()
        before = seen_to_change(files)
        change(file)

        assert (False, True) == (before, seen_to_change(files))


async def test_a_file_that_is_still_being_written_is_left_alone(context: CliContext, tmp_path: Path) -> None:
    """As by a program that prints tasks one by one, or git, which writes one file after the other."""
    file = tmp_path / "a.yaml"
    file.write_text(TASK % "A")
    files = WatchedFiles(context, [file])
    await files.apply()
    looks = []
    for number in range(1, 4):
        file.write_text(TASK % ("A" * number))
        os.utime(file, (number, number))
        looks.append(files.has_settled())

    assert [False, False, False, True] == [*looks, files.has_settled()]


async def test_a_calendar_of_a_file_is_kept(context: CliContext, tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    task = (TASK % "A").replace("daily,", "daily, except: ['calendar:company'],")
    file.write_text(f"calendars: {{company: [12-24]}}\ntasks: [{task}]")

    assert "2 created" in await WatchedFiles(context, [file]).apply()


class RefusingStore(SqliteStore):
    """Has the tasks of another writer, who is always faster."""

    async def write_with_runs(
        self, _: RunBatch | None, writes: Sequence[ConditionalWrite]
    ) -> list[WriteResult]:
        return [WriteResult(WriteStatus.CONFLICT)] * len(writes)


async def test_what_another_writer_prevented_is_applied_in_the_next_round(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(TASK % "A")
    context = CliContext({"STORE_URL": f"sqlite:///{tmp_path}/watch.db"}, Screen(StringIO(), StringIO()))
    context.app.store = RefusingStore(str(tmp_path / "watch.db"))
    files = WatchedFiles(context, [file])

    with pytest.raises(ConflictError, match="a: changed by another writer meanwhile"):
        await files.apply()
    await context.close()

    assert seen_to_change(files)


class Outage(SqliteStore):
    """Does not answer the first writes."""

    left = 3

    async def write_with_runs(
        self, batch: RunBatch | None, writes: Sequence[ConditionalWrite]
    ) -> list[WriteResult]:
        self.left -= 1
        if self.left >= 0:
            raise StoreUnavailableError("The store does not answer")
        return await super().write_with_runs(batch, writes)


async def test_files_saved_while_the_store_is_down_are_applied_when_it_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "WATCH_INTERVAL_S", 0.01)
    (tmp_path / "a.yaml").write_text(TASK % "A")
    context = CliContext({"STORE_URL": f"sqlite:///{tmp_path}/watch.db"}, Screen(StringIO(), StringIO()))
    context.app.store = Outage(str(tmp_path / "watch.db"))
    lines: asyncio.Queue[str] = asyncio.Queue()
    files = WatchedFiles(context, [tmp_path / "a.yaml"])
    signals: Any = SimpleNamespace(reload=asyncio.Event())
    watching = asyncio.create_task(command._watch_files(files, signals, None, lines.put_nowait))
    said = [await asyncio.wait_for(lines.get(), 30) for _ in range(2)]
    watching.cancel()
    await asyncio.wait([watching])
    await context.close()

    assert ["tasks: The store does not answer; they are applied when it answers"] == said[:1]
    assert "1 created" in said[1]


async def test_two_saves_within_a_second_are_both_seen(context: CliContext, tmp_path: Path) -> None:
    """Some file systems and libraries count whole seconds; a formatter saves sooner than that."""
    file = tmp_path / "a.yaml"
    file.write_text(TASK % "A")
    files = WatchedFiles(context, [file])
    await files.apply()
    os.utime(file, ns=(0, file.stat().st_mtime_ns + 1))

    assert seen_to_change(files)


async def test_a_file_behind_a_moved_link_has_changed(context: CliContext, tmp_path: Path) -> None:
    """Kubernetes mounts a config map as links to a folder that is exchanged as a whole."""
    for version in ("old", "newer"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "a.yaml").write_text(TASK % version)
    (tmp_path / "data").symlink_to("old")
    (tmp_path / "mount").mkdir()
    (tmp_path / "mount" / "a.yaml").symlink_to("../data/a.yaml")
    files = WatchedFiles(context, [tmp_path / "mount"])
    await files.apply()
    (tmp_path / "next").symlink_to("newer")
    (tmp_path / "next").replace(tmp_path / "data")

    assert seen_to_change(files)


async def test_a_link_to_nothing_is_seen_and_named(context: CliContext, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(TASK % "A")
    files = WatchedFiles(context, [tmp_path])
    await files.apply()
    (tmp_path / "b.yaml").symlink_to("nowhere.yaml")

    assert seen_to_change(files)
    with pytest.raises(InputError, match=r"b\.yaml: is a link to nothing"):
        await files.apply()
    assert not seen_to_change(files)


async def test_a_file_of_another_kind_is_not_watched(context: CliContext, tmp_path: Path) -> None:
    """The store may lie beside the tasks, and changes with each tick."""
    (tmp_path / "a.yaml").write_text(TASK % "A")
    files = WatchedFiles(context, [tmp_path])
    await files.apply()
    (tmp_path / "notes.txt").write_text("x")

    assert not seen_to_change(files)
