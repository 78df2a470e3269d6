"""The screen: where answers go, as aligned text for people or as JSON for programs."""

import json
import shutil
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, TextIO

COLOURS = {"red": "\033[31m", "green": "\033[32m", "yellow": "\033[33m", "dim": "\033[2m"}
RESET = "\033[0m"
COLUMN_GAP = "  "
MAX_CELL_WIDTH = 100  # a summary may be longer; `show` and `--json` have it whole


class Cell(NamedTuple):
    """A text with a colour; any other cell of a table is plain text."""

    text: str
    colour: str


class Screen:
    """Writes answers to *out* and complaints to *err*.

    Args:
        use_colour: Whether *out* shows colours.
        as_json: Whether answers are for a program.
    """

    def __init__(self, out: TextIO, err: TextIO, *, use_colour: bool = False, as_json: bool = False) -> None:
        self._out = out
        self._err = err
        self._use_colour = use_colour
        self.as_json = as_json

    def show(self, data: object, lines: Iterable[str]) -> None:
        """Show *data* as JSON when that was asked for, *lines* otherwise."""
        if self.as_json:
            self.write_line(json.dumps(data, ensure_ascii=False))
            return
        for line in lines:
            self.write_line(line)

    def write_line(self, text: str) -> None:
        """Write one line, at once: whoever reads a pipe should not wait for a buffer."""
        print(text, file=self._out, flush=True)

    def error(self, text: str) -> None:
        """Write `scheduler: ` and *text* to the error stream, each line of it."""
        self.warn("\n".join(f"scheduler: {line}" for line in text.splitlines()))

    def warn(self, text: str) -> None:
        """Write *text* to the error stream as it is: `file:line: ...` is what editors jump to."""
        for line in text.splitlines():
            print(replace_unprintable(line), file=self._err, flush=True)

    @contextmanager
    def show_progress(self, text: str) -> Iterator[None]:
        """Show that *text* is being done, where somebody watches; nothing of it stays."""
        if not self._err.isatty():
            yield
            return
        from rich.console import Console  # for a terminal alone

        with Console(file=self._err).status(text):
            yield

    def paint(self, text: str, colour: str) -> str:
        """*text* in *colour* where colours are shown."""
        return f"{COLOURS[colour]}{text}{RESET}" if self._use_colour and colour else text

    def format_table(self, head: Sequence[str], rows: Iterable[Sequence[str | Cell]]) -> list[str]:
        """The lines of a table; its last column is cut at the edge of a terminal."""
        cells = [[_to_cell(one) for one in row] for row in [[Cell(name, "dim") for name in head], *rows]]
        widths = [max(display_width(row[column].text) for row in cells) for column in range(len(head))]
        widths[-1] = min(
            widths[-1], max(20, self._terminal_width() - sum(widths[:-1]) - len(COLUMN_GAP) * (len(head) - 1))
        )
        return [self._format_row(row, widths) for row in cells]

    def _format_row(self, row: Sequence[Cell], widths: Sequence[int]) -> str:
        parts = []
        for (text, colour), room in zip(row, widths, strict=True):
            shown = truncate(text, room)
            parts.append(self.paint(shown, colour) + " " * (room - display_width(shown)))
        return COLUMN_GAP.join(parts).rstrip()

    def _terminal_width(self) -> int:
        return shutil.get_terminal_size().columns if self._out.isatty() else 10_000


def display_width(text: str) -> int:
    """How many columns of a terminal *text* takes: Chinese characters take two."""
    return sum(2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text)


def truncate(text: str, max_width: int) -> str:
    """*text* in at most *max_width* columns, with an ellipsis where something is missing."""
    if display_width(text) <= max_width:
        return text
    while text and display_width(text) > max_width - 1:
        text = text[:-1]
    return f"{text}…"


def replace_unprintable(text: str) -> str:
    """*text* without what would move the cursor: titles and answers may be a stranger's."""
    return "".join(char if char.isprintable() else " " for char in text)


def _to_cell(one: str | Cell) -> Cell:
    text, colour = one if isinstance(one, Cell) else (one, "")
    return Cell(truncate(replace_unprintable(text), MAX_CELL_WIDTH), colour)
