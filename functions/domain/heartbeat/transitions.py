"""The transitions of a heartbeat: after a call of its address, and when a call is missing.

The occurrences of a heartbeat are the times at which its program is expected to call. A call moves
`next_occurrence` on, so that a tick finds the task only when a call is missing: then, and only then, it costs
a tick anything. With `0 2 * * *` and a grace of 5 min:

    02:03  a call               succeeded; the next one is expected tomorrow at 02:00, and missing at 02:05
    02:05  no call              failed; the next one is expected the day after
    04:00  a call after all     succeeded, which is the recovery; the schedule stays
"""

from datetime import datetime, timedelta
from typing import Any

from functions.domain.heartbeat.model import (
    MAX_OPEN_RUNS,
    MAX_OUTPUT_CHARS,
    HeartbeatState,
    OpenRun,
    Ping,
    oldest_open_run,
    overrun_at,
    params_of,
)
from functions.domain.lifecycle.complete import Transition, complete_occurrence, idle_state
from functions.domain.run import Run
from functions.domain.schedule.occurrences import next_occurrence, schedule_of, started_range
from functions.domain.task import MAX_SUMMARY_CHARS, Task
from functions.domain.types import OutcomeKind, Status, Trigger, timezone_or_utc, to_local

EARLY = timedelta(minutes=1)  # a call so long before its time counts for it: clocks differ


def receive_ping(task: Task, ping: Ping, *, now: datetime) -> Transition:
    """Decide what follows a call of the heartbeat's address.

    A success leaves a run record only where there is something to keep: its output, or the end of failures.
    Its outcome, time and length are in the task itself, so that it costs one write.

    While the task is paused or has ended, a call is noted and no more.
    """
    state = task.heartbeat or HeartbeatState()
    if ping.kind == "log":
        return Transition({"heartbeat": _with_output(state, ping.output)}, ())
    after = _state_after(state, ping, now=now)
    if task.status is not Status.SCHEDULED:
        return Transition({"heartbeat": after}, ())
    timing: dict[str, Any] = {"heartbeat": after}
    timing["next_occurrence"] = _expected_after(task.model_copy(update=timing), now=now)
    if ping.kind == "start":
        return Transition(timing | idle_state(task, timing, now=now), ())
    run = _run_of(task, state, ping, now=now)
    done = complete_occurrence(task.model_copy(update=timing), run, now=now)
    changes = timing | done.changes | _with_prompt_delivery(task, done.changes, now=now)
    changes |= idle_state(task, changes, now=now)
    is_known = task.consecutive_failures or task.alert.notified or run.outcome is not OutcomeKind.SUCCEEDED
    return Transition(changes, done.runs if is_known or run.metrics else ())


def miss_ping(task: Task, *, now: datetime) -> Transition | None:
    """Decide what follows when a call is missing at *now*; None when none is.

    When no tick came for several times of the schedule, one failure stands for all of them.
    """
    overrun = overrun_at(task.params, task.heartbeat)
    if overrun is not None and overrun <= now:
        return _end_overrun(task, now=now)
    span = started_range(task, until=now)
    if span is None:
        return None
    timing = {"next_occurrence": span.following}
    grace = _length(params_of(task.params).grace_seconds)
    summary = f"No call at {_local(task, span.last)}, nor within {grace} after it"
    if span.count > 1:
        summary += f"; {span.count} calls are missing"
    last_at = task.heartbeat.last_at if task.heartbeat else None
    summary += f"; the last one came at {_local(task, last_at)}" if last_at else "; none ever came"
    run = _failed_run(task, span.last, summary, started_at=now, now=now)
    done = complete_occurrence(task.model_copy(update=timing), run, now=now)
    return Transition(timing | done.changes, done.runs)


def _end_overrun(task: Task, *, now: datetime) -> Transition:
    """Give up the run that has been open for too long; its end, should it come, is a call like any other."""
    state = task.heartbeat
    oldest = oldest_open_run(state)
    assert state is not None
    assert oldest is not None  # only an open run can take too long
    run_id, started_at = oldest.run_id, oldest.started_at
    after = _without_run(state, run_id)
    limit = params_of(task.params).max_seconds or 0
    which = f"The run {run_id}" if run_id else "The run"
    summary = f"{which} that began at {_local(task, started_at)} has not ended, and may take {_length(limit)}"
    run = _failed_run(task, started_at, summary, started_at=started_at, now=now, output=state.output)
    timing = {"heartbeat": after}
    done = complete_occurrence(task.model_copy(update=timing), run, now=now)
    return Transition(timing | done.changes, done.runs)


