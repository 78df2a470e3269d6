"""The audit trail in the store: an entry is added after the change that it records, and read by subject."""

import logging
from collections.abc import Callable

from pydantic import ValidationError

from functions.domain.access import AuditEntry, audit_entry_id, audit_expiry, audit_id_prefix
from functions.domain.storage import Document
from functions.errors import StoreError
from functions.interfaces import DocumentStore
from functions.services.paging import iter_documents

log = logging.getLogger(__name__)


async def record_entry(store: DocumentStore, entry: AuditEntry, *, new_id: Callable[[], str]) -> None:
    """Write *entry* to the store and to the log. Never raises for a fault of the store.

    The change is done already: it stays when the store refuses the entry, and the log has the entry.
    """
    log.info("audit", extra=entry.model_dump(mode="json", exclude_defaults=True))
    data = entry.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    document = Document("audit", audit_entry_id(entry, new_id()), data, expire_at=audit_expiry(entry))
    try:
        await store.put_documents([document])
    except StoreError as exc:
        log.error("audit_not_kept", extra={"subject": entry.subject, "error": str(exc)})  # noqa: TRY400  # known


async def list_entries(store: DocumentStore, subject: str, *, limit: int = 100) -> list[AuditEntry]:
    """Return the newest entries about *subject*, newest first."""
    documents = iter_documents(store, "audit", prefix=audit_id_prefix(subject))
    entries = [entry async for document in documents if (entry := _parse_entry(document))]
    return entries[::-1][:limit]


def _parse_entry(document: Document) -> AuditEntry | None:
    try:
        return AuditEntry.model_validate(document.data)
    except ValidationError:
        return None
