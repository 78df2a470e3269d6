"""The command `doctor`: checks an installation; each finding has its remedy."""

import asyncio
import os
import shlex
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Literal

from functions.app.factories import longest_attempt
from functions.app.named_hooks import find_hook_problem
from functions.cli.local.location import store_files
from functions.cli.options import format_count, format_duration
from functions.cli.session import CliContext
from functions.config.settings import overlooked_variables
from functions.config.stores import FILE_SCHEMES
from functions.domain.access import ADMINISTRATOR
from functions.domain.alerts.routing import ChannelPreferences
from functions.domain.capacity.time_budget import describe_long_timeout
from functions.domain.storage import Document, StoreStats, TaskFilter, WriteStatus
from functions.domain.task import Task
from functions.domain.types import Status, format_instant
from functions.errors import InputError, SettingsError, StoreError
from functions.http_client.trusted import TrustedHttpClient
from functions.notifications import channel_problems
from functions.services.paging import all_tasks
from functions.services.upkeep.clock_repair import mend_clock_ahead
from functions.services.upkeep.watchdog import (
    IS_PINGER_OFF,
    NO_TICK,
    describe_clock_ahead,
    describe_silence,
    find_last_tick,
    record_mended,
)
from functions.stores.bitable.store import BitableStore

TEST_TIMEOUT = timedelta(seconds=15)  # for the vendor's response
OVERDUE_AFTER = timedelta(minutes=5)
SLOW_MS = 1500
MIN_PLAUSIBLE_TIME = datetime(2026, 1, 1, tzinfo=UTC)  # a correct clock shows a later time
MAX_NAMED = 5
MEND_COMMAND = "scheduler doctor --mend"
STATUS_COLOURS = {"ok": "green", "warn": "yellow", "FAIL": "red"}


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check; *remedy* is empty when there is no problem."""

    check: str
    status: Literal["ok", "warn", "FAIL"]
    text: str
    remedy: str = ""


async def run_doctor(context: CliContext, *, send: bool, mend: bool = False) -> int:
    """Run all checks and print each finding at once; 1 when something is wrong.

    Args:
        mend: Whether to undo what a clock that was far ahead did to tasks.
    """
    findings = []
    async for finding in _run_checks(context, send=send, mend=mend):
        findings.append(finding)
        if not context.screen.as_json:
            remedy = f" -> {finding.remedy}" if finding.remedy else ""
            mark = context.screen.paint(f"{finding.status:<5}", STATUS_COLOURS[finding.status])
            context.screen.write_line(f"{mark} {finding.check:<9} {finding.text}{remedy}")
    context.screen.show([asdict(one) for one in findings], ())
    with suppress(SettingsError):  # it is among the findings
        context.show_store()
    return 1 if any(one.status == "FAIL" for one in findings) else 0


async def _run_checks(context: CliContext, *, send: bool, mend: bool) -> AsyncIterator[Finding]:
    try:
        settings = context.settings
        assert context.app is not None  # what the settings ask for can be built
    except (SettingsError, InputError) as exc:
        yield Finding("settings", "FAIL", str(exc), "correct it in the environment or in .env")
        return
    yield Finding("settings", "ok", "every variable that is set is valid")
    for name, meant in overlooked_variables(context.environment).items():
        text = f"{name} is no setting, and has no effect"
        if name == f"{meant}_FILE":
            text = f"{name} has no effect: only secrets are read from files"
        yield Finding("settings", "warn", text, f"set {meant}, if that was meant")
    if settings.task_types:
        yield Finding("types", "ok", f"TASK_TYPES adds {', '.join(settings.task_types)}")
    yield _check_secret(context)
    if settings.cron_secret_previous is not None:
        text = "CRON_SECRET_PREVIOUS is still accepted"
        yield Finding("secrets", "warn", text, "unset it when every caller uses the new one")
    yield _check_signing(context)
    for finding in _check_file_modes(context):
        yield finding
    yield Finding("zones", "ok", f"tzdata {version('tzdata')}")
    async for finding in _check_hooks(context):
        yield finding
    is_reachable = True
    async for finding in _check_store(context):
        is_reachable &= finding.status != "FAIL"
        yield finding
    if is_reachable:
        async for finding in _check_tasks(context, mend=mend):
            yield finding
        async for finding in _check_keys(context):
            yield finding
    async for finding in _check_agents(context):
        yield finding
    async for finding in _check_channels(context, send=send):
        yield finding


def _check_secret(context: CliContext) -> Finding:
    if context.settings.cron_secret is None:
        remedy = "set CRON_SECRET where the function runs: openssl rand -hex 32"
        return Finding("secrets", "warn", "CRON_SECRET is not set; serve creates its own", remedy)
    return Finding("secrets", "ok", "CRON_SECRET is long enough")


def _check_signing(context: CliContext) -> Finding:
    """Check that there is a secret that sessions and keys are signed with, outside the store."""
    settings = context.settings
    if settings.signing_secret is None:
        remedy = "set SIGNING_SECRET, to one value here and where the function runs: openssl rand -hex 32"
        if settings.api_key is None and settings.store_url.startswith(FILE_SCHEMES):
            return Finding("signing", "ok", "no SIGNING_SECRET yet: serve and keys create make one here")
        if settings.api_key is None:
            return Finding(
                "signing", "warn", "SIGNING_SECRET is not set: no key can be made or checked", remedy
            )
        text = "SIGNING_SECRET is derived from API_KEY: another API_KEY ends all keys and sessions"
        return Finding("signing", "warn", text, remedy)
    if settings.signing_secret_previous is not None:
        text = "what SIGNING_SECRET_PREVIOUS signed is still accepted"
        return Finding("signing", "warn", text, "unset it when keys list shows no key of it")
    return Finding("signing", "ok", "SIGNING_SECRET is set")


def _check_file_modes(context: CliContext) -> Iterator[Finding]:
    """Check that others on this machine cannot read the files of the store."""
    if not hasattr(os, "geteuid"):  # Windows: there the mode of a file says nothing about its readers
        return
    files = store_files(context.settings.store_url)
    open_files = [one for one in files if one.exists() and one.stat().st_mode & 0o077]
    if open_files:
        text = f"others on this machine can read {_first_names([one.name for one in open_files])}"
        yield Finding("files", "warn", text, f"chmod go= {shlex.join(map(str, open_files))}")


async def _check_hooks(context: CliContext) -> AsyncIterator[Finding]:
    """Check that what BEFORE_TASK and AFTER_TASK name can be called, where `serve` would look for it."""
    settings = context.settings
    for setting, name in (("BEFORE_TASK", settings.before_task), ("AFTER_TASK", settings.after_task)):
        if name is None:
            continue
        if (folder := str(Path.cwd())) not in sys.path:
            sys.path.append(folder)
        if problem := await find_hook_problem(name, settings.python_tasks):
            remedy = (
                f"correct {setting}, or put the module where the function runs; until then nothing is called"
            )
            yield Finding("hooks", "FAIL", f"{setting}: {problem}", remedy)
        else:
            yield Finding("hooks", "ok", f"{setting}: {name} can be called")


async def _check_keys(context: CliContext) -> AsyncIterator[Finding]:
    """Check that every key that could be used is signed."""
    stored = await context.app.keys.list_keys(by=ADMINISTRATOR)
    if stored.unreadable:
        text = f"cannot be read, so refused: {_first_names(list(stored.unreadable))}"
        yield Finding("keys", "warn", text, "remove these rows with keys revoke, and make new keys")
    accounts = await context.app.accounts.list_accounts()
    if accounts.unreadable:
        text = f"accounts cannot be read: {_first_names(list(accounts.unreadable))}; their tasks use nothing"
        yield Finding("owners", "warn", text, "repair them: owners set ID --monthly-credits N")
    found = [key for key in stored.keys if key.is_active(context.now())]
    if refused := [f"{key.id} ({key.name})" for key in found if key.signature == "invalid"]:
        text = f"without a valid signature, so refused: {_first_names(refused)}"
        remedy = (
            context.app.keys.problem
            or "make new ones with keys create, and revoke these: they are older, or another's"
        )
        yield Finding("keys", "warn", text, remedy)


async def _check_store(context: CliContext) -> AsyncIterator[Finding]:
    """Check that the store responds in time and returns what was written; then the table and the clock."""
    name = f"doctor-{context.new_id()}"
    started = perf_counter()
    try:
        document = Document("meta", name, {"at": context.now().isoformat()})
        [written] = await context.store.put_documents([document])
        found = await context.store.get_documents("meta", [name])
        [deleted] = await context.store.delete_documents(found)
        await context.store.stats(context.now())
    except StoreError as exc:
        remedy = "check STORE_URL, the file's folder or the project's permissions, and try again"
        yield Finding("store", "FAIL", str(exc), remedy)
        return
    took_ms = round((perf_counter() - started) * 1000)
    if WriteStatus.UNKNOWN in (written.status, deleted.status) or not found:
        yield Finding("store", "FAIL", "it does not return what was written", "check the store's own log")
        return
    slow = took_ms > SLOW_MS
    remedy = "is the database in your region?" if slow else ""
    yield Finding("store", "warn" if slow else "ok", f"reads and writes; {took_ms} ms for five calls", remedy)
    if isinstance(context.store, BitableStore):
        yield await _check_base(context.store)
    yield _check_clock(context)


async def _check_base(store: BitableStore) -> Finding:
    """Check that the Feishu base has every column and table, with the right types."""
    try:
        steps = await store.set_up(dry_run=True)
    except StoreError as exc:
        return Finding("base", "FAIL", str(exc), "docs/how-to/bitable-store.md")
    if wrong := [f"{one.subject} {one.state}" for one in steps if one.state != "there"]:
        return Finding("base", "FAIL", _first_names(wrong), "scheduler bitable setup")
    return Finding("base", "ok", f"{len(steps)} columns and tables exist, with the right types")


def _check_clock(context: CliContext) -> Finding:
    """Check that the clock is plausible. It is not compared with a time server: none is configured."""
    now = context.now()
    if now < MIN_PLAUSIBLE_TIME:
        return Finding("clock", "FAIL", f"it shows {now:%Y-%m-%d %H:%M} UTC", "set it: chronyd, ntpd")
    return Finding("clock", "ok", f"{now:%Y-%m-%d %H:%M:%S} UTC; not compared with another")


async def _check_tasks(context: CliContext, *, mend: bool) -> AsyncIterator[Finding]:
    now = context.now()
    counts = await context.store.stats(now)
    tasks = [stored.task for stored in await all_tasks(context.store, TaskFilter())]
    for finding in await _check_clock_of_ticks(context, tasks, counts, mend=mend):
        yield finding
    if mend:
        tasks = [stored.task for stored in await all_tasks(context.store, TaskFilter())]
    last_tick_at, ahead = await find_last_tick(context.store, counts.last_tick_at, now=now)
    silence = await describe_silence(context.store, counts.due, last_tick_at, now=now, after=OVERDUE_AFTER)
    yield _check_pinger(replace(counts, last_tick_at=last_tick_at), ahead, silence, now)
    page = await context.store.list_tasks(TaskFilter(), limit=500)
    for invalid in page.invalid:
        text = f"{invalid.id} cannot be read: {invalid.reason}"
        remedy = f"correct it in the store, or {shlex.join(('scheduler', 'rm', invalid.id))}"
        yield Finding("tasks", "FAIL", text, remedy)
    for finding in _check_quarantine(tasks):
        yield finding
    overdue = list(_check_overdue(tasks, now))
    too_long = _check_timeouts(tasks, longest_attempt(context.settings))
    for finding in [*overdue, *_check_predecessors(tasks), *_check_receivers(tasks), *too_long]:
        yield finding
    async for finding in _check_requirements(context, tasks):
        yield finding
    if not page.invalid and not overdue:
        yield Finding("tasks", "ok", f"{len(tasks)} can be read")


async def _check_clock_of_ticks(
    context: CliContext, tasks: Sequence[Task], counts: StoreStats, *, mend: bool
) -> list[Finding]:
    """Check that no tick had a clock far ahead: until that time its tasks do not run. Mend it if asked to."""
    now = context.now()
    moved = await mend_clock_ahead(context.store, tasks, now=now, new_id=context.new_id, dry_run=not mend)
    lines = [f"{one.id} from {_moment(one.before)} to {_moment(one.after)}" for one in moved]
    if not mend:
        if not moved:
            return []
        what = format_count(len(moved), "task")
        text = f"a clock that was far ahead has put off {what}; mended, {_first_names(lines)}"
        return [Finding("tasks", "FAIL", text, f"set the clocks, then {MEND_COMMAND}")]
    if counts.last_tick_at is not None and describe_clock_ahead(counts.last_tick_at, now):
        await record_mended(context.store, counts.last_tick_at)
    if not moved:
        return [Finding("mend", "ok", "no task waits because a clock was far ahead")]
    return [Finding("mend", "ok", f"next run of {line}") for line in lines]


def _moment(at: datetime | None) -> str:
    return "none" if at is None else format_instant(at.replace(microsecond=0))


def _check_pinger(counts: StoreStats, ahead: str, silence: str, now: datetime) -> Finding:
    """Check that ticks arrive: their last write is recent, or nothing has been due for long.

    Args:
        ahead: What `find_last_tick` says of a clock.
        silence: What `describe_silence` says.
    """
    if ahead:
        return Finding("pinger", "FAIL", ahead, f"set the clock, then {MEND_COMMAND}")
    if counts.last_tick_at is None:
        remedy = "start one: docs/guide/deploy.md, or scheduler serve"
        return Finding("pinger", *(("FAIL", silence) if silence else ("warn", NO_TICK)), remedy)
    if silence:
        return Finding("pinger", "FAIL", silence, IS_PINGER_OFF)
    age = format_duration(now - counts.last_tick_at)
    return Finding("pinger", "ok", f"a tick last wrote {age} ago; {format_count(counts.due, 'task')} due")


def _check_quarantine(tasks: Sequence[Task]) -> Iterator[Finding]:
    for task in tasks:
        if task.status is Status.QUARANTINED:
            remedy = f"fix what ends the process, then scheduler resume {task.id}"
            yield Finding("tasks", "FAIL", f"{task.id} is quarantined: {task.last_error}", remedy)


def _check_overdue(tasks: Sequence[Task], now: datetime) -> Iterator[Finding]:
    ids = [task.id for task in tasks if task.next_run_at and now - task.next_run_at > OVERDUE_AFTER]
    if ids:
        yield Finding("tasks", "warn", f"{len(ids)} are overdue: {_first_names(ids)}", "do ticks arrive?")


def _check_predecessors(tasks: Sequence[Task]) -> Iterator[Finding]:
    known = {task.id: task for task in tasks}
    for task in tasks:
        here = [known[one.task] for one in task.after if one.task in known]
        if deaf := [one.id for one in here if all(link.task != task.id for link in one.dependents)]:
            text = f"{task.id} runs after {', '.join(deaf)}, which does not start it"
            remedy = f"change {task.id}, or apply its file: that links them anew"
            yield Finding("tasks", "FAIL", text, remedy)
        if missing := [one.task for one in task.after if one.task not in known]:
            text = f"{task.id} runs after {', '.join(missing)}, which does not exist"
            yield Finding(
                "tasks", "warn", text, f"create it, or take it out of after: scheduler edit {task.id}"
            )


def _check_receivers(tasks: Sequence[Task]) -> Iterator[Finding]:
    """Check that what is sent to one task reaches it: the run of the sender succeeds all the same."""
    known = {task.id: task for task in tasks}
    for task in tasks:
        to, type_ = task.params.get("to"), task.params.get("eventType")
        if task.type != "publish_event" or not to:
            continue
        if to not in known:
            text = f"{task.id} sends {type_} to {to}, which does not exist"
            yield Finding("tasks", "warn", text, f"create it, or correct params.to: scheduler edit {task.id}")
        elif all(one.type != type_ for one in known[to].on_event):
            text = f"{task.id} sends {type_} to {to}, which does not start on it"
            yield Finding("tasks", "warn", text, f"list it under onEvent: scheduler edit {to}")


async def _check_requirements(context: CliContext, tasks: Sequence[Task]) -> AsyncIterator[Finding]:
    """Check that what the tasks need is set up here; one finding for all tasks that lack the same."""
    lacking: dict[tuple[str, str], list[Task]] = {}
    for task in tasks:
        if task.status is not Status.ENDED:
            for missing in await context.app.find_requirements(task):
                lacking.setdefault(missing, []).append(task)
    for (what, remedy), needing in lacking.items():
        waits = all(task.status is Status.PAUSED or not task.enabled for task in needing)
        names = _first_names([task.id for task in needing])
        yield Finding("needs", "warn" if waits else "FAIL", f"{names}: {what}", remedy)


def _check_timeouts(tasks: Sequence[Task], longest: timedelta) -> Iterator[Finding]:
    ids = [task.id for task in tasks if task.enabled and describe_long_timeout(task, longest=longest)]
    if ids:
        limit = f"{longest.total_seconds():g} s"
        text = f"timeoutSeconds of {len(ids)} is longer than a tick ({limit}): {_first_names(ids)}"
        remedy = (
            "what needs more is cut; lower it, raise TICK_BUDGET_SECONDS or set WORKER_QUEUE (serve waits)"
        )
        yield Finding("tasks", "warn", text, remedy)


def _first_names(names: Sequence[str]) -> str:
    return ", ".join(names[:MAX_NAMED]) + (" ..." if len(names) > MAX_NAMED else "")


async def _check_agents(context: CliContext) -> AsyncIterator[Finding]:
    """Ask the model's server and the MCP servers, all at once; nothing is billed, and no tool is called."""
    if context.settings.llm_base_url is None:
        return
    from functions.task_types.agent.probe import probe_mcp_server, probe_model

    tools = context.app.toolbox.tools
    assert tools.model is not None  # it has an address
    servers = [probe_mcp_server(name, one, tools.redact) for name, one in tools.mcp_servers.items()]
    model, *others = await asyncio.gather(probe_model(tools.model), *servers)
    for check, found in [("model", model), *(("mcp", one) for one in others)]:
        yield Finding(
            check, "FAIL" if found.fails else "warn" if found.remedy else "ok", found.text, found.remedy
        )


