"""Widgets of several rows: names with values, lists of objects, and the rules of notifications."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from json import dumps
from typing import Any, ClassVar

from functions.web.dashboard.forms.fields import PRESENT, Field, is_untouched, read_fields
from functions.web.dashboard.forms.widgets import MISSING, Checks, FieldError, Texts, normalize

MAX_ROWS = 60  # more are shown as JSON
EMPTY_PAIRS, MORE_PAIRS = 2, 5  # rows to fill in: at first, and when more are asked for


def row_numbers(texts: Texts) -> list[int]:
    """Return the numbers of the rows in *texts*, whose names begin with them."""
    steps = {name.partition(".")[0] for name in texts}
    return sorted(int(step) for step in steps if step.isascii() and step.isdecimal() and len(step) < 4)


@dataclass(frozen=True, slots=True)
class Pairs:
    """Names with values. A name in several rows has a list of them, where lists are admitted.

    Example: `{"tag": ["a", "b"]}` is shown as two rows, `tag` with `a` and `tag` with `b`.

    Attributes:
        scalars: Whether numbers, yes, no and lists are admitted, beside texts.
    """

    kind: ClassVar[str] = "pairs"
    scalars: bool = False

    def encode(self, value: Any) -> dict[str, str] | None:
        """See `Widget.encode`."""
        if value in (MISSING, None):
            return {}
        if not isinstance(value, dict):
            return None
        rows = [(name, text) for name, one in value.items() for text in self._texts(one)]
        covers_all = {name for name, _ in rows} == set(value)
        if not covers_all or len(rows) > MAX_ROWS or not all(_fits(name, text) for name, text in rows):
            return None
        cells: dict[str, str] = {}
        for number, (name, text) in enumerate(rows):
            cells |= {f"{number}.name": name, f"{number}.value": text}
        return cells

    def decode(self, texts: Texts, *, before: Any) -> Any:
        """See `Widget.decode`."""
        found: dict[str, list[str]] = {}
        wrong = {}
        for number in row_numbers(texts):
            name, text = texts.get(f"{number}.name", "").strip(), texts.get(f"{number}.value", "")
            if not name and text:
                wrong[f"{number}.name"] = "needs a name, or an empty value"
            elif name in found and not self.scalars:
                wrong[f"{number}.name"] = "is there twice; use each name once"
            elif name:
                found.setdefault(name, []).append(text)
        if wrong:
            raise FieldError(wrong)
        old = before if isinstance(before, dict) else {}
        result = {name: self._value(rows, old.get(name, MISSING)) for name, rows in found.items()}
        return result or MISSING

    def _texts(self, value: Any) -> list[str]:
        """Return the text of each row that *value* takes; none when it is nothing for rows."""
        values = value if isinstance(value, list) and self.scalars else [value]
        if not all(isinstance(one, str) or (self.scalars and _is_scalar(one)) for one in values):
            return []
        return [one if isinstance(one, str) else dumps(one) for one in values]

    def _value(self, texts: list[str], before: Any) -> Any:
        if before is not MISSING and self._texts(before) == texts:
            return before
        return texts[0] if len(texts) == 1 else texts


def _is_scalar(value: Any) -> bool:
    return isinstance(value, bool | int | float)


def _fits(name: str, text: str) -> bool:
    return bool(name) and name == name.strip() and not set("\r\n\0") & set(name + text)


@dataclass(frozen=True, slots=True)
class Rows:
    """A list of objects, one in each row.

    Attributes:
        columns: The fields of one; the first names it, so that a row without it is left out.
    """

    kind: ClassVar[str] = "rows"
    columns: tuple[Field, ...]

    def encode(self, value: Any) -> dict[str, str] | None:
        """See `Widget.encode`."""
        if value in (MISSING, None):
            return {}
        return encode_rows(value, self._encode_item)

    def _encode_item(self, item: Any) -> dict[str, str] | None:
        shown = encode_row(self.columns, item)
        return shown if shown is not None and self.columns[0].name in shown else None

    def decode(self, texts: Texts, *, before: Any) -> Any:
        """See `Widget.decode`."""
        key = self.columns[0]
        items, wrong = [], {}
        for number, row in self.item_rows(texts, before=before):
            if not row.get(key.name, "").strip():
                wrong[f"{number}.{key.name}"] = "is required; empty the row to remove it"
                continue
            item, reasons = decode_row(
                self.columns, with_boxes(self.columns, row), before=_item(before, number)
            )
            items.append(item)
            wrong |= {f"{number}.{name}": reason for name, reason in reasons.items()}
        if wrong:
            raise FieldError(wrong)
        return items or MISSING

    def item_rows(self, texts: Texts, *, before: Any) -> list[tuple[int, dict[str, str]]]:
        """Return the rows that items are made of, with their numbers; an emptied row is none."""
        return [(number, row) for number, row in rows_of(texts) if any(text.strip() for text in row.values())]


def with_boxes(columns: tuple[Field, ...], row: Texts) -> dict[str, str]:
    """Return *row* with the sign that its boxes were shown, as a browser sends none that is not checked."""
    return dict(row) | {f"{one.name}{PRESENT}": "1" for one in columns if isinstance(one.widget, Checks)}


def rows_of(texts: Texts) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the number of each row, and its texts by the name below it."""
    for number in row_numbers(texts):
        prefix = f"{number}."
        yield (
            number,
            {name.removeprefix(prefix): text for name, text in texts.items() if name.startswith(prefix)},
        )


