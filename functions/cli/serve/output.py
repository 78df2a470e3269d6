"""What `serve` writes: lines to the screen or to a log file; a full disk stops no task."""

import errno
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, tzinfo
from logging.handlers import RotatingFileHandler
from pathlib import Path

from functions.cli.console import OutputError, replace_unprintable
from functions.errors import InputError

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Output:
    """The lines of `serve`. A full disk loses some and stops no task; a reader that has gone stops all.

    Args:
        write_line: Raises OutputError or BrokenPipeError where it cannot write.
        stop: Stops the service.

    Attributes:
        problem: What stopped the service; None while nothing did.
    """

    def __init__(self, write_line: Callable[[str], None], *, stop: Callable[[], None]) -> None:
        self._write_line = write_line
        self._stop_service = stop
        self.problem: OutputError | None = None

    def write_line(self, text: str) -> None:
        """Write one line where that is possible."""
        try:
            self._write_line(text)
        except BrokenPipeError as exc:
            self._stop(OutputError.of(exc))
        except OutputError as exc:
            if not (isinstance(exc.__cause__, OSError) and exc.__cause__.errno in NO_ROOM):
                self._stop(exc)

    def _stop(self, problem: OutputError) -> None:
        self.problem = problem
        self._stop_service()


# The log file, rotated when it is full.

MAX_LOG_BYTES = 10_000_000
LOG_BACKUPS = 5  # rotated files: FILE.1, the newest, to FILE.5


class LogFile:
    """Lines with their time, in a file of at most MAX_LOG_BYTES.

    Args:
        zone: Of the times, as in the server's own lines, which have one as well.

    Raises:
        InputError: The file cannot be opened for writing.
    """

    def __init__(self, path: Path, *, zone: tzinfo = UTC, max_bytes: int = MAX_LOG_BYTES) -> None:
        self._path = path
        self._zone = zone
        self._max_bytes = max_bytes
        self._handler = self._open()

    def write_line(self, text: str) -> None:
        """Write one line."""
        record = logging.LogRecord("serve", logging.INFO, "", 0, replace_unprintable(text), None, None)
        self._handler.handle(record)

    def reopen(self) -> None:
        """Reopen the file: another program, such as logrotate, may have moved it.

        Raises:
            InputError: It cannot be opened; lines go on to where they went.
        """
        before, self._handler = self._handler, self._open()
        before.close()

    def close(self) -> None:
        """Close the file."""
        self._handler.close()

    def _open(self) -> RotatingFileHandler:
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _create_private(self._path)
            handler = _LogHandler(
                self._path, maxBytes=self._max_bytes, backupCount=LOG_BACKUPS, encoding="utf-8"
            )
        except OSError as exc:
            raise InputError(f"--log: {self._path} cannot be written ({exc.strerror})") from None
        handler.rotator = _rotate
        formatter = logging.Formatter("%(asctime)s  %(message)s")
        formatter.converter = lambda seconds: datetime.fromtimestamp(seconds or 0, self._zone).timetuple()
        handler.setFormatter(formatter)
        return handler


class _LogHandler(RotatingFileHandler):
    """Writes on where it cannot rotate, as in a folder where its user may create no file."""

    def doRollover(self) -> None:  # noqa: N802  # the handler's own interface
        """Rotate the file, if that is possible."""
        with suppress(OSError):
            super().doRollover()


def _create_private(path: str | Path) -> None:
    """Create the file, readable by its owner only; the mode of one that exists is its user's matter."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))


def _rotate(source: str, dest: str) -> None:
    if os.path.exists(source):  # noqa: PTH110  # the handler's own interface has names
        os.rename(source, dest)  # noqa: PTH104
    _create_private(source)
