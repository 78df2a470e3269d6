"""The heartbeat: an address outside that is asked for after each tick, and misses it when there is none."""

import logging
from datetime import timedelta

from functions.http_client.trusted import PostError, PostRequest

log = logging.getLogger(__name__)


class Heartbeat:
    """Whoever is at *url* tells people when nothing comes any more: healthchecks.io, Uptime Kuma or so.

    Attributes:
        missed: How often it could not be reached, by this process.
    """

    def __init__(self, url: str, post: PostRequest) -> None:
        self.missed = 0
        self._url = url
        self._post = post

    async def send(self, *, within: timedelta) -> None:
        """Ask once. Never raises; the address, which is as good as a secret, is in no log."""
        try:
            answer = await self._post(self._url, headers={}, body=b"", timeout_s=within.total_seconds())
        except PostError as exc:
            self._count_failure(str(exc))
            return
        if not 200 <= answer.status < 300:
            self._count_failure(f"HTTP {answer.status}")

    def _count_failure(self, reason: str) -> None:
        self.missed += 1
        log.warning("heartbeat_missed", extra={"reason": reason})
