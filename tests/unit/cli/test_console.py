"""The screen: columns that line up, colours only where they are wanted, nothing that moves the cursor."""

from io import StringIO

import pytest

from functions.cli.console import Cell, Screen, cut, width


class Terminal(StringIO):
    """A stream that a person looks at."""

    def isatty(self) -> bool:
        return True


def test_colours_are_shown_only_when_asked_for() -> None:
    rows = [(Cell("failed", "red"), "x")]

    plain = Screen(StringIO(), StringIO()).table(("A", "B"), rows)
    coloured = Screen(StringIO(), StringIO(), coloured=True).table(("A", "B"), rows)

    assert ["A       B", "failed  x"] == plain
    assert "\033[31mfailed\033[0m  x" == coloured[1]


def test_the_last_column_is_cut_at_the_edge_of_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")

    on_terminal = Screen(Terminal(), StringIO()).table(("A", "B"), [("x", "y" * 90)])
    in_file = Screen(StringIO(), StringIO()).table(("A", "B"), [("x", "y" * 90)])

    assert (40, True) == (len(on_terminal[1]), on_terminal[1].endswith("…"))
    assert 93 == len(in_file[1])


@pytest.mark.parametrize(
    ("text", "room", "expected"),
    [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("水水", 4, "水水"), ("水水水", 4, "水…"), ("", 0, "")],
)
def test_cut_counts_columns_and_not_characters(text: str, room: int, expected: str) -> None:
    assert expected == cut(text, room)
    assert width(cut(text, room)) <= room


def test_json_is_one_line_and_replaces_the_text() -> None:
    out = StringIO()

    Screen(out, StringIO(), as_json=True).answer({"title": "水"}, ["for people"])

    assert '{"title": "水"}\n' == out.getvalue()


def test_complaints_are_marked_line_by_line_and_cannot_move_the_cursor() -> None:
    err = StringIO()

    Screen(StringIO(), err).complain("one\x1b[2J\ntwo")

    assert "scheduler: one [2J\nscheduler: two\n" == err.getvalue()
