"""The screen: prints results as aligned text or as JSON, and errors."""

import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from io import StringIO
from typing import TYPE_CHECKING, NamedTuple, TextIO

from functions.errors import SchedulerError

if TYPE_CHECKING:
    from rich.text import Text

COLOURS = {"red": "\033[31m", "green": "\033[32m", "yellow": "\033[33m", "dim": "\033[2m"}
RESET = "\033[0m"
COLUMN_GAP = 2
MAX_CELL_WIDTH = 100  # on a terminal; `show`, `--json`, files and pipes have a longer one whole
MIN_LAST_WIDTH = 20
UNLIMITED_WIDTH = 10_000  # of a file or a pipe: programs that read a table want whole cells


class Cell(NamedTuple):
    """A text with a colour; any other cell of a table is plain text."""

    text: str
    colour: str


class OutputError(SchedulerError):
    """The result could not be written; what the command did is done."""

    @classmethod
    def of(cls, error: OSError) -> "OutputError":
        """Return *error* as one of these."""
        return cls(f"the output cannot be written: {error.strerror}")


class Screen:
    """Writes results to *out*, errors and warnings to *err*.

    Args:
        use_colour: Whether *out* shows colours.
        as_json: Whether results are JSON.
        ask: Reads one line from the terminal; None where there is none.
    """

    def __init__(
        self,
        out: TextIO,
        err: TextIO,
        *,
        use_colour: bool = False,
        as_json: bool = False,
        ask: Callable[[], str] | None = None,
    ) -> None:
        self._out = out
        self._err = err
        self._ask = ask
        self._use_colour = use_colour
        self.as_json = as_json

    def show(self, data: object, lines: Iterable[str]) -> None:
        """Write *data* with `as_json`, *lines* otherwise."""
        if self.as_json:
            self.write_line(json.dumps(data, ensure_ascii=not _holds_all_letters(self._out)))
            return
        for line in lines:
            self.write_line(line)

    def write_line(self, text: str) -> None:
        """Write one line and flush it, so that the reader of a pipe gets it at once.

        Raises:
            BrokenPipeError: The reader of the output has ended.
            OutputError: The output takes no more, as a file on a full disk.
        """
        try:
            print(text, file=self._out, flush=True)
        except BrokenPipeError:
            raise
        except OSError as exc:
            raise OutputError.of(exc) from exc

    def error(self, text: str) -> None:
        """Write `scheduler: ` and *text* to the error stream, each line of it."""
        self.warn("\n".join(f"scheduler: {line}" for line in text.splitlines()))

    def warn(self, text: str) -> None:
        """Write *text* to the error stream without a prefix: editors jump to `file:line: ...`."""
        for line in text.splitlines():
            self._write_error_stream(replace_unprintable(line))

    def note(self, text: str) -> None:
        """Write *text* to the error stream, dimmed: a word about the result, which is no part of it."""
        line = replace_unprintable(text)
        self._write_error_stream(self.paint(line, "dim") if self._err.isatty() else line)

    def _write_error_stream(self, text: str, *, end: str = "\n") -> None:
        """Write *text*; a stream that is gone changes nothing of what the command did and printed."""
        with suppress(OSError):
            print(text, end=end, file=self._err, flush=True)

    @property
    def can_ask(self) -> bool:
        """Whether somebody is at the terminal."""
        return self._ask is not None

    def confirm(self, question: str, *, default: bool) -> bool | None:
        """Return whether the person at the terminal agrees; None when nobody is there."""
        if self._ask is None:
            return None
        choices = "[Y/n]" if default else "[y/N]"
        self._write_error_stream(f"{replace_unprintable(question)} {choices}", end=" ")
        try:
            answer = self._ask().strip().lower()
        except EOFError:
            return False
        return answer in ("y", "yes") if answer else default

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
        from rich.console import Console  # 24 ms, which only a table pays
        from rich.table import Table

        widest = MAX_CELL_WIDTH if self._out.isatty() else UNLIMITED_WIDTH
        named = [Cell(name, "dim") for name in head]
        lines = [[_to_text(cell, widest) for cell in row] for row in [named, *rows]]
        *others, _ = zip(*lines, strict=True)
        widths = [
            max(cell.cell_len for cell in column) for column in others
        ]  # ids are copied: never truncated
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, COLUMN_GAP, 0, 0))
        for width in widths:
            table.add_column(width=width)
        table.add_column()
        for line in lines:
            table.add_row(*line)
        console = Console(
            file=StringIO(),
            width=max(self._width(), sum(widths) + COLUMN_GAP * len(widths) + MIN_LAST_WIDTH),
            force_terminal=self._use_colour,
            color_system="standard" if self._use_colour else None,
            no_color=not self._use_colour,
            legacy_windows=False,
        )
        with console.capture() as captured:
            console.print(table)
        return [line.rstrip() for line in captured.get().splitlines()]

    def _width(self) -> int:
        return shutil.get_terminal_size().columns if self._out.isatty() else UNLIMITED_WIDTH


def shows_colours(out: TextIO, environment: Mapping[str, str]) -> bool:
    """Whether *out* is a terminal that has colours, and whose user wants them."""
    return out.isatty() and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"


def replace_unprintable(text: str) -> str:
    """Return *text* without control characters: titles and responses are untrusted."""
    return "".join(char if char.isprintable() else " " for char in text)


def _holds_all_letters(stream: TextIO) -> bool:
    """Whether *stream* can write any letter; other ones would escape it, which JSON does in its own way."""
    return (stream.encoding or "utf-8").lower().replace("-", "").startswith("utf")


def _to_text(cell: str | Cell, widest: int) -> "Text":
    """Return *cell* as one line that a table truncates; brackets in it are no markup."""
    from rich.text import Text

    text, colour = cell if isinstance(cell, Cell) else (cell, "")
    line = Text(no_wrap=True, overflow="ellipsis").append(replace_unprintable(text), style=colour)
    line.truncate(widest, overflow="ellipsis")
    return line
