"""The records of one table: read by pages, written in batches, one call at a time."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, TypeVar
from uuid import UUID

from functions.stores.bitable.client import FeishuClient, LoopLock
from functions.stores.bitable.config import CELL_TOO_LARGE, RECORD_MISSING, FeishuRequestError, NoAnswerError

# -- conditions of a search -----------------------------------------------------------------

MAX_CONDITIONS = 45  # of one filter; it takes 50, and 2,000 characters of JSON
MAX_FILTER_CHARACTERS = 1_700

Condition = dict[str, Any]


def equals(column: str, value: str) -> Condition:
    """The condition that a cell holds *value*."""
    return {"field_name": column, "operator": "is", "value": [value]}


def any_of(column: str, values: Iterable[str]) -> Iterator[list[Condition]]:
    """The conditions that a cell holds one of *values*, as many at a time as one filter takes."""
    group: list[Condition] = []
    characters = 0
    for condition in (equals(column, value) for value in values):
        size = len(json.dumps(condition)) + 2
        if group and (len(group) >= MAX_CONDITIONS or characters + size > MAX_FILTER_CHARACTERS):
            yield group
            group, characters = [], 0
        group.append(condition)
        characters += size
    if group:
        yield group


def is_empty(column: str) -> Condition:
    """The condition that a cell holds nothing."""
    return {"field_name": column, "operator": "isEmpty", "value": []}


def compare_number(column: str, operator: str, number: float) -> Condition:
    """A condition on a column of numbers: `isLess`, `isLessEqual`, `isGreater`, `isGreaterEqual`."""
    return {"field_name": column, "operator": operator, "value": [f"{number:.0f}"]}


def contains(column: str, text: str) -> Condition:
    """The condition that *text* is in the cell's text."""
    return {"field_name": column, "operator": "contains", "value": [text]}


PAGE_SIZE = 500
BATCH_SIZE = 200  # the least of the limits that the vendor's pages and tools name
GET_BATCH_SIZE = 100
MAX_PAGES = 80  # twice what a full table has

T = TypeVar("T")
Fields = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Record:
    """One row as it was read.

    Attributes:
        fields: What is in its cells, by column, as the API shows it; empty cells are left out.
        modified_at: When it was changed last; None where it is unknown.
        created_ms: When it was made, in milliseconds since 1970; 0 where it is unknown.
    """

    id: str
    fields: Fields
    modified_at: datetime | None = None
    created_ms: int = 0

    @property
    def creation_order(self) -> tuple[int, str]:
        """Of two rows of one name the one with the least stays."""
        return self.created_ms, self.id


@dataclass(frozen=True, slots=True)
class RowUpdate:
    """New values for some cells of one row; None empties a cell."""

    record_id: str
    fields: Fields