def _state_after(state: HeartbeatState, ping: Ping, *, now: datetime) -> HeartbeatState:
    others = _without_run(state, ping.run_id).model_copy(update={"last_at": now})
    if ping.kind != "start":
        return others
    opened = (*others.open_runs, OpenRun(run_id=ping.run_id, started_at=now))[-MAX_OPEN_RUNS:]
    kept = others.model_copy(update={"open_runs": opened, "output": state.output})
    return _with_output(kept, ping.output)


def _without_run(state: HeartbeatState, run_id: str) -> HeartbeatState:
    """*state* without the run of this id, and without output once no run is open."""
    left = tuple(run for run in state.open_runs if run.run_id != run_id)
    return state.model_copy(update={"open_runs": left, "output": state.output if left else ""})


def _with_output(state: HeartbeatState, output: str) -> HeartbeatState:
    return state.model_copy(update={"output": _join(state.output, output)})


def _join(before: str, after: str) -> str:
    """Both texts, one under the other; of too much the end."""
    return "\n".join(text for text in (before, after) if text)[-MAX_OUTPUT_CHARS:]


def _expected_after(task: Task, *, now: datetime) -> datetime | None:
    """When the next call is expected after one that came *now*, which is the heartbeat's last."""
    expected = next_occurrence(task, after=now)
    period = schedule_of(task).period(now)
    early = EARLY if period is None else min(EARLY, period / 4)
    if expected is not None and expected - now <= early:
        return next_occurrence(task, after=expected)
    return expected


def _run_of(task: Task, state: HeartbeatState, ping: Ping, *, now: datetime) -> Run:
    """The record of the run that ends with *ping*."""
    output = _join(state.output, ping.output)
    has_succeeded = ping.kind == "success" and not ping.exit_code
    if ping.exit_code is not None:
        summary = f"Ended with exit code {ping.exit_code}"
    else:
        summary = "Called" if has_succeeded else "Reported a failure"
    last_line = output.rstrip().rpartition("\n")[2].strip()
    return Run(
        task_id=task.id,
        occurrence=now,
        trigger=Trigger.PING,
        attempt=1,
        outcome=OutcomeKind.SUCCEEDED if has_succeeded else OutcomeKind.FAILED,
        summary=f"{summary}: {last_line}"[:MAX_SUMMARY_CHARS] if last_line else summary,
        started_at=next((run.started_at for run in state.open_runs if run.run_id == ping.run_id), now),
        finished_at=now,
        metrics=({"output": output} if output else {})
        | ({"exitCode": ping.exit_code} if ping.exit_code else {}),
        task_created_at=task.created_at,
    )


def _failed_run(
    task: Task, occurrence: datetime, summary: str, *, started_at: datetime, now: datetime, output: str = ""
) -> Run:
    return Run(
        task_id=task.id,
        occurrence=occurrence,
        attempt=1,
        outcome=OutcomeKind.FAILED,
        summary=summary[:MAX_SUMMARY_CHARS],
        started_at=min(started_at, now),
        finished_at=now,
        metrics={"output": output} if output else {},
        task_created_at=task.created_at,
    )


def _with_prompt_delivery(task: Task, changes: dict[str, Any], *, now: datetime) -> dict[str, Any]:
    """What *changes* made pending, due at once: no tick made it, to deliver it before its grace is over."""
    prompt = {}
    for name in ("alert", "outbox"):
        before, after = getattr(task, name), changes.get(name)
        if after is not None and after.retry_at is not None and after.retry_at != before.retry_at:
            prompt[name] = after.model_copy(update={"retry_at": now})
    return prompt


def _local(task: Task, at: datetime) -> str:
    return f"{to_local(at, timezone_or_utc(task.timezone)):%Y-%m-%d %H:%M %Z}"


def _length(seconds: int) -> str:
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
