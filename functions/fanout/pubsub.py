"""Events to Pub/Sub: CloudEvents in binary mode, a tick's together; what is not taken is lost, and logged."""

import asyncio
import base64
import json
import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from functions.fanout.google_api import CallFailed, GoogleApi
from functions.rules.cloud_events import CloudEvent

log = logging.getLogger(__name__)

ADDRESS = "https://pubsub.googleapis.com"
AT_ONCE = 500  # messages of one call; Pub/Sub takes 1000, or 10 MB


class PubSubPublisher:
    """The topic that events go to; see `Publish`.

    Args:
        topic: `projects/P/topics/T`.
        source: Which scheduler it was, for those who hear of several: a URI or a part of one.
    """

    def __init__(self, api: GoogleApi, topic: str, *, source: str) -> None:
        self._api = api
        self._topic = topic
        self._source = source

    async def __call__(self, events: Sequence[CloudEvent], *, within: timedelta) -> int:
        """Publish *events*; return how many were not taken."""
        loop = asyncio.get_running_loop()
        until = loop.time() + within.total_seconds()
        lost = 0
        for start in range(0, len(events), AT_ONCE):
            some = events[start : start + AT_ONCE]
            try:
                async with asyncio.timeout_at(until):
                    messages = [self._message(event) for event in some]
                    left = max(0.1, until - loop.time())
                    await self._api.call(f"/v1/{self._topic}:publish", {"messages": messages}, timeout_s=left)
            except (CallFailed, TimeoutError) as exc:
                reason = str(exc) or "it took too long"
                log.error("events_not_published", extra={"count": len(some), "reason": reason})  # noqa: TRY400
                lost += len(some)
        return lost

    def _message(self, event: CloudEvent) -> dict[str, Any]:
        named = event.attributes(source=self._source).items()
        attributes = {"content-type": "application/json"} | {f"ce-{name}": value for name, value in named}
        data = json.dumps(event.data, ensure_ascii=False).encode(errors="replace")
        return {"data": base64.b64encode(data).decode(), "attributes": attributes}
