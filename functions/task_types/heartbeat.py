"""Task type `heartbeat`: a program elsewhere calls the task's address; a missing call is a failure."""

from typing import Any

from functions.domain.heartbeat.model import HeartbeatParams
from functions.domain.run import Outcome, failed
from functions.domain.task import Job
from functions.task_types.support.context import Tools

EXAMPLE: dict[str, Any] = {"graceSeconds": 1800, "maxSeconds": 7200}

Params = HeartbeatParams


async def perform(job: Job, params: HeartbeatParams, tools: Tools) -> Outcome:
    """Refuse: only a run that waited in the task before it became a heartbeat comes here."""
    return failed("A heartbeat is not run from here: its program calls its address", permanent=True)
