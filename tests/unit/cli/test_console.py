"""The screen: columns that line up, colours only where they are wanted, nothing that moves the cursor."""

import errno
import json
import os
from io import BytesIO, StringIO, TextIOWrapper

import pytest

from functions.cli.console import Cell, OutputError, Screen, shows_colours
from functions.cli.main import main


class Terminal(StringIO):
    """A stream that a person looks at."""

    def isatty(self) -> bool:
        return True


def test_colours_are_shown_only_when_asked_for() -> None:
    rows = [(Cell("failed", "red"), "x")]

    plain = Screen(StringIO(), StringIO()).format_table(("A", "B"), rows)
    coloured = Screen(StringIO(), StringIO(), use_colour=True).format_table(("A", "B"), rows)

    assert ["A       B", "failed  x"] == plain
    assert "\033[31mfailed\033[0m  x" == coloured[1]


@pytest.mark.parametrize(
    ("variables", "shown"),
    [
        ({}, True),
        ({"TERM": "xterm", "NO_COLOR": ""}, True),
        ({"TERM": "dumb"}, False),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False),
    ],
)
def test_a_terminal_has_colours_unless_it_has_none_or_nobody_wants_them(
    variables: dict[str, str], shown: bool
) -> None:
    assert (shown, False) == (shows_colours(Terminal(), variables), shows_colours(StringIO(), variables))


def test_the_last_column_is_cut_at_the_edge_of_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")

    on_terminal = Screen(Terminal(), StringIO()).format_table(("A", "B"), [("x", "y" * 90)])
    in_file = Screen(StringIO(), StringIO()).format_table(("A", "B"), [("x", "y" * 390)])

    assert (40, True) == (len(on_terminal[1]), on_terminal[1].endswith("…"))
    assert "x  " + "y" * 390 == in_file[1], "programs that read a table want whole cells"


def test_columns_line_up_by_what_a_terminal_shows() -> None:
    """A Chinese character takes two columns, an accent of its own none."""
    rows = [("水水", "x"), ("e\N{COMBINING ACUTE ACCENT}", "x"), ("abcd", "x")]

    table = Screen(StringIO(), StringIO()).format_table(("A", "B"), rows)

    assert ["A     B", "水水  x", "e\N{COMBINING ACUTE ACCENT}     x", "abcd  x"] == table


def test_a_cut_counts_columns_and_not_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "24")

    table = Screen(Terminal(), StringIO()).format_table(("A", "B"), [("xx", "水" * 30), ("x", "y" * 20)])

    assert ["xx  " + "水" * 9 + " …", "x   " + "y" * 20] == table[1:]


def test_a_terminal_that_is_too_narrow_does_not_cut_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    """An id is copied into the next command."""
    monkeypatch.setenv("COLUMNS", "20")

    [_, line] = Screen(Terminal(), StringIO()).format_table(("TASK", "TITLE"), [("i" * 40, "x" * 30)])

    assert "i" * 40 + "  " + "x" * 19 + "…" == line


def test_a_cell_is_cut_where_nobody_reads_on() -> None:
    [_, line] = Screen(Terminal(), StringIO()).format_table(("A", "B"), [("x" * 200, "y")])

    assert "x" * 99 + "…  y" == line


@pytest.mark.parametrize("text", ["[red]x[/red]", "[/]", ":smile:", "[link=https://example.com]x[/link]"])
def test_what_looks_like_markup_is_shown_as_it_is(text: str) -> None:
    """Titles come from strangers."""
    assert text == Screen(StringIO(), StringIO()).format_table(("A",), [(text,)])[1]


def test_a_cell_cannot_move_the_cursor_or_begin_a_line() -> None:
    assert "a [2Jb c" == Screen(StringIO(), StringIO()).format_table(("A",), [("a\x1b[2Jb\nc",)])[1]


def test_json_is_one_line_and_replaces_the_text() -> None:
    out = StringIO()

    Screen(out, StringIO(), as_json=True).show({"title": "水"}, ["for people"])

    assert '{"title": "水"}\n' == out.getvalue()


def test_complaints_are_marked_line_by_line_and_cannot_move_the_cursor() -> None:
    err = StringIO()

    Screen(StringIO(), err).error("one\x1b[2J\ntwo")

    assert "scheduler: one [2J\nscheduler: two\n" == err.getvalue()


# -- streams that take less than everything -----------------------------------------------------------


class FullDisk(StringIO):
    """What a file on a full disk is to a program."""

    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("encoding", ["ascii", "iso8859-1", "utf-8"])
def test_json_is_json_whatever_letters_a_stream_lacks(encoding: str) -> None:
    out = TextIOWrapper(BytesIO(), encoding=encoding, errors="backslashreplace")

    Screen(out, StringIO(), as_json=True).show({"title": "Kühe 牛 €"}, ())

    out.seek(0)
    assert {"title": "Kühe 牛 €"} == json.loads(out.read())


def test_an_output_that_takes_no_more_is_an_error() -> None:
    with pytest.raises(OutputError, match="the output cannot be written: No space left on device"):
        Screen(FullDisk(), StringIO()).write_line("x")


class Shut(StringIO):
    """A stream that takes nothing more: closed by the caller, on a full disk, or its reader has ended."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._number = number

    def write(self, _: str) -> int:
        raise OSError(self._number, os.strerror(self._number))


@pytest.mark.parametrize("number", [errno.EBADF, errno.ENOSPC, errno.EPIPE])
def test_notes_that_nobody_can_read_fail_nothing(number: int) -> None:
    screen = Screen(StringIO(), Shut(number), ask=lambda: "y")

    screen.note("Store: sqlite:///x.db")
    screen.warn("careful")
    screen.error("wrong")

    assert screen.confirm("Remove it?", default=False)


def test_a_reader_of_help_that_has_ended_is_no_failure() -> None:
    reader, writer = os.pipe()
    os.close(reader)

    with os.fdopen(writer, "w") as out, pytest.raises(BrokenPipeError):  # of which `start` makes exit code 0
        main(["list", "--help"], {}, out=out, err=StringIO())
