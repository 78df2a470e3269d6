"""Handing work to workers through Cloud Tasks, with names that make a repeated message one."""

import asyncio
import base64
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from functions.domain.capacity.time_budget import FINISH_MARGIN
from functions.domain.sharding import WorkerAssignment, dedup_window, split
from functions.domain.task import Task
from functions.domain.types import format_instant
from functions.gcp.api import GoogleApi, GoogleApiError

log = logging.getLogger(__name__)

BASE_URL = "https://cloudtasks.googleapis.com"
MAX_IN_FLIGHT = 10  # messages on their way to the queue
MAX_SINGLE_TASKS = (
    20  # tasks with a message of their own; more are a backlog, and a worker's share finds them
)
# A message that was lost, with all its tries, is sent again when its span is over. Work in shares is done
# within minutes; a long task that waits for a worker should not get a message each minute.
ASSIGNMENT_WINDOW_S = 120
TASK_WINDOW_S = 600
DISPATCH_MARGIN = timedelta(seconds=10)  # the worker answers first, the queue gives up after that
DISPATCH_DEADLINE_RANGE_S = (15.0, 1800.0)  # that Cloud Tasks allows
ALREADY_EXISTS = 409


@dataclass(frozen=True, slots=True)
class QueueTarget:
    """Where messages go.

    Attributes:
        queue: `projects/P/locations/L/queues/Q`.
        url: The worker's address.
        service_account: The service account whose ID token a worker gets; empty for none.
        audience: What that token is meant for; empty means the address.
        headers: More to be sent to the worker.
    """

    queue: str
    url: str
    service_account: str = ""
    audience: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


class CloudTasksWorkerPool:
    """Workers behind a queue; see `Workers`.

    Args:
        worker_timeout: What a worker has until it must answer.
        worker_count: How many workers a backlog is divided among.
        assignment: The share of the worker that asks; None for a tick. A worker leaves what it could not do
            of its share to a next one, and nothing else.
    """

    def __init__(
        self,
        api: GoogleApi,
        target: QueueTarget,
        *,
        worker_timeout: timedelta,
        worker_count: int,
        assignment: WorkerAssignment | None = None,
    ) -> None:
        self._api = api
        self._target = target
        self._worker_timeout = worker_timeout
        self._worker_count = worker_count
        self._assignment = assignment

    @property
    def max_duration(self) -> timedelta:
        """The longest attempt that fits into a worker."""
        return self._worker_timeout - FINISH_MARGIN

    def for_next_worker(self, assignment: WorkerAssignment) -> "CloudTasksWorkerPool":
        """The workers that the worker of *assignment* may start: those after itself."""
        return CloudTasksWorkerPool(
            self._api,
            self._target,
            worker_timeout=self._worker_timeout,
            worker_count=self._worker_count,
            assignment=assignment,
        )

    async def submit(self, tasks: Sequence[Task], *, backlog: bool, now: datetime, within: timedelta) -> int:
        """Send what is needed, and no more than `MAX_SINGLE_TASKS` messages beside the shares."""
        messages = [_task_message(task, now=now) for task in tasks[:MAX_SINGLE_TASKS]]
        if backlog or len(tasks) > MAX_SINGLE_TASKS:
            shares = split(self._worker_count) if self._assignment is None else [self._assignment.next_part()]
            span = dedup_window(now, seconds=ASSIGNMENT_WINDOW_S)
            messages += [(share, share.dedup_key(window=span)) for share in shares]
        if not messages:
            return 0
        free = asyncio.Semaphore(MAX_IN_FLIGHT)
        sending = [asyncio.create_task(self._send(share, name, free)) for share, name in messages]
        await asyncio.wait(sending, timeout=within.total_seconds())
        for one in sending:
            one.cancel()  # those that are done do not mind
        ended = await asyncio.gather(*sending, return_exceptions=True)
        sent = sum(one is None for one in ended)
        if sent < len(messages):
            fault = next(one for one in ended if one is not None)
            reason = str(fault) if isinstance(fault, GoogleApiError) else "it took too long"
            log.error("handoff_failed", extra={"count": len(messages) - sent, "reason": reason})
        return sent

    async def _send(self, assignment: WorkerAssignment, name: str, slots: asyncio.Semaphore) -> None:
        async with slots:
            try:
                await self._api.call(
                    f"/v2/{self._target.queue}/tasks",
                    {"task": self._build_message(assignment, name)},
                    timeout_s=5.0,
                )
            except GoogleApiError as exc:
                if exc.status != ALREADY_EXISTS:
                    raise

    def _build_message(self, assignment: WorkerAssignment, name: str) -> dict[str, Any]:
        least, most = DISPATCH_DEADLINE_RANGE_S
        deadline_s = min(max((self._worker_timeout + DISPATCH_MARGIN).total_seconds(), least), most)
        request: dict[str, Any] = {
            "url": self._target.url,
            "httpMethod": "POST",
            "headers": {"Content-Type": "application/json"} | dict(self._target.headers),
            "body": base64.b64encode(json.dumps(assignment.to_json()).encode()).decode(),
        }
        if self._target.service_account:
            request["oidcToken"] = {
                "serviceAccountEmail": self._target.service_account,
                "audience": self._target.audience or self._target.url,
            }
        return {
            "name": f"{self._target.queue}/tasks/{name}",
            "dispatchDeadline": f"{deadline_s:g}s",
            "httpRequest": request,
        }


def _task_message(task: Task, *, now: datetime) -> tuple[WorkerAssignment, str]:
    """A message about one task; its `nextRunAt`, which every change moves on, makes its name."""
    share = WorkerAssignment(tasks=(task.id,))
    looked_at = format_instant(task.next_run_at) if task.next_run_at else ""
    return share, share.dedup_key(window=f"{looked_at}|{dedup_window(now, seconds=TASK_WINDOW_S)}")
