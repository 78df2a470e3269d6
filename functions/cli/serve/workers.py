"""Task files that are watched: what a person saves there is applied within seconds, or said to be wrong."""

import asyncio
import http.client
import json
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from functions.app.application import Store
from functions.cli.apply import DONE, ORIGIN
from functions.cli.session import Session
from functions.cli.tasks import sentence
from functions.domain.run import Run
from functions.domain.storage import Filter
from functions.domain.types import OutcomeKind
from functions.errors import InputError
from functions.services.apply import all_tasks, apply_plan
from functions.services.history import iter_runs
from functions.taskfiles import read_task_files
from functions.taskfiles.loader import SUFFIXES

Signature = frozenset[tuple[str, int, int]]


class WatchedFiles:
    """Task files and folders, and how they looked when they were last applied."""

    def __init__(self, session: Session, paths: Sequence[Path]) -> None:
        self._session = session
        self._paths = tuple(paths)
        self._applied: Signature | None = None

    def __bool__(self) -> bool:
        return bool(self._paths)

    def has_changed(self) -> bool:
        """Whether a file was saved, added or removed since `apply`, as its time and size tell."""
        return self._signature() != self._applied

    async def apply(self) -> str:
        """Make the store match the files; return what changed, in one line.

        Raises:
            InputError: There is a fault in them; each is named, nothing was changed.
        """
        self._applied = self._signature()  # before they are read: what changes meanwhile is seen again
        loaded = read_task_files(self._paths, default_timezone=self._session.settings.default_timezone)
        if loaded.faults:
            raise InputError("\n".join(str(fault) for fault in loaded.faults))
        changes = await apply_plan(
            self._session.store,
            loaded.specs,
            origin=ORIGIN,
            now=self._session.now(),
            new_id=self._session.new_id,
        )
        counts = [
            f"{sum(change.action == action for change in changes)} {done}" for action, done in DONE.items()
        ]
        return f"tasks: {', '.join(counts)}"

    def _signature(self) -> Signature:
        return frozenset(
            (str(file), status.st_mtime_ns, status.st_size)
            for file in self._files()
            if (status := _status(file)) is not None
        )

    def _files(self) -> list[Path]:
        found: list[Path] = []
        for path in self._paths:
            found += (
                [file for file in path.rglob("*") if file.suffix in SUFFIXES] if path.is_dir() else [path]
            )
        return found


def _status(file: Path) -> os.stat_result | None:
    try:
        return file.stat()
    except OSError:  # gone between the two looks
        return None


# What a scheduler that runs for days has to say of itself: what is in work, and what today came to.

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
LATE = 2 * MINUTE  # how long after a run another process may take to record it


class Live:
    """Counts the runs of the present day, whoever made them; a day is one of this machine's zone.

    Each look reads the records that are new since the last, the tasks in work, and the counts.
    """

    def __init__(self, store: Store, *, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock
        self._began = clock()
        self._day = self._newest = _midnight(self._began)
        self._seen: dict[str, datetime] = {}
        self._today: Counter[str] = Counter()

    async def line(self) -> str:
        """The state in one line."""
        now = self._clock()
        await self._count(now)
        counts = await self._store.stats(now)
        active = len(await all_tasks(self._store, Filter(status="running")))
        done, failed = self._today["done"], self._today["failed"]
        up = _span(now - self._began)
        return f"{active} active, {counts.due} queued, {done} done and {failed} failed today, up {up}"

    async def _count(self, now: datetime) -> None:
        """Count what was recorded since the last look, and what came to light of the minutes before it."""
        midnight = _midnight(now)
        if midnight != self._day:
            self._day, self._newest = midnight, midnight
            self._today.clear()
            self._seen.clear()
        since = max(self._day, self._newest - LATE)
        runs = [run async for run in iter_runs(self._store, since=since) if run.key not in self._seen]
        self._today.update(_kind(run) for run in runs if run.final)
        if runs:
            self._newest = max(self._newest, runs[0].finished_at)
            self._seen |= {run.key: run.finished_at for run in runs}
        self._seen = {key: at for key, at in self._seen.items() if at >= self._newest - LATE}


def _kind(run: Run) -> str:
    if run.outcome is OutcomeKind.SUCCEEDED:
        return "done"
    return "skipped" if run.outcome is OutcomeKind.SKIPPED else "failed"


def _midnight(at: datetime) -> datetime:
    return at.astimezone().replace(hour=0, minute=0, second=0, microsecond=0)


def _span(length: timedelta) -> str:
    if length < HOUR:
        return f"{length // MINUTE} min"
    if length < DAY:
        return f"{length // HOUR} h {length % HOUR // MINUTE} min"
    return f"{length // DAY} d {length % DAY // HOUR} h"


# The local pinger: asks a server on this machine for a tick, at once and then at even intervals.

ANSWER_WITHIN_S = 90.0  # more than any tick takes
LOOK_AGAIN_S = 0.1


class Pinger:
    """Knows the server's address and secret.

    Args:
        clock: The present moment.
    """

    def __init__(self, host: str, port: int, *, secret: str, clock: Callable[[], datetime]) -> None:
        self.address = f"http://{host}:{port}"
        self._host = host
        self._port = port
        self._secret = secret
        self._clock = clock

    async def until_it_answers(self) -> None:
        """Return when the server answers; until then ask again and again."""
        while True:
            try:
                status, _ = await asyncio.to_thread(self._call, "GET", "/healthz")
            except (OSError, http.client.HTTPException):
                status = 0
            if status == http.client.OK:
                return
            await asyncio.sleep(LOOK_AGAIN_S)

    async def for_ever(self, *, every_s: int, tell: Callable[[str], None]) -> None:
        """Ping now, and then every *every_s* seconds by the clock; *tell* gets a line each time."""
        while True:
            said = await self.ping()
            tell(said)
            await asyncio.sleep(every_s - self._clock().timestamp() % every_s)

    async def ping(self) -> str:
        """Ask for one tick; return what came of it, in one line."""
        try:
            status, answer = await asyncio.to_thread(self._call, "POST", "/tick")
        except (OSError, http.client.HTTPException) as exc:
            return f"no answer ({type(exc).__name__})"
        if answer.get("status") == "ok":
            return sentence(answer)
        return f"HTTP {status}: {json.dumps(answer, ensure_ascii=False)}"

    def _call(self, method: str, path: str) -> tuple[int, Mapping[str, Any]]:
        # The standard library's client, because it takes no proxy from the environment.
        connection = http.client.HTTPConnection(self._host, self._port, timeout=ANSWER_WITHIN_S)
        try:
            connection.request(method, path, headers={"Authorization": f"Bearer {self._secret}"})
            response = connection.getresponse()
            return response.status, _object(response.read())
        finally:
            connection.close()


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        answer = json.loads(body)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}
