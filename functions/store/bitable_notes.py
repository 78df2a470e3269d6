"""Two rows that a base which was set up always has: who pings, and whether there ever were tasks."""

import json
from collections.abc import Mapping
from typing import Any

from functions.errors import StoreError
from functions.store.bitable_cells import text
from functions.store.bitable_faults import SETUP, SHARE
from functions.store.bitable_filters import is_
from functions.store.bitable_records import Change, Record, Records
from functions.store.json_text import mapping

KIND = "note"  # no kind of document that anybody else asks for
PINGER = "pinger-lock"
TASKS = "had-tasks"
EMPTY = f"Feishu answers without any data. Either it hides them: {SHARE}. Or the base was not set up: {SETUP}"


class Notes:
    """Small notes, each a row of the table with what is kept."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._places: dict[str, str] = {}
        self._said: dict[str, Mapping[str, Any]] = {}

    async def read(self, name: str) -> Mapping[str, Any]:
        """What the note says.

        Raises:
            StoreError: It is not there, so that nothing else can be believed to be missing either.
        """
        found = await self._records.search(is_("kind", KIND))
        notes = {
            text(one.fields.get("id")): one for one in sorted(found, key=lambda one: one.age, reverse=True)
        }
        if name not in notes:
            raise StoreError(EMPTY)
        self._places |= {each: one.id for each, one in notes.items()}
        self._said |= {each: _says(one) for each, one in notes.items()}
        return self._said[name]

    def known(self, name: str) -> Mapping[str, Any]:
        """What the note said when any of them was read last; nothing when none was."""
        return self._said.get(name, {})

    async def write(self, name: str, says: Mapping[str, Any]) -> None:
        """Have the note say something else; after `read`. Errors as from `Records.update`."""
        await self._records.update([Change(self._places[name], {"data": json.dumps(says)})])
        self._said[name] = says

    async def make(self) -> list[str]:
        """Make those that are missing, and clear what they say; return which were missing."""
        found = {text(one.fields.get("id")): one for one in await self._records.search(is_("kind", KIND))}
        missing = [name for name in (PINGER, TASKS) if name not in found]
        rows = [{"name": f"{KIND} {name}", "kind": KIND, "id": name, "data": "{}"} for name in missing]
        if rows:
            await self._records.create(rows)
        if TASKS in found:
            await self._records.update([Change(found[TASKS].id, {"data": "{}"})])
        return missing


def _says(record: Record) -> Mapping[str, Any]:
    try:
        return mapping(json.loads(text(record.fields.get("data"))))
    except ValueError:
        return {}
