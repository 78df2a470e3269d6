"""The table of the small documents: owners, channels, keys and the others, one row each."""

import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from functions.domain.storage import Document, DocumentKind, WriteResult, WriteStatus
from functions.domain.types import parse_stored_instant
from functions.errors import InvalidWriteError
from functions.stores.bitable.cells import MAX_CELL_CHARACTERS, to_seconds, to_text
from functions.stores.bitable.config import BusyError, FeishuRequestError, NoAnswerError, WriteConflictError
from functions.stores.bitable.table import (
    Record,
    RecordsApi,
    RowUpdate,
    any_of,
    compare_number,
    equals,
    is_missing,
    split_into_batches,
)
from functions.stores.json_text import as_mapping, content_hash, replace_half_pairs

log = logging.getLogger(__name__)

UNKNOWN, CONFLICT = WriteResult(WriteStatus.UNKNOWN), WriteResult(WriteStatus.CONFLICT)
PRUNE_BATCH_SIZE = 500
MAX_ATTEMPTS = 5  # tries at a write, each with its guard compared anew


class DocumentTable:
    """Channels, keys, owners and what was done by whom."""

    def __init__(self, records: RecordsApi) -> None:
        self._records = records

    async def get_documents(self, kind: DocumentKind, ids: Sequence[str]) -> list[Document]:
        """The documents of *kind* with these ids."""
        found = await self._find([(kind, name) for name in ids])
        return list(_decode_documents(found.values()))

    async def list_documents(self, kind: DocumentKind, after: str, limit: int) -> list[Document]:
        """Documents of *kind* by id, those behind *after*."""
        found = _index_by_key(await self._records.search(equals("kind", kind)))
        mine = [found[name] for name in sorted(found) if name[0] == kind and name[1] > after]
        return list(_decode_documents(mine))[: max(0, limit)]

    async def put_documents(
        self, documents: Sequence[Document], rows: Sequence[Mapping[str, Any]]
    ) -> list[WriteResult]:
        """Create or replace each document whose precondition holds by what is read just before.

        Raises:
            InvalidWriteError: One is more than a cell holds; nothing was written.
        """
        texts = [_encode_data(*each) for each in zip(documents, rows, strict=True)]
        answers = [CONFLICT] * len(documents)
        new: list[tuple[int, dict[str, Any]]] = []
        there = await self._find([(one.kind, one.id) for one in documents])
        changed: list[int] = []
        for index, (document, text) in enumerate(zip(documents, texts, strict=True)):
            before = there.get((document.kind, document.id))
            if document.revision is not None:
                changed.append(index)
            elif before is None:
                new.append((index, _encode_row(document, text, number=1)))
        for batch in split_into_batches(new):
            await self._create(batch, answers)

        def build_update(index: int, before: Record) -> RowUpdate:
            number = int(before.fields.get("revision") or 0) + 1
            return RowUpdate(before.id, _encode_row(documents[index], texts[index], number=number))

        for indexes in split_into_batches(changed):
            await self._with_precondition(documents, indexes, answers, build_update)
        return answers

    async def delete_documents(self, documents: Sequence[Document]) -> list[WriteResult]:
        """Remove each document whose precondition holds by what is read just before."""
        answers = [CONFLICT] * len(documents)
        for indexes in split_into_batches(range(len(documents))):
            await self._with_precondition(documents, indexes, answers, lambda _, before: before.id)
        return answers

    async def prune(self, now: datetime) -> int:
        """Remove documents that have expired; return how many."""
        removed = 0
        past = compare_number("expireAt", "isLess", to_seconds(now))
        while rows := await self._records.search(past, max_rows=PRUNE_BATCH_SIZE):
            for batch in split_into_batches([one.id for one in rows]):
                await self._records.delete(batch)
            removed += len(rows)
        return removed

    async def _find(self, names: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Record]:
        found: dict[tuple[str, str], Record] = {}
        for conditions in any_of("id", dict.fromkeys(name for _, name in names)):
            found |= _index_by_key(await self._records.search(*conditions))
        requested = set(names)
        return {name: record for name, record in found.items() if name in requested}

    async def _create(self, new: Sequence[tuple[int, dict[str, Any]]], results: list[WriteResult]) -> None:
        for index, _ in new:
            results[index] = UNKNOWN
        try:
            made = await self._records.create([fields for _, fields in new])
            there = await self._find([(fields["kind"], fields["id"]) for _, fields in new])
            stays = {record.id for record in there.values()}
            if late := [name for name in made if name not in stays]:  # another process had made it by then
                await self._records.delete(late)
        except (NoAnswerError, BusyError):
            return
        for (index, fields), name in zip(new, made, strict=True):
            applied = WriteResult(WriteStatus.APPLIED, _row_revision(fields, name))
            results[index] = applied if name in stays else CONFLICT

    async def _with_precondition(
        self,
        documents: Sequence[Document],
        indexes: Sequence[int],
        results: list[WriteResult],
        make_change: Callable[[int, Record], RowUpdate | str],
    ) -> None:
        """Change, or remove, those whose precondition holds; it is compared anew after each conflict."""
        for number in range(1, MAX_ATTEMPTS + 1):
            there = await self._find([(documents[index].kind, documents[index].id) for index in indexes])
            items: dict[int, RowUpdate | str] = {}
            for index in indexes:
                before = there.get((documents[index].kind, documents[index].id))
                if before and documents[index].revision == _row_revision(before.fields, before.id):
                    items[index] = make_change(index, before)
            if not items or await self._apply(items, results):
                return
            await self._records.wait_before_retry(number)

    async def _apply(self, items: Mapping[int, RowUpdate | str], results: list[WriteResult]) -> bool:
        """Whether that was all; else others wrote meanwhile, and nothing was done."""
        for index in items:
            results[index] = UNKNOWN
        changes = [one for one in items.values() if isinstance(one, RowUpdate)]
        removed = [one for one in items.values() if isinstance(one, str)]
        try:
            if changes:
                await self._records.update(changes, conditional=True)
            if removed:
                await self._records.delete(removed, conditional=True)
        except (WriteConflictError, FeishuRequestError) as exc:
            if isinstance(exc, FeishuRequestError) and not is_missing(exc):
                raise
            for index in items:
                results[index] = CONFLICT
            return False
        except (NoAnswerError, BusyError):
            return True
        for index, one in items.items():
            revision = _row_revision(one.fields, one.record_id) if isinstance(one, RowUpdate) else None
            results[index] = WriteResult(WriteStatus.APPLIED, revision)
        return True


