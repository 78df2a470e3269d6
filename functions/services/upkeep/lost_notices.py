"""The record of notices that reached nobody, for `/status`, `doctor` and the dashboard."""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from functions.domain.alerts.outbox import Undelivered
from functions.domain.storage import Document
from functions.domain.types import format_instant, parse_stored_instant
from functions.errors import StoreError
from functions.interfaces import DocumentStore
from functions.services.compare_and_set import update_document

log = logging.getLogger(__name__)

DOCUMENT_ID = "lost-notices"  # of kind `meta`
SHOWN_FOR = timedelta(days=1)
REASON_CHARS = 300


async def record_lost(store: DocumentStore, undelivered: Sequence[Undelivered], *, now: datetime) -> None:
    """Add *undelivered* to the record. Never raises: they are in the log as well."""
    newest = undelivered[-1]
    entry = {
        "at": format_instant(now),
        "task": newest.notification.task_id,
        "kind": newest.notification.kind,
        "reason": "; ".join(newest.reasons.values())[:REASON_CHARS],
    }

    def decide(document: Document | None) -> dict[str, object]:
        before = 0 if document is None or _is_old(document, now=now) else document.data.get("count", 0)
        return entry | {"count": before + len(undelivered)}

    try:
        await update_document(store, "meta", DOCUMENT_ID, decide)
    except StoreError as exc:
        log.warning("lost_notices_not_noted", extra={"reason": str(exc)})


async def recently_lost(store: DocumentStore, *, now: datetime) -> str:
    """Return in a sentence what reached nobody within a day; empty when nothing did.

    Raises:
        StoreError: As from the store.
    """
    found = await store.get_documents("meta", [DOCUMENT_ID])
    if not found or _is_old(found[0], now=now):
        return ""
    data: Any = found[0].data
    what = "A notice" if data["count"] == 1 else f"{data['count']} notices, the last"
    return f"{what} about {data['task']} ({data['kind']}) reached nobody at {data['at']}: {data['reason']}"


def _is_old(document: Document, *, now: datetime) -> bool:
    at = parse_stored_instant(str(document.data.get("at", "")))
    return at is None or now - at > SHOWN_FOR
