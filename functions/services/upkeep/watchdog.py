"""Detects that the scheduler itself was late, and notifies once: a dead-man's switch inside the scheduler.

Also that one of its clocks was far ahead.

It costs nothing while ticks come in time: a tick reads the due tasks anyway, and the age of the oldest one is
the time without a tick. Only above the limit does the watchdog read or write a document.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from functions.domain.alerts.model import Notification
from functions.domain.lifecycle.complete import MAX_CLOCK_LEAD
from functions.domain.storage import Document, WriteStatus
from functions.domain.types import Priority, format_instant, parse_stored_instant
from functions.errors import StoreError
from functions.interfaces import DocumentStore, Notify, Store
from functions.services.compare_and_set import update_document

log = logging.getLogger(__name__)

DOCUMENT_ID = "scheduler-late"
FULL_DOCUMENT_ID = "scheduler-full"
REPEAT_AFTER = timedelta(hours=6)  # while ticks have no room for what is due
MENDED_DOCUMENT_ID = "clock-mended"
NO_TICK = "no tick has written anything yet"
IS_PINGER_OFF = "is the pinger switched off?"
RECORDS_OF_TICKS = 100  # newest runs among which one that a tick has made is looked for
SILENT_AFTER = timedelta(minutes=15)  # unless it is set: as far apart as pings usually are


async def find_last_tick(
    store: Store, last_tick_at: datetime | None, *, now: datetime
) -> tuple[datetime | None, str]:
    """Return when a tick last wrote, and in a sentence that one had a clock far ahead.

    The sentence is empty when none had, or when what it did has been mended. Only where the time is still
    to come is anything read.

    Args:
        last_tick_at: See `StoreStats`.
    """
    ahead = describe_clock_ahead(last_tick_at, now)
    if last_tick_at is None or not ahead:
        return last_tick_at, ""
    runs = await store.runs(before=now + MAX_CLOCK_LEAD, limit=1)
    found = await store.get_documents("meta", [MENDED_DOCUMENT_ID])
    mended = parse_stored_instant(found[0].data.get("through")) if found else None
    is_mended = mended is not None and last_tick_at <= mended
    return runs[0].finished_at if runs else None, "" if is_mended else ahead


async def describe_silence(
    store: Store, due: int, last_tick_at: datetime | None, *, now: datetime, after: timedelta
) -> str:
    """Return in a sentence that no tick came for what is due; empty when none waits for long.

    Where nothing is due, nothing is read. That none wrote says little by itself: one that finds nothing due
    writes nothing. Nor does it say much that something was written, for calls of heartbeats are as well.

    Args:
        due: See `StoreStats`.
        last_tick_at: See `StoreStats`.
        after: How long due tasks may wait.
    """
    if not due:
        return ""
    found = await store.fetch_due(now - after, limit=2)  # unreadable documents are due for ever; half are not
    if not found.tasks:
        return ""
    oldest = min(one.task.next_run_at or now for one in found.tasks)
    wrote = NO_TICK
    if last_tick_at is not None and now - last_tick_at <= after:
        runs = await store.runs(since=now - after, limit=RECORDS_OF_TICKS)
        if any(run.shows_tick for run in runs):
            return ""
        wrote = f"no tick has written anything for {_minutes(after)} min"
    elif last_tick_at is not None:
        wrote = f"a tick last wrote {_minutes(now - last_tick_at)} min ago"
    return f"{wrote}, and a task has been due for {_minutes(now - oldest)} min"


def _minutes(duration: timedelta) -> int:
    return round(duration / timedelta(minutes=1))


async def record_mended(store: DocumentStore, through: datetime) -> None:
    """Record that what ticks did by clocks that were ahead is mended, up to what they wrote at *through*."""
    await update_document(
        store, "meta", MENDED_DOCUMENT_ID, lambda _: {"through": format_instant(through)}, expire_at=through
    )


def describe_clock_ahead(last_tick_at: datetime | None, now: datetime) -> str:
    """Return in a sentence that a tick had a clock far ahead, or this clock is behind; empty for neither.

    Such a tick moves its tasks to their next run after that time: until then they do not run.
    """
    if last_tick_at is None or last_tick_at - now <= MAX_CLOCK_LEAD:
        return ""
    at, clock = format_instant(last_tick_at), format_instant(now.replace(microsecond=0))
    return f"a tick wrote at {at}, which is still to come (it is {clock}): one of two clocks is wrong"


class Watchdog:
    """Notifies that due tasks waited too long, once for each delay.

    Args:
        late_after: The longest wait without a notification; zero for no notification of waits.
    """

    def __init__(
        self, store: DocumentStore, notify: Notify, *, clock: Callable[[], datetime], late_after: timedelta
    ) -> None:
        self._store = store
        self._notify = notify
        self._clock = clock
        self._late_after = late_after

    async def check(
        self,
        oldest: datetime | None,
        *,
        found_at: datetime,
        last_tick: datetime | None,
        within: timedelta,
        without_room: int = 0,
    ) -> None:
        """Compare the oldest due time of a tick with the limit. Never raises for a fault of store or channel.

        Args:
            oldest: The earliest `next_run_at` among the due tasks; None when none is due.
            found_at: When the tick read it.
            last_tick: When this process last finished a tick; None before its first one.
            without_room: Occurrences skipped because ticks had no room for them.
        """
        if without_room:
            log.error("scheduler_full", extra={"skipped": without_room})
            await self._notify_once(
                _full_notification(without_room, found_at),
                FULL_DOCUMENT_ID,
                since=found_at - REPEAT_AFTER,
                within=within,
            )
        if not self._late_after or oldest is None or found_at - oldest <= self._late_after:
            return
        log.error("scheduler_late", extra={"minutes": round((found_at - oldest).total_seconds() / 60)})
        busy = last_tick is not None and found_at - last_tick <= self._late_after
        notification = _late_notification(oldest, found_at, busy=busy)
        await self._notify_once(notification, DOCUMENT_ID, since=oldest, within=within)

    async def _notify_once(
        self, notification: Notification, document_id: str, *, since: datetime, within: timedelta
    ) -> None:
        try:
            mine = await self._claim_notification(document_id, since, notification.at)
        except StoreError as exc:
            log.warning("scheduler_late_not_sent", extra={"reason": str(exc)})
            return
        if mine:
            await self._notify([notification], within=within)

    async def _claim_notification(self, document_id: str, since: datetime, now: datetime) -> bool:
        """Write that this tick notifies; False when another one has done so *since*.

        A write without an answer counts as written: two notifications are better than none. So this is one
        conditional write, and not the loop of `compare_and_set`.
        """
        [known, *_] = await self._store.get_documents("meta", [document_id]) or [
            Document("meta", document_id, {})
        ]
        notified_at = parse_stored_instant(known.data.get("notifiedAt"))
        if notified_at is not None and since < notified_at <= now + MAX_CLOCK_LEAD:
            return False
        claim = Document("meta", document_id, {"notifiedAt": format_instant(now)}, known.revision)
        [written] = await self._store.put_documents([claim])
        return written.status is not WriteStatus.CONFLICT


def _late_notification(oldest: datetime, now: datetime, *, busy: bool) -> Notification:
    minutes = round((now - oldest).total_seconds() / 60)
    why = (
        "Ticks come, but have no time for all that is due: raise MAX_CONCURRENCY, or set WORKER_QUEUE"
        if busy
        else "No tick was requested, or none reached the store: check the jobs that call POST /tick, "
        "then tick_degraded in the log"
    )
    summary = f"Work that was due at {format_instant(oldest)} was found {minutes} minutes later. {why}"
    return _notification(oldest, summary, now=now)


def _full_notification(skipped: int, now: datetime) -> Notification:
    what = "1 occurrence was" if skipped == 1 else f"{skipped} occurrences were"
    summary = (
        f"Ticks have no room for all that is due: {what} skipped in this one. "
        "Raise MAX_CONCURRENCY, set WORKER_QUEUE, or spread the schedules (H, jitterSeconds)"
    )
    return _notification(now, summary, now=now)


def _notification(occurrence: datetime, summary: str, *, now: datetime) -> Notification:
    return Notification.about_service(
        "scheduler",
        "late",
        at=now,
        title="The scheduler",
        summary=summary,
        id=f"scheduler@{format_instant(occurrence)}#late",
        occurrence=occurrence,
        priority=Priority.URGENT,
    )
