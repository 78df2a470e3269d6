"""Commands against a deployed function: with SCHEDULER_URL they call its API instead of a store.

Commands that show tasks and runs are the same, because `RemoteStore` has the same methods. A command that
changes something has a counterpart here that calls the API, so that its rules and audit trail apply.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from functions.cli import admin, run, tasks
from functions.cli import apply as files
from functions.cli.api_client import ApiClient, create_api_client, parse_task
from functions.cli.arguments.moments import Moment
from functions.cli.authoring import commands as authoring
from functions.cli.authoring.writer import to_body
from functions.cli.session import CliContext
from functions.domain.task import TaskSpec
from functions.domain.types import format_instant
from functions.errors import SettingsError
from functions.services import manual_runs
from functions.services.apply import apply_plan
from functions.taskfiles import read_task_files

Command = Callable[..., Awaitable[int]]
MAX_WAIT_S = 50  # that the API waits in one request; then its history is read
SHARED_COMMANDS = (
    tasks.list_tasks,
    tasks.show_task,
    tasks.show_runs,
    tasks.list_types,
    tasks.show_schema,
    tasks.show_next,
    authoring.create_task,
    authoring.edit_task,
    authoring.remove_tasks,
)


def remote_command_for(command: Command) -> Command:
    """Return the handler that does the same over the API.

    Raises:
        SettingsError: There is none.
    """
    if command in SHARED_COMMANDS:
        return command
    if command not in REMOTE_COMMANDS:
        raise SettingsError(
            "this command does not work over SCHEDULER_URL; unset it, and name the store by STORE_URL"
        )
    return REMOTE_COMMANDS[command]


async def _apply(
    context: CliContext, *, paths: Sequence[Path], prune: bool, dry_run: bool, source: str = ""
) -> int:
    """Make the deployed tasks match the files. Nothing is removed: tasks made over the API have no origin."""
    loaded = read_task_files(paths, default_timezone=context.settings.default_timezone)
    if loaded.problems:
        return files.report_problems(context.screen, loaded.problems)
    store: Any = context.store
    changes = await apply_plan(
        store,
        loaded.specs,
        now=context.now(),
        new_id=context.new_id,
        prune=False,
        dry_run=True,
    )
    specs = {spec.id: spec for spec in loaded.specs}
    for change in changes if not dry_run else ():
        body = to_body(specs[change.id])
        if change.action == "create":
            await _require_client(context).request("POST", "/api/tasks", body)
        elif change.action == "update":
            await _require_client(context).request("PUT", f"/api/tasks/{change.id}", body)
    files.show_changes(context.screen, changes, loaded.specs, dry_run=dry_run)
    return 0


async def _pause(context: CliContext, *, task_id: str, note: str, until: Moment | None) -> int:
    end = until.resolve(context.now(), (await context.get_task(task_id)).timezone) if until else None
    body = {"note": note, "until": format_instant(end) if end else None}
    task = parse_task(await _require_client(context).request("POST", f"/api/tasks/{task_id}/pause", body))
    return tasks.show_task_result(context, task, tasks.paused_text(task))


async def _resume(context: CliContext, *, task_id: str, catch_up: bool) -> int:
    given = await _require_client(context).request(
        "POST", f"/api/tasks/{task_id}/resume", {"catchUp": catch_up}
    )
    task = parse_task(given)
    return tasks.show_task_result(context, task, tasks.resumed_text(task, now=context.now()))


async def _cancel(context: CliContext, *, task_id: str) -> int:
    given = await _require_client(context).request("POST", f"/api/tasks/{task_id}/cancel")
    return tasks.show_task_result(
        context, parse_task(given), f"{task_id} is cancelled, or stops within seconds"
    )


async def _run(context: CliContext, *, task_ids: Sequence[str], file: Path | None, wait: bool) -> int:
    loaded = run.read_request(context, task_ids, file)
    if loaded.problems:
        return files.report_problems(context.screen, loaded.problems)
    ids = list(dict.fromkeys(task_ids))
    if file is None:
        await manual_runs.check_requests(context.store, ids, now=context.now())
    else:
        await run.check_new(context, loaded.specs)
    seconds = MAX_WAIT_S if wait else 0
    requested = [await _request_run(context, task_id, wait_s=seconds) for task_id in ids]
    requested += [await _create_and_run(context, spec, wait_s=seconds) for spec in loaded.specs]
    if not wait:
        return run.show_queued(context, requested)
    return run.show_finished(context, [await _wait_for(context, one) for one in requested])


async def _request_run(context: CliContext, task_id: str, *, wait_s: float) -> run.RequestedRun:
    client = _require_client(context)
    given = await client.request("POST", f"/api/tasks/{task_id}/run", {"wait": wait_s})
    occurrence = datetime.fromisoformat(given["occurrence"])
    return run.RequestedRun(await context.get_task(task_id), occurrence)


async def _create_and_run(context: CliContext, spec: TaskSpec, *, wait_s: float) -> run.RequestedRun:
    client = _require_client(context)
    given = await client.request("POST", "/api/tasks", to_body(spec), run="true", wait=wait_s)
    task = parse_task(given)
    return run.RequestedRun(task, task.created_at)


async def _wait_for(context: CliContext, requested: run.RequestedRun) -> run.RequestedRun:
    """Wait until the API has a record of the run: a task of a long timeout runs in the next tick."""
    task_id = requested.task.id
    with context.screen.show_progress(f"Waiting for {task_id}"):
        found = await manual_runs.wait_for_run(
            _nothing, context.store, requested.task, requested.occurrence, clock=context.now
        )
    return run.RequestedRun(await context.get_task(task_id), requested.occurrence, found)


async def _nothing() -> None:
    """The API has run what it could."""


async def _backfill(context: CliContext, *, task_id: str, first: Moment, until: Moment, dry_run: bool) -> int:
    zone, now = (await context.get_task(task_id)).timezone, context.now()
    span = {"from": first.resolve(now, zone, is_past=True), "to": until.resolve(now, zone, is_past=True)}
    body = {name: format_instant(at) for name, at in span.items()} | {"dryRun": dry_run}
    given = await _require_client(context).request("POST", f"/api/tasks/{task_id}/backfill", body)
    done = "would run" if dry_run else "run at the next ticks"
    found = given["occurrences"]
    lines = [f"{len(found)} occurrences of {task_id} {done}", *(f"  {one}" for one in found)]
    context.screen.show(found, lines)
    return 0


async def _channels(context: CliContext) -> int:
    given = (await _require_client(context).request("GET", "/api/channels"))["channels"]
    rows = [(one["name"], "open" if one["open"] else "off") for one in given]
    context.screen.show(given, context.screen.format_table(("CHANNEL", "STATE"), rows))
    context.show_store()
    return 0


async def _test_channel(context: CliContext, *, name: str) -> int:
    given = await _require_client(context).request("POST", f"/api/channels/{name}/test")
    result = "was accepted" if given["ok"] else f"was not accepted: {given['detail']}"
    context.screen.show(given, [f"{name}: the test message {result}"])
    return 0 if given["ok"] else 1


async def _events(context: CliContext) -> int:
    given = (await _require_client(context).request("GET", "/api/events"))["events"]
    context.screen.show(given, [f"{one['type']}: {', '.join(one['tasks'])}" for one in given])
    context.show_store()
    return 0


async def _publish(context: CliContext, *, event_type: str, data: str, all_owners: bool, **how: str) -> int:
    names = {"source": how["source"], "subject": how["subject"], "to": how["to"], "id": how["event_id"]}
    body = {"type": event_type, "data": admin.parse_json_object(data)}
    body |= {name: value for name, value in names.items() if value} | ({"reach": "all"} if all_owners else {})
    given = await _require_client(context).request("POST", "/api/events", body)
    context.screen.show(given, list(admin.result_lines(event_type, given)))
    return 0


REMOTE_COMMANDS: Mapping[Command, Command] = {
    files.apply_files: _apply,
    tasks.pause_task: _pause,
    tasks.resume_task: _resume,
    tasks.cancel_task: _cancel,
    run.run_tasks: _run,
    tasks.backfill_task: _backfill,
    admin.list_channels: _channels,
    admin.test_channel: _test_channel,
    admin.list_events: _events,
    admin.publish_event: _publish,
}


def _require_client(context: CliContext) -> ApiClient:
    found = create_api_client(context.environment)
    assert found is not None  # `is_remote` is true
    return found
