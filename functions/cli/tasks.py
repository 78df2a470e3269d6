"""The commands that look at what there is: `list`, `show`, `runs`, `status` and `types`."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from functions.cli.console import Cell, Screen, plain
from functions.cli.options import distance, local
from functions.cli.session import Session
from functions.domain.lifecycle.time_budget import Budget
from functions.domain.run import Run
from functions.domain.schedule.describe import PREVIEW_AHEAD, following, starts
from functions.domain.schedule.parse import Schedule, read_schedule
from functions.domain.storage import Filter
from functions.domain.task import Task
from functions.domain.types import OutcomeKind, Status, instant_text
from functions.errors import InputError
from functions.services import tasks as control
from functions.services.apply import all_tasks
from functions.task_types.registry import example, type_names

PAGE = 500  # tasks looked at for those that cannot be read
STATUS_COLOURS = {
    Status.RUNNING: "green",
    Status.RETRYING: "yellow",
    Status.PAUSED: "yellow",
    Status.QUARANTINED: "red",
}
OUTCOME_COLOURS = {OutcomeKind.SUCCEEDED: "green", OutcomeKind.SKIPPED: "dim", OutcomeKind.CANCELLED: "dim"}


async def list_tasks(session: Session) -> int:
    """Show all tasks, by id."""
    found = await session.store.list_tasks(Filter(), limit=PAGE)
    tasks = [stored.task for stored in await all_tasks(session.store, Filter())]
    rows = [
        (
            task.id,
            Cell(task.status, STATUS_COLOURS.get(task.status, "")),
            local(task.next_run_at, task.timezone),
            _last(task),
            task.schedule or starts(task),
            task.title,
        )
        for task in tasks
    ]
    lines = session.screen.table(("TASK", "STATUS", "NEXT RUN", "LAST", "SCHEDULE", "TITLE"), rows)
    none = ["There are no tasks yet: scheduler apply samples/local.yaml makes some"]
    for broken in found.broken:
        session.screen.warn(f"{broken.id} cannot be read: {broken.reason}")
    session.screen.answer([task_data(task) for task in tasks], lines if tasks or found.broken else none)
    return 0


async def show_task(session: Session, *, task_id: str) -> int:
    """Show one task whole."""
    task = await session.task(task_id)
    session.screen.answer(task_data(task), _facts(session.screen, task, now=session.now()))
    return 0


async def show_runs(session: Session, *, task_id: str | None, limit: int) -> int:
    """Show the newest runs, of one task or of all."""
    if task_id is not None:
        await session.task(task_id)
    runs = await session.store.runs(task_id=task_id, limit=limit)
    lines = run_table(session.screen, runs) if runs else ["There are no runs yet"]
    session.screen.answer([run_data(run) for run in runs], lines)
    return 0


async def show_status(session: Session) -> int:
    """Show the figures of `GET /status`."""
    figures = await session.wired.status()
    names = {
        "status": "status",
        "scheduledTasks": "tasks scheduled",
        "tasksCurrentlyDue": "due now",
        "lastTickAt": "last tick",
        "timestamp": "now",
    }
    lines = [f"{name:<16} {'never' if figures[key] is None else figures[key]}" for key, name in names.items()]
    session.screen.answer(figures, lines)
    return 0


async def list_types(session: Session) -> int:
    """Show the task types, each with params that show it at work."""
    types = [{"type": name, "params": example(name)} for name in type_names()]
    rows = [(str(one["type"]), json.dumps(one["params"], ensure_ascii=False)) for one in types]
    session.screen.answer(types, session.screen.table(("TYPE", "EXAMPLE OF PARAMS"), rows))
    return 0


def run_table(screen: Screen, runs: Sequence[Run]) -> list[str]:
    """The lines that tell of *runs*; times are in UTC, for they are of tasks in many zones."""
    rows = [
        (
            local(run.finished_at.replace(microsecond=0), "UTC"),
            run.task_id,
            Cell(_outcome(run), OUTCOME_COLOURS.get(run.outcome, "red" if run.final else "yellow")),
            f"{run.duration_ms} ms" if run.attempt else "",
            run.summary,
        )
        for run in runs
    ]
    return screen.table(("FINISHED", "TASK", "OUTCOME", "TOOK", "SUMMARY"), rows)


def task_data(task: Task) -> dict[str, Any]:
    """*task* as JSON values, under the names of task files."""
    return task.model_dump(mode="json", by_alias=True)


def run_data(run: Run) -> dict[str, Any]:
    """*run* as JSON values."""
    return run.model_dump(mode="json", by_alias=True)


def _outcome(run: Run) -> str:
    if run.outcome is OutcomeKind.SKIPPED:
        many = f" x{run.count}" if run.count > 1 else ""
        return f"skipped ({run.skip_reason}){many}"
    return str(run.outcome) if run.final else f"{run.outcome}, retrying"


def _last(task: Task) -> Cell:
    if task.last_outcome is None:
        return Cell("-", "")
    return Cell(str(task.last_outcome), OUTCOME_COLOURS.get(task.last_outcome, "red"))


def _facts(screen: Screen, task: Task, *, now: datetime) -> Iterator[str]:
    yield f"{task.id}  {plain(task.title)}"
    rows = [(name, text) for name, text in _rows(task, now=now) if text]
    yield from (
        f"  {screen.paint(f'{name:<12}', 'dim')} {' '.join(plain(text).split())}" for name, text in rows
    )


def _rows(task: Task, *, now: datetime) -> Iterable[tuple[str, str]]:
    wake = task.next_run_at
    yield "about", task.description
    yield "type", task.type
    yield "params", json.dumps(task.params, ensure_ascii=False) if task.params else ""
    yield "schedule", f"{task.schedule} ({task.timezone})" if task.schedule else ""
    yield "starts", starts(task) if task.listens else ""
    yield "then", ", ".join(f"{one.task} ({one.on})" for one in task.followers)
    yield "status", task.status
    if task.pause is not None:
        until = f" until {local(task.pause.until, task.timezone)}" if task.pause.until else ""
        yield "pause", f"by {task.pause.by or 'somebody'}{until}: {task.pause.note or 'no note'}"
    yield "next run", f"{local(wake, task.timezone)} ({distance(wake, now)})" if wake else "-"
    if task.last_run_at is not None:
        took = "" if task.last_duration_ms is None else f", {task.last_duration_ms} ms"
        yield "last run", f"{local(task.last_run_at, task.timezone)}: {task.last_outcome}{took}"
    yield "result", task.last_result_summary
    yield "error", task.last_error if task.consecutive_failures else ""
    yield "runs", f"{task.run_count}, {task.consecutive_failures} failed in a row"
    yield "waiting", ", ".join(local(extra.at, task.timezone) for extra in task.backlog)
    yield "priority", task.priority
    yield "tags", ", ".join(task.tags)
    yield "from", task.origin


# The command `next`: when a schedule's occurrences are. It needs no store.

MOST = 10_000


async def show_next(
    session: Session,
    *,
    expression: str,
    timezone: str | None,
    after: datetime | None,
    count: int,
    anchor: datetime | None,
    task_id: str,
) -> int:
    """Show the *count* occurrences strictly later than *after*.

    Args:
        timezone: None means `DEFAULT_TIMEZONE`.
        after: None means now.
        anchor: Where an interval counts from; None means *after*.
        task_id: What `H` is drawn from; empty when the expression has none.

    Raises:
        InputError: The expression, the zone or the count cannot be used.
    """
    if not 1 <= count <= MOST:
        raise InputError(f"--count: must be from 1 to {MOST}")
    zone = timezone or session.settings.default_timezone
    start = after or session.now().replace(microsecond=0)
    schedule = read_schedule(expression, timezone=zone, task_id=task_id, anchor=anchor or start)
    found = list(following(schedule, start, count))
    session.screen.answer(
        [instant_text(at) for at in found],
        _occurrence_lines(session, schedule, found, start=start, zone=zone),
    )
    return 0


def _occurrence_lines(
    session: Session, schedule: Schedule, found: list[datetime], *, start: datetime, zone: str
) -> Iterator[str]:
    if not found:
        yield f"There is no occurrence after {instant_text(start)}"
        return
    rows = [(local(at, zone), instant_text(at)) for at in found]
    yield from session.screen.table((zone.upper(), "UTC"), rows)
    for change in schedule.transitions(start, max(found[-1], start + PREVIEW_AHEAD)):
        yield session.screen.paint(f"{local(change.instant, zone)}: {change.text}", "yellow")


# The command `tick`: one tick in this process, and how everything in it went.

NO_LIMIT = Budget(stop_starting=None, answer_by=None)  # nobody waits for the answer but the one who asked
SHOWN = 200
FIGURES = ("due", "started", "succeeded", "failed", "retrying", "skipped", "left", "taken", "broken")
FAULTY = ("failed", "retrying", "broken")


async def tick(session: Session) -> int:
    """Run what is due, once; 1 when an attempt failed or a task could not be read."""
    started_at = session.now()
    with session.screen.working("What is due is run"):
        report = await session.wired.tick(NO_LIMIT)
    runs = await session.store.runs(since=started_at, limit=SHOWN)
    session.screen.answer(report, _report_lines(session.screen, report, list(reversed(runs))))
    return 1 if any(report.get(name) for name in FAULTY) else 0


def sentence(report: Mapping[str, Any]) -> str:
    """A tick's report in one line: what is zero goes without saying, but for what is due."""
    figures = [f"{report[name]} {name}" for name in FIGURES if report.get(name) or name == "due"]
    return f"{', '.join(figures)}; {report.get('durationMs', 0) / 1000:.2f} s"


