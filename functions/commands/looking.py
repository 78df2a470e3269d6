"""The commands that look at what there is: `list`, `show`, `runs`, `status` and `types`."""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from functions.actions import example, type_names
from functions.applying import everything
from functions.commands.screen import Cell, Screen, plain
from functions.commands.session import Session
from functions.commands.times import distance, local
from functions.rules.outcome import Run
from functions.rules.starting import starts
from functions.rules.storage import Filter
from functions.rules.task import Task
from functions.rules.words import OutcomeKind, Status

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
    found = await session.store.page(Filter(), limit=PAGE)
    tasks = [stored.task for stored in await everything(session.store, Filter())]
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
