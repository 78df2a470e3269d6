"""API keys and the audit trail in the store. Keys are created, found by their token, listed and revoked."""

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Final

from pydantic import ValidationError

from functions.domain.access import (
    ApiKey,
    AuditEntry,
    Principal,
    Scope,
    audit_entry_id,
    audit_expiry,
    audit_id_prefix,
    format_token,
    hash_token,
    is_well_formed,
    principal_of,
)
from functions.domain.storage import Document, WriteStatus
from functions.errors import (
    InputError,
    NotAllowedError,
    NotFoundError,
    StoreError,
    StoreUnavailableError,
)
from functions.interfaces import DocumentStore
from functions.services.compare_and_set import update_document
from functions.services.paging import iter_documents

KIND: Final = "keys"


async def create_key(
    store: DocumentStore,
    *,
    name: str,
    scopes: tuple[Scope, ...],
    owner: str,
    expires_at: datetime | None,
    by: Principal,
    now: datetime,
    new_id: Callable[[], str],
    new_secret: Callable[[], str],
) -> tuple[ApiKey, str]:
    """Create a key; return it with its token, of which only the digest is stored.

    Raises:
        NotAllowedError: *by* lacks the scope admin, or the key would be for another owner.
        InputError: *expires_at* is not in the future.
    """
    if not by.has_scope("admin"):
        raise NotAllowedError("Making keys takes the scope admin")
    if by.owner and owner != by.owner:
        raise NotAllowedError(f"owner: a key of {by.owner} makes keys for {by.owner} alone")
    if expires_at is not None and expires_at <= now:
        raise InputError("expiresAt: must be in the future")
    key = ApiKey(
        id=new_id(),
        name=name,
        scopes=scopes,
        owner=owner,
        created_at=now,
        created_by=by.name,
        expires_at=expires_at,
    )
    token = format_token(key.id, new_secret())
    [written] = await store.put_documents(
        [Document(KIND, hash_token(token), _to_document_data(key), expire_at=expires_at)]
    )
    if written.status is not WriteStatus.APPLIED:
        raise StoreUnavailableError("The store did not say whether the key was kept; make another one")
    return key, token


async def find_principal(store: DocumentStore, token: str, *, now: datetime) -> Principal | None:
    """Return the principal of *token*; None when no key has it, or the key has expired or is revoked."""
    if not is_well_formed(token):
        return None
    return await find_principal_by_hash(store, hash_token(token), now=now)


async def find_principal_by_hash(store: DocumentStore, token_hash: str, *, now: datetime) -> Principal | None:
    """Return the principal of the key with this digest; None as in `find_principal`."""
    found = [_parse_key(document) for document in await store.get_documents(KIND, [token_hash])]
    live = [key for key in found if key is not None and key.is_active(now)]
    return principal_of(live[0]) if live else None


async def list_keys(store: DocumentStore, *, by: Principal) -> list[ApiKey]:
    """Return all keys that *by* may see, newest first.

    Raises:
        NotAllowedError: *by* lacks the scope admin.
    """
    keys = [key for document in await _all_key_documents(store, by=by) if (key := _parse_key(document))]
    return sorted(
        (key for key in keys if by.can_see(key.owner)), key=lambda key: key.created_at, reverse=True
    )


async def revoke_key(store: DocumentStore, key_id: str, *, by: Principal, now: datetime) -> ApiKey:
    """Revoke a key, at once and for good.

    Raises:
        NotAllowedError: *by* lacks the scope admin.
        NotFoundError: No such key exists that *by* may see.
        StoreUnavailableError: It is not known whether the key was changed.
    """
    for document in await _all_key_documents(store, by=by):
        key = _parse_key(document)
        if key is not None and key.id == key_id and by.can_see(key.owner):
            return await _revoke(store, document.id, key, now=now)
    raise NotFoundError(f"There is no key {key_id!r}")


async def _revoke(store: DocumentStore, document_id: str, key: ApiKey, *, now: datetime) -> ApiKey:
    revoked = key

    def decide(document: Document | None) -> dict[str, object] | None:
        nonlocal revoked
        stored = _parse_key(document) if document else None
        if stored is None:
            raise NotFoundError(f"There is no key {key.id!r}")
        if stored.revoked_at is not None:
            revoked = stored
            return None
        revoked = stored.model_copy(update={"revoked_at": now})
        return _to_document_data(revoked)

    await update_document(store, KIND, document_id, decide)
    return revoked


async def _all_key_documents(store: DocumentStore, *, by: Principal) -> list[Document]:
    if not by.has_scope("admin"):
        raise NotAllowedError("Keys take the scope admin")
    return [document async for document in iter_documents(store, KIND)]


def _to_document_data(key: ApiKey) -> dict[str, object]:
    return key.model_dump(mode="json", by_alias=True, exclude_defaults=True)


def _parse_key(document: Document) -> ApiKey | None:
    try:
        return ApiKey.model_validate(document.data)
    except ValidationError:
        return None  # the document was edited by hand: such a key grants nothing


# The audit trail: an entry is added after the change that it records, and entries are read by subject.

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
