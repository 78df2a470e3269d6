"""The installation's own signing secret: made once, kept in the store, the same for every process."""

from collections.abc import Callable
from datetime import datetime, timedelta
from hashlib import sha256

from functions.domain.storage import Document, Result
from functions.errors import InputError, StoreUnavailable
from functions.interfaces import Shelf

NAME = "signing"


async def signing_secret(shelf: Shelf, *, new_secret: Callable[[], str]) -> str:
    """Return the secret that sessions and public links are signed with.

    It is none of the settings' secrets, so that rotating those breaks no link. Of several processes that
    make one at the same moment, the first one's counts.

    Raises:
        StoreUnavailable: It could neither be found nor kept.
    """
    for _ in range(2):
        found = await shelf.documents("meta", [NAME])
        if found and isinstance(secret := found[0].data.get("secret"), str) and secret:
            return secret
        await shelf.put([Document("meta", NAME, {"secret": new_secret()})])
    raise StoreUnavailable("The signing secret could not be kept")


# Requests asked for twice: an idempotency key is remembered for a day with what was asked under it.

KEPT = timedelta(hours=24)


async def is_repeated(shelf: Shelf, key: str, what: str, *, now: datetime) -> bool:
    """Whether *what* was asked for under *key* before. The first asking is written down before it is done.

    Raises:
        InputError: Something else was asked for under this key.
    """
    name = f"once.{sha256(key.encode()).hexdigest()[:40]}"
    asked = sha256(what.encode()).hexdigest()
    [written] = await shelf.put([Document("meta", name, {"asked": asked}, expire_at=now + KEPT)])
    if written.result is Result.APPLIED:
        return False
    before = await shelf.documents("meta", [name])
    if before and before[0].data.get("asked") != asked:
        raise InputError("Idempotency-Key: it was used for something else; make a new one")
    return True
