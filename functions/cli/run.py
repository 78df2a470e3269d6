"""The command `run`: stored tasks, or those of a file, run once, at the next tick or here."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from functions.cli.apply import report_problems
from functions.cli.console import replace_unprintable
from functions.cli.options import EXIT_FAILED, EXIT_OK, UsageError, format_local
from functions.cli.session import CliContext, ending_in_order
from functions.cli.tasks import NO_LIMIT, PRINCIPAL_NAME, format_runs, run_to_json, task_to_json
from functions.domain.run import Run
from functions.domain.task import Task, TaskSpec
from functions.domain.types import OutcomeKind, Status, format_instant
from functions.errors import InputError
from functions.services import manual_runs, task_commands
from functions.taskfiles.loader import LoadResult, read_task_files

LABEL_WIDTH = 11  # as `show` has them


@dataclass(frozen=True, slots=True)
class RequestedRun:
    """A run that was requested.

    Attributes:
        task: The task after the run, or with the run waiting in it.
        run: The record of its last attempt; None when it was not waited for, or another process has it.
    """

    task: Task
    occurrence: datetime
    run: Run | None = None

    @property
    def exit_code(self) -> int:
        """0 for a run that succeeded."""
        return EXIT_OK if self.run and self.run.outcome is OutcomeKind.SUCCEEDED else EXIT_FAILED

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "task": self.task.id,
            "occurrence": format_instant(self.occurrence),
            "status": self.task.status,
            "retryAt": format_instant(self.task.retry_at) if self.task.retry_at else None,
            "run": run_to_json(self.run) if self.run else None,
        }


async def run_tasks(context: CliContext, *, task_ids: Sequence[str], file: Path | None, wait: bool) -> int:
    """Run tasks once: stored ones by their ids, or those of a file, which are created.

    Raises:
        InputError: Neither or both are given, or one of the tasks cannot be run: then none is.
    """
    loaded = read_request(context, task_ids, file)
    if loaded.problems:
        return report_problems(context.screen, loaded.problems)
    if file is None:
        requested = await _request(context, list(dict.fromkeys(task_ids)))
    else:
        requested = await _create(context, loaded.specs)
    if not wait:
        return show_queued(context, requested)
    with ending_in_order():
        finished = [await _wait_for(context, one) for one in requested]
    return show_finished(context, finished)


def read_request(context: CliContext, task_ids: Sequence[str], file: Path | None) -> LoadResult:
    """Return the tasks in *file*; none when *task_ids* are given.

    Raises:
        InputError: Neither or both are given.
    """
    if bool(task_ids) == (file is not None):
        raise UsageError("run: name the tasks to run, or a file of them with --file")
    if file is None:
        return LoadResult((), ())
    return read_task_files([file], default_timezone=context.settings.default_timezone, runs_when_asked=True)


async def _request(context: CliContext, task_ids: Sequence[str]) -> list[RequestedRun]:
    """Request a run of each task, after all of them are checked."""
    await manual_runs.check_requests(context.store, task_ids, now=context.now())
    requested = []
    for task_id in task_ids:
        now = context.now()
        task = await task_commands.request_run(context.store, task_id, now=now, new_id=context.new_id)
        requested.append(RequestedRun(task, now))
    return requested


async def _create(context: CliContext, specs: Sequence[TaskSpec]) -> list[RequestedRun]:
    """Create a task of each spec, with a run waiting in it, after all ids are checked."""
    await check_new(context, specs)
    created = [
        await manual_runs.create_and_run(
            context.store, spec, by=PRINCIPAL_NAME, clock=context.now, new_id=context.new_id
        )
        for spec in specs
    ]
    return [RequestedRun(task, task.created_at) for task in created]


async def check_new(context: CliContext, specs: Sequence[TaskSpec]) -> None:
    """Check that there is no task of any of these ids.

    Raises:
        InputError: There is.
    """
    found = await context.store.get_tasks([one.id for one in specs])
    known = sorted([stored.task.id for stored in found.tasks] + [one.id for one in found.invalid])
    if known:
        names = " ".join(known)
        raise InputError(
            f"id: there is already a task {', '.join(known)}; no run was requested. "
            f"scheduler run {names} runs what is stored; another task needs another id"
        )


async def _wait_for(context: CliContext, requested: RequestedRun) -> RequestedRun:
    task_id = requested.task.id
    with context.screen.show_progress(f"Running {task_id}"):
        run = await manual_runs.wait_for_run(
            partial(context.app.run_tasks, [task_id], NO_LIMIT),
            context.store,
            requested.task,
            requested.occurrence,
            clock=context.now,
        )
    return RequestedRun(await context.get_task(task_id), requested.occurrence, run)


def show_queued(context: CliContext, requested: Sequence[RequestedRun]) -> int:
    """Show what waits for the next tick."""
    lines = [f"{one.task.id} runs at the next tick" for one in requested]
    context.screen.show([task_to_json(one.task) for one in requested], lines)
    return EXIT_OK


def show_finished(context: CliContext, finished: Sequence[RequestedRun]) -> int:
    """Show the outcome of each run that was waited for; 1 when one did not succeed."""
    context.screen.show([one.to_json() for one in finished], _lines(context, finished))
    return max((one.exit_code for one in finished), default=EXIT_OK)


def _lines(context: CliContext, finished: Sequence[RequestedRun]) -> Iterator[str]:
    runs = [one.run for one in finished if one.run]
    if runs:
        yield from format_runs(context.screen, runs)
    for run in runs:
        yield from _output_lines(run, with_task=len(runs) > 1)
    for one in finished:
        task = one.task
        if one.run is None:
            yield f"{task.id}: no result yet, another run of it goes on; see scheduler runs {task.id}"
        elif not one.run.final and task.status is Status.RETRYING and task.retry_at is not None:
            yield (
                f"{task.id}: attempt {one.run.attempt} {one.run.outcome}; a tick makes the next one at "
                f"{format_local(task.retry_at, task.timezone)}"
            )


def _output_lines(run: Run, *, with_task: bool) -> Iterator[str]:
    """What *run* found and gave back, for those who wait for it."""
    found = [_item_text(one) for one in run.items]
    parts = {"found": "\n".join(found), **{name: _plain(value) for name, value in run.metrics.items()}}
    if with_task and any(text.strip() for text in parts.values()):
        yield f"{run.task_id}:"
    for name, text in parts.items():
        for number, line in enumerate(text.strip().splitlines()):
            yield replace_unprintable(f"  {'' if number else name:{LABEL_WIDTH}}  {line}")


def _item_text(item: Mapping[str, str]) -> str:
    return "  ".join(" ".join(item[name].split()) for name in ("title", "url", "text") if item.get(name))


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
