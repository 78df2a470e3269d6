"""Notices that the scheduler itself was late, and tells people once: the dead man's switch from within.

It costs nothing while all is well: what is due is read in any case, and shows by its age how long nobody
looked. Only when it is too old is anything read or written for the purpose.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from functions.domain.alerts.model import Notification
from functions.domain.storage import Document, WriteStatus
from functions.domain.types import Priority, format_instant
from functions.errors import StoreError
from functions.interfaces import DocumentStore, Notify

log = logging.getLogger(__name__)

DOCUMENT_ID = "scheduler-late"


class Watchdog:
    """Tells people that due work was left lying, once for each time it was.

    Args:
        after: For so long it may lie; nothing, to tell never.
    """

    def __init__(
        self, store: DocumentStore, notify: Notify, *, clock: Callable[[], datetime], late_after: timedelta
    ) -> None:
        self._store = store
        self._notify = notify
        self._clock = clock
        self._late_after = late_after

    async def check(
        self, oldest: datetime | None, *, found_at: datetime, last_tick: datetime | None, within: timedelta
    ) -> None:
        """Judge what a tick found. Never raises for a fault of the store or a channel.

        Args:
            oldest: The earliest look that was due.
            found_at: When it was found.
            last_tick: When this process last finished a tick; None when it has not.
        """
        if not self._late_after or oldest is None or found_at - oldest <= self._late_after:
            return
        log.error("scheduler_late", extra={"minutes": round((found_at - oldest).total_seconds() / 60)})
        try:
            mine = await self._claim_notification(oldest, found_at)
        except StoreError as exc:
            log.warning("scheduler_late_untold", extra={"reason": str(exc)})
            return
        if mine:
            busy = last_tick is not None and found_at - last_tick <= self._late_after
            await self._notify([_late_notification(oldest, found_at, busy=busy)], within=within)

    async def _claim_notification(self, oldest: datetime, now: datetime) -> bool:
        """Whether nobody has told since *oldest* was due, and no other tick is about to."""
        [known, *_] = await self._store.get_documents("meta", [DOCUMENT_ID]) or [
            Document("meta", DOCUMENT_ID, {})
        ]
        told_at = known.data.get("notifiedAt")
        if isinstance(told_at, str) and datetime.fromisoformat(told_at) > oldest:
            return False
        told = Document("meta", DOCUMENT_ID, {"notifiedAt": format_instant(now)}, known.revision)
        [written] = await self._store.put_documents([told])
        return written.status is not WriteStatus.CONFLICT  # told twice is better than not at all


def _late_notification(oldest: datetime, now: datetime, *, busy: bool) -> Notification:
    minutes = round((now - oldest).total_seconds() / 60)
    why = (
        "Ticks come, but have no time for all that is due: raise MAX_CONCURRENCY, or set WORKER_QUEUE"
        if busy
        else "Nobody asked for a tick: look at the pingers"
    )
    return Notification(
        id=f"scheduler@{format_instant(oldest)}#late",
        kind="late",
        task_id="scheduler",
        title="The scheduler",
        type="scheduler",
        schedule="",
        timezone="UTC",
        occurrence=oldest,
        at=now,
        summary=f"Work that was due at {format_instant(oldest)} was found {minutes} minutes later. {why}",
        priority=Priority.URGENT,
    )
