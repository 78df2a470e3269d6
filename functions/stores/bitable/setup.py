"""The base: which tables are in it, and which three of them are ours."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from functions.errors import StoreError
from functions.stores.bitable.client import Calls
from functions.stores.bitable.config import SETUP, RefusedError
from functions.stores.bitable.lease import Notes
from functions.stores.bitable.schema import KEPT, RUNS, TASKS, Column, Kind, kept_table, runs_table

MOST_PAGES = 20
PAGE = 100


class Base:
    """Knows the tables by name, once they were asked for."""

    def __init__(self, calls: Calls, table_id: str) -> None:
        self._calls = calls
        self.table_id = table_id
        self._found: Mapping[str, str] | None = None

    async def tasks(self) -> str:
        """The table of tasks."""
        return self.table_id

    async def runs(self) -> str:
        """The table with the history."""
        return await self._named(runs_table(self.table_id))

    async def kept(self) -> str:
        """The table with what else is kept."""
        return await self._named(kept_table(self.table_id))

    async def tables(self) -> Mapping[str, str]:
        """All tables: their ids by their names."""
        items = await self._listed("/tables")
        return {str(item.get("name")): str(item.get("table_id")) for item in items}

    async def fields(self, table_id: str) -> Mapping[str, int]:
        """The columns of a table: their types by their names."""
        items = await self._listed(f"/tables/{table_id}/fields")
        return {str(item.get("field_name")): int(item.get("type", 0)) for item in items}

    def forget(self) -> None:
        """Ask again for what there is: somebody has made something."""
        self._found = None

    async def _named(self, name: str) -> str:
        if self._found is None:
            self._found = await self.tables()
        if name not in self._found:
            self._found = None
            raise StoreError(f"The base has no table {name!r}; {SETUP}")
        return self._found[name]

    async def _listed(self, path: str) -> list[Mapping[str, Any]]:
        items: list[Mapping[str, Any]] = []
        query: dict[str, Any] = {"page_size": PAGE}
        for _ in range(MOST_PAGES):
            data = await self._calls.get(path, query)
            items += [item for item in data.get("items") or () if isinstance(item, dict)]
            if not data.get("has_more") or not data.get("page_token"):
                break
            query["page_token"] = data["page_token"]
        return items


# Makes in a base what the store needs there, and says what is in the way.

NAME_TAKEN = 1254014  # somebody made the column in between
WORDS: Mapping[int, str] = {
    Kind.TEXT: "Text",
    Kind.NUMBER: "Number",
    Kind.SELECT: "Single option",
    Kind.TAGS: "Multiple options",
    Kind.DATE: "Date",
    Kind.CHECKBOX: "Checkbox",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that a base needs.

    Attributes:
        state: Whether it is there, is missing, was made, or is there as something else.
        remedy: What a person has to do; empty when nothing.
    """

    what: str
    state: Literal["there", "missing", "made", "wrong"]
    remedy: str = ""


class Setup:
    """Sets one base up. Doing so again changes nothing that is as it should be.

    Args:
        types: Names of task types, to choose from in the column `type`.
    """

    def __init__(self, base: Base, calls: Calls, notes: Notes, *, types: Sequence[str]) -> None:
        self._base = base
        self._calls = calls
        self._notes = notes
        self._types = tuple(types)

    async def examined(self) -> list[Step]:
        """What there is and what is missing; nothing is made."""
        tables = await self._base.tables()
        steps = [*await self._columns("", self._base.table_id, TASKS)]
        for name, columns in self._beside():
            if name not in tables:
                steps.append(Step(f"table {name}", "missing"))
            else:
                steps.append(Step(f"table {name}", "there"))
                steps += await self._columns(name, tables[name], columns)
        return steps

    async def done(self) -> list[Step]:
        """Make what is missing. Nothing is made when something is in the way."""
        steps = await self.examined()
        if any(step.state == "wrong" for step in steps):
            return steps
        tables = await self._base.tables()
        made = await self._made_columns("", self._base.table_id, TASKS)
        for name, columns in self._beside():
            if name in tables:
                made |= await self._made_columns(name, tables[name], columns)
            else:
                await self._make_table(name, columns)
                made.add(f"table {name}")
        self._base.forget()
        await self._notes.make()
        return [Step(one.what, "made") if one.what in made else one for one in steps]

    def _beside(self) -> tuple[tuple[str, tuple[Column, ...]], ...]:
        mine = self._base.table_id
        return (runs_table(mine), RUNS), (kept_table(mine), KEPT)

    async def _columns(self, table: str, table_id: str, columns: Sequence[Column]) -> list[Step]:
        there = await self._base.fields(table_id)
        return [_step(_what(table, column), column, there.get(column.name)) for column in columns]

    async def _made_columns(self, table: str, table_id: str, columns: Sequence[Column]) -> set[str]:
        there = await self._base.fields(table_id)
        made = set()
        for column in columns:
            if column.name in there:
                continue
            body = column.described(self._types if column.name == "type" else ())
            try:
                await self._calls.post(f"/tables/{table_id}/fields", body, query={}, repeatable=False)
            except RefusedError as exc:
                if exc.code != NAME_TAKEN:
                    raise
            made.add(_what(table, column))
        return made

    async def _make_table(self, name: str, columns: Sequence[Column]) -> None:
        table = {"name": name, "default_view_name": "All", "fields": [one.described() for one in columns]}
        await self._calls.post("/tables", {"table": table}, query={}, repeatable=False)


def _step(what: str, column: Column, kind: int | None) -> Step:
    if kind is None:
        return Step(what, "missing")
    if kind == column.kind:
        return Step(what, "there")
    is_now = WORDS.get(kind, f"number {kind}")
    remedy = f"it is of the type {is_now}: change it to {WORDS[column.kind]} in the app, or rename it"
    return Step(what, "wrong", remedy)


def _what(table: str, column: Column) -> str:
    return f"column {column.name}" + (f" of {table}" if table else "")
