"""The screen: prints results as aligned text or as JSON, and errors."""

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
    """Writes results to *out*, errors and warnings to *err*.

    Args:
        use_colour: Whether *out* shows colours.
        as_json: Whether results are JSON.
    """

    def __init__(self, out: TextIO, err: TextIO, *, use_colour: bool = False, as_json: bool = False) -> None:
        self._out = out
        self._err = err
        self._use_colour = use_colour
        self.as_json = as_json

    def show(self, data: object, lines: Iterable[str]) -> None:
        """Write *data* with `as_json`, *lines* otherwise."""
        if self.as_json:
            self.write_line(json.dumps(data, ensure_ascii=False))
            return
        for line in lines:
            self.write_line(line)

    def write_line(self, text: str) -> None:
        """Write one line and flush it, so that the reader of a pipe gets it at once."""
        print(text, file=self._out, flush=True)

    def error(self, text: str) -> None:
        """Write `scheduler: ` and *text* to the error stream, each line of it."""
        self.warn("\n".join(f"scheduler: {line}" for line in text.splitlines()))

    def warn(self, text: str) -> None:
        """Write *text* to the error stream without a prefix: editors jump to `file:line: ...`."""
        for line in text.splitlines():
            print(replace_unprintable(line), file=self._err, flush=True)

    @contextmanager
    def show_progress(self, text: str) -> Iterator[None]:
        """Show *text* while the block runs, on a terminal only."""
        if not self._err.isatty():
            yield
            return
        from rich.console import Console  # for a terminal alone

        with Console(file=self._err).status(text):
            yield

    def paint(self, text: str, colour: str) -> str:
        """Return *text* in *colour* when colours are on."""
        return f"{COLOURS[colour]}{text}{RESET}" if self._use_colour and colour else text

    def format_table(self, head: Sequence[str], rows: Iterable[Sequence[str | Cell]]) -> list[str]:
        """Return the lines of a table; the last column is truncated at the edge of the terminal."""
        cells = [[_to_cell(one) for one in row] for row in [[Cell(name, "dim") for name in head], *rows]]
        widths = [max(display_width(row[column].text) for row in cells) for column in range(len(head))]
        widths[-1] = min(
            widths[-1], max(20, self._terminal_width() - sum(widths[:-1]) - len(COLUMN_GAP) * (len(head) - 1))
        )
        return [self._format_row(row, widths) for row in cells]

    def _format_row(self, row: Sequence[Cell], widths: Sequence[int]) -> str:
        parts = []
        for (text, colour), width in zip(row, widths, strict=True):
            shown = truncate(text, width)
            parts.append(self.paint(shown, colour) + " " * (width - display_width(shown)))
        return COLUMN_GAP.join(parts).rstrip()

    def _terminal_width(self) -> int:
        return shutil.get_terminal_size().columns if self._out.isatty() else 10_000


def display_width(text: str) -> int:
    """Return the columns that *text* takes on a terminal: Chinese characters take two."""
    return sum(2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text)


def truncate(text: str, max_width: int) -> str:
    """Return *text* in at most *max_width* columns, with an ellipsis when it is truncated."""
    if display_width(text) <= max_width:
        return text
    while text and display_width(text) > max_width - 1:
        text = text[:-1]
    return f"{text}…"


def replace_unprintable(text: str) -> str:
    """Return *text* without control characters: titles and responses are untrusted."""
    return "".join(char if char.isprintable() else " " for char in text)


def _to_cell(one: str | Cell) -> Cell:
    text, colour = one if isinstance(one, Cell) else (one, "")
    return Cell(truncate(replace_unprintable(text), MAX_CELL_WIDTH), colour)
