"""Runs the collected tests in several processes, forked when all tests are collected: `--processes 4`.

pytest-xdist starts its processes before, so that each of them imports and collects everything: ten seconds of
a processor, more in a fresh clone. A fork has it all at once. What a process must not share is made anew: the
capture of output, and the folder of temporary files.

The parent hands out the tests one by one (`queue_of_tests.py`), and passes on the reports.
"""

import gc
import os
import shutil
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Any

import pytest

from tests.support.costs import Costs, processor_seconds
from tests.support.queue_of_tests import QueueOfTests

FORKS = get_context("fork")
LAST_WORDS_S = 20.0  # what a process may take to end when it has no tests left
GARBAGE = (20_000, 20, 50)  # with Python's 700, 10 and 10, collections take a twentieth of the tests' time
COSTS = pytest.StashKey[Costs]()

# The folder that all processes of this run share; None where one process runs all.
shared_folder: Path | None = None


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the number of processes."""
    parser.getgroup("processes").addoption(
        "--processes", type=int, default=0, metavar="N", help="run the tests in N processes (0: in this one)"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Run the tests in processes where some are asked for; else leave them to pytest."""
    global shared_folder
    option = session.config.option
    if (
        option.processes < 1
        or option.collectonly
        or option.usepdb
        or session.testsfailed
        or not session.items
    ):
        return None
    if option.basetemp:
        raise pytest.UsageError(
            "--basetemp is one folder, and each of --processes needs its own: leave one out"
        )
    session.config.stash[COSTS] = Costs(collecting=time.process_time())
    shared_folder = Path(tempfile.mkdtemp(prefix="cronfire-"))
    try:
        Run(session, shared_folder).run(min(option.processes, len(session.items)))
    finally:
        if not session.testsfailed:  # else somebody may want to look at the files of a test
            shutil.rmtree(shared_folder, ignore_errors=True)
    return True


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the files that cost most, and the folder that was kept."""
    costs = terminalreporter.config.stash.get(COSTS, None)
    if costs is None:
        return
    terminalreporter.section("processor seconds")
    for line in costs.lines():
        terminalreporter.write_line(line)
    if shared_folder is not None and shared_folder.exists():
        terminalreporter.write_line(f"The temporary files of this run are kept: {shared_folder}")


@pytest.hookimpl(tryfirst=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Where other processes ran the tests, none of them has left garbage here for pytest to look for."""
    if COSTS in config.stash:
        gc.freeze()


@dataclass(eq=False)
class Worker:
    """A process and its tests, at most two: pytest tears down what the next one does not need."""

    connection: Connection
    process: ForkProcess
    number: int
    tests: deque[int] = field(default_factory=deque)
    has_last: bool = False


