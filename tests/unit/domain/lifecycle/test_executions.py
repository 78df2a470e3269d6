"""What has not finished: the attempt that runs, the retry that waits, and what no tick has taken yet."""

from collections.abc import Callable
from datetime import timedelta

from functions.domain.lifecycle.executions import executions_of, sort_executions
from functions.domain.task import Claim, QueuedRun, Task
from functions.domain.types import Status, Trigger
from tests.conftest import NOON

MakeTask = Callable[..., Task]
MINUTE = timedelta(minutes=1)


def test_what_runs_comes_before_what_waits_behind_it(make_task: MakeTask) -> None:
    task = make_task(
        status=Status.RUNNING,
        occurrence=NOON,
        attempt=2,
        claim=Claim(token="t", until=NOON + 9 * MINUTE, started_at=NOON + MINUTE),
        backlog=(QueuedRun(at=NOON + 2 * MINUTE, trigger=Trigger.MANUAL),),
        next_occurrence=NOON + 3 * MINUTE,
    )

    running, waiting = executions_of(task, now=NOON + 4 * MINUTE)

    assert ("running", NOON, 2, NOON + MINUTE) == (
        running.state,
        running.occurrence,
        running.attempt,
        running.started_at,
    )
    assert ("queued", NOON + 2 * MINUTE, "manual") == (waiting.state, waiting.occurrence, waiting.trigger)


def test_a_retry_names_its_next_attempt_and_when_it_is(make_task: MakeTask) -> None:
    task = make_task(status=Status.RETRYING, occurrence=NOON, attempt=1, retry_at=NOON + MINUTE)

    [one] = executions_of(task, now=NOON)

    assert ("retrying", 2, NOON + MINUTE, None) == (
        one.state,
        one.attempt,
        one.next_attempt_at,
        one.started_at,
    )


def test_an_occurrence_is_queued_from_its_instant_on(make_task: MakeTask) -> None:
    task = make_task(next_occurrence=NOON)

    assert [] == list(executions_of(task, now=NOON - MINUTE))
    assert ["queued"] == [one.state for one in executions_of(task, now=NOON)]
    paused = task.model_copy(update={"status": Status.PAUSED})
    assert [] == list(executions_of(paused, now=NOON))


def test_the_order_is_what_runs_what_retries_what_waits(make_task: MakeTask) -> None:
    queued = make_task("a", next_occurrence=NOON)
    retrying = make_task("b", status=Status.RETRYING, occurrence=NOON, attempt=1, retry_at=NOON)
    running = make_task("c", status=Status.RUNNING, occurrence=NOON, attempt=1)

    found = [one for task in (queued, retrying, running) for one in executions_of(task, now=NOON)]

    assert ["c", "b", "a"] == [one.task_id for one in sort_executions(found)]