def encode_rows(value: Any, encode: Callable[[Any], dict[str, str] | None]) -> dict[str, str] | None:
    """Return the texts of a list, each under its row's number; None when the rows cannot show it.

    Args:
        encode: Of one of its items.
    """
    if not isinstance(value, list) or len(value) > MAX_ROWS:
        return None
    cells: dict[str, str] = {}
    for number, item in enumerate(value):
        shown = encode(item)
        if shown is None:
            return None
        cells |= {f"{number}.{name}": text for name, text in shown.items()}
    return cells


def encode_row(columns: tuple[Field, ...], item: Any) -> dict[str, str] | None:
    """Return the texts of one object; None when its columns cannot show it."""
    if not isinstance(item, dict) or not set(item) <= {column.name for column in columns}:
        return None
    cells: dict[str, str] = {}
    for column in columns:
        shown = column.widget.encode(item.get(column.name, MISSING))
        if shown is None:
            return None
        cells |= {f"{column.name}.{name}" if name else column.name: text for name, text in shown.items()}
    return cells


def decode_row(
    columns: tuple[Field, ...], row: Texts, *, before: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the object of *row*, and what is wrong by column."""
    item, problems = read_fields(columns, row, base=before)
    return item, {".".join(map(str, one.path)): one.reason for one in problems}


def _item(values: Any, number: int) -> dict[str, Any]:
    known = isinstance(values, list) and number < len(values) and isinstance(values[number], dict)
    return values[number] if known else {}


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of notifications: the default ones (null), none at all (an empty list), or those in rows.

    Attributes:
        columns: The fields of one rule; the first are boxes.
    """

    kind: ClassVar[str] = "rules"
    columns: tuple[Field, ...]
    modes: ClassVar[tuple[tuple[str, str], ...]] = (
        ("default", "the default channels: failures, recoveries and what the scheduler itself has to say"),
        ("nobody", "nobody"),
        ("rules", "as in these rules"),
    )

    def encode(self, value: Any) -> dict[str, str] | None:
        """See `Widget.encode`."""
        if value in (MISSING, None):
            return {"mode": "default"}
        rows = encode_rows(value, partial(encode_row, self.columns))
        return None if rows is None else {"mode": "rules" if value else "nobody"} | rows

    def decode(self, texts: Texts, *, before: Any) -> Any:
        """See `Widget.decode`. Rules that are filled in count, even where the mode was not changed."""
        items: list[dict[str, Any]] = []
        wrong: dict[str, str] = {}
        has_new = False
        for number, row in self.item_rows(texts, before=before):
            old = _item(before, number)
            is_new = _is_new(before, number)
            item, reasons = decode_row(self.columns, with_boxes(self.columns, row), before=old)
            has_new = has_new or is_new or item != old
            items.append(item)
            wrong |= {f"{number}.{name}": reason for name, reason in reasons.items()}
        mode_before = (self.encode(before) or {}).get("mode")
        mode = texts.get("mode", mode_before)
        if has_new and mode == mode_before:
            mode = "rules"
        if wrong and mode == "rules":
            raise FieldError(wrong)
        if mode == "rules":
            return items if items else None
        return [] if mode == "nobody" else None

    def item_rows(self, texts: Texts, *, before: Any) -> list[tuple[int, dict[str, str]]]:
        """Return the rows that rules are made of, with their numbers; not those that are to be removed."""
        return [
            (number, row)
            for number, row in rows_of(texts)
            if not (row.get("remove") or (_is_new(before, number) and not normalize(row)))
        ]


def _is_new(before: Any, number: int) -> bool:
    return not isinstance(before, list) or number >= len(before)


def shown_rows(texts: Texts, *, extra: int) -> list[tuple[int, dict[str, str]]]:
    """Return the rows in *texts* up to the last that holds something, and *extra* empty ones after them.

    An emptied row stays where it is, so that `row 2` is the second one.
    """
    last = max((number for number, row in rows_of(texts) if normalize(row)), default=-1)
    shown = [(number, row) for number, row in rows_of(texts) if number <= last]
    return shown + [(number, {}) for number in range(last + 1, last + 1 + extra)]


__all__ = ["Pairs", "Rows", "Rules", "is_untouched", "shown_rows"]
