"""Which rows a search is about, and in which order: the vendor's operators, field type by field type."""

import json
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from typing import Any

from tests.fakes.bitable.call import Limits
from tests.fakes.bitable.cells import Field, FieldType, plain
from tests.fakes.bitable.refusals import Refusal
from tests.fakes.bitable.tables import Row, Table, milliseconds

Test = Callable[[Row], bool]
EMPTY = {"isEmpty", "isNotEmpty"}
WORDY = EMPTY | {"is", "isNot", "contains", "doesNotContain"}
ORDERED = EMPTY | {"is", "isNot", "isGreater", "isGreaterEqual", "isLess", "isLessEqual"}
DAYS = EMPTY | {"is", "isGreater", "isLess"}  # no "up to and with" for moments
# Which operators go with numbers and with text no page says outright: assumed, but for dates and checkboxes.
OPERATORS: Mapping[FieldType, set[str]] = {
    FieldType.TEXT: WORDY,
    FieldType.NUMBER: ORDERED,
    FieldType.SINGLE_SELECT: WORDY,
    FieldType.MULTI_SELECT: WORDY,
    FieldType.DATE: DAYS,
    FieldType.CHECKBOX: {"is"},
    FieldType.USER: WORDY,
    FieldType.PHONE: WORDY,
    FieldType.URL: WORDY,
    FieldType.CREATED_TIME: DAYS,
    FieldType.MODIFIED_TIME: DAYS,
}
NAMED_DAYS = {"Yesterday": -1, "Today": 0, "Tomorrow": 1}


def chosen(table: Table, given: Any, limits: Limits) -> list[Row]:
    """The rows of *table* that the filter lets through, in the order they were made.

    Raises:
        Refusal: It is no filter of this table.
    """
    if given is None:
        return list(table.rows)
    if len(json.dumps(given, ensure_ascii=False)) > limits.filter_characters:
        raise Refusal(1254107)
    if _count(given) > limits.conditions:
        raise _wrong(f"more than {limits.conditions} conditions")
    wanted = _group(table, given, children=True)
    return [row for row in table.rows if wanted(row)]


def sorted_rows(table: Table, rows: list[Row], given: Any) -> list[Row]:
    """*rows* in the order of the sort; what has nothing in a column comes after what has (assumed).

    Raises:
        Refusal: It is no sort of this table.
    """
    if not isinstance(given, list):
        raise Refusal(1254016)
    for one in reversed(given):
        column = _column(table, one, 1254016)
        rows = sorted(rows, key=lambda row: _rank(row.kept(column)), reverse=bool(one.get("desc")))
        rows = sorted(rows, key=lambda row: row.kept(column) is None)
    return rows


def _group(table: Table, given: Any, *, children: bool) -> Test:
    if not isinstance(given, dict) or given.get("conjunction") not in ("and", "or"):
        raise _wrong("conjunction")
    tests = [_condition(table, one) for one in given.get("conditions") or ()]
    nested = given.get("children") or ()
    if nested and not children:
        raise _wrong("children of children")
    tests += [_group(table, one, children=False) for one in nested]
    if not tests:
        raise _wrong("no conditions")
    every = given["conjunction"] == "and"
    return lambda row: all(test(row) for test in tests) if every else any(test(row) for test in tests)


def _condition(table: Table, given: Any) -> Test:
    column = _column(table, given, 1254018)
    operator, value = given.get("operator"), given.get("value")
    if operator not in OPERATORS.get(column.type, ()):
        raise _wrong(f"{operator} of {column.name}")
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise _wrong(f"the value of {column.name} must be a list of strings, if only an empty one")
    if operator in EMPTY:
        if value:
            raise _wrong(f"{operator} wants an empty value")
        return lambda row: (row.kept(column) is None) == (operator == "isEmpty")
    match column.type:
        case FieldType.DATE | FieldType.CREATED_TIME | FieldType.MODIFIED_TIME:
            return _moment(table, column, operator, value)
        case FieldType.NUMBER:
            return _number(column, operator, value)
        case FieldType.CHECKBOX:
            return lambda row: bool(row.kept(column)) == (_only(value) == "true")
        case FieldType.SINGLE_SELECT | FieldType.MULTI_SELECT | FieldType.USER:
            return _options(column, operator, value)
        case _:
            return _words(column, operator, value)


