"""The small documents beside the tasks, each a row of a table of their own."""

import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from functions.rules.storage import Document, Kind, Result, Written
from functions.store.bitable_cells import seconds, text
from functions.store.bitable_faults import Busy, Unanswered
from functions.store.bitable_records import (
    Change,
    Record,
    Records,
    any_of,
    batches,
    compared,
    is_,
    is_gone,
)
from functions.store.hand_parts import moment
from functions.store.json_text import digest, mapping

log = logging.getLogger(__name__)

UNKNOWN, REFUSED = Written(Result.UNKNOWN), Written(Result.REFUSED)
FORGOTTEN_AT_ONCE = 500


class ShelfTable:
    """Channels, keys, owners and what was done by whom."""

    def __init__(self, records: Records) -> None:
        self._records = records

    async def documents(self, kind: Kind, ids: Sequence[str]) -> list[Document]:
        """The documents of *kind* with these ids."""
        found = await self._found([(kind, name) for name in ids])
        return list(_readable(found.values()))

    async def shelf(self, kind: Kind, after: str, limit: int) -> list[Document]:
        """Documents of *kind* by id, those behind *after*."""
        found = _by_name(await self._records.search(is_("kind", kind)))
        mine = [found[name] for name in sorted(found) if name[0] == kind and name[1] > after]
        return list(_readable(mine))[: max(0, limit)]

    async def put(self, documents: Sequence[Document], rows: Sequence[Mapping[str, Any]]) -> list[Written]:
        """Create or replace each document whose guard holds, as far as it can be known beforehand."""
        there = await self._found([(one.kind, one.id) for one in documents])
        answers = [REFUSED] * len(documents)
        new: list[tuple[int, dict[str, Any]]] = []
        changes: list[tuple[int, Change]] = []
        for index, (document, row) in enumerate(zip(documents, rows, strict=True)):
            before = there.get((document.kind, document.id))
            if before is None and document.revision is None:
                new.append((index, _fields(document, row, number=1)))
            elif before is not None and document.revision == _revision(before.fields, before.id):
                number = int(before.fields.get("revision") or 0) + 1
                changes.append((index, Change(before.id, _fields(document, row, number=number))))
        for some in batches(new):
            await self._create(some, answers)
        for others in batches(changes):
            await self._update(others, answers)
        return answers

    async def discard(self, documents: Sequence[Document]) -> list[Written]:
        """Remove each document whose guard holds, as far as it can be known beforehand."""
        there = await self._found([(one.kind, one.id) for one in documents])
        answers = [REFUSED] * len(documents)
        gone: list[tuple[int, str]] = []
        for index, document in enumerate(documents):
            before = there.get((document.kind, document.id))
            if before is not None and document.revision == _revision(before.fields, before.id):
                gone.append((index, before.id))
        for some in batches(gone):
            await self._do(some, answers, lambda names: self._records.delete(names))
        return answers

    async def prune(self, now: datetime) -> int:
        """Remove documents that have expired; return how many."""
        removed = 0
        past = compared("expireAt", "isLess", seconds(now))
        while some := await self._records.search(past, most=FORGOTTEN_AT_ONCE):
            for batch in batches([one.id for one in some]):
                await self._records.delete(batch)
            removed += len(some)
        return removed

    async def _found(self, names: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Record]:
        found: dict[tuple[str, str], Record] = {}
        for some in any_of("id", dict.fromkeys(name for _, name in names)):
            found |= _by_name(await self._records.search(*some))
        wanted = set(names)
        return {name: record for name, record in found.items() if name in wanted}

    async def _create(self, new: Sequence[tuple[int, dict[str, Any]]], answers: list[Written]) -> None:
        try:
            made = await self._records.create([fields for _, fields in new])
        except (Unanswered, Busy):
            made = [""] * len(new)
        for (index, fields), name in zip(new, made, strict=True):
            answers[index] = Written(Result.APPLIED, _revision(fields, name)) if name else UNKNOWN

    async def _update(self, changes: Sequence[tuple[int, Change]], answers: list[Written]) -> None:
        await self._do(changes, answers, lambda some: self._records.update(some))
        for index, change in changes:
            if answers[index].result is Result.APPLIED:
                answers[index] = Written(Result.APPLIED, _revision(change.fields, change.record_id))

    async def _do(
        self, items: Sequence[tuple[int, Any]], answers: list[Written], does: Callable[[list[Any]], Any]
    ) -> None:
        """Do something to a batch; one of it may be gone by now, and is then left out."""
        answer = Written(Result.APPLIED)
        try:
            await does([item for _, item in items])
        except (Unanswered, Busy):
            answer = UNKNOWN
        except Exception as exc:
            if not is_gone(exc):
                raise
            await self._one_by_one(items, answers, does)
            return
        for index, _ in items:
            answers[index] = answer

    async def _one_by_one(
        self, items: Sequence[tuple[int, Any]], answers: list[Written], does: Callable[[list[Any]], Any]
    ) -> None:
        for index, item in items:
            if len(items) == 1:
                answers[index] = REFUSED
            else:
                await self._do([(index, item)], answers, does)


def _by_name(records: Iterable[Record]) -> dict[tuple[str, str], Record]:
    """By kind and id. Two processes may have made the same one at once: everybody takes the same of them."""
    found: dict[tuple[str, str], Record] = {}
    for record in sorted(records, key=lambda one: one.id, reverse=True):
        found[text(record.fields.get("kind")), text(record.fields.get("id"))] = record
    return found


def _fields(document: Document, row: Mapping[str, Any], *, number: int) -> dict[str, Any]:
    return {
        "name": f"{document.kind} {document.id}",
        "kind": document.kind,
        "id": document.id,
        "revision": number,
        "expireAt": None if document.expire_at is None else seconds(document.expire_at),
        "data": json.dumps(row, ensure_ascii=False, separators=(",", ":")),
    }


def _revision(fields: Mapping[str, Any], record_id: str) -> str:
    """Changes with every put, and with every edit by hand; ends in the place."""
    return f"{int(fields.get('revision') or 0)}-{digest(text(fields.get('data')))}@{record_id}"


def _readable(records: Iterable[Record]) -> Iterable[Document]:
    for record in records:
        kind: Any = text(record.fields.get("kind"))
        name = text(record.fields.get("id"))
        try:
            kept = mapping(json.loads(text(record.fields.get("data"))))
        except ValueError:
            kept = {}
        if isinstance(data := kept.get("data"), dict):
            yield Document(
                kind, name, data, _revision(record.fields, record.id), moment(kept.get("expireAt"))
            )
        else:
            log.warning("document_unreadable", extra={"kind": kind, "document": name})
