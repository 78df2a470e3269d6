"""The small documents beside the tasks, as SQL."""

import json
import logging
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from functions.domain.storage import Document, Kind, Result, Written
from functions.errors import InputError
from functions.stores.codec import micros, moment

log = logging.getLogger(__name__)

FORGOTTEN_AT_ONCE = 500

READ = """
    SELECT id, rev, expire_at, data FROM documents
    WHERE kind = ? AND id IN (SELECT value FROM json_each(?))
"""
LIST = """
    SELECT id, rev, expire_at, data FROM documents WHERE kind = ? AND id > ? ORDER BY id LIMIT ?
"""
REVISIONS = "UPDATE revisions SET last = last + ? RETURNING last"
CREATE = """
    INSERT INTO documents (rev, expire_at, data, kind, id) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (kind, id) DO NOTHING
"""
REPLACE = "UPDATE documents SET rev = ?, expire_at = ?, data = ? WHERE kind = ? AND id = ? AND rev = ?"
REMOVE = "DELETE FROM documents WHERE kind = ? AND id = ? AND rev = ?"
FORGET = """
    DELETE FROM documents WHERE (kind, id) IN
    (SELECT kind, id FROM documents WHERE expire_at < ? LIMIT ?)
"""


def documents(connection: sqlite3.Connection, kind: Kind, ids: Sequence[str]) -> list[Document]:
    """The documents of *kind* with these ids."""
    return _read(kind, connection.execute(READ, (kind, json.dumps(list(ids)))))


def shelf(connection: sqlite3.Connection, kind: Kind, after: str, limit: int) -> list[Document]:
    """Documents of *kind* by id, those behind *after*."""
    return _read(kind, connection.execute(LIST, (kind, after, max(0, limit))))


def rows_of(documents: Sequence[Document]) -> list[tuple[Any, ...]]:
    """What each put sets, its new revision aside: all that can be made before taking the lock.

    Raises:
        InputError: Data that are no JSON values; nothing is written.
    """
    return [_row(document) for document in documents]


def put(
    connection: sqlite3.Connection, documents: Sequence[Document], rows: Sequence[tuple[Any, ...]]
) -> list[Written]:
    """Create or replace each document whose guard holds. To be called in a transaction."""
    [[last]] = connection.execute(REVISIONS, (len(documents),)).fetchall()
    revisions = range(last - len(documents) + 1, last + 1)
    return [
        _put(connection, document, row, rev)
        for document, row, rev in zip(documents, rows, revisions, strict=True)
    ]


def discard(connection: sqlite3.Connection, documents: Sequence[Document]) -> list[Written]:
    """Remove each document whose guard holds. To be called in a transaction."""
    removed = [
        connection.execute(REMOVE, (one.kind, one.id, str(one.revision))).rowcount for one in documents
    ]
    return [Written(Result.APPLIED if number == 1 else Result.REFUSED) for number in removed]


def forget(connection: sqlite3.Connection, now: datetime) -> int:
    """Remove some documents that have expired; how many. To be called in a transaction."""
    return connection.execute(FORGET, (micros(now), FORGOTTEN_AT_ONCE)).rowcount


def _put(connection: sqlite3.Connection, document: Document, row: tuple[Any, ...], rev: int) -> Written:
    if document.revision is None:
        cursor = connection.execute(CREATE, (rev, *row))
    else:  # as text, which SQLite compares by its value: a guard of another make is refused
        cursor = connection.execute(REPLACE, (rev, *row, str(document.revision)))
    return Written(Result.APPLIED, rev) if cursor.rowcount == 1 else Written(Result.REFUSED)


def _row(document: Document) -> tuple[Any, ...]:
    try:
        data = json.dumps(dict(document.data), ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError):
        raise InputError(f"{document.kind} {document.id}: holds a value that is no JSON") from None
    expire_at = None if document.expire_at is None else micros(document.expire_at)
    return expire_at, data.encode(errors="replace").decode(), document.kind, document.id


def _read(kind: Kind, rows: sqlite3.Cursor) -> list[Document]:
    found = []
    for name, rev, expire_at, text in rows:
        document_id = name.decode(errors="replace")
        data = _data(text)
        if data is None:
            log.warning("document_unreadable", extra={"kind": kind, "document": document_id})
            continue
        expires = None if expire_at is None else moment(expire_at)
        found.append(Document(kind, document_id, data, rev, expires))
    return found


def _data(text: bytes) -> Mapping[str, Any] | None:
    try:
        data = json.loads(text)
    except ValueError:
        return None
    return data if isinstance(data, dict) else None
