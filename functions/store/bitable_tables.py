"""The base: which tables are in it, and which three of them are ours."""

from collections.abc import Mapping
from typing import Any

from functions.errors import StoreError
from functions.store.bitable_calls import Calls
from functions.store.bitable_columns import kept_table, runs_table
from functions.store.bitable_faults import SETUP

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
