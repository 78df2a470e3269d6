"""What `serve` writes while a disk is full, a file cannot be opened, or nobody reads."""

import asyncio
import errno
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import cast
from zoneinfo import ZoneInfo

import pytest

from functions.cli.console import OutputError
from functions.cli.serve import command
from functions.cli.serve.output import LOG_BACKUPS, LogFile, Output
from functions.cli.serve.workers import WatchedFiles
from functions.errors import InputError


class Stream:
    """Takes lines, except while it has *error*."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.error: OSError | None = None

    def write_line(self, text: str) -> None:
        if isinstance(self.error, BrokenPipeError):
            raise self.error
        if self.error is not None:
            raise OutputError.of(self.error) from self.error
        self.lines.append(text)


def test_lines_go_on_when_a_full_disk_has_room_again() -> None:
    stream, stopped = Stream(), asyncio.Event()
    output = Output(stream.write_line, stop=stopped.set)

    stream.error = OSError(errno.ENOSPC, "No space left on device")
    output.write_line("lost")
    stream.error = None
    output.write_line("kept")

    assert ["kept"] == stream.lines
    assert (None, False) == (output.problem, stopped.is_set())


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), "the output cannot be written: Broken pipe"),
        (OSError(errno.EIO, "Input/output error"), "the output cannot be written: Input/output error"),
    ],
    ids=["pipe", "terminal"],
)
def test_a_reader_that_has_gone_stops_the_service_with_a_reason(error: OSError, reason: str) -> None:
    stream, stopped = Stream(), asyncio.Event()
    output = Output(stream.write_line, stop=stopped.set)

    stream.error = error
    output.write_line("nobody reads this")

    assert stopped.is_set()
    assert reason == str(output.problem)


def test_a_log_that_cannot_be_rotated_goes_on(tmp_path: Path) -> None:
    (tmp_path / f"serve.log.{LOG_BACKUPS}" / "in-the-way").mkdir(parents=True)
    (tmp_path / f"serve.log.{LOG_BACKUPS - 1}").touch()  # which becomes the last
    log = LogFile(tmp_path / "serve.log", max_bytes=200)

    for number in range(20):
        log.write_line(f"line {number}")
    log.close()

    assert 20 == len((tmp_path / "serve.log").read_text().splitlines())


def test_the_times_of_a_log_are_in_the_zone_that_tasks_have_by_default(tmp_path: Path) -> None:
    """The server's own lines in it have a time in that zone, whatever the machine's is."""
    far_east = ZoneInfo("Pacific/Kiritimati")  # 14 hours ahead: on no machine's clock by chance
    log = LogFile(tmp_path / "serve.log", zone=far_east)
    before = datetime.now(far_east)

    log.write_line("a line")
    log.close()

    stamp, _, text = (tmp_path / "serve.log").read_text().partition("  ")
    written = datetime.fromisoformat(stamp).replace(tzinfo=far_east)
    assert "a line\n" == text
    assert timedelta(seconds=-1) < written - before < timedelta(minutes=5)


async def test_a_signal_to_reload_ends_nothing_when_the_log_cannot_be_opened(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "logs" / "serve.log")
    (tmp_path / "logs").rename(tmp_path / "older")
    (tmp_path / "logs").write_text("no folder")
    signals = SimpleNamespace(reload=asyncio.Event())
    was_said = asyncio.Event()

    def write_line(text: str) -> None:
        log.write_line(text)
        was_said.set()

    files = cast("WatchedFiles", ())  # none is watched
    watching = asyncio.create_task(
        command._watch_files(files, cast("command._Signals", signals), log, write_line)
    )
    signals.reload.set()
    await asyncio.wait({watching, asyncio.create_task(was_said.wait())}, return_when=asyncio.FIRST_COMPLETED)

    assert not watching.done()
    watching.cancel()
    written = (tmp_path / "older" / "serve.log").read_text()
    assert "logs/serve.log cannot be written (" in written
    with pytest.raises(InputError, match="cannot be written"):
        log.reopen()
    log.close()
