"""A log file that does not grow for ever: full, it is put aside under a number, and the oldest goes."""

import logging
from logging.handlers import RotatingFileHandler
from pathlib import Path

from functions.commands.screen import plain
from functions.errors import InputError

MOST_BYTES = 10_000_000
KEPT = 5  # files put aside: FILE.1, the newest, to FILE.5


class LogFile:
    """Lines with their time, in a file of at most MOST_BYTES.

    Raises:
        InputError: The file cannot be opened for writing.
    """

    def __init__(self, path: Path, *, most_bytes: int = MOST_BYTES) -> None:
        self._path = path
        self._most_bytes = most_bytes
        self._handler = self._opened()

    def line(self, text: str) -> None:
        """Write one line."""
        record = logging.LogRecord("serve", logging.INFO, "", 0, plain(text), None, None)
        self._handler.handle(record)

    def reopen(self) -> None:
        """Open the file anew: somebody else may have moved it away."""
        self._handler.close()
        self._handler = self._opened()

    def close(self) -> None:
        """Let go of the file."""
        self._handler.close()

    def _opened(self) -> RotatingFileHandler:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            handler = RotatingFileHandler(
                self._path, maxBytes=self._most_bytes, backupCount=KEPT, encoding="utf-8"
            )
        except OSError as exc:
            raise InputError(f"--log: {self._path} cannot be written ({exc.strerror})") from None
        handler.setFormatter(logging.Formatter("%(asctime)s  %(message)s"))
        return handler
