"""The audit trail in the store: an entry is added after the change that it records, and read by subject."""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime

from pydantic import ValidationError

from functions.domain.access import (
    TIMELINE,
    AuditEntry,
    AuditVerb,
    audit_entry_id,
    audit_expiry,
    audit_id_prefix,
    audit_timeline_id,
)
from functions.domain.storage import Document, WriteStatus
from functions.errors import StoreError
from functions.interfaces import DocumentStore
from functions.services.paging import iter_documents

log = logging.getLogger(__name__)


async def record_change(
    store: DocumentStore,
    verb: AuditVerb,
    subject: str,
    *,
    by: str,
    at: datetime,
    new_id: Callable[[], str],
    note: str = "",
    fields: Sequence[str] = (),
) -> None:
    """Write an entry to the store and to the log. Never raises for a fault of the store.

    The change is done already: it stays when the store refuses the entry, and the log has the entry.

    Args:
        subject: See `AuditEntry`, as for the others.
    """
    entry = AuditEntry(at=at, verb=verb, subject=subject, by=by, note=note, fields=tuple(fields))
    log.info("audit", extra=entry.model_dump(mode="json", exclude_defaults=True))
    data = entry.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    suffix, expire_at = new_id(), audit_expiry(entry)
    ids = (audit_entry_id(entry, suffix), audit_timeline_id(entry, suffix))
    problem = ""
    try:
        for written in await store.put_documents(
            [Document("audit", one, data, expire_at=expire_at) for one in ids]
        ):
            if written.status is not WriteStatus.APPLIED:
                problem = f"the write is {written.status.value}"
    except StoreError as exc:
        problem = str(exc)
    if problem:
        log.error("audit_not_kept", extra={"subject": entry.subject, "error": problem})


async def list_entries(store: DocumentStore, subject: str, *, limit: int = 100) -> list[AuditEntry]:
    """Return the newest entries about *subject*, newest first."""
    documents = iter_documents(store, "audit", prefix=audit_id_prefix(subject))
    entries = [entry async for document in documents if (entry := _parse_entry(document))]
    return entries[::-1][:limit]


async def list_latest(store: DocumentStore, *, after: str = "", limit: int) -> tuple[list[AuditEntry], str]:
    """Return entries about everything, newest first, and where the next page begins; empty at the end.

    Entries of versions before this order was kept are found by their subjects alone.
    """
    found = await store.list_documents("audit", after=after or TIMELINE, limit=limit + 1)
    page = [document for document in found if document.id.startswith(TIMELINE)]
    entries = [entry for document in page[:limit] if (entry := _parse_entry(document))]
    return entries, page[limit - 1].id if len(page) > limit else ""


def _parse_entry(document: Document) -> AuditEntry | None:
    try:
        return AuditEntry.model_validate(document.data)
    except ValidationError:
        return None
