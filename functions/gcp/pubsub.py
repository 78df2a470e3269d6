"""Publishing events to Pub/Sub as CloudEvents in binary mode; a failed batch is logged and lost."""

import asyncio
import base64
import json
import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from functions.domain.cloud_events import PUBLISHER_ATTRIBUTE, CloudEvent
from functions.gcp.api import GoogleApi, GoogleApiError

log = logging.getLogger(__name__)

BASE_URL = "https://pubsub.googleapis.com"
BATCH_SIZE = 500  # messages of one call; Pub/Sub takes 1000, or 10 MB


class PubSubPublisher:
    """The topic that events go to; see `Publish`.

    Args:
        topic: `projects/P/topics/T`.
        source: Which scheduler it was, for subscribers of several: a URI or a part of one.
        scheduler_id: By which the scheduler recognises its own events when they return from the topic.
    """

    def __init__(self, api: GoogleApi, topic: str, *, source: str, scheduler_id: str) -> None:
        self._api = api
        self._topic = topic
        self._source = source
        self._own = {"content-type": "application/json", PUBLISHER_ATTRIBUTE: scheduler_id}

    async def __call__(self, events: Sequence[CloudEvent], *, within: timedelta) -> int:
        """Publish *events*; return how many were not taken."""
        loop = asyncio.get_running_loop()
        until = loop.time() + within.total_seconds()
        lost = 0
        for start in range(0, len(events), BATCH_SIZE):
            batch = events[start : start + BATCH_SIZE]
            reason = await self._publish_batch(batch, left_s=until - loop.time())
            if reason:
                log.error("events_not_published", extra={"count": len(batch), "reason": reason})
                lost += len(batch)
        return lost

    async def _publish_batch(self, events: Sequence[CloudEvent], *, left_s: float) -> str:
        """Why the topic did not take *events*; empty when it did."""
        if left_s <= 0:
            return "there was no time left"
        try:
            async with asyncio.timeout(left_s):  # for the token, too
                messages = [self._build_message(event) for event in events]
                await self._api.call(f"/v1/{self._topic}:publish", {"messages": messages}, timeout_s=left_s)
        except TimeoutError:
            return "it took too long"
        except GoogleApiError as exc:
            return str(exc)
        return ""

    def _build_message(self, event: CloudEvent) -> dict[str, Any]:
        attributes = self._own | event.to_headers(default_source=self._source)
        data = json.dumps(event.data, ensure_ascii=False).encode(errors="replace")
        return {"data": base64.b64encode(data).decode(), "attributes": attributes}
