"""The file of the small documents: owners, channels, keys and the others."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from functions.domain.storage import Document, DocumentKind, WriteResult, WriteStatus
from functions.domain.types import parse_stored_instant
from functions.errors import StoreError
from functions.stores.json_text import (
    as_mapping,
    content_hash,
    dump_json,
    format_block,
    has_half_pairs,
    replace_half_pairs,
    to_file_bytes,
)
from functions.stores.jsonfile.files import JsonFile, VersionStamp

log = logging.getLogger(__name__)

PRUNE_AFTER = timedelta(hours=1)  # so that each of many that expire does not write the file

DocumentsByKind = Mapping[str, Mapping[str, Any]]  # by kind and by id, as in the file


class DocumentFile:
    """`tasks.documents.json`: channels, keys, owners and what was done by whom.

    Args:
        read_lock: Holds the store's lock for reading, inside.
    """

    def __init__(self, path: Path, read_lock: Callable[[], AbstractContextManager[None]]) -> None:
        self._file = JsonFile(path.with_name(f"{path.stem}.documents.json"))
        self._read_lock = read_lock
        self._documents: DocumentsByKind = {}
        self._last_revision = 0
        self._stamp: VersionStamp | None = None
        self._first_expiry: datetime | None = None

    def get_documents(self, kind: DocumentKind, ids: Sequence[str]) -> list[Document]:
        """The documents of *kind* with these ids."""
        there = self._load().get(kind, {})
        return list(_decode_documents(kind, {name: there[name] for name in ids if name in there}))

    def list_documents(self, kind: DocumentKind, after: str, limit: int) -> list[Document]:
        """Documents of *kind* by id, those behind *after*. A page is short only at the end of the list."""
        there = self._load().get(kind, {})
        names = sorted(name for name in there if name > after)
        return list(islice(_decode_documents(kind, {name: there[name] for name in names}), max(0, limit)))

    def put_documents(
        self, documents: Sequence[Document], rows: Sequence[Mapping[str, Any]]
    ) -> list[WriteResult]:
        """Create or replace each document whose precondition holds. With the lock."""
        kinds = self._copy()
        answers = []
        for document, row in zip(documents, rows, strict=True):
            there = kinds.setdefault(document.kind, {})
            before = there.get(document.id)
            if (document.revision is None and before is None) or _precondition_holds(document, before):
                self._last_revision += 1
                there[document.id] = {"revision": self._last_revision, **row}
                answers.append(WriteResult(WriteStatus.APPLIED, _row_revision(there[document.id])))
            else:
                answers.append(WriteResult(WriteStatus.CONFLICT))
        self._save(kinds, answers)
        return answers

    def delete_documents(self, documents: Sequence[Document]) -> list[WriteResult]:
        """Remove each document whose precondition holds. With the lock."""
        kinds = self._copy()
        answers = []
        for document in documents:
            there = kinds.get(document.kind, {})
            holds = _precondition_holds(document, there.get(document.id))
            if holds:
                del there[document.id]
            answers.append(WriteResult(WriteStatus.APPLIED if holds else WriteStatus.CONFLICT))
        self._save(kinds, answers)
        return answers

    def is_prune_due(self, now: datetime) -> bool:
        """Whether a document has expired for so long that the file is worth writing anew. With the lock."""
        with suppress(StoreError):  # a file that an edit has spoilt stops no run from being recorded
            self._load_locked()
        return self._first_expiry is not None and self._first_expiry < now - PRUNE_AFTER

    def prune(self, now: datetime) -> int:
        """Remove documents that have expired; return how many. With the lock."""
        kinds = self._copy()
        past = [
            (kind, name)
            for kind, there in kinds.items()
            for name, row in there.items()
            if (at := _expiry(row)) and at < now
        ]
        for kind, name in past:
            del kinds[kind][name]
        self._save(kinds, [WriteResult(WriteStatus.APPLIED)] * len(past))
        return len(past)

    def _load(self) -> DocumentsByKind:
        if self._stamp != self._file.version_stamp():
            with self._read_lock():
                return self._load_locked()
        return self._documents

    def _load_locked(self) -> DocumentsByKind:
        if self._stamp != self._file.version_stamp():
            content, mark = self._file.read()
            if mark is not None and not _is_document_file(content):
                raise self._file.invalid_file_error("line 1: it must hold documents by kind and by id")
            known = as_mapping(content)
            last = known.get("revision", 0)
            self._last_revision = max(self._last_revision, last if type(last) is int else 0)
            self._set({kind: there for kind, there in known.items() if kind != "revision"}, mark)
        return self._documents

    def _copy(self) -> dict[str, dict[str, Any]]:
        return {kind: dict(there) for kind, there in self._load_locked().items()}

    def _save(self, kinds: DocumentsByKind, results: Sequence[WriteResult]) -> None:
        if all(one.status is not WriteStatus.APPLIED for one in results):
            return
        parts = [f'"revision": {self._last_revision}']
        for kind in sorted(kinds):
            rows = [
                f"{dump_json(name)}: {dump_json(kinds[kind][name], 4, multiline=True)}"
                for name in sorted(kinds[kind])
            ]
            parts.append(f"{dump_json(kind)}: {format_block('{', rows, '}', 2)}")
        self._set(kinds, self._file.replace(to_file_bytes(format_block("{", parts, "}"))))

    def _set(self, kinds: DocumentsByKind, stamp: VersionStamp | None) -> None:
        self._documents, self._stamp = kinds, stamp
        expiries = (_expiry(row) for there in kinds.values() for row in there.values())
        self._first_expiry = min((at for at in expiries if at is not None), default=None)


def _expiry(row: Any) -> datetime | None:
    return parse_stored_instant(as_mapping(row).get("expireAt"))


def _precondition_holds(document: Document, before: Any) -> bool:
    return before is not None and bool(_row_revision(before) == document.revision)


def _row_revision(row: Any) -> str:
    """Changes with every put, and with every edit by hand."""
    return f"{as_mapping(row).get('revision', 0)}-{content_hash(row)}"


def _decode_documents(kind: DocumentKind, rows: Mapping[str, Any]) -> Iterator[Document]:
    for name, row in rows.items():
        data = as_mapping(row).get("data")
        is_readable = isinstance(data, dict)
        if not is_readable:
            log.warning("document_unreadable", extra={"kind": kind, "document": name})
        expires = parse_stored_instant(as_mapping(row).get("expireAt"))
        kept = as_mapping(replace_half_pairs(data) if has_half_pairs(data) else data)
        yield Document(kind, name, kept, _row_revision(row), expires, is_readable=is_readable)


def _is_document_file(content: Any) -> bool:
    return isinstance(content, dict) and all(
        isinstance(there, dict) for kind, there in content.items() if kind != "revision"
    )