class RecordsApi:
    """One table. Calls are made one after the other, writes with a pause in between: it bears no two at once.

    Args:
        table_id: Where it is, found when first needed.
        write_gap_s: Between two writes.
        new_id: A fresh random name.
    """

    def __init__(
        self,
        client: FeishuClient,
        table_id: Callable[[], Any],
        *,
        write_gap_s: float,
        new_id: Callable[[], str],
    ) -> None:
        self._client = client
        self._table_id = table_id
        self._write_gap_s = write_gap_s
        self._new_id = new_id
        self._next_write_at = 0.0  # in the time that all loops of a process share
        self._lock = LoopLock()

    async def search(
        self,
        *conditions: Condition,
        newest_by: str = "",
        oldest_by: str = "",
        max_rows: int | None = None,
    ) -> list[Record]:
        """The rows that meet one of *conditions*; all rows without any.

        Args:
            newest_by: The column of numbers to sort by, greatest first; *oldest_by* the least first.
            max_rows: So many are enough.
        """
        found: list[Record] = []
        pages = self.iter_pages(
            *conditions,
            newest_by=newest_by,
            oldest_by=oldest_by,
            size=min(max_rows or PAGE_SIZE, PAGE_SIZE),
        )
        async for page in pages:
            found += page
            if max_rows is not None and len(found) >= max_rows:
                break
        return found

    async def iter_pages(
        self,
        *conditions: Condition,
        match_all: bool = False,
        newest_by: str = "",
        oldest_by: str = "",
        size: int = PAGE_SIZE,
    ) -> AsyncIterator[list[Record]]:
        """As `search`, page by page; with *match_all* the rows that meet all of *conditions*."""
        body: dict[str, Any] = {"automatic_fields": True}
        if conditions:
            body["filter"] = {"conjunction": "and" if match_all else "or", "conditions": list(conditions)}
        if by := newest_by or oldest_by:
            body["sort"] = [{"field_name": by, "desc": bool(newest_by)}]
        query: dict[str, Any] = {"page_size": size}
        for _ in range(MAX_PAGES):
            data = await self._query("search", body, query)
            yield [_decode_record(item) for item in data.get("items") or ()]
            if not data.get("has_more") or not data.get("page_token"):
                return
            query["page_token"] = data["page_token"]

    async def count_rows(self) -> int:
        """How many rows there are, blank ones too."""
        total = (await self._query("search", {}, {"page_size": 1})).get("total", 0)
        return total if isinstance(total, int) else 0

    async def get(self, record_ids: Sequence[str]) -> list[Record]:
        """Those of the rows that exist, in any order."""
        found: list[Record] = []
        for batch in split_into_batches(record_ids, GET_BATCH_SIZE):
            data = await self._query("batch_get", {"record_ids": list(batch), "automatic_fields": True}, {})
            found += [_decode_record(item) for item in data.get("records") or ()]
        return found

    async def create(self, rows: Sequence[Fields]) -> list[str]:
        """Make at most `BATCH_SIZE` rows, all or none; return their names.

        Raises:
            NoAnswerError: They may have been made.
        """
        data = await self._write("batch_create", [{"fields": dict(fields)} for fields in rows])
        made = [str(item.get("record_id", "")) for item in data.get("records") or ()]
        if len(made) != len(rows):
            raise NoAnswerError("Feishu did not say what it had made")
        return made

    async def update(self, updates: Sequence[RowUpdate], *, conditional: bool = False) -> None:
        """Change at most `BATCH_SIZE` rows, all or none.

        Args:
            conditional: Whether the call is right only while no other client writes.

        Raises:
            NoAnswerError: They may have been changed.
            WriteConflictError: Another client wrote; only for a conditional call.
            FeishuRequestError: With the code `RECORD_MISSING`: a row does not exist.
        """
        records = [{"record_id": one.record_id, "fields": dict(one.fields)} for one in updates]
        await self._write("batch_update", records, conditional=conditional)

    async def delete(self, record_ids: Sequence[str], *, conditional: bool = False) -> None:
        """Remove at most `BATCH_SIZE` rows, all or none; errors as from `update`.

        After a lost answer it looks whether they are gone.
        """
        body = {"records": list(record_ids)}
        try:
            async with self._serialize(is_write=True) as table:
                path = f"{table}/records/batch_delete"
                await self._client.post(path, body, query={}, repeatable=False, conditional=conditional)
        except NoAnswerError:
            if await self.get(record_ids):
                raise

    async def wait_for_write_gap(self) -> None:
        """Wait until the next write may be sent, so that what is read from now on is as fresh as can be."""
        await asyncio.sleep(max(0.0, self._next_write_at - asyncio.get_running_loop().time()))

    async def wait_before_retry(self, attempt: int) -> None:
        """Wait before the try after the *attempt*-th conflict."""
        await self._client.wait_before_retry(attempt)

    async def _write(
        self, verb: str, records: list[dict[str, Any]], *, conditional: bool = False
    ) -> Mapping[str, Any]:
        # Made of what is written and of a name never used before: the same for a try after a lost answer, and
        # another for the same words written again some day, which Feishu would else take for a repetition.
        text = json.dumps([self._new_id(), verb, records], sort_keys=True)
        token = UUID(bytes=blake2b(text.encode(errors="replace"), digest_size=16).digest(), version=4)
        async with self._serialize(is_write=True) as table:
            query = {"client_token": str(token)}
            body = {"records": records}
            return await self._client.post(
                f"{table}/records/{verb}", body, query=query, conditional=conditional
            )

    async def _query(self, verb: str, body: Mapping[str, Any], query: Mapping[str, Any]) -> Mapping[str, Any]:
        async with self._serialize(is_write=False) as table:
            return await self._client.post(f"{table}/records/{verb}", body, query=query)

    @asynccontextmanager
    async def _serialize(self, *, is_write: bool) -> AsyncIterator[str]:
        """Have the table alone, as far as this process goes; its path."""
        async with self._lock.acquire():
            path = f"/tables/{await self._table_id()}"
            if not is_write:
                yield path
                return
            await self.wait_for_write_gap()
            try:
                yield path
            finally:
                self._next_write_at = asyncio.get_running_loop().time() + self._write_gap_s


def split_into_batches(items: Sequence[T], size: int = BATCH_SIZE) -> list[Sequence[T]]:
    """*items*, so many at a time."""
    return [items[start : start + size] for start in range(0, len(items), size)]


def split_batch(items: Sequence[T]) -> list[Sequence[T]]:
    """*items* in two parts, to find the one that a batch is refused for."""
    middle = len(items) // 2
    return [items[:middle], items[middle:]]


def is_row_error(exc: Exception) -> bool:
    """Whether a batch was refused for one of its rows, so that the others may be written without it."""
    return isinstance(exc, FeishuRequestError) and exc.code in (RECORD_MISSING, CELL_TOO_LARGE)


def is_missing(exc: Exception) -> bool:
    """Whether a batch was refused because a row of it does not exist."""
    return isinstance(exc, FeishuRequestError) and exc.code == RECORD_MISSING


def _decode_record(item: Any) -> Record:
    fields = item.get("fields")
    made, modified = item.get("created_time"), item.get("last_modified_time")
    at = datetime.fromtimestamp(modified / 1000, tz=UTC) if isinstance(modified, int | float) else None
    made_ms = int(made) if isinstance(made, int | float) else 0
    return Record(str(item.get("record_id", "")), fields if isinstance(fields, dict) else {}, at, made_ms)
