"""Commands against a deployed function: with SCHEDULER_URL they go over its API in place of a store.

What looks at tasks and runs works as it does on a store, for `RemoteStore` answers the same questions. What
changes something has a counterpart here that asks the API, whose rules and audit trail then hold.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from functions.cli import admin, tasks
from functions.cli import apply as files
from functions.cli.api_client import Api, api_of, task_of
from functions.cli.session import Session
from functions.domain.task import TaskSpec
from functions.domain.types import instant_text
from functions.errors import InputError
from functions.services.apply import apply_plan
from functions.taskfiles import read_task_files

Command = Callable[..., Awaitable[int]]
AS_THEY_ARE = (
    tasks.list_tasks,
    tasks.show_task,
    tasks.show_runs,
    tasks.list_types,
    tasks.show_next,
)


def counterpart(command: Command) -> Command:
    """What does the same over the API.

    Raises:
        InputError: Nothing does.
    """
    if command in AS_THEY_ARE:
        return command
    if command not in COUNTERPARTS:
        raise InputError("this cannot be had over SCHEDULER_URL; unset it, and name the store by STORE_URL")
    return COUNTERPARTS[command]


async def _apply(session: Session, *, paths: Sequence[Path], prune: bool, dry_run: bool) -> int:
    """Make what is deployed match the files. Nothing is removed: what came from files is not known there."""
    loaded = read_task_files(paths, default_timezone=session.settings.default_timezone)
    if loaded.faults:
        return files.refuse(session.screen, loaded.faults)
    store: Any = session.store
    changes = await apply_plan(
        store,
        loaded.specs,
        origin=files.ORIGIN,
        now=session.now(),
        new_id=session.new_id,
        prune=False,
        dry_run=True,
    )
    specs = {spec.id: spec for spec in loaded.specs}
    for change in changes if not dry_run else ():
        body = _written(specs[change.id])
        if change.action == "create":
            await _api(session).ask("POST", "/api/tasks", body)
        elif change.action == "update":
            await _api(session).ask("PUT", f"/api/tasks/{change.id}", body)
    files.show(session.screen, changes, loaded.specs, dry_run=dry_run)
    return 0


async def _pause(session: Session, *, task_id: str, note: str, until: datetime | None) -> int:
    body = {"note": note, "until": instant_text(until) if until else None}
    task = task_of(await _api(session).ask("POST", f"/api/tasks/{task_id}/pause", body))
    return tasks.told(session, task, f"{task_id} is paused")


async def _resume(session: Session, *, task_id: str, catch_up: bool) -> int:
    given = await _api(session).ask("POST", f"/api/tasks/{task_id}/resume", {"catchUp": catch_up})
    return tasks.told(session, task_of(given), f"{task_id} is resumed")


async def _cancel(session: Session, *, task_id: str) -> int:
    given = await _api(session).ask("POST", f"/api/tasks/{task_id}/cancel")
    return tasks.told(session, task_of(given), f"{task_id} is told to stop, or is cancelled")


async def _run(session: Session, *, task_ids: Sequence[str]) -> int:
    answers = [await _api(session).ask("POST", f"/api/tasks/{one}/run", {"wait": 0}) for one in task_ids]
    session.screen.answer(answers, [f"{one} runs at the next tick" for one in task_ids])
    return 0


async def _backfill(
    session: Session, *, task_id: str, first: datetime, until: datetime, dry_run: bool
) -> int:
    body = {"from": instant_text(first), "to": instant_text(until), "dryRun": dry_run}
    given = await _api(session).ask("POST", f"/api/tasks/{task_id}/backfill", body)
    done = "would run" if dry_run else "run at the next ticks"
    found = given["occurrences"]
    lines = [f"{len(found)} occurrences of {task_id} {done}", *(f"  {one}" for one in found)]
    session.screen.answer(found, lines)
    return 0


async def _channels(session: Session) -> int:
    given = (await _api(session).ask("GET", "/api/channels"))["channels"]
    rows = [(one["name"], "open" if one["open"] else "off") for one in given]
    session.screen.answer(given, session.screen.table(("CHANNEL", "STATE"), rows))
    return 0


async def _test_channel(session: Session, *, name: str) -> int:
    given = await _api(session).ask("POST", f"/api/channels/{name}/test")
    said = "the test message was taken" if given["ok"] else f"not taken: {given['detail']}"
    session.screen.answer(given, [f"{name}: {said}"])
    return 0 if given["ok"] else 1


async def _events(session: Session) -> int:
    given = (await _api(session).ask("GET", "/api/events"))["events"]
    session.screen.answer(given, [f"{one['type']}: {', '.join(one['tasks'])}" for one in given])
    return 0


async def _publish(session: Session, *, event_type: str, data: str, **how: str) -> int:
    names = {"source": how["source"], "subject": how["subject"], "to": how["to"], "id": how["event_id"]}
    body = {"type": event_type, "data": admin.object_of(data)}
    body |= {name: value for name, value in names.items() if value}
    given = await _api(session).ask("POST", "/api/events", body)
    session.screen.answer(given, list(admin.lines(event_type, given)))
    return 0


COUNTERPARTS: Mapping[Command, Command] = {
    files.apply_files: _apply,
    tasks.pause: _pause,
    tasks.resume: _resume,
    tasks.cancel: _cancel,
    tasks.run: _run,
    tasks.backfill: _backfill,
    admin.list_channels: _channels,
    admin.test_channel: _test_channel,
    admin.list_events: _events,
    admin.publish: _publish,
}


def _api(session: Session) -> Api:
    found = api_of(session.environment)
    assert found is not None  # who came here found it set
    return found


def _written(spec: TaskSpec) -> dict[str, Any]:
    return spec.model_dump(mode="json", by_alias=True, exclude_defaults=True)
