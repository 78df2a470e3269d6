"""The screen: where answers go, as aligned text for people or as JSON for programs."""

import json
import shutil
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, TextIO

COLOURS = {"red": "\033[31m", "green": "\033[32m", "yellow": "\033[33m", "dim": "\033[2m"}
RESET = "\033[0m"
GAP = "  "
LONGEST_CELL = 100  # a summary may be longer; `show` and `--json` have it whole


class Cell(NamedTuple):
    """A text with a colour; any other cell of a table is plain text."""

    text: str
    colour: str


class Screen:
    """Writes answers to *out* and complaints to *err*.

    Args:
        coloured: Whether *out* shows colours.
        as_json: Whether answers are for a program.
    """

    def __init__(self, out: TextIO, err: TextIO, *, coloured: bool = False, as_json: bool = False) -> None:
        self._out = out
        self._err = err
        self._coloured = coloured
        self.as_json = as_json

    def answer(self, data: object, lines: Iterable[str]) -> None:
        """Show *data* as JSON when that was asked for, *lines* otherwise."""
        if self.as_json:
            self.line(json.dumps(data, ensure_ascii=False))
            return
        for line in lines:
            self.line(line)

    def line(self, text: str) -> None:
        """Write one line, at once: whoever reads a pipe should not wait for a buffer."""
        print(text, file=self._out, flush=True)

    def complain(self, text: str) -> None:
        """Write `scheduler: ` and *text* to the error stream, each line of it."""
        self.warn("\n".join(f"scheduler: {line}" for line in text.splitlines()))

    def warn(self, text: str) -> None:
        """Write *text* to the error stream as it is: `file:line: ...` is what editors jump to."""
        for line in text.splitlines():
            print(plain(line), file=self._err, flush=True)

    @contextmanager
    def working(self, text: str) -> Iterator[None]:
        """Show that *text* is being done, where somebody watches; nothing of it stays."""
        if not self._err.isatty():
            yield
            return
        from rich.console import Console  # for a terminal alone

        with Console(file=self._err).status(text):
            yield

    def paint(self, text: str, colour: str) -> str:
        """*text* in *colour* where colours are shown."""
        return f"{COLOURS[colour]}{text}{RESET}" if self._coloured and colour else text

    def table(self, head: Sequence[str], rows: Iterable[Sequence[str | Cell]]) -> list[str]:
        """The lines of a table; its last column is cut at the edge of a terminal."""
        cells = [[_cell(one) for one in row] for row in [[Cell(name, "dim") for name in head], *rows]]
        widths = [max(width(row[column].text) for row in cells) for column in range(len(head))]
        widths[-1] = min(widths[-1], max(20, self._room() - sum(widths[:-1]) - len(GAP) * (len(head) - 1)))
        return [self._row(row, widths) for row in cells]

    def _row(self, row: Sequence[Cell], widths: Sequence[int]) -> str:
        parts = []
        for (text, colour), room in zip(row, widths, strict=True):
            shown = cut(text, room)
            parts.append(self.paint(shown, colour) + " " * (room - width(shown)))
        return GAP.join(parts).rstrip()

    def _room(self) -> int:
        return shutil.get_terminal_size().columns if self._out.isatty() else 10_000


def width(text: str) -> int:
    """How many columns of a terminal *text* takes: Chinese characters take two."""
    return sum(2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text)


def cut(text: str, room: int) -> str:
    """*text* in at most *room* columns, with an ellipsis where something is missing."""
    if width(text) <= room:
        return text
    while text and width(text) > room - 1:
        text = text[:-1]
    return f"{text}…"


def plain(text: str) -> str:
    """*text* without what would move the cursor: titles and answers may be a stranger's."""
    return "".join(char if char.isprintable() else " " for char in text)


def _cell(one: str | Cell) -> Cell:
    text, colour = one if isinstance(one, Cell) else (one, "")
    return Cell(cut(plain(text), LONGEST_CELL), colour)