def _index_by_key(records: Iterable[Record]) -> dict[tuple[str, str], Record]:
    """By kind and id. Two processes may have made the same one at once: everybody takes the older."""
    found: dict[tuple[str, str], Record] = {}
    for record in sorted(records, key=lambda one: one.creation_order, reverse=True):
        found[to_text(record.fields.get("kind")), to_text(record.fields.get("id"))] = record
    return found


def _encode_data(document: Document, row: Mapping[str, Any]) -> str:
    text = json.dumps(row, ensure_ascii=False, separators=(",", ":"))
    if len(text) > MAX_CELL_CHARACTERS:
        raise InvalidWriteError(
            f"{document.kind} {document.id}: more than a cell holds (100,000 characters); make it smaller"
        )
    return text


def _encode_row(document: Document, data: str, *, number: int) -> dict[str, Any]:
    return {
        "name": f"{document.kind} {document.id}",
        "kind": document.kind,
        "id": document.id,
        "revision": number,
        "expireAt": None if document.expire_at is None else to_seconds(document.expire_at),
        "data": data,
    }


def _row_revision(fields: Mapping[str, Any], record_id: str) -> str:
    """Changes with every put, and with every edit by hand; ends in the place."""
    return f"{int(fields.get('revision') or 0)}-{content_hash(to_text(fields.get('data')))}@{record_id}"


def _decode_documents(records: Iterable[Record]) -> Iterable[Document]:
    for record in records:
        kind: Any = to_text(record.fields.get("kind"))
        name = to_text(record.fields.get("id"))
        try:
            kept = as_mapping(replace_half_pairs(json.loads(to_text(record.fields.get("data")))))
        except ValueError:
            kept = {}
        data = kept.get("data")
        if not isinstance(data, dict):
            log.warning("document_unreadable", extra={"kind": kind, "document": name})
        yield Document(
            kind,
            name,
            as_mapping(data),
            _row_revision(record.fields, record.id),
            parse_stored_instant(kept.get("expireAt")),
            is_readable=isinstance(data, dict),
        )
