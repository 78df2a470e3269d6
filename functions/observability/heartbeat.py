"""The heartbeat: a request to an outside monitor after each tick, which alerts when it stays away."""

import logging
from datetime import timedelta

from functions.http_client.trusted import PostError, PostRequest

log = logging.getLogger(__name__)


class Heartbeat:
    """Sends heartbeats to a monitor at *url*, such as healthchecks.io or Uptime Kuma.

    Attributes:
        missed: How many heartbeats of this process failed.
    """

    def __init__(self, url: str, post: PostRequest) -> None:
        self.missed = 0
        self._url = url
        self._post = post

    async def send(self, *, within: timedelta) -> None:
        """Send one heartbeat. Never raises; the URL, which is as good as a secret, is not logged."""
        try:
            response = await self._post(self._url, headers={}, body=b"", timeout_s=within.total_seconds())
        except PostError as exc:
            self._count_failure(str(exc))
            return
        if not 200 <= response.status < 300:
            self._count_failure(f"HTTP {response.status}")

    def _count_failure(self, reason: str) -> None:
        self.missed += 1
        log.warning("heartbeat_missed", extra={"reason": reason})
