"""Bases, tables and rows in memory, and what a person can do to them in the app at any moment."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from tests.fakes.bitable.cells import Field, FieldType, plain, shown, typed
from tests.fakes.bitable.refusals import Refusal

BLANK_ROWS = 5  # a table made in the app starts with some
MOST_COLUMNS = 300


class Ids:
    """Names for things, in the order of their making."""

    def __init__(self) -> None:
        self._number = itertools.count(1)

    def __call__(self, prefix: str) -> str:
        return f"{prefix}fake{next(self._number):07d}"


class Row:
    """A record, as a person sees and changes it; values are in people's form.

    Attributes:
        cells: By the id of the field, as it is kept; None where a cell was emptied.
    """

    def __init__(self, table: "Table", record_id: str) -> None:
        self.table, self.record_id = table, record_id
        self.cells: dict[str, Any] = {}
        self.created_at = self.modified_at = table.base.clock()

    def set(self, name: str, value: Any) -> None:
        """Type *value* into the cell."""
        column = self.table.field(name)
        self.put({column.id: typed(column, value, self.table.base.zone)})

    def clear(self, name: str) -> None:
        """Empty the cell."""
        self.put({self.table.field(name).id: None})

    def delete(self) -> None:
        """Remove the row. To remove one that is gone is no fault."""
        self.table.records.pop(self.record_id, None)

    def text(self, name: str) -> str:
        """What a person reads in the cell; empty for an empty one."""
        column = self.table.field(name)
        kept = self.kept(column)
        return "" if kept is None else plain(column, kept)

    def fields(self) -> dict[str, Any]:
        """All that is not empty, by name, as the API shows it."""
        found = ((column, self.kept(column)) for column in self.table.columns)
        return {column.name: shown(column, kept) for column, kept in found if kept is not None}

    def kept(self, column: Field) -> Any:
        """The value of the cell; None for an empty one."""
        kept = self.cells.get(column.id)
        if kept is None and column.type is FieldType.CREATED_TIME:
            return milliseconds(self.created_at)
        if kept is None and column.type is FieldType.MODIFIED_TIME:
            return milliseconds(self.modified_at)
        return kept

    def put(self, cells: Mapping[str, Any]) -> None:
        """Take over *cells*, by the id of the field; None empties one."""
        for column in self.table.columns:
            if cells.get(column.id) is not None:
                column.offer(cells[column.id])
        self.cells |= cells
        self.modified_at = self.table.base.clock()


class Written:
    """What bears one write at a time.

    Attributes:
        writers: Writes under way.
    """

    writers: int = 0

    @contextmanager
    def being_written(self) -> Iterator[None]:
        """A write is under way inside: who writes meanwhile meets a conflict."""
        self.writers += 1
        try:
            yield
        finally:
            self.writers -= 1


@dataclass
class Table(Written):
    """A table with its columns and rows.

    Attributes:
        records: The rows by id, in the order they were made.
        answers: What was answered to each `client_token`, with the request it came with.
    """

    base: "Base"
    table_id: str
    name: str
    columns: list[Field] = field(default_factory=list)
    records: dict[str, Row] = field(default_factory=dict)
    answers: dict[str, tuple[Any, dict[str, Any]]] = field(default_factory=dict)

    @property
    def rows(self) -> tuple[Row, ...]:
        """All rows, blank ones too, in the order they were made."""
        return tuple(self.records.values())

    def row(self, name: str, text: str) -> Row:
        """The only row with *text* in the cell of that name."""
        [found] = [row for row in self.rows if row.text(name) == text]
        return found

    def add_row(self, values: Mapping[str, Any] | None = None) -> Row:
        """Add a row by hand; without values a blank one."""
        row = Row(self, self.base.ids("rec"))
        for name, value in (values or {}).items():
            row.set(name, value)
        self.records[row.record_id] = row
        return row

    def field(self, name: str) -> Field:
        """The column of that name.

        Raises:
            Refusal: There is none.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise Refusal(1254045, f"fields.{name}")

    def add_field(self, name: str, kind: int, *, property: Mapping[str, Any] | None = None) -> Field:
        """Add a column.

        Raises:
            Refusal: There is one of that name, or no more than so many may be.
        """
        name = name.strip()
        if any(column.name == name for column in self.columns):
            raise Refusal(1254014, name)
        if len(self.columns) >= MOST_COLUMNS:
            raise Refusal(1254105)
        given = dict(property or {})
        options = [option["name"] for option in given.pop("options", ())]
        first = not self.columns
        column = Field(self.base.ids("fld"), name, FieldType(kind), first, options, given)
        self.columns.append(column)
        return column

    def rename_field(self, name: str, new: str) -> None:
        """Give a column another name; its cells stay."""
        self.field(name).name = new

    def remove_field(self, name: str) -> None:
        """Remove a column with all its cells."""
        self.columns.remove(self.field(name))


class Base(Written):
    """One document with its tables.

    Attributes:
        zone: The document's own, in which days begin and end.
        collaborator: Whether the app may open it at all.
        advanced_permissions: On, and the app is no manager: reading records succeeds, and brings none; what
            it writes is refused. Tables and fields it sees (assumed: the pages speak of records alone).
    """

    def __init__(
        self, app_token: str, clock: Callable[[], datetime], ids: Ids, *, zone: str = "Asia/Shanghai"
    ) -> None:
        self.app_token, self.clock, self.ids = app_token, clock, ids
        self.zone = ZoneInfo(zone)
        self.collaborator = True
        self.advanced_permissions = False
        self.tables: dict[str, Table] = {}

    def add_table(
        self, name: str, fields: Mapping[str, int] | None = None, *, blank_rows: int = BLANK_ROWS
    ) -> Table:
        """Make a table by hand: with columns of these names and types, and blank rows."""
        table = Table(self, self.ids("tbl"), name)
        for title, kind in (fields or {"文本": FieldType.TEXT}).items():
            table.add_field(title, kind)
        for _ in range(blank_rows):
            table.add_row()
        self.tables[table.table_id] = table
        return table

    def table(self, name: str) -> Table:
        """The only table of that name."""
        [found] = [table for table in self.tables.values() if table.name == name]
        return found


def milliseconds(at: datetime) -> int:
    """*at* as the API writes moments."""
    return round(at.timestamp() * 1000)
