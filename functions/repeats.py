"""Requests asked for twice: an idempotency key is remembered for a day with what was asked under it."""

from datetime import datetime, timedelta
from hashlib import sha256

from functions.errors import InputError
from functions.ports import Shelf
from functions.rules.storage import Document, Result

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
