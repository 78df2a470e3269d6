"""The tables of the base: finding them, and creating what is missing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from functions.errors import StoreError
from functions.stores.bitable.client import FeishuClient
from functions.stores.bitable.config import SETUP_HINT, FeishuRequestError
from functions.stores.bitable.lease import MetaRows
from functions.stores.bitable.schema import (
    DOCUMENT_COLUMNS,
    RUN_COLUMNS,
    TASK_COLUMNS,
    Column,
    ColumnType,
    document_table_name,
    run_table_name,
)

MAX_PAGES = 20
PAGE_SIZE = 100


class TableCatalog:
    """Knows the tables by name, once they were asked for."""

    def __init__(self, client: FeishuClient, table_id: str) -> None:
        self._client = client
        self.table_id = table_id
        self._table_ids: Mapping[str, str] | None = None

    async def task_table_id(self) -> str:
        """The table of tasks."""
        return self.table_id

    async def run_table_id(self) -> str:
        """The table with the history."""
        return await self._find_table(run_table_name(self.table_id))

    async def document_table_id(self) -> str:
        """The table with what else is kept."""
        return await self._find_table(document_table_name(self.table_id))

    async def list_tables(self) -> Mapping[str, str]:
        """All tables: their ids by their names."""
        items = await self._list_all("/tables")
        return {str(item.get("name")): str(item.get("table_id")) for item in items}

    async def list_columns(self, table_id: str) -> Mapping[str, int]:
        """The columns of a table: their types by their names."""
        items = await self._list_all(f"/tables/{table_id}/fields")
        return {str(item.get("field_name")): int(item.get("type", 0)) for item in items}

    def invalidate(self) -> None:
        """List the tables again, after something was created."""
        self._table_ids = None

    async def _find_table(self, name: str) -> str:
        if self._table_ids is None:
            self._table_ids = await self.list_tables()
        if name not in self._table_ids:
            self._table_ids = None
            raise StoreError(f"The base has no table {name!r}; {SETUP_HINT}")
        return self._table_ids[name]

    async def _list_all(self, path: str) -> list[Mapping[str, Any]]:
        items: list[Mapping[str, Any]] = []
        query: dict[str, Any] = {"page_size": PAGE_SIZE}
        for _ in range(MAX_PAGES):
            data = await self._client.get(path, query)
            items += [item for item in data.get("items") or () if isinstance(item, dict)]
            if not data.get("has_more") or not data.get("page_token"):
                break
            query["page_token"] = data["page_token"]
        return items


# -- creating what is missing, and reporting what prevents it -------------------------------

NAME_TAKEN_CODE = 1254014  # another client made the column in between
COLUMN_TYPE_NAMES: Mapping[int, str] = {
    ColumnType.TEXT: "Text",
    ColumnType.NUMBER: "Number",
    ColumnType.SELECT: "Single option",
    ColumnType.TAGS: "Multiple options",
    ColumnType.DATE: "Date",
    ColumnType.CHECKBOX: "Checkbox",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that a base needs.

    Attributes:
        state: Whether it is there, is missing, was made, or is there as something else.
        remedy: What the user has to do; empty when nothing.
    """

    subject: str
    state: Literal["there", "missing", "made", "wrong"]
    remedy: str = ""


class Setup:
    """Sets one base up. Doing so again changes nothing that is as it should be.

    Args:
        types: Names of task types, to choose from in the column `type`.
    """

    def __init__(
        self, catalog: TableCatalog, client: FeishuClient, meta: MetaRows, *, types: Sequence[str]
    ) -> None:
        self._catalog = catalog
        self._client = client
        self._meta = meta
        self._types = tuple(types)

    async def plan(self) -> list[Step]:
        """What there is and what is missing; nothing is made."""
        tables = await self._catalog.list_tables()
        steps = [*await self._check_columns("", self._catalog.table_id, TASK_COLUMNS)]
        for name, columns in self._companion_tables():
            if name not in tables:
                steps.append(Step(f"table {name}", "missing"))
            else:
                steps.append(Step(f"table {name}", "there"))
                steps += await self._check_columns(name, tables[name], columns)
        return steps

    async def apply(self) -> list[Step]:
        """Make what is missing. Nothing is made when something is in the way."""
        steps = await self.plan()
        if any(step.state == "wrong" for step in steps):
            return steps
        tables = await self._catalog.list_tables()
        made = await self._create_columns("", self._catalog.table_id, TASK_COLUMNS)
        for name, columns in self._companion_tables():
            if name in tables:
                made |= await self._create_columns(name, tables[name], columns)
            else:
                await self._create_table(name, columns)
                made.add(f"table {name}")
        self._catalog.invalidate()
        await self._meta.create_missing()
        return [Step(one.subject, "made") if one.subject in made else one for one in steps]

    def _companion_tables(self) -> tuple[tuple[str, tuple[Column, ...]], ...]:
        mine = self._catalog.table_id
        return (run_table_name(mine), RUN_COLUMNS), (document_table_name(mine), DOCUMENT_COLUMNS)

    async def _check_columns(self, table: str, table_id: str, columns: Sequence[Column]) -> list[Step]:
        there = await self._catalog.list_columns(table_id)
        return [
            _check_column(_column_label(table, column), column, there.get(column.name)) for column in columns
        ]

    async def _create_columns(self, table: str, table_id: str, columns: Sequence[Column]) -> set[str]:
        there = await self._catalog.list_columns(table_id)
        made = set()
        for column in columns:
            if column.name in there:
                continue
            body = column.to_api(self._types if column.name == "type" else ())
            try:
                await self._client.post(f"/tables/{table_id}/fields", body, query={}, repeatable=False)
            except FeishuRequestError as exc:
                if exc.code != NAME_TAKEN_CODE:
                    raise
            made.add(_column_label(table, column))
        return made

    async def _create_table(self, name: str, columns: Sequence[Column]) -> None:
        table = {"name": name, "default_view_name": "All", "fields": [one.to_api() for one in columns]}
        await self._client.post("/tables", {"table": table}, query={}, repeatable=False)


def _check_column(subject: str, column: Column, kind: int | None) -> Step:
    if kind is None:
        return Step(subject, "missing")
    is_text = column.type is ColumnType.SELECT and kind == ColumnType.TEXT  # holds the same, without a list
    if kind == column.type or is_text:
        return Step(subject, "there")
    is_now = COLUMN_TYPE_NAMES.get(kind, f"number {kind}")
    remedy = (
        f"it is of the type {is_now}: change it to {COLUMN_TYPE_NAMES[column.type]} in the app, or rename it"
    )
    return Step(subject, "wrong", remedy)


def _column_label(table: str, column: Column) -> str:
    return f"column {column.name}" + (f" of {table}" if table else "")
