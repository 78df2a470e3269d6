"""The installation's own signing secret: made once, kept in the store, the same for every process."""

from collections.abc import Callable
from datetime import datetime, timedelta
from hashlib import sha256

from functions.domain.storage import Document, WriteStatus
from functions.errors import InputError, StoreUnavailableError
from functions.interfaces import DocumentStore

SIGNING_DOCUMENT_ID = "signing"


async def get_signing_secret(store: DocumentStore, *, new_secret: Callable[[], str]) -> str:
    """Return the secret that sessions and public links are signed with.

    It is none of the settings' secrets, so that rotating those breaks no link. Of several processes that
    make one at the same moment, the first one's counts.

    Raises:
        StoreUnavailableError: It could neither be found nor kept.
    """
    for _ in range(2):
        found = await store.get_documents("meta", [SIGNING_DOCUMENT_ID])
        if found and isinstance(secret := found[0].data.get("secret"), str) and secret:
            return secret
        await store.put_documents([Document("meta", SIGNING_DOCUMENT_ID, {"secret": new_secret()})])
    raise StoreUnavailableError("The signing secret could not be kept")


# Requests asked for twice: an idempotency key is remembered for a day with what was asked under it.

IDEMPOTENCY_KEY_TTL = timedelta(hours=24)


async def is_duplicate_request(store: DocumentStore, key: str, request: str, *, now: datetime) -> bool:
    """Whether *what* was asked for under *key* before. The first asking is written down before it is done.

    Raises:
        InputError: Something else was asked for under this key.
    """
    name = f"once.{sha256(key.encode()).hexdigest()[:40]}"
    asked = sha256(request.encode()).hexdigest()
    [written] = await store.put_documents(
        [Document("meta", name, {"asked": asked}, expire_at=now + IDEMPOTENCY_KEY_TTL)]
    )
    if written.status is WriteStatus.APPLIED:
        return False
    before = await store.get_documents("meta", [name])
    if before and before[0].data.get("asked") != asked:
        raise InputError("Idempotency-Key: it was used for something else; make a new one")
    return True
