"""The user's own editor: EDITOR on a file that only this user can read."""

import asyncio
import os
import shlex
import tempfile
from collections.abc import Mapping
from pathlib import Path

from functions.errors import SchedulerError, SettingsError

EDITORS = ("VISUAL", "EDITOR")  # variables
DEFAULT_EDITOR = "vi"


class Draft:
    """A text that is being edited, in a file.

    Attributes:
        before: The text as it was at first.
        path: The file; `discard` removes it.
        is_saved: Whether what it says was written.
    """

    def __init__(self, name: str, text: str) -> None:
        handle, path = tempfile.mkstemp(prefix=f"{name}-", suffix=".yaml")
        self.before = text
        self.path = Path(path)
        self.is_saved = False
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as opened:
            opened.write(text)

    async def edit(self, environment: Mapping[str, str]) -> str:
        """Return the text as it is after the editor has closed.

        Raises:
            SettingsError: There is no such editor.
            SchedulerError: It ended with an error, or left no text, or one that is not UTF-8.
        """
        command = next(filter(None, map(environment.get, EDITORS)), DEFAULT_EDITOR)
        try:
            words = shlex.split(command)
            process = await asyncio.create_subprocess_exec(*words, str(self.path))
        except (OSError, ValueError):
            raise SettingsError(f"EDITOR: {command!r} cannot be started; set EDITOR to your editor") from None
        if code := await process.wait():
            raise SchedulerError(f"the editor ended with code {code}; nothing was changed")
        try:
            return self.path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
        except OSError as exc:
            raise SchedulerError(f"{self.path} cannot be read: {exc.strerror}; nothing was changed") from None
        except UnicodeDecodeError:
            raise SchedulerError(f"{self.path} is not UTF-8 text; nothing was changed") from None

    @property
    def is_changed(self) -> bool:
        """Whether something was typed."""
        return self.path.exists() and self.path.read_bytes() != self.before.encode()

    def discard(self) -> None:
        """Remove the file."""
        self.path.unlink(missing_ok=True)
