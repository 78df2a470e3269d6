"""`serve` as a daemon: task files watched, its state told, its log put aside, signals heeded, two at once."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from functions.cli.serve.output import LOG_BACKUPS, LogFile
from functions.cli.serve.workers import StatusLine
from functions.domain.run import Run
from functions.domain.storage import ConditionalWrite, RunBatch
from functions.domain.task import Task
from functions.domain.types import OutcomeKind
from functions.errors import InputError
from functions.stores.sqlite.store import SqliteStore
from tests.support.clock import Clock
from tests.unit.cli.conftest import Scheduler, WriteTasks

ROOT = Path(__file__).parents[3]
SECRET = "a-secret-of-at-least-thirty-two-characters"
WITHIN_S = 30.0
ENDS_WITHIN_S = 8.0
ENDS_ATTEMPTS_WITHIN_S = 12.0

Serve = Callable[..., "Daemon"]


class Daemon:
    """`serve` in a process group of its own, with its log in a file."""

    def __init__(self, process: "subprocess.Popen[str]", log: Path) -> None:
        self.process = process
        self.log = log

    def said(self) -> str:
        return self.log.read_text() if self.log.exists() else ""

    def until(self, text: str, *, times: int = 1) -> str:
        """What was said, once *text* was said *times*."""
        by = time.monotonic() + WITHIN_S
        while self.said().count(text) < times:
            if self.process.poll() is not None or time.monotonic() > by:
                raise AssertionError(f"{text!r} was not said {times} times: {self.said()}")
            with suppress(subprocess.TimeoutExpired):  # a look each tenth of a second, and sooner at its end
                self.process.wait(0.1)
        return self.said()

    def end(self, number: signal.Signals = signal.SIGTERM, *, within_s: float = ENDS_WITHIN_S) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(within_s)


@pytest.fixture
def serve(environment: dict[str, str], tmp_path: Path) -> Iterator[Serve]:
    """Start `serve`; all are ended."""
    started: list[Daemon] = []

    def start(*words: str) -> Daemon:
        log = tmp_path / f"serve{len(started)}.log"
        command = [
            sys.executable,
            "-P",
            "-m",
            "functions.cli",
            "serve",
            "--port",
            "0",
            "--log",
            str(log),
        ]
        more = {"CRON_SECRET": SECRET, "PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]}
        process = subprocess.Popen(
            [*command, *words],
            env=environment | more,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        started.append(Daemon(process, log))
        return started[-1]

    yield start
    for daemon in started:
        daemon.end()
        daemon.process.communicate(timeout=ENDS_WITHIN_S)


def test_task_files_are_applied_and_applied_again_when_they_change(
    serve: Serve, write_tasks: WriteTasks, scheduler: Scheduler
) -> None:
    path = write_tasks({"id": "one"})
    daemon = serve("--tasks", path)
    daemon.until("tasks: 1 created, 0 updated, 0 removed, 0 unchanged")
    daemon.until("Cronfire answers on")

    write_tasks({"id": "one", "title": "Another"}, {"id": "two"})
    daemon.until("tasks: 1 created, 1 updated, 0 removed, 0 unchanged")
    Path(path).write_text('{"tasks": [{"id": "three"}]}')
    daemon.until("nothing was changed; fix this and save")

    assert "three" not in scheduler("list").out
    assert {"one", "two"} == {task["id"] for task in scheduler("list", "--json").data}
    assert 0 == daemon.end()
    assert daemon.said().endswith("Stopped.\n")


def test_faults_at_the_start_are_told_and_nothing_is_served(tmp_path: Path, scheduler: Scheduler) -> None:
    file = tmp_path / "tasks.json"
    file.write_text('{"tasks": [{"id": "one", "title": "One", "type": "http"}]}')

    said = scheduler("serve", "--port", "0", "--tasks", str(file), CRON_SECRET=SECRET)

    assert 2 == said.code
    assert "schedule: is required" in said.err


def test_a_fault_at_a_later_start_stops_no_task_of_the_store(
    serve: Serve, write_tasks: WriteTasks, scheduler: Scheduler
) -> None:
    """A file that was broken while it ran kept the service from starting again, and with it every task."""
    path = write_tasks({"id": "one"})
    scheduler("apply", path)
    Path(path).write_text('{"tasks": [')

    daemon = serve("--tasks", path)
    said = daemon.until("Cronfire answers on")

    assert f"tasks: {path}:1: this is not JSON" in said
    assert "nothing was changed; fix this and save" in said
    assert ["one"] == [task["id"] for task in scheduler("list", "--json").data]
    write_tasks({"id": "one"}, {"id": "two"})
    daemon.until("tasks: 1 created, 0 updated, 0 removed, 1 unchanged")


def test_hup_applies_again_and_opens_the_log_anew(serve: Serve, write_tasks: WriteTasks) -> None:
    daemon = serve("--tasks", write_tasks({"id": "one"}))
    daemon.until("Cronfire answers on")
    aside = daemon.log.with_suffix(".aside")
    daemon.log.rename(aside)

    daemon.process.send_signal(signal.SIGHUP)
    said = daemon.until("tasks: 0 created, 0 updated, 0 removed, 1 unchanged")

    assert "Cronfire answers on" in aside.read_text()
    assert "Cronfire answers on" not in said
    assert daemon.process.poll() is None


def test_it_ticks_as_often_as_it_is_told_and_tells_its_state(serve: Serve) -> None:
    daemon = serve("--every", "5", "--status-every", "1")

    daemon.until("nothing runs or waits; 0 done and 0 failed today, up 0 min")
    said = daemon.until("0 due;", times=2)

    assert "a tick every 5 s" in said


def finished(scheduler: Scheduler) -> list[dict[str, Any]]:
    return [run for run in scheduler("runs", "--json").data if run["state"] == "finished"]


def test_two_on_one_store_run_each_occurrence_once(
    serve: Serve, write_tasks: WriteTasks, scheduler: Scheduler, site: str
) -> None:
    tasks = [{"id": f"t{n}", "params": {"url": site}} for n in range(8)]
    scheduler("apply", write_tasks(*tasks))
    daemons = [serve("--every", "5", "--status-every", "0") for _ in range(2)]
    for daemon in daemons:
        daemon.until("Cronfire answers on")

    for task in tasks:
        scheduler("run", str(task["id"]))
    by = time.monotonic() + WITHIN_S
    while len(runs := finished(scheduler)) < len(tasks):
        assert time.monotonic() < by, runs
        with suppress(subprocess.TimeoutExpired):
            daemons[0].process.wait(0.2)

    assert {f"t{n}": 1 for n in range(8)} == Counter(run["taskId"] for run in runs)
    assert {"succeeded"} == {run["outcome"] for run in runs}
    assert [0, 0] == [daemon.end() for daemon in daemons]


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.parametrize(
    ("number", "script"),
    [(signal.SIGINT, "exec sleep 1000"), (signal.SIGTERM, "trap '' TERM; sleep 1000")],
    ids=["plain", "stubborn"],
)
def test_a_program_that_runs_when_serve_stops_is_ended_and_its_attempt_recorded(
    serve: Serve,
    environment: dict[str, str],
    write_tasks: WriteTasks,
    scheduler: Scheduler,
    tmp_path: Path,
    number: signal.Signals,
    script: str,
) -> None:
    """Left behind, it would go on beside the attempt that follows once the claim has expired."""
    file = tmp_path / "a.pid"
    environment["ALLOW_COMMANDS"] = "1"
    params = {"command": f"echo $$ > {file}; {script}", "shell": True}
    scheduler(
        "apply", write_tasks({"id": "long", "type": "command", "params": params, "timeoutSeconds": 600})
    )
    scheduler("run", "long")
    daemon = serve()
    by = time.monotonic() + WITHIN_S
    while not (file.exists() and file.read_text().endswith("\n")):
        assert time.monotonic() < by, daemon.said()
        with suppress(subprocess.TimeoutExpired):
            daemon.process.wait(0.1)

    code = daemon.end(number, within_s=ENDS_ATTEMPTS_WITHIN_S)

    with pytest.raises(ProcessLookupError):
        os.kill(int(file.read_text()), 0)
    assert ["abandoned"] == [run["outcome"] for run in finished(scheduler)]
    assert 0 == code


# -- the log -----------------------------------------------------------------------------------------------


def test_a_full_log_is_put_aside_and_the_oldest_goes(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "logs" / "serve.log", max_bytes=2000)

    for number in range(500):
        log.write_line(f"line {number}")
    log.close()

    files = sorted((tmp_path / "logs").iterdir())
    assert LOG_BACKUPS + 1 == len(files)
    assert all(file.stat().st_size <= 2000 for file in files)
    assert "line 499" in files[0].read_text()


def test_a_log_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(InputError, match=r"--log: .*cannot be written"):
        LogFile(tmp_path / "file" / "serve.log")


# -- the state ---------------------------------------------------------------------------------------------


def run_of(task: str, at: datetime, kind: OutcomeKind = OutcomeKind.SUCCEEDED, *, final: bool = True) -> Run:
    times = {"occurrence": at, "started_at": at, "finished_at": at}
    return Run(task_id=task, attempt=1, token="a.1", outcome=kind, final=final, **times)


async def test_today_is_counted_whoever_ran_it_and_tomorrow_begins_anew(tmp_path: Path) -> None:
    store, clock = SqliteStore(str(tmp_path / "live.db")), Clock()
    live = StatusLine(store, clock=clock, zone=UTC)

    async def kept(name: str, *runs: Run) -> None:
        await store.write_with_runs(RunBatch(f"{name}.1", clock.now, runs), [])

    yesterday = clock.now - timedelta(hours=13)
    no = OutcomeKind.FAILED
    await kept("a", run_of("old", yesterday), run_of("t1", clock.now), run_of("t2", clock.now, no))
    await kept("b", run_of("t3", clock.now, no, final=False))
    first = await live.render()
    clock.now += timedelta(hours=2, minutes=5)
    late = clock.now - timedelta(seconds=30)
    await kept("c", run_of("t4", clock.now))
    second = await live.render()
    await kept("d", run_of("t5", late))  # another process, slower to write
    third = await live.render()
    clock.now += timedelta(days=1)
    last = await live.render()
    await store.close()

    assert "nothing runs or waits; 1 done and 1 failed today, up 0 min" == first
    assert "nothing runs or waits; 2 done and 1 failed today, up 2 h 5 min" == second
    assert "3 done and 1 failed" in third
    assert "0 done and 0 failed today, up 1 d 2 h" in last


async def test_what_runs_retries_and_waits_is_named(tmp_path: Path, make_task: Callable[..., Task]) -> None:
    store, clock = SqliteStore(str(tmp_path / "live.db")), Clock()
    begun = {"occurrence": clock.now, "attempt": 1}
    tasks = [make_task(f"due{n}", next_occurrence=clock.now, next_run_at=clock.now) for n in range(7)]
    tasks += [make_task("backup", status="running", **begun), make_task("feed", status="retrying", **begun)]
    await store.write([ConditionalWrite(task, None) for task in tasks])

    line = await StatusLine(store, clock=clock, zone=UTC).render()
    await store.close()

    assert line.startswith(
        "1 running (backup), 1 retrying (feed), 7 queued (due0, due1, due2, due3, due4 and 2 more); 0 done"
    )