async def _check_channels(context: CliContext, *, send: bool) -> AsyncIterator[Finding]:
    try:
        channels = await context.app.channels.settings()
        lost = await context.app.notices_problem()
    except StoreError as exc:
        yield Finding("channels", "FAIL", str(exc), "fix the store first")
        return
    if lost:
        yield Finding("notices", "FAIL", lost, "read the runs of that task; then mend or add a channel")
    problems = channel_problems(context.settings.channel_settings(), TrustedHttpClient())
    for name, problem in problems.items():
        yield Finding(
            "channels", "FAIL", f"{name}: {problem}", "correct it; until then nothing is sent there"
        )
    if not channels and not problems:
        remedy = "set one up: docs/reference/notifications.md"
        yield Finding("channels", "warn", "none is set up; failures are not notified", remedy)
    for name, preferences in channels.items():
        yield await _check_channel(context, name, preferences, send=send)


async def _check_channel(
    context: CliContext, name: str, preferences: ChannelPreferences, *, send: bool
) -> Finding:
    if not context.app.channels.is_open(name, preferences):
        remedy = f"fix it, then scheduler channels enable {name}"
        return Finding("channels", "warn", f"{name} is switched off", remedy)
    if send:
        async with asyncio.timeout(TEST_TIMEOUT.total_seconds() + 1):
            sent = await context.app.dispatcher.test(name, within=TEST_TIMEOUT)
        if sent.ok:
            return Finding("channels", "ok", f"{name}: accepted a test message")
        return Finding("channels", "FAIL", f"{name}: {sent.detail}", "docs/reference/notifications.md")
    if problem := preferences.problem:
        text = f"{name}: {problem.reason} (since {problem.since:%Y-%m-%d %H:%M} UTC)"
        return Finding("channels", "warn", text, f"scheduler channels test {name}")
    return Finding("channels", "ok", f"{name} is set up")