def _number(column: Field, operator: str, value: list[str]) -> Test:
    try:
        wanted = float(_only(value))
    except ValueError:
        raise _wrong(f"the value of {column.name} is no number") from None
    compare: Mapping[str, Callable[[float], bool]] = {
        "is": lambda kept: kept == wanted,
        "isGreater": lambda kept: kept > wanted,
        "isGreaterEqual": lambda kept: kept >= wanted,
        "isLess": lambda kept: kept < wanted,
        "isLessEqual": lambda kept: kept <= wanted,
    }
    if operator == "isNot":
        return lambda row: row.kept(column) != wanted
    return lambda row: (kept := row.kept(column)) is not None and compare[operator](kept)


def _moment(table: Table, column: Field, operator: str, value: list[str]) -> Test:
    """Compares with midnight of a day in the document's zone, whatever the time that was asked about."""
    zone = table.base.zone
    match value:
        case ["ExactDate", moment] if moment.lstrip("-").isdigit():
            day = datetime.fromtimestamp(int(moment) / 1000, zone).date()
        case [name] if name in NAMED_DAYS:
            day = table.base.clock().astimezone(zone).date() + timedelta(days=NAMED_DAYS[name])
        case _:
            raise _wrong(f"the value of {column.name} names no day this base knows")

    def midnight(of: date) -> int:
        return milliseconds(datetime.combine(of, time(), zone))

    start, end = midnight(day), midnight(day + timedelta(days=1))
    within: Mapping[str, Callable[[int], bool]] = {
        "is": lambda kept: start <= kept < end,
        "isGreater": lambda kept: kept > start,
        "isLess": lambda kept: kept < start,
    }
    return lambda row: (kept := row.kept(column)) is not None and within[operator](kept)


def _options(column: Field, operator: str, value: list[str]) -> Test:
    if operator in ("is", "isNot"):
        _only(value)
    wanted = set(value)

    def holds(row: Row) -> bool:
        kept = row.kept(column)
        names = {kept} if isinstance(kept, str) else set(kept or ())
        return names == wanted if operator in ("is", "isNot") else bool(names & wanted)

    return lambda row: holds(row) == (operator in ("is", "contains"))


def _words(column: Field, operator: str, value: list[str]) -> Test:
    wanted = _only(value)

    def holds(row: Row) -> bool:
        kept = row.kept(column)
        text = "" if kept is None else plain(column, kept)
        return text == wanted if operator in ("is", "isNot") else wanted.lower() in text.lower()

    return lambda row: holds(row) == (operator in ("is", "contains"))


def _only(value: list[str]) -> str:
    if len(value) != 1:
        raise _wrong("the value must have one element")
    return value[0]


def _column(table: Table, given: Any, code: int) -> Field:
    name = given.get("field_name") if isinstance(given, dict) else None
    for column in table.columns:
        if column.name == name:
            return column
    raise Refusal(code, f"field_name {name}")


def _count(given: Any) -> int:
    if not isinstance(given, dict):
        return 0
    return len(given.get("conditions") or ()) + sum(_count(one) for one in given.get("children") or ())


def _rank(kept: Any) -> Any:
    if isinstance(kept, dict):
        return kept["text"]
    if isinstance(kept, tuple):
        return [piece["text"] if isinstance(piece, dict) else piece for piece in kept]
    return 0 if kept is None else kept


def _wrong(detail: str) -> Refusal:
    return Refusal(1254018, detail)