class Run:
    """One run of the collected tests, as the parent sees it."""

    def __init__(self, session: pytest.Session, folder: Path) -> None:
        self.session = session
        self.folder = folder
        self.queue = QueueOfTests(session.items)
        self.workers: list[Worker] = []
        self.started = 0
        self.finished = 0

    def run(self, count: int) -> None:
        """Run all tests, or those that were begun when the session asks to stop."""
        _make_tables()
        try:
            for _ in range(count):
                self._start()
            while self.workers:
                self._receive()
        finally:
            for worker in self.workers:  # after Ctrl-C, which reaches them as well
                worker.process.join(LAST_WORDS_S)
                worker.process.kill()
        if self.session.shouldfail:
            raise self.session.Failed(self.session.shouldfail)
        if self.session.shouldstop:
            raise self.session.Interrupted(self.session.shouldstop)
        if self.finished != len(self.session.items):
            raise RuntimeError(f"{self.finished} of {len(self.session.items)} tests were run")

    def _start(self) -> None:
        here, there = FORKS.Pipe()
        # Who inherits the parent's end of a pipe keeps it open: its reader misses the parent's death.
        parents = [here, *(worker.connection for worker in self.workers)]
        arguments = (self.session, there, parents, self.folder / str(self.started))
        process = FORKS.Process(target=_work, args=arguments)
        process.start()
        there.close()
        worker = Worker(here, process, self.started)
        self.started += 1
        self.workers.append(worker)
        self._give(worker)
        self._give(worker)

    def _give(self, worker: Worker) -> None:
        """Send one more test, or that there is none."""
        if worker.has_last:
            return
        stops = self.session.shouldfail or self.session.shouldstop
        test = None if stops else self.queue.take(worker.number)
        if test is None:
            worker.has_last = True
        else:
            worker.tests.append(test)
        with suppress(OSError):  # it is gone: `_receive` sees that
            worker.connection.send(test)

    def _receive(self) -> None:
        """Wait until a test is finished or a process has ended."""
        ready = wait([end for worker in self.workers for end in (worker.connection, worker.process.sentinel)])
        for worker in list(self.workers):
            if worker.connection in ready or worker.process.sentinel in ready:
                result = _received(worker.connection)
                if result is None:
                    self._end(worker)
                else:
                    self._finish(worker, *result)

    def _finish(self, worker: Worker, reports: list[dict[str, Any]], seconds: float) -> None:
        """Pass on what a test came to; the next one is sent before that, so that nobody waits."""
        item = self.session.items[worker.tests.popleft()]
        self._give(worker)
        hook = self.session.config.hook
        for data in reports:
            item.ihook.pytest_runtest_logreport(
                report=hook.pytest_report_from_serializable(config=self.session.config, data=data)
            )
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        self.session.config.stash[COSTS].add(item, seconds)
        self.finished += 1

    def _end(self, worker: Worker) -> None:
        """Forget a process that has ended. If it died of a test, that has failed, and another goes on."""
        worker.process.join(LAST_WORDS_S)
        worker.connection.close()
        self.workers.remove(worker)
        if not worker.tests:
            return
        item = self.session.items[worker.tests.popleft()]
        text = f"the process that ran this test died (exit code {worker.process.exitcode})"
        report = pytest.TestReport(item.nodeid, item.location, {}, "failed", text, "call")
        item.ihook.pytest_runtest_logreport(report=report)
        self.finished += 1
        self.queue.put_back(worker.tests)
        self._start()


def _make_tables() -> None:
    """Have Hypothesis make its tables of characters, a second's work, before each process makes them."""
    if "hypothesis" in sys.modules:
        sys.modules["hypothesis"].strategies.text().validate()


def _received(connection: Connection) -> tuple[list[dict[str, Any]], float] | None:
    """What a finished test came to; None when its process has ended."""
    try:
        received: tuple[list[dict[str, Any]], float] = connection.recv()
    except (EOFError, OSError):
        return None
    return received


def _work(session: pytest.Session, connection: Connection, of_parent: list[Connection], folder: Path) -> None:
    """Run, in a process of its own, the tests whose numbers come in, until None does."""
    for inherited in of_parent:
        inherited.close()
    _part_from_parent(session.config, folder)
    gc.freeze()  # what was collected lives as long as the run: it is not searched for garbage again and again
    gc.set_threshold(*GARBAGE)
    reports: list[Any] = []
    session.config.pluginmanager.register(_Collector(reports.append))
    try:
        _work_on(session, connection, reports)
    except (EOFError, KeyboardInterrupt):  # the parent is gone, or stops: fixtures end what they started
        session.config.hook.pytest_sessionfinish(session=session, exitstatus=pytest.ExitCode.INTERRUPTED)


def _work_on(session: pytest.Session, connection: Connection, reports: list[Any]) -> None:
    config = session.config
    number = connection.recv()
    while number is not None:
        following = connection.recv()
        item, next_item = session.items[number], None if following is None else session.items[following]
        before = processor_seconds()
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=next_item)
        seconds = processor_seconds() - before
        sent = [config.hook.pytest_report_to_serializable(config=config, report=report) for report in reports]
        connection.send((sent, seconds))
        reports.clear()
        number = following


def _part_from_parent(config: pytest.Config, folder: Path) -> None:
    """Make anew what a fork shares with its parent and must not: temporary files, and captured output."""
    folder.mkdir()
    os.environ["PYTEST_DEBUG_TEMPROOT"] = str(folder)
    capture = config.pluginmanager.getplugin("capturemanager")
    capture.stop_global_capturing()
    with Path(os.devnull).open("w") as nowhere:  # progress is shown by the parent
        os.dup2(nowhere.fileno(), 1)
    capture.start_global_capturing()
    capture.suspend_global_capture()


class _Collector:
    """Keeps the reports of a test until it is finished."""

    def __init__(self, keep: Callable[[pytest.TestReport], None]) -> None:
        self.keep = keep

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.keep(report)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_teardown(self, nextitem: pytest.Item | None) -> None:
        """Before a process ends, what was left open by its tests is found."""
        if nextitem is None:
            gc.collect()
