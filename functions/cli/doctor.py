"""The command `doctor`: what is wrong with an installation, each thing with its remedy."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from time import perf_counter
from typing import Literal

from functions.cli.options import format_duration
from functions.cli.session import CliContext
from functions.domain.storage import Document, TaskFilter, WriteStatus
from functions.domain.types import Status
from functions.errors import SettingsError, StoreError
from functions.services.paging import all_tasks
from functions.stores.bitable.store import BitableStore

TEST_TIMEOUT = timedelta(seconds=15)  # for a vendor's answer to a test
OVERDUE_AFTER = timedelta(minutes=5)
SLOW_MS = 1500
MIN_PLAUSIBLE_TIME = datetime(2026, 1, 1, tzinfo=UTC)  # no clock that is right shows less
MAX_NAMED = 5
STATUS_COLOURS = {"ok": "green", "warn": "yellow", "FAIL": "red"}


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found out about one thing; *remedy* is empty where all is well."""

    check: str
    status: Literal["ok", "warn", "FAIL"]
    text: str
    remedy: str = ""


async def run_doctor(context: CliContext, *, send: bool) -> int:
    """Check everything; 1 when something is wrong. One line each, as soon as it is known."""
    findings = []
    async for finding in _run_checks(context, send=send):
        findings.append(finding)
        if not context.screen.as_json:
            remedy = f" -> {finding.remedy}" if finding.remedy else ""
            mark = context.screen.paint(f"{finding.status:<5}", STATUS_COLOURS[finding.status])
            context.screen.write_line(f"{mark} {finding.check:<9} {finding.text}{remedy}")
    context.screen.show([asdict(one) for one in findings], ())
    return 1 if any(one.status == "FAIL" for one in findings) else 0


async def _run_checks(context: CliContext, *, send: bool) -> AsyncIterator[Finding]:
    try:
        settings = context.settings
    except SettingsError as exc:
        for line in str(exc).splitlines():
            yield Finding("settings", "FAIL", line, "mend it in the environment or in .env")
        return
    yield Finding("settings", "ok", "every variable that is set can be read")
    yield _check_secret(context)
    if settings.cron_secret_previous is not None:
        text = "CRON_SECRET_PREVIOUS still opens the door"
        yield Finding("secrets", "warn", text, "unset it when every pinger knows the new one")
    yield Finding("zones", "ok", f"tzdata {version('tzdata')}")
    reached = True
    async for finding in _check_store(context):
        reached &= finding.status != "FAIL"
        yield finding
    if reached:
        async for finding in _check_tasks(context):
            yield finding
    async for finding in _check_channels(context, send=send):
        yield finding


def _check_secret(context: CliContext) -> Finding:
    if context.settings.cron_secret is None:
        remedy = "set CRON_SECRET where the function runs: openssl rand -hex 32"
        return Finding("secrets", "warn", "CRON_SECRET is not set; serve makes one of its own", remedy)
    return Finding("secrets", "ok", "CRON_SECRET is long enough")


async def _check_store(context: CliContext) -> AsyncIterator[Finding]:
    """Whether the store answers, keeps what it is given, and how soon; and whose clock is right."""
    name = f"doctor-{context.new_id()}"
    started = perf_counter()
    try:
        document = Document("meta", name, {"at": context.now().isoformat()})
        [kept] = await context.store.put_documents([document])
        found = await context.store.get_documents("meta", [name])
        [gone] = await context.store.delete_documents(found)
        await context.store.stats(context.now())
    except (StoreError, SettingsError) as exc:
        remedy = "look at STORE_URL, at the file's folder or the project's rights, and try again"
        yield Finding("store", "FAIL", str(exc), remedy)
        return
    took_ms = round((perf_counter() - started) * 1000)
    if WriteStatus.UNKNOWN in (kept.status, gone.status) or not found:
        yield Finding("store", "FAIL", "it does not keep what it is given", "look at the store's own log")
        return
    slow = took_ms > SLOW_MS
    remedy = "is the database in the region you are in?" if slow else ""
    yield Finding("store", "warn" if slow else "ok", f"reads and writes; {took_ms} ms for five calls", remedy)
    if isinstance(context.store, BitableStore):
        yield await _check_base(context.store)
    yield _check_clock(context)


