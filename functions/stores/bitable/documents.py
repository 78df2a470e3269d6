"""The small documents beside the tasks, each a row of a table of their own."""

import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from functions.domain.storage import Document, Kind, Result, Written
from functions.stores.bitable.cells import seconds, text
from functions.stores.bitable.config import Busy, Conflict, RefusedError, Unanswered
from functions.stores.bitable.table import Change, Record, Records, any_of, batches, compared, is_, is_gone
from functions.stores.editable.model import moment
from functions.stores.json_text import digest, mapping

log = logging.getLogger(__name__)

UNKNOWN, REFUSED = Written(Result.UNKNOWN), Written(Result.REFUSED)
FORGOTTEN_AT_ONCE = 500
ROUNDS = 5  # tries at a write, each with its guard compared anew


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
        """Create or replace each document whose guard holds by what is read just before."""
        answers = [REFUSED] * len(documents)
        new: list[tuple[int, dict[str, Any]]] = []
        there = await self._found([(one.kind, one.id) for one in documents])
        changed: list[int] = []
        for index, (document, row) in enumerate(zip(documents, rows, strict=True)):
            before = there.get((document.kind, document.id))
            if document.revision is not None:
                changed.append(index)
            elif before is None:
                new.append((index, _fields(document, row, number=1)))
        for some in batches(new):
            await self._create(some, answers)

        def replaced(index: int, before: Record) -> Change:
            number = int(before.fields.get("revision") or 0) + 1
            return Change(before.id, _fields(documents[index], rows[index], number=number))

        for indexes in batches(changed):
            await self._guarded(documents, indexes, answers, replaced)
        return answers

    async def discard(self, documents: Sequence[Document]) -> list[Written]:
        """Remove each document whose guard holds by what is read just before."""
        answers = [REFUSED] * len(documents)
        for indexes in batches(range(len(documents))):
            await self._guarded(documents, indexes, answers, lambda _, before: before.id)
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
        for index, _ in new:
            answers[index] = UNKNOWN
        try:
            made = await self._records.create([fields for _, fields in new])
            there = await self._found([(fields["kind"], fields["id"]) for _, fields in new])
            stays = {record.id for record in there.values()}
            if late := [name for name in made if name not in stays]:  # another process had made it by then
                await self._records.delete(late)
        except (Unanswered, Busy):
            return
        for (index, fields), name in zip(new, made, strict=True):
            applied = Written(Result.APPLIED, _revision(fields, name))
            answers[index] = applied if name in stays else REFUSED

    async def _guarded(
        self,
        documents: Sequence[Document],
        indexes: Sequence[int],
        answers: list[Written],
        wanted: Callable[[int, Record], Change | str],
    ) -> None:
        """Change, or remove, those whose guard holds; it is compared anew after each conflict."""
        for number in range(1, ROUNDS + 1):
            there = await self._found([(documents[index].kind, documents[index].id) for index in indexes])
            items: dict[int, Change | str] = {}
            for index in indexes:
                before = there.get((documents[index].kind, documents[index].id))
                if before and documents[index].revision == _revision(before.fields, before.id):
                    items[index] = wanted(index, before)
            if not items or await self._done(items, answers):
                return
            await self._records.pause(number)

    async def _done(self, items: Mapping[int, Change | str], answers: list[Written]) -> bool:
        """Whether that was all; else others wrote meanwhile, and nothing was done."""
        for index in items:
            answers[index] = UNKNOWN
        changes = [one for one in items.values() if isinstance(one, Change)]
        removed = [one for one in items.values() if isinstance(one, str)]
        try:
            if changes:
                await self._records.update(changes, guarded=True)
            if removed:
                await self._records.delete(removed, guarded=True)
        except (Conflict, RefusedError) as exc:
            if isinstance(exc, RefusedError) and not is_gone(exc):
                raise
            for index in items:
                answers[index] = REFUSED
            return False
        except (Unanswered, Busy):
            return True
        for index, one in items.items():
            revision = _revision(one.fields, one.record_id) if isinstance(one, Change) else None
            answers[index] = Written(Result.APPLIED, revision)
        return True


def _by_name(records: Iterable[Record]) -> dict[tuple[str, str], Record]:
    """By kind and id. Two processes may have made the same one at once: everybody takes the older."""
    found: dict[tuple[str, str], Record] = {}
    for record in sorted(records, key=lambda one: one.age, reverse=True):
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
