"""What the page shows of a form: texts, rows and errors, ready for the template."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from functions.domain.validation import Problem
from functions.web.dashboard.forms.conditions import Conditions
from functions.web.dashboard.forms.fields import Field, value_at
from functions.web.dashboard.forms.tables import EMPTY_PAIRS, MORE_PAIRS, Pairs, Rows, Rules, shown_rows
from functions.web.dashboard.forms.widgets import Line, Widget, normalize

PAIR_COLUMNS = (Field(("name",), Line(), "Name"), Field(("value",), Line(), "Value"))

MAX_LINES = 16  # of a text; beyond them it scrolls


@dataclass(frozen=True, slots=True)
class ShownField:
    """A field with its texts.

    Attributes:
        kind: The macro that renders it.
        texts: By the name below the field's.
        error: What is wrong; empty when nothing is.
        rows: The rows of a table, each with its number and what its cells show.
        has_focus: Whether one goes on here: the first of the rows that were asked for.
    """

    field: Field
    kind: str
    widget: Widget
    texts: Mapping[str, str]
    error: str = ""
    rows: tuple[tuple[int, tuple["ShownField", ...]], ...] = ()
    name: str = ""
    has_focus: bool = False

    @property
    def text(self) -> str:
        """The text of a field with one input."""
        return self.texts.get("", "")

    @property
    def lines(self) -> int:
        """Lines of a text that are shown at once."""
        least = getattr(self.widget, "rows", 2)
        return min(max(least, self.text.count("\n") + 2 if self.text else 0), MAX_LINES)

    @property
    def has_error(self) -> bool:
        """Whether anything is wrong with it or within it."""
        return bool(self.error) or any(cell.has_error for _, cells in self.rows for cell in cells)


@dataclass(frozen=True, slots=True)
class ShownGroup:
    """A group on the page."""

    title: str
    holds_something: bool
    fields: tuple[ShownField, ...]

    @property
    def is_open(self) -> bool:
        """Whether it is unfolded: it holds something that is not the default, an error, or rows asked for."""
        cells = [cell for one in self.fields for _, row in one.rows for cell in row]
        has_rows = any(normalize(cell.texts) or cell.has_focus for cell in cells)
        return self.holds_something or has_rows or any(one.has_error for one in self.fields)


@dataclass(frozen=True, slots=True)
class ShownSection:
    """A section on the page."""

    legend: str
    groups: tuple[ShownGroup, ...]


def place_problems(fields: Sequence[Field], problems: Iterable[Problem]) -> list[Problem]:
    """Return *problems*, those of an object that is spread over several fields at one of these.

    It is the one that the reason names, else the first: `auth: give either bearer or basic` is shown at
    `auth.bearer`, `retry: maxBackoffSeconds must not be ...` at `retry.maxBackoffSeconds`.
    """
    return [_place(fields, problem) for problem in problems]


def _place(fields: Sequence[Field], problem: Problem) -> Problem:
    steps = tuple(str(step) for step in problem.path)
    if any(steps[: len(one.path)] == one.path for one in fields):
        return problem
    within = [one for one in fields if one.path[: len(steps)] == steps]
    words = problem.reason.replace(",", " ").split()
    outer = sorted(within, key=lambda one: len(one.path))  # `equals` is the param before that of a rule
    named = [one for word in words for one in outer if word in one.path[len(steps) :]]
    is_wide = steps in ((), ("params",))  # of no field in particular, unless it names one
    place = next(iter(named if is_wide else named + within), None)
    return replace(problem, path=place.path) if place else problem


def at_rows(
    fields: Sequence[Field],
    posted: Mapping[str, str],
    problems: Iterable[Problem],
    *,
    base: Mapping[str, Any],
) -> list[Problem]:
    """Return *problems* of the values that were read, those within a list at the row that an item came from.

    Emptied rows leave no item: with the first of two rows emptied, `quiet.0.from` is shown in `quiet.1.from`.
    What is wrong with a whole item is shown in the first cell.

    Args:
        base: What the form began with.
    """
    return [_at_row(fields, posted, problem, base) for problem in problems]


def _at_row(
    fields: Sequence[Field], posted: Mapping[str, str], problem: Problem, base: Mapping[str, Any]
) -> Problem:
    steps = tuple(str(step) for step in problem.path)
    one = next((one for one in fields if steps[: len(one.path)] == one.path), None)
    item, *within = (one and steps[len(one.path) :]) or ("",)
    if one is None or not item.isdecimal():
        return problem
    texts, before = one.texts_in(posted), value_at(base, one.path)
    widget = one.faithful_to(before)
    if texts is None or not isinstance(widget, Rows | Rules):
        return problem
    numbers = [number for number, _ in widget.item_rows(texts, before=before)]
    number = numbers[int(item)] if int(item) < len(numbers) else item
    if not within and not isinstance(widget, Conditions):  # which has a cell for what a whole rule lacks
        within = [widget.columns[0].name]
    return replace(problem, path=(*one.path, str(number), *within))


def show_over(
    one: Field, posted: Mapping[str, str], problems: Iterable[Problem], *, before: Any
) -> ShownField:
    """Return what the page shows of *one*: the texts of *posted*, or else those of the value *before*."""
    texts, widget = one.texts_in(posted), one.faithful_to(before)
    if texts is None:
        texts = widget.encode(before) or {}
    more = posted.get("do") == f"more:{one.name}"
    return show_field(one, widget, texts, reasons_for(one, problems), more=more)


def show_field(
    one: Field,
    widget: Widget,
    texts: Mapping[str, str],
    reasons: Mapping[str, str],
    *,
    more: bool = False,
    name: str = "",
) -> ShownField:
    """Return what the page shows of *one* with *texts*; *reasons* by the name below its own."""
    name = name or one.name
    rows: tuple[tuple[int, tuple[ShownField, ...]], ...] = ()
    columns = _columns(widget)
    if columns:
        extra = (MORE_PAIRS if more else EMPTY_PAIRS) if isinstance(widget, Pairs) else 2 if more else 1
        rows = tuple(
            (
                number,
                tuple(_show_cell(column, row, reasons, f"{name}.{number}", number) for column in columns),
            )
            for number, row in shown_rows(texts, extra=extra)
        )
        rows = _with_focus(rows) if more else rows
    return ShownField(one, widget.kind, widget, texts, reasons.get("", ""), rows, name)


def _with_focus(
    rows: tuple[tuple[int, tuple[ShownField, ...]], ...],
) -> tuple[tuple[int, tuple[ShownField, ...]], ...]:
    """Return *rows* with the focus in the first that is empty."""
    empty = (n for n, (_, cells) in enumerate(rows) if not any(normalize(cell.texts) for cell in cells))
    place = next(empty, len(rows) - 1)
    number, (first, *others) = rows[place]
    return (*rows[:place], (number, (replace(first, has_focus=True), *others)), *rows[place + 1 :])


def _show_cell(
    column: Field, row: Mapping[str, str], reasons: Mapping[str, str], prefix: str, number: int
) -> ShownField:
    texts = column.texts_in(row) or {}
    start = f"{number}.{column.name}"
    own = "; ".join(
        reason for place, reason in reasons.items() if place == start or place.startswith(f"{start}.")
    )
    return show_field(column, column.widget, texts, {"": own} if own else {}, name=f"{prefix}.{column.name}")


def _columns(widget: Widget) -> tuple[Field, ...]:
    if isinstance(widget, Pairs):
        return PAIR_COLUMNS
    return widget.columns if isinstance(widget, Rows | Rules) else ()


def reasons_for(one: Field, problems: Iterable[Problem]) -> dict[str, str]:
    """Return what is wrong with the field and within it, by the name below its own.

    What lies within a field without inputs of its own there belongs to the field.
    """
    found: dict[str, str] = {}
    has_rows = isinstance(one.widget, Rows | Rules | Pairs)
    for problem in problems:
        steps = tuple(str(step) for step in problem.path)
        if steps[: len(one.path)] != one.path:
            continue
        below = ".".join(steps[len(one.path) :]) if has_rows else ""
        if below[:1].isdecimal() and isinstance(one.widget, Conditions):
            below = one.widget.cell_of(below)
        if not _is_cell(below):
            below = ""
        inner = ".".join(steps[len(one.path) :])
        reason = f"{inner}: {problem.reason}" if inner and not below else problem.reason
        found[below] = f"{found[below]}; {reason}" if below in found else reason
    return found


def _is_cell(name: str) -> bool:
    """Whether it is the name of a cell, `0.value`, and not that of a pair, `2X`."""
    number, dot, _ = name.partition(".")
    return bool(dot) and number.isdecimal()


CHANGED = "This was changed while you wrote. Yours is below and not saved yet."
THERE_ALREADY = "There is one of this name already. Yours is below and not saved yet."


def conflict_text(labels: Sequence[str], *, is_new: bool = False) -> str:
    """Return what a form says that would replace what was stored since it was shown.

    Args:
        labels: Of the fields that differ; none when what was stored is the same.
        is_new: Whether the form was that of something new.
    """
    text = THERE_ALREADY if is_new else CHANGED
    return f"{text} Save again to replace what differs now: {', '.join(labels)}" if labels else text


@dataclass(frozen=True, slots=True)
class SummaryLine:
    """One thing that is wrong, with the name of the input it leads to; empty when there is none."""

    name: str
    label: str
    reason: str


def summary_of(fields: Sequence[Field], problems: Iterable[Problem]) -> list[SummaryLine]:
    """Return what is wrong, in the order of the form, with what belongs to no field at the end."""
    problems, lines = list(problems), []
    placed: set[int] = set()
    for one in fields:
        for number, problem in enumerate(problems):
            steps = tuple(str(step) for step in problem.path)
            if number not in placed and steps[: len(one.path)] == one.path:
                placed.add(number)
                lines.append(_summary_line(one, steps, problem.reason))
    lines += [SummaryLine("", one.field, one.reason) for n, one in enumerate(problems) if n not in placed]
    return lines


def _summary_line(one: Field, steps: tuple[str, ...], reason: str) -> SummaryLine:
    row = steps[len(one.path) :]
    if row and row[0].isdecimal() and isinstance(one.widget, Conditions):
        row = tuple(one.widget.cell_of(".".join(row)).split("."))
    if len(row) == 2 and row[0].isdecimal() and isinstance(one.widget, Pairs | Rows | Rules):
        return SummaryLine(".".join((*one.path, *row)), f"{one.label}, row {int(row[0]) + 1}", reason)
    return SummaryLine(one.name, one.label, reason)
