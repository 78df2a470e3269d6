"""Small documents of the installation itself: the idempotency keys of requests, and sessions that ended."""

from datetime import datetime, timedelta
from hashlib import sha256

from functions.domain.storage import Document, WriteStatus
from functions.domain.types import format_instant, parse_stored_instant
from functions.errors import InputError
from functions.interfaces import DocumentStore
from functions.services.compare_and_set import update_document

# Idempotency keys: each is kept for a day with a digest of its first request.

IDEMPOTENCY_KEY_TTL = timedelta(hours=24)


async def find_first_request(
    store: DocumentStore, key: str, request: str, *, now: datetime
) -> datetime | None:
    """Return when *request* was first sent under *key*; None for now, which is recorded.

    It is recorded before the request is carried out, also if that then fails.

    Raises:
        InputError: Another request was sent under this key.
    """
    document_id = _request_id(key)
    digest = sha256(request.encode()).hexdigest()
    kept = {"asked": digest, "at": format_instant(now)}
    document = Document("meta", document_id, kept, expire_at=now + IDEMPOTENCY_KEY_TTL)
    [written] = await store.put_documents([document])
    if written.status is WriteStatus.APPLIED:
        return None
    found = await store.get_documents("meta", [document_id])
    data = found[0].data if found else {"asked": digest}
    if data.get("asked") != digest:
        raise InputError("Idempotency-Key: it was used for something else; make a new one")
    return parse_stored_instant(data.get("at")) or now - IDEMPOTENCY_KEY_TTL


async def was_requested(store: DocumentStore, key: str) -> bool:
    """Whether a request was sent under *key* before; nothing is recorded."""
    return bool(await store.get_documents("meta", [_request_id(key)]))


def _request_id(key: str) -> str:
    return f"once.{sha256(key.encode()).hexdigest()[:40]}"


# Sessions that ended by signing out, one document for each key: a copy of their cookie opens nothing.

MAX_ENDED_SESSIONS = 100  # of one key; beyond it all its sessions begun until now end


async def end_session(
    store: DocumentStore, key_id: str, session_id: str, *, began_at: int, now: datetime, lifetime: timedelta
) -> None:
    """End a session of the key *key_id*, which *began_at* so many seconds since 1970.

    Raises:
        StoreUnavailableError: It is not known whether it was ended.
    """

    def decide(document: Document | None) -> dict[str, object] | None:
        ended, before = _parse_ended(document)
        if session_id in ended or began_at < before:
            return None
        kept = {name: began for name, began in ended.items() if began > (now - lifetime).timestamp()}
        if len(kept) >= MAX_ENDED_SESSIONS:
            return {"before": int(now.timestamp()) + 1}
        return {"ended": kept | {session_id: began_at}, "before": before}

    await update_document(store, "meta", _sessions_document_id(key_id), decide, expire_at=now + lifetime)


async def has_session_ended(store: DocumentStore, key_id: str, session_id: str, *, began_at: int) -> bool:
    """Whether a session was ended; reads one document."""
    found = await store.get_documents("meta", [_sessions_document_id(key_id)])
    ended, before = _parse_ended(found[0] if found else None)
    return session_id in ended or began_at < before


def _sessions_document_id(key_id: str) -> str:
    return f"sessions.{key_id}"


def _parse_ended(document: Document | None) -> tuple[dict[str, int], int]:
    """Return when each ended session began, and before when a session must have begun to be over."""
    data = document.data if document else {}
    ended, before = data.get("ended"), data.get("before")
    sessions = {str(name): began for name, began in (ended.items() if isinstance(ended, dict) else ())}
    return {name: began for name, began in sessions.items() if isinstance(began, int)}, (
        before if isinstance(before, int) else 0
    )
