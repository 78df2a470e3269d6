"""Wishes that come while attempts run: long ones are looked after, and cancelled when somebody wants it."""

import asyncio
from datetime import timedelta

from functions.attempts import CANCELLED, Attempts
from functions.errors import StoreError
from functions.ports import Store

LOOK_AGAIN = timedelta(seconds=3)  # how often a long attempt's document is read for a wish to cancel


async def heed(store: Store, attempts: Attempts) -> None:
    """Cancel long attempts that somebody wants cancelled, until cancelled itself."""
    while True:
        await asyncio.sleep(LOOK_AGAIN.total_seconds())
        long = attempts.longer_than(LOOK_AGAIN)
        try:
            found = await store.read([stored.task.id for stored in long]) if long else None
        except StoreError:
            continue  # the wish is still there at the next look
        for stored in found.tasks if found else ():
            if stored.task.cancel_requested:
                attempts.cancel(stored.task.id, CANCELLED)
