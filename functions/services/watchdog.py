"""Notices that the scheduler itself was late, and tells people once: the dead man's switch from within.

It costs nothing while all is well: what is due is read in any case, and shows by its age how long nobody
looked. Only when it is too old is anything read or written for the purpose.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from functions.domain.alerts.model import Notice
from functions.domain.storage import Document, Result
from functions.domain.types import Priority, instant_text
from functions.errors import StoreError
from functions.interfaces import Shelf, Tell

log = logging.getLogger(__name__)

ID = "scheduler-late"


class Lateness:
    """Tells people that due work was left lying, once for each time it was.

    Args:
        after: For so long it may lie; nothing, to tell never.
    """

    def __init__(self, shelf: Shelf, tell: Tell, *, clock: Callable[[], datetime], after: timedelta) -> None:
        self._shelf = shelf
        self._tell = tell
        self._clock = clock
        self._after = after

    async def judge(
        self, oldest: datetime | None, *, found_at: datetime, last_tick: datetime | None, within: timedelta
    ) -> None:
        """Judge what a tick found. Never raises for a fault of the store or a channel.

        Args:
            oldest: The earliest look that was due.
            found_at: When it was found.
            last_tick: When this process last finished a tick; None when it has not.
        """
        if not self._after or oldest is None or found_at - oldest <= self._after:
            return
        log.error("scheduler_late", extra={"minutes": round((found_at - oldest).total_seconds() / 60)})
        try:
            mine = await self._is_mine_to_tell(oldest, found_at)
        except StoreError as exc:
            log.warning("scheduler_late_untold", extra={"reason": str(exc)})
            return
        if mine:
            busy = last_tick is not None and found_at - last_tick <= self._after
            await self._tell([_notice(oldest, found_at, busy=busy)], within=within)

    async def _is_mine_to_tell(self, oldest: datetime, now: datetime) -> bool:
        """Whether nobody has told since *oldest* was due, and no other tick is about to."""
        [known, *_] = await self._shelf.documents("meta", [ID]) or [Document("meta", ID, {})]
        told_at = known.data.get("toldAt")
        if isinstance(told_at, str) and datetime.fromisoformat(told_at) > oldest:
            return False
        told = Document("meta", ID, {"toldAt": instant_text(now)}, known.revision)
        [written] = await self._shelf.put([told])
        return written.result is not Result.REFUSED  # told twice is better than not at all


def _notice(oldest: datetime, now: datetime, *, busy: bool) -> Notice:
    minutes = round((now - oldest).total_seconds() / 60)
    why = (
        "Ticks come, but have no time for all that is due: raise MAX_CONCURRENCY, or set WORKER_QUEUE"
        if busy
        else "Nobody asked for a tick: look at the pingers"
    )
    return Notice(
        id=f"scheduler@{instant_text(oldest)}#late",
        kind="late",
        task_id="scheduler",
        title="The scheduler",
        type="scheduler",
        schedule="",
        timezone="UTC",
        occurrence=oldest,
        at=now,
        summary=f"Work that was due at {instant_text(oldest)} was found {minutes} minutes later. {why}",
        priority=Priority.URGENT,
    )
