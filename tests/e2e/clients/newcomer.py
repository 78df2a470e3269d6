# mypy: ignore-errors
"""A newcomer's path by the client that openapi-python-client makes: `newcomer.py ADDRESS KEY` prints JSON."""

import json
import sys
from typing import TypeVar

from cronfire_client import AuthenticatedClient
from cronfire_client.api.runs import list_runs
from cronfire_client.api.task_actions import pause_task, run_task
from cronfire_client.api.tasks import create_task, delete_task, list_tasks, update_task
from cronfire_client.models import (
    PauseRequest,
    ProblemDetails,
    Retry,
    RunRequest,
    TaskCreate,
    TaskCreateParams,
    TaskUpdate,
)
from cronfire_client.models.priority import Priority
from cronfire_client.types import Response

T = TypeVar("T")


def expect(answer: Response[T | ProblemDetails]) -> T:
    """Return what the API answered; raise its problem."""
    if isinstance(answer.parsed, ProblemDetails) or answer.parsed is None:
        raise RuntimeError(f"{answer.status_code}: {answer.parsed}")
    return answer.parsed


def main(address: str, key: str) -> None:
    client = AuthenticatedClient(base_url=address, token=key, timeout=40)
    body = TaskCreate(
        title="Shop front answers",
        type_="health_check_url",
        schedule="*/5 * * * *",
        params=TaskCreateParams.from_dict({"url": f"{address}/healthz"}),
        retry=Retry(max_attempts=2),
    )
    made = expect(create_task.sync_detailed(client=client, body=body))
    listed = expect(list_tasks.sync_detailed(client=client, type_="health_check_url"))
    ran = expect(run_task.sync_detailed(made.id, client=client, body=RunRequest(wait=30)))
    changed = expect(
        update_task.sync_detailed(made.id, client=client, body=TaskUpdate(priority=Priority.HIGH))
    )
    runs = expect(list_runs.sync_detailed(client=client, task=made.id))
    paused = expect(pause_task.sync_detailed(made.id, client=client, body=PauseRequest(note="Moving house")))
    removed = delete_task.sync_detailed(made.id, client=client)
    body.schedule = "61 * * * *"
    refused = create_task.sync_detailed(client=client, body=body).parsed
    print(  # noqa: T201  # its result
        json.dumps(
            {
                "made": made.id,
                "listed": [task.id for task in listed.tasks],
                "run": ran.run.outcome if ran.run else None,
                "timezone": [made.timezone, changed.timezone],
                "priority": changed.priority,
                "runs": [run.outcome for run in runs.runs],
                "status": paused.status,
                "note": paused.pause.note if paused.pause else None,
                "removed": removed.status_code,
                "refused": [one.field for one in refused.errors],
            }
        )
    )


main(*sys.argv[1:])
