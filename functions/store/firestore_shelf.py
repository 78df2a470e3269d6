"""The small documents beside the tasks, in Firestore: one collection a kind, data as fields of their own.

`data` is a map in the document, so that it reads well in the console; `expireAt` is for Firestore's clock.
"""

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from functions.rules.storage import Document, Kind
from functions.store import firestore_messages_pb2 as wire
from functions.store.firestore_documents import guard, id_of, revision_of
from functions.store.firestore_values import put, take

log = logging.getLogger(__name__)


def put_document(slot: wire.Write, document: Document, *, name: str) -> None:
    """Fill the empty message *slot* with a guarded write of *document*.

    Raises:
        ValueError, TypeError: Some value cannot be kept at all.
    """
    slot.update.name = name
    fields = slot.update.fields
    put(fields["data"], dict(document.data))
    if document.expire_at is not None:
        put(fields["expireAt"], document.expire_at)
    guard(slot, document.revision)


def put_removal(slot: wire.Write, document: Document, *, name: str) -> None:
    """Fill the empty message *slot* with a guarded removal of *document*."""
    slot.delete = name
    guard(slot, document.revision)


def read_documents(kind: Kind, found: list[wire.Document]) -> list[Document]:
    """What was found, as documents; one that was spoilt by hand is left out and reported."""
    documents = []
    for one in found:
        data = _taken(one, "data")
        if not isinstance(data, Mapping):
            log.warning("document_unreadable", extra={"kind": kind, "document": id_of(one)})
            continue
        expires = _taken(one, "expireAt")
        documents.append(
            Document(
                kind,
                id_of(one),
                data,
                revision_of(one.update_time),
                expires if isinstance(expires, datetime) else None,
            )
        )
    return documents


def _taken(document: wire.Document, field: str) -> Any:
    try:
        return take(document.fields[field]) if field in document.fields else None
    except ValueError:
        return None
