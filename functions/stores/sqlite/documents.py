"""The documents table: owners, channels, keys and the other small documents."""

import json
import logging
import secrets
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from typing import Any

from functions.domain.storage import Document, DocumentKind, WriteResult, WriteStatus
from functions.errors import InputError
from functions.stores.codec import from_microseconds, to_microseconds
from functions.stores.json_text import may_hold_half_pairs, replace_half_pairs
from functions.stores.sqlite.schema import REVISION_BITS

log = logging.getLogger(__name__)

PRUNE_BATCH_SIZE = 500

SELECT_DOCUMENTS = """
    SELECT id, rev, expire_at, data FROM documents
    WHERE kind = ? AND id IN (SELECT value FROM json_each(?))
"""
SELECT_DOCUMENTS_OF_KIND = """
    SELECT id, rev, expire_at, data FROM documents WHERE kind = ? AND id > ? ORDER BY id LIMIT ?
"""
INSERT_DOCUMENT = """
    INSERT INTO documents (rev, expire_at, data, kind, id) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (kind, id) DO NOTHING
"""
UPDATE_DOCUMENT = (
    "UPDATE documents SET rev = ?, expire_at = ?, data = ? WHERE kind = ? AND id = ? AND rev = ?"
)
DELETE_DOCUMENT = "DELETE FROM documents WHERE kind = ? AND id = ? AND rev = ?"
DELETE_EXPIRED = """
    DELETE FROM documents WHERE (kind, id) IN
    (SELECT kind, id FROM documents WHERE expire_at < ? LIMIT ?)
"""


def get_documents(connection: sqlite3.Connection, kind: DocumentKind, ids: Sequence[str]) -> list[Document]:
    """The documents of *kind* with these ids."""
    return list(_decode_rows(kind, connection.execute(SELECT_DOCUMENTS, (kind, json.dumps(list(ids))))))


def list_documents(
    connection: sqlite3.Connection, kind: DocumentKind, after: str, limit: int
) -> list[Document]:
    """Documents of *kind* by id, those behind *after*. A page is short only at the end of the list."""
    with closing(connection.execute(SELECT_DOCUMENTS_OF_KIND, (kind, after, max(0, limit)))) as rows:
        return list(_decode_rows(kind, rows))


def encode_rows(documents: Sequence[Document]) -> list[tuple[Any, ...]]:
    """Encode what each put sets, without the new revision, before the lock is taken.

    Raises:
        InputError: Data that are no JSON values; nothing is written.
    """
    return [_encode_row(document) for document in documents]


def put_documents(
    connection: sqlite3.Connection, documents: Sequence[Document], rows: Sequence[tuple[Any, ...]]
) -> list[WriteResult]:
    """Create or replace each document whose precondition holds. Call it in a transaction."""
    first = secrets.randbits(REVISION_BITS)
    return [
        _put_document(connection, document, row, first + position)
        for position, (document, row) in enumerate(zip(documents, rows, strict=True))
    ]


def delete_documents(connection: sqlite3.Connection, documents: Sequence[Document]) -> list[WriteResult]:
    """Remove each document whose precondition holds. Call it in a transaction."""
    removed = [
        connection.execute(DELETE_DOCUMENT, (one.kind, one.id, str(one.revision))).rowcount
        for one in documents
    ]
    return [WriteResult(WriteStatus.APPLIED if number == 1 else WriteStatus.CONFLICT) for number in removed]


def delete_expired(connection: sqlite3.Connection, now: datetime) -> int:
    """Remove some expired documents; return how many. Call it in a transaction."""
    return connection.execute(DELETE_EXPIRED, (to_microseconds(now), PRUNE_BATCH_SIZE)).rowcount


def _put_document(
    connection: sqlite3.Connection, document: Document, row: tuple[Any, ...], revision: int
) -> WriteResult:
    if document.revision is None:
        cursor = connection.execute(INSERT_DOCUMENT, (revision, *row))
    else:  # as text, which SQLite compares by its value: a guard of another make is refused
        cursor = connection.execute(UPDATE_DOCUMENT, (revision, *row, str(document.revision)))
    return (
        WriteResult(WriteStatus.APPLIED, revision)
        if cursor.rowcount == 1
        else WriteResult(WriteStatus.CONFLICT)
    )


def _encode_row(document: Document) -> tuple[Any, ...]:
    try:
        data = json.dumps(dict(document.data), ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError):
        raise InputError(f"{document.kind} {document.id}: holds a value that is no JSON") from None
    expire_at = None if document.expire_at is None else to_microseconds(document.expire_at)
    return expire_at, data.encode(errors="replace").decode(), document.kind, document.id


def _decode_rows(kind: DocumentKind, rows: sqlite3.Cursor) -> Iterator[Document]:
    for name, rev, expire_at, text in rows:
        document_id = name.decode(errors="replace")
        data = _decode_data(text)
        if data is None:
            log.warning("document_unreadable", extra={"kind": kind, "document": document_id})
        expires = from_microseconds(expire_at)
        yield Document(kind, document_id, data or {}, rev, expires, is_readable=data is not None)


def _decode_data(text: bytes) -> Mapping[str, Any] | None:
    try:
        data = json.loads(text)
    except (ValueError, TypeError, RecursionError):  # TypeError: a number or nothing in the column
        return None
    if may_hold_half_pairs(text):
        data = replace_half_pairs(data)
    return data if isinstance(data, dict) else None
