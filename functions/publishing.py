"""The events of one tick: gathered as settlements are written, published together when all of them are."""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from functions.ports import Publish
from functions.rules.cloud_events import CloudEvent, newly_paused, run_finished, sent_by_task
from functions.rules.events import Event
from functions.rules.outcome import Run
from functions.rules.storage import Stored

log = logging.getLogger(__name__)

AT_MOST = timedelta(seconds=5)
AT_LEAST = timedelta(seconds=0.5)


class Publishing:
    """Gathers nothing, and costs nothing, when nobody listens.

    Args:
        publish: None when nobody does.
    """

    def __init__(self, publish: Publish | None, *, clock: Callable[[], datetime]) -> None:
        self._publish = publish
        self._clock = clock
        self._events: list[CloudEvent] = []

    def take(self, before: Stored, settled: Stored, runs: Sequence[Run]) -> None:
        """Take note of a settlement that was written, and of the records that were kept before it."""
        if self._publish is None:
            return
        self._events += (run_finished(settled.task, run) for run in runs)
        if (paused := newly_paused(before.task, settled.task)) is not None:
            self._events.append(paused)

    def add(self, events: Sequence[Event]) -> None:
        """Take note of events that tasks have sent to all."""
        if self._publish is not None:
            self._events += (sent_by_task(event) for event in events)

    async def publish(self, *, answer_by: datetime | None) -> int:
        """Publish what was gathered; return how many events were lost. Never raises."""
        events, self._events = self._events, []
        if self._publish is None or not events:
            return 0
        left = AT_MOST if answer_by is None else answer_by - self._clock()
        return await self._publish(events, within=min(AT_MOST, max(AT_LEAST, left)))