async def _check_base(store: BitableStore) -> Finding:
    """Whether the base has every column and table, each of its type."""
    try:
        steps = await store.set_up(dry_run=True)
    except StoreError as exc:
        return Finding("base", "FAIL", str(exc), "docs/how-to/bitable-store.md")
    if wrong := [f"{one.subject} {one.state}" for one in steps if one.state != "there"]:
        shown = ", ".join(wrong[:MAX_NAMED]) + (" ..." if len(wrong) > MAX_NAMED else "")
        return Finding("base", "FAIL", shown, "scheduler bitable setup")
    return Finding("base", "ok", f"{len(steps)} columns and tables are there, each of its type")


def _check_clock(context: CliContext) -> Finding:
    """Whether the clock can be right at all. Another is not asked: that would take somebody's address."""
    now = context.now()
    if now < MIN_PLAUSIBLE_TIME:
        return Finding("clock", "FAIL", f"it shows {now:%Y-%m-%d %H:%M} UTC", "set it: chronyd, ntpd")
    return Finding("clock", "ok", f"{now:%Y-%m-%d %H:%M:%S} UTC; not compared with another")


async def _check_tasks(context: CliContext) -> AsyncIterator[Finding]:
    now = context.now()
    counts = await context.store.stats(now)
    if counts.last_tick_at is None:
        text, remedy = (
            "no tick has written anything yet",
            "start one: docs/guide/deploy.md, or scheduler serve",
        )
        yield Finding("pinger", "warn" if not counts.due else "FAIL", text, remedy)
    else:
        age = now - counts.last_tick_at
        late = counts.due > 0 and age > OVERDUE_AFTER
        text = f"a tick last wrote {format_duration(age)} ago; {counts.due} tasks are due"
        yield Finding("pinger", "FAIL" if late else "ok", text, "is the pinger switched off?" if late else "")
    found = await context.store.list_tasks(TaskFilter(), limit=500)
    for broken in found.invalid:
        yield Finding("tasks", "FAIL", f"{broken.id} cannot be read: {broken.reason}", "mend or remove it")
    tasks = [stored.task for stored in await all_tasks(context.store, TaskFilter())]
    for task in tasks:
        if task.status is Status.QUARANTINED:
            remedy = f"mend what ends the process, then scheduler resume {task.id}"
            yield Finding("tasks", "FAIL", f"{task.id} is quarantined: {task.last_error}", remedy)
    overdue = [
        task.id for task in tasks if task.next_run_at is not None and now - task.next_run_at > OVERDUE_AFTER
    ]
    if overdue:
        shown = ", ".join(overdue[:MAX_NAMED]) + (" ..." if len(overdue) > MAX_NAMED else "")
        yield Finding("tasks", "warn", f"{len(overdue)} are overdue: {shown}", "is anybody pinging?")
    known = {task.id for task in tasks}
    for task in tasks:
        if lost := [one.task for one in task.after if one.task not in known]:
            yield Finding("tasks", "warn", f"{task.id} runs after {', '.join(lost)}", "which is not there")
    if not found.invalid and not overdue:
        yield Finding("tasks", "ok", f"{len(tasks)} can be read")


async def _check_channels(context: CliContext, *, send: bool) -> AsyncIterator[Finding]:
    try:
        channels = await context.app.channels.settings()
    except StoreError as exc:
        yield Finding("channels", "FAIL", str(exc), "mend the store first")
        return
    if not channels:
        remedy = "set one up: docs/reference/notifications.md"
        yield Finding("channels", "warn", "none is set up; nobody is told of failures", remedy)
    for name, settings in channels.items():
        if not context.app.channels.is_open(name, settings):
            remedy = f"mend it, then scheduler channels enable {name}"
            yield Finding("channels", "warn", f"{name} is switched off", remedy)
        elif not send:
            yield Finding("channels", "ok", f"{name} is set up")
        else:
            async with asyncio.timeout(TEST_TIMEOUT.total_seconds() + 1):
                sent = await context.app.dispatcher.test(name, within=TEST_TIMEOUT)
            text = f"{name}: {'took a test message' if sent.ok else sent.detail}"
            yield Finding(
                "channels",
                "ok" if sent.ok else "FAIL",
                text,
                "" if sent.ok else "docs/reference/notifications.md",
            )
