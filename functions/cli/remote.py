"""Commands against a deployed function: with SCHEDULER_URL they call its API instead of a store.

Commands that show tasks and runs are the same, because `RemoteStore` has the same methods. A command that
changes something has a counterpart here that calls the API, so that its rules and audit trail apply; what
the API cannot do is refused with the reason. Every command is in one of three tables.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from functions.cli import apply as files
from functions.cli import assistant, heartbeats, rehearsals, run, tasks, transfer
from functions.cli.admin import bitable, calendars, channels, events, keys, owners
from functions.cli.admin import remote as admin
from functions.cli.api_client import parse_task
from functions.cli.arguments.moments import Moment, resolve_end, resolve_span
from functions.cli.authoring import commands as authoring
from functions.cli.authoring.writer import to_body
from functions.cli.local import doctor
from functions.cli.serve import command as serve
from functions.cli.session import CliContext
from functions.domain.task import TaskSpec
from functions.domain.types import format_instant
from functions.errors import NotAllowedError, SettingsError, StoreUnavailableError
from functions.services import manual_runs
from functions.services.apply import apply_plan
from functions.services.calendars.files import calendars_for
from functions.taskfiles.loader import read_task_files

Command = Callable[..., Awaitable[int]]
MAX_WAIT_S = 50  # that the API waits in one request; then its history is read


def remote_command_for(command: Command) -> Command:
    """Return the handler that does the same over the API.

    Raises:
        SettingsError: There is none; the text says why, and what to do in its place.
    """
    if command in SHARED_COMMANDS:
        return command
    if reason := REFUSED_COMMANDS.get(command):
        raise SettingsError(reason)
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
        calendars=loaded.calendars,
    )
    specs = {spec.id: spec for spec in loaded.specs}
    if not dry_run:
        await admin.put_calendars(context, calendars_for(loaded.specs, loaded.calendars))
    for change in changes if not dry_run else ():
        if change.id not in specs:  # a calendar, or a task that is left alone
            continue
        body = to_body(specs[change.id])
        if change.action == "create":
            await context.api.request("POST", "/api/tasks", body)
        elif change.action == "update":
            await context.api.request("PUT", f"/api/tasks/{change.id}", body)
    rehearsed = await rehearsals.rehearse_changes(context, changes, loaded.specs) if dry_run else None
    files.show_changes(context.screen, changes, dry_run=dry_run, rehearsals=rehearsed)
    return 0


async def _pause(context: CliContext, *, task_id: str, note: str, until: Moment | None) -> int:
    zone = (await context.get_task(task_id)).timezone if until else "UTC"
    end = resolve_end(until, context.now(), zone)
    body = {"note": note, "until": format_instant(end) if end else None}
    task = parse_task(await context.api.request("POST", f"/api/tasks/{task_id}/pause", body))
    return tasks.show_task_result(context, task, tasks.paused_text(task))


async def _resume(context: CliContext, *, task_id: str, catch_up: bool) -> int:
    given = await context.api.request("POST", f"/api/tasks/{task_id}/resume", {"catchUp": catch_up})
    task = parse_task(given)
    return tasks.show_task_result(context, task, tasks.resumed_text(task, now=context.now()))


async def _cancel(context: CliContext, *, task_id: str) -> int:
    given = await context.api.request("POST", f"/api/tasks/{task_id}/cancel")
    task = parse_task(given)
    return tasks.show_task_result(context, task, tasks.cancelled_text(task))


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
    client = context.api
    given = await client.request("POST", f"/api/tasks/{task_id}/run", {"wait": wait_s})
    occurrence = datetime.fromisoformat(given["occurrence"])
    return run.RequestedRun(await context.get_task(task_id), occurrence)


async def _create_and_run(context: CliContext, spec: TaskSpec, *, wait_s: float) -> run.RequestedRun:
    client = context.api
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
    start, end = resolve_span(first, until, now, zone)
    body = {"from": format_instant(start), "to": format_instant(end), "dryRun": dry_run}
    given = await context.api.request("POST", f"/api/tasks/{task_id}/backfill", body)
    return tasks.show_backfill(context, task_id, given["occurrences"], dry_run=dry_run)


async def _heartbeat(context: CliContext, *, task_id: str, renew: bool) -> int:
    method = "POST" if renew else "GET"
    given = await context.api.request(method, f"/api/tasks/{task_id}/heartbeat")
    heartbeats.show_address(context, given["address"], expected=given.get("expectedAt"))
    return 0


async def _import(context: CliContext, *, write: Path | None, **options: Any) -> int:
    """Translate the files of another scheduler into a task file, which needs no store."""
    if write is None:
        raise SettingsError(
            "import: writes a whole store, history included, which the API does not; name the store by "
            "STORE_URL, or write a task file with --write FILE and apply that"
        )
    return await transfer.import_file(context, write=write, **options)


async def _status(context: CliContext) -> int:
    return tasks.show_figures(context, await context.api.request("GET", "/status"))


async def _tick(context: CliContext) -> int:
    """Start a tick in the function: ticks have a secret of their own, which is no key of the API."""
    secret = context.settings.cron_secret
    if secret is None:
        raise SettingsError(
            "tick: SCHEDULER_KEY starts no tick; set CRON_SECRET as well, or request one by scheduler run ID"
        )
    began = context.now()
    with context.screen.show_progress("Running due tasks"):
        try:
            report = await context.api.with_key(secret.get_secret_value()).request("POST", "/tick")
        except NotAllowedError:
            raise NotAllowedError("CRON_SECRET: is not the function's") from None
    if "reason" in report:
        raise StoreUnavailableError(f"tick: {report['reason']}")
    return await tasks.show_report(context, report, since=began)


SHARED_COMMANDS: tuple[Command, ...] = (
    tasks.list_tasks,
    tasks.show_task,
    tasks.show_runs,
    tasks.list_types,
    tasks.show_schema,
    tasks.show_next,
    files.show_cost,
    authoring.create_task,
    authoring.edit_task,
    authoring.remove_tasks,
    heartbeats.ping,
    rehearsals.rehearse_task,
)
REMOTE_COMMANDS: Mapping[Command, Command] = {
    files.apply_files: _apply,
    tasks.pause_task: _pause,
    tasks.resume_task: _resume,
    tasks.cancel_task: _cancel,
    tasks.backfill_task: _backfill,
    heartbeats.show_heartbeat: _heartbeat,
    tasks.show_status: _status,
    tasks.run_tick: _tick,
    run.run_tasks: _run,
    transfer.import_file: _import,
    channels.list_channels: admin.list_channels,
    channels.test_channel: admin.test_channel,
    channels.enable_channel: admin.enable_channel,
    channels.disable_channel: admin.disable_channel,
    channels.set_channel: admin.set_channel,
    calendars.list_calendars: admin.list_calendars,
    calendars.show_calendar: admin.show_calendar,
    calendars.set_calendar: admin.set_calendar,
    calendars.remove_calendar: admin.remove_calendar,
    events.list_events: admin.list_events,
    events.publish_event: admin.publish_event,
    keys.create_key: admin.create_key,
    keys.list_keys: admin.list_keys,
    keys.revoke_key: admin.revoke_key,
    owners.list_owners: admin.list_owners,
    owners.show_owner: admin.show_owner,
    owners.set_owner: admin.set_owner,
}
REFUSED_COMMANDS: Mapping[Command, str] = {
    doctor.run_doctor: (
        "doctor: checks the settings and the store of the machine that it runs on; run it where the "
        "function's settings are, without SCHEDULER_URL. Over the API, scheduler status says whether ticks "
        "come, and scheduler channels test NAME whether a channel answers"
    ),
    transfer.export_store: (
        "export: reads a whole store, history included, which the API does not; name the store by STORE_URL, "
        "without SCHEDULER_URL. scheduler list --json has the tasks"
    ),
    serve.serve: "serve: starts a function on this machine; unset SCHEDULER_URL, which names another one",
    assistant.serve_assistant: (
        "mcp: serves the store of this machine; without it, give the assistant the function's own address, "
        "SCHEDULER_URL with /mcp behind it, and the key as Authorization: Bearer; to serve a store, unset it"
    ),
    bitable.set_up_bitable: (
        "bitable setup: works on a Feishu base itself; name it by STORE_URL, without SCHEDULER_URL"
    ),
}
