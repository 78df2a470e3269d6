"""The loops of `serve`: watched task files, the status line, and the trigger of ticks."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

from functions.cli.apply import ACTION_RESULTS, sources_of
from functions.cli.session import CliContext
from functions.cli.tasks import format_report
from functions.domain.lifecycle.executions import ORDER, Execution, ExecutionState
from functions.domain.run import Run
from functions.domain.types import OutcomeKind, to_local
from functions.errors import ConflictError, InputError, StoreUnavailableError
from functions.http_client.trusted import PostError, TrustedHttpClient
from functions.interfaces import Store
from functions.services.apply import apply_plan
from functions.services.executions import list_executions
from functions.services.paging import iter_runs
from functions.taskfiles.loader import find_task_files, read_task_files

FileSignature = frozenset[tuple[str, int, int]]


class WatchedFiles:
    """Task files and folders, and their state when they were last applied."""

    def __init__(self, context: CliContext, paths: Sequence[Path], *, source: str = "") -> None:
        self._context = context
        self._paths = tuple(paths)
        self._source = source
        self._applied_signature: FileSignature | None = None
        self._seen_signature: FileSignature | None = None

    def __bool__(self) -> bool:
        return bool(self._paths)

    def has_settled(self) -> bool:
        """Whether files were saved, added or removed since `apply`, and not since the call before this one.

        Modification times and sizes are compared. A file that a program is still writing, or a folder that
        git is updating, lacks tasks, which would be removed and then made anew.
        """
        before, self._seen_signature = self._seen_signature, self._signature()
        return self._applied_signature != self._seen_signature == before

    async def apply(self) -> str:
        """Make the store match the files; return what changed, in one line.

        Raises:
            InputError: They have errors; the text has each, and nothing was changed.
            ConflictError: Another writer changed a task meanwhile; what was written before it stays.
            StoreUnavailableError: It is not known what was written.
        """
        # taken before the files are read: a change during the read is applied the next time
        self._applied_signature = self._signature()
        loaded = read_task_files(self._paths, default_timezone=self._context.settings.default_timezone)
        if loaded.problems:
            raise InputError("\n".join(str(problem) for problem in loaded.problems))
        try:
            changes = await apply_plan(
                self._context.store,
                loaded.specs,
                sources=sources_of(loaded, self._paths, self._source),
                now=self._context.now(),
                new_id=self._context.new_id,
                limits=self._context.app.owner_limits,
                calendars=loaded.calendars,
            )
        except (ConflictError, StoreUnavailableError):
            self._applied_signature = None  # so that the next round applies them again
            raise
        counts = [
            f"{sum(change.action == action for change in changes)} {done}"
            for action, done in ACTION_RESULTS.items()
        ]
        return f"tasks: {', '.join(counts)}"

    def _signature(self) -> FileSignature:
        return frozenset((str(file), *_modified_and_size(file)) for file in self._files())

    def _files(self) -> list[Path]:
        found: list[Path] = []
        for path in self._paths:
            try:
                found += find_task_files(path) if path.is_dir() else [path]
            except OSError:  # the next `apply` names the folder
                found.append(path)
        return found


def _modified_and_size(file: Path) -> tuple[int, int]:
    """Return zeros for a file that is not there, as where a link leads to nothing."""
    try:
        status = file.stat()
    except OSError:
        return 0, 0
    return status.st_mtime_ns, status.st_size


# The status line: what is running, and the results of today.

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
MAX_NAMED = 5  # tasks of one state in the line
RECORDING_DELAY = 2 * MINUTE  # how long after a run another process may take to record it


class StatusLine:
    """Counts the runs of the current day in *zone*, also those of other processes.

    Each call reads the runs recorded since the last one, and the tasks that run, retry or are due.
    """

    def __init__(self, store: Store, *, clock: Callable[[], datetime], zone: tzinfo) -> None:
        self._store = store
        self._clock = clock
        self._zone = zone
        self._started_at = clock()
        self._day = self._latest_finish = _midnight(self._started_at, zone)
        self._counted_runs: dict[str, datetime] = {}
        self._today: Counter[str] = Counter()

    async def render(self) -> str:
        """Return the status in one line."""
        now = self._clock()
        await self._count_new_runs(now)
        current = await list_executions(self._store, now=now)
        parts = [_format_state(state, current) for state in ORDER]
        parts = [part for part in parts if part] or ["nothing runs or waits"]
        done, failed = self._today["done"], self._today["failed"]
        up = _format_duration(now - self._started_at)
        return f"{', '.join(parts)}; {done} done and {failed} failed today, up {up}"

    async def _count_new_runs(self, now: datetime) -> None:
        """Count the runs recorded since the last call, and those recorded late within RECORDING_DELAY."""
        midnight = _midnight(now, self._zone)
        if midnight != self._day:
            self._day, self._latest_finish = midnight, midnight
            self._today.clear()
            self._counted_runs.clear()
        since = max(self._day, self._latest_finish - RECORDING_DELAY)
        runs = [run async for run in iter_runs(self._store, since=since) if run.key not in self._counted_runs]
        self._today.update(_count_key(run) for run in runs if run.final)
        if runs:
            self._latest_finish = max(self._latest_finish, runs[0].finished_at)
            self._counted_runs |= {run.key: run.finished_at for run in runs}
        self._counted_runs = {
            key: at for key, at in self._counted_runs.items() if at >= self._latest_finish - RECORDING_DELAY
        }


def _format_state(state: ExecutionState, current: Sequence[Execution]) -> str:
    """Return how many are in *state* and which, e.g. `2 running (backup, feed)`; empty when none is."""
    names = [one.task_id for one in current if one.state == state]
    if not names:
        return ""
    shown = list(dict.fromkeys(names))
    more = f" and {len(shown) - MAX_NAMED} more" if len(shown) > MAX_NAMED else ""
    return f"{len(names)} {state} ({', '.join(shown[:MAX_NAMED])}{more})"


def _count_key(run: Run) -> str:
    if run.outcome is OutcomeKind.SUCCEEDED:
        return "done"
    return "skipped" if run.outcome is OutcomeKind.SKIPPED else "failed"


def _midnight(at: datetime, zone: tzinfo) -> datetime:
    return to_local(at, zone).replace(hour=0, minute=0, second=0, microsecond=0)


def _format_duration(duration: timedelta) -> str:
    if duration < HOUR:
        return f"{duration // MINUTE} min"
    if duration < DAY:
        return f"{duration // HOUR} h {duration % HOUR // MINUTE} min"
    return f"{duration // DAY} d {duration % DAY // HOUR} h"


# The trigger: requests a tick of a server on this machine, at once and then at even intervals.

TICK_BUDGET_S = 3300  # for a whole tick: nobody waits for its answer, and no attempt takes longer
RESPONSE_TIMEOUT_S = TICK_BUDGET_S + 60.0
READY_TIMEOUT_S = 10.0
MAX_RUNNING_TICKS = 120  # at once; all but the newest wait for attempts that take long
POLL_INTERVAL_S = 0.1


class TriggerLoop:
    """Requests ticks of a server.

    Args:
        address: Its scheme, host and port.
        clock: Returns the current instant.
    """

    def __init__(self, address: str, *, secret: str, clock: Callable[[], datetime]) -> None:
        self.address = address
        self._secret = secret
        self._clock = clock

    async def wait_until_ready(self) -> None:
        """Poll the server until it responds."""
        while True:
            try:
                status, _ = await self._request("GET", "/healthz", timeout_s=READY_TIMEOUT_S)
            except PostError:
                status = 0
            if status == 200:
                return
            await asyncio.sleep(POLL_INTERVAL_S)

    async def run_forever(self, *, interval_s: float, write_line: Callable[[str], None]) -> None:
        """Trigger a tick now and then every *interval_s* seconds by the clock; write a line as each ends.

        A tick lasts as long as its longest attempt. The next ones do not wait for it.
        """
        running: set[asyncio.Task[None]] = set()
        async with asyncio.TaskGroup() as group:
            while True:
                if len(running) < MAX_RUNNING_TICKS:
                    tick = group.create_task(self._trigger_and_report(write_line))
                    running.add(tick)
                    tick.add_done_callback(running.discard)
                else:
                    write_line(f"{len(running)} ticks have not ended; no further one is started")
                await asyncio.sleep(interval_s - self._clock().timestamp() % interval_s)

    async def _trigger_and_report(self, write_line: Callable[[str], None]) -> None:
        write_line(await self.trigger_tick())

    async def trigger_tick(self) -> str:
        """Request one tick; return its result in one line."""
        try:
            status, report = await self._request("POST", "/tick", timeout_s=RESPONSE_TIMEOUT_S)
        except PostError as exc:
            return f"no response ({exc})"
        if report.get("status") == "ok":
            return format_report(report)
        return f"HTTP {status}: {json.dumps(report, ensure_ascii=False)}"

    async def _request(self, method: str, path: str, *, timeout_s: float) -> tuple[int, Mapping[str, Any]]:
        async with TrustedHttpClient() as client:
            response = await client.request(
                method,
                f"{self.address}{path}",
                headers={"Authorization": f"Bearer {self._secret}"},
                timeout_s=timeout_s,
            )
        return response.status, _parse_object(response.body)


def _parse_object(body: bytes) -> Mapping[str, Any]:
    try:
        answer = json.loads(body)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}
