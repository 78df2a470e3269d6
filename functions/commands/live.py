"""What a scheduler that runs for days has to say of itself: what is in work, and what today came to."""

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta

from functions.applying import everything
from functions.history import all_runs
from functions.rules.outcome import Run
from functions.rules.storage import Filter
from functions.rules.words import OutcomeKind
from functions.wiring import FullStore

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
LATE = 2 * MINUTE  # how long after a run another process may take to record it


class Live:
    """Counts the runs of the present day, whoever made them; a day is one of this machine's zone.

    Each look reads the records that are new since the last, the tasks in work, and the counts.
    """

    def __init__(self, store: FullStore, *, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock
        self._began = clock()
        self._day = self._newest = _midnight(self._began)
        self._seen: dict[str, datetime] = {}
        self._today: Counter[str] = Counter()

    async def line(self) -> str:
        """The state in one line."""
        now = self._clock()
        await self._count(now)
        counts = await self._store.counts(now)
        active = len(await everything(self._store, Filter(status="running")))
        done, failed = self._today["done"], self._today["failed"]
        up = _span(now - self._began)
        return f"{active} active, {counts.due} queued, {done} done and {failed} failed today, up {up}"

    async def _count(self, now: datetime) -> None:
        """Count what was recorded since the last look, and what came to light of the minutes before it."""
        midnight = _midnight(now)
        if midnight != self._day:
            self._day, self._newest = midnight, midnight
            self._today.clear()
            self._seen.clear()
        since = max(self._day, self._newest - LATE)
        runs = [run async for run in all_runs(self._store, since=since) if run.key not in self._seen]
        self._today.update(_kind(run) for run in runs if run.final)
        if runs:
            self._newest = max(self._newest, runs[0].finished_at)
            self._seen |= {run.key: run.finished_at for run in runs}
        self._seen = {key: at for key, at in self._seen.items() if at >= self._newest - LATE}


def _kind(run: Run) -> str:
    if run.outcome is OutcomeKind.SUCCEEDED:
        return "done"
    return "skipped" if run.outcome is OutcomeKind.SKIPPED else "failed"


def _midnight(at: datetime) -> datetime:
    return at.astimezone().replace(hour=0, minute=0, second=0, microsecond=0)


def _span(length: timedelta) -> str:
    if length < HOUR:
        return f"{length // MINUTE} min"
    if length < DAY:
        return f"{length // HOUR} h {length % HOUR // MINUTE} min"
    return f"{length // DAY} d {length % DAY // HOUR} h"
