"""Small documents of the installation itself: its signing secret, and the idempotency keys of requests."""

from collections.abc import Callable
from datetime import datetime, timedelta
from hashlib import sha256

from functions.domain.storage import Document, WriteStatus
from functions.errors import InputError
from functions.interfaces import DocumentStore
from functions.services.compare_and_set import update_document

SIGNING_DOCUMENT_ID = "signing"


async def get_signing_secret(store: DocumentStore, *, new_secret: Callable[[], str]) -> str:
    """Return the secret that sessions and public links are signed with.

    It is none of the settings' secrets, so that rotating those breaks no link. When several processes make
    one at the same moment, the first write counts.

    Raises:
        StoreUnavailableError: It can be neither read nor written.
    """
    secret = ""

    def decide(document: Document | None) -> dict[str, object] | None:
        nonlocal secret
        stored = document.data.get("secret") if document else None
        secret = stored if isinstance(stored, str) and stored else new_secret()
        return None if secret == stored else {"secret": secret}

    await update_document(store, "meta", SIGNING_DOCUMENT_ID, decide)
    return secret


# Idempotency keys: each is kept for a day with a digest of its first request.

IDEMPOTENCY_KEY_TTL = timedelta(hours=24)


async def is_duplicate_request(store: DocumentStore, key: str, request: str, *, now: datetime) -> bool:
    """Whether *request* was sent under *key* before. The first one is recorded before it is carried out.

    Raises:
        InputError: Another request was sent under this key.
    """
    document_id = f"once.{sha256(key.encode()).hexdigest()[:40]}"
    digest = sha256(request.encode()).hexdigest()
    [written] = await store.put_documents(
        [Document("meta", document_id, {"asked": digest}, expire_at=now + IDEMPOTENCY_KEY_TTL)]
    )
    if written.status is WriteStatus.APPLIED:
        return False
    found = await store.get_documents("meta", [document_id])
    if found and found[0].data.get("asked") != digest:
        raise InputError("Idempotency-Key: it was used for something else; make a new one")
    return True