def _report_lines(screen: Screen, report: Mapping[str, Any], runs: Sequence[Run]) -> Iterator[str]:
    if runs:
        yield from run_table(screen, runs)
        yield ""
    yield f"Tick: {sentence(report)}"


# The commands that steer tasks: `pause`, `resume`, `cancel`, `run` and `backfill`.

BY = "command line"


async def pause(session: Session, *, task_id: str, note: str, until: datetime | None) -> int:
    """Stop a task until *until*, or until it is resumed."""
    task = await control.pause_task(
        session.store, task_id, note=note, until=until, by=BY, now=session.now(), new_id=session.new_id
    )
    end = f"until {local(until, task.timezone)}" if until else "until somebody resumes it"
    return told(session, task, f"{task_id} is paused {end}")


async def resume(session: Session, *, task_id: str, catch_up: bool) -> int:
    """End a pause or a quarantine."""
    task = await control.resume_task(
        session.store, task_id, catch_up=catch_up, now=session.now(), new_id=session.new_id
    )
    return told(session, task, f"{task_id} is resumed; next look {local(task.next_run_at, task.timezone)}")


async def cancel(session: Session, *, task_id: str) -> int:
    """End the occurrence in hand."""
    task = await control.cancel_task(session.store, task_id, now=session.now(), new_id=session.new_id)
    done = "will be told to stop within seconds" if task.cancel_requested else "is cancelled"
    return told(session, task, f"{task_id} {done}")


async def run(session: Session, *, task_ids: Sequence[str]) -> int:
    """Ask for one run of each task at the next tick."""
    tasks = [
        await control.request_run(session.store, task_id, now=session.now(), new_id=session.new_id)
        for task_id in task_ids
    ]
    lines = [f"{task.id} runs at the next tick" for task in tasks]
    session.screen.answer([task_data(task) for task in tasks], lines)
    return 0


async def backfill(session: Session, *, task_id: str, first: datetime, until: datetime, dry_run: bool) -> int:
    """Ask for runs of past occurrences that have not succeeded."""
    wanted = await control.backfill_task(
        session.store,
        task_id,
        first=first,
        until=until,
        now=session.now(),
        new_id=session.new_id,
        dry_run=dry_run,
    )
    done = "would run" if dry_run else "run at the next ticks"
    many = "occurrence" if len(wanted) == 1 else "occurrences"
    lines = [f"{len(wanted)} {many} of {task_id} {done}", *(f"  {instant_text(at)}" for at in wanted)]
    session.screen.answer([instant_text(at) for at in wanted], lines)
    return 0


def told(session: Session, task: Task, text: str) -> int:
    """Tell what became of a task; return the exit code."""
    session.screen.answer(task_data(task), [text])
    return 0
