"""The hand-over by Cloud Tasks: messages to workers, named so that the same one twice is one."""

import asyncio
import base64
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from functions.domain.lifecycle.time_budget import FINISHING
from functions.domain.sharding import Share, divided, span_of
from functions.domain.task import Task
from functions.domain.types import instant_text
from functions.gcp.api import CallFailed, GoogleApi

log = logging.getLogger(__name__)

ADDRESS = "https://cloudtasks.googleapis.com"
AT_ONCE = 10  # messages on their way to the queue
MOST_LONG = 20  # tasks with a message of their own; more are a backlog, and a worker's share finds them
# A message that was lost, with all its tries, is sent again when its span is over. Work in shares is done
# within minutes; a long task that waits for a worker should not get a message each minute.
SHARE_SPAN_S = 120
LONG_SPAN_S = 600
LATE_ANSWER = timedelta(seconds=10)  # the worker answers first, the queue gives up after that
DEADLINES_S = (15.0, 1800.0)  # that Cloud Tasks allows
ALREADY_EXISTS = 409


@dataclass(frozen=True, slots=True)
class Addressed:
    """Where messages go.

    Attributes:
        queue: `projects/P/locations/L/queues/Q`.
        url: The worker's address.
        account: The service account whose ID token a worker gets; empty for none.
        audience: What that token is meant for; empty means the address.
        headers: More to be sent to the worker.
    """

    queue: str
    url: str
    account: str = ""
    audience: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


class CloudTasksWorkers:
    """Workers behind a queue; see `Workers`.

    Args:
        time: What a worker has until it must answer.
        shares: How many workers a backlog is divided among.
        mine: The share of the worker that asks; None for a tick. A worker leaves what it could not do of
            its share to a next one, and nothing else.
    """

    def __init__(
        self,
        api: GoogleApi,
        to: Addressed,
        *,
        time: timedelta,
        shares: int,
        mine: Share | None = None,
    ) -> None:
        self._api = api
        self._to = to
        self._time = time
        self._shares = shares
        self._mine = mine

    @property
    def longest(self) -> timedelta:
        """The longest attempt that fits into a worker."""
        return self._time - FINISHING

    def after(self, share: Share) -> "CloudTasksWorkers":
        """The workers that the worker of *share* may ask for: those after itself."""
        return CloudTasksWorkers(self._api, self._to, time=self._time, shares=self._shares, mine=share)

    async def take(self, tasks: Sequence[Task], *, backlog: bool, now: datetime, within: timedelta) -> int:
        """Send what is needed, and no more than `MOST_LONG` messages beside the shares."""
        messages = [_about(task, now=now) for task in tasks[:MOST_LONG]]
        if backlog or len(tasks) > MOST_LONG:
            shares = divided(self._shares) if self._mine is None else [self._mine.next_part()]
            span = span_of(now, seconds=SHARE_SPAN_S)
            messages += [(share, share.name(within=span)) for share in shares]
        if not messages:
            return 0
        free = asyncio.Semaphore(AT_ONCE)
        sending = [asyncio.create_task(self._send(share, name, free)) for share, name in messages]
        await asyncio.wait(sending, timeout=within.total_seconds())
        for one in sending:
            one.cancel()  # those that are done do not mind
        ended = await asyncio.gather(*sending, return_exceptions=True)
        sent = sum(one is None for one in ended)
        if sent < len(messages):
            fault = next(one for one in ended if one is not None)
            reason = str(fault) if isinstance(fault, CallFailed) else "it took too long"
            log.error("hand_over_failed", extra={"count": len(messages) - sent, "reason": reason})
        return sent

    async def _send(self, share: Share, name: str, free: asyncio.Semaphore) -> None:
        async with free:
            try:
                await self._api.call(
                    f"/v2/{self._to.queue}/tasks", {"task": self._message(share, name)}, timeout_s=5.0
                )
            except CallFailed as exc:
                if exc.status != ALREADY_EXISTS:
                    raise

    def _message(self, share: Share, name: str) -> dict[str, Any]:
        least, most = DEADLINES_S
        deadline_s = min(max((self._time + LATE_ANSWER).total_seconds(), least), most)
        request: dict[str, Any] = {
            "url": self._to.url,
            "httpMethod": "POST",
            "headers": {"Content-Type": "application/json"} | dict(self._to.headers),
            "body": base64.b64encode(json.dumps(share.as_json()).encode()).decode(),
        }
        if self._to.account:
            request["oidcToken"] = {
                "serviceAccountEmail": self._to.account,
                "audience": self._to.audience or self._to.url,
            }
        return {
            "name": f"{self._to.queue}/tasks/{name}",
            "dispatchDeadline": f"{deadline_s:g}s",
            "httpRequest": request,
        }


def _about(task: Task, *, now: datetime) -> tuple[Share, str]:
    """A message about one task; its next look, which every change moves on, makes its name."""
    share = Share(tasks=(task.id,))
    looked_at = instant_text(task.next_run_at) if task.next_run_at else ""
    return share, share.name(within=f"{looked_at}|{span_of(now, seconds=LONG_SPAN_S)}")
