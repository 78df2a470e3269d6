"""Cronfire as a library: a scheduler inside a program of yours, over any store."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self

from pydantic import ValidationError

from functions.app import application
from functions.app.hooks import BeforeTask, OnEvent
from functions.config.settings import Settings
from functions.domain.capacity.time_budget import TimeBudget
from functions.domain.events import Event
from functions.domain.json_depth import check_values
from functions.domain.run import Run
from functions.domain.storage import TaskFilter, WriteStatus
from functions.domain.task import Task, TaskFields, TaskSpec, why_never_started
from functions.domain.types import check_instant
from functions.domain.validation import validation_sentence
from functions.errors import InputError, StoreError
from functions.services import task_commands
from functions.services.apply import PlannedChange, apply_plan
from functions.services.compare_and_set import get_task
from functions.services.dependencies import sync_links
from functions.services.events import PublishResult
from functions.services.manual_runs import create_and_run, find_attempt
from functions.services.paging import all_tasks
from functions.services.removal import remove_stored
from functions.task_types import registry

log = logging.getLogger(__name__)

MINUTE = timedelta(minutes=1)
MAX_RUNNING_TICKS = 120  # at once, of `run_forever`; all but the newest wait for attempts that take long
NO_TASK = "must be a Task; make it with Task(...), or of a dict with Task.model_validate(...)"
RESPONSE_MARGIN = timedelta(seconds=6)  # between the last start and the end, as in a tick over HTTP


class Scheduler:
    """Tasks in a store, and the ticks that run them. Use it from one event loop, as a context manager.

    Several schedulers, in one process or many, may work on one store at the same time, beside deployed
    functions: a task that one has claimed, no other runs.

    Every method raises StoreUnavailableError when the store cannot be reached, StoreError when it refuses.

    Args:
        store: As the setting `STORE_URL`.
        settings: Other settings by their names, e.g. `{"ALLOW_PRIVATE_NETWORKS": "1"}`. The environment is
            not read.
        types: Modules with your task types, e.g. `shop.tasks.count_stock`; the last part is the name of
            the type.

    Raises:
        SettingsError: A setting is wrong.
        InputError: A module in *types* is no task type, or its name is taken.
    """

    def __init__(
        self,
        store: str = "sqlite:///scheduler.db",
        *,
        settings: Mapping[str, str] | None = None,
        types: Sequence[str] = (),
    ) -> None:
        self._settings = Settings.from_env({**(settings or {}), "STORE_URL": store}, serves_http=False)
        for module in types:
            registry.register(module)
        self._app = application.build_app(self._settings)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections. The scheduler is not used afterwards."""
        await self._app.close()

    def before_task(self, callback: BeforeTask) -> None:
        """Call *callback*, a function or a coroutine function, with the `Job` before each attempt here.

        It has 2 s, at most a quarter of the attempt's time. One that fails or takes longer is logged, and the
        attempt goes on.
        """
        self._app.call_before_tasks(callback)

    def subscribe(self, callback: OnEvent, *types: str) -> None:
        """Call *callback* with each event of a tick here, about a second after its result is written.

        `cronfire.run.finished` follows each attempt and skip, `cronfire.task.paused` a pause; events that
        tasks send have types of their own. All callbacks of such a second have 5 s; what fails or is late is
        logged.

        Args:
            types: Only events of these types; none means all.
        """
        self._app.call_on_events(callback, types)

    def asgi_app(self) -> Callable[..., Awaitable[None]]:
        """Return the API and the dashboard as an ASGI application, to mount in a program of yours.

        Keys are checked as in a function: set `API_KEY` and `SIGNING_SECRET` in the settings. The API works
        below any path; the dashboard at the root alone, as its links say. Close the scheduler, not this.
        """
        from functions.web.factory import build_api_app  # FastAPI takes 250 ms

        return build_api_app(self._settings, self._app)

    async def apply(self, tasks: Sequence[TaskSpec], *, prune: bool = False) -> list[PlannedChange]:
        """Make the store match *tasks*; return what changed, by id. State and history stay.

        Args:
            prune: Remove tasks that an earlier call made and that are not in *tasks*. Others never are.

        Raises:
            InputError: A task has a problem; the text names every problem, and nothing was written.
            ConflictError: Another writer changed a task meanwhile; apply again.
        """
        _raise_problems(
            [
                f"tasks[{place}]: {NO_TASK}"
                for place, task in enumerate(tasks)
                if not isinstance(task, TaskFields)
            ]
        )
        never = [f"{task.id}: schedule: {reason}" for task in tasks if (reason := why_never_started(task))]
        _raise_problems([*never, *(text for task in tasks for text in _params_problems(task))])
        return await apply_plan(
            self._app.store,
            tasks,
            origin="library",
            now=self._app.now(),
            new_id=self._app.new_id,
            prune=prune,
            limits=self._app.owner_limits,
        )

    async def tasks(self, *, tag: str = "") -> list[Task]:
        """Return all tasks by id, or with *tag* those that have it."""
        return [stored.task for stored in await all_tasks(self._app.store, TaskFilter(tag=tag or None))]

    async def task(self, task_id: str) -> Task:
        """Return a task. Raises NotFoundError when there is none."""
        return (await get_task(self._app.store, task_id)).task

    async def remove(self, task_id: str) -> None:
        """Delete a task; its run records stay.

        Raises:
            InputError: Other tasks run after it, or it was changed at the same moment.
        """
        stored = await get_task(self._app.store, task_id)
        async with sync_links(self._app.store, None, before=stored.task):
            status = await remove_stored(self._app.store, stored, by="library", now=self._app.now())
        if status is not WriteStatus.APPLIED:
            raise InputError(f"{task_id} was changed at the same moment; try again")

    async def runs(
        self, task_id: str | None = None, *, since: datetime | None = None, limit: int = 100
    ) -> list[Run]:
        """Return the run records of one task or of all, newest first.

        Args:
            since: Only those that finished then or later.
        """
        return await self._app.store.runs(task_id=task_id, since=_instant("since", since), limit=limit)

    async def tick(self, *, within: timedelta | None = None) -> Mapping[str, Any]:
        """Run what is due, once; return the report.

        Args:
            within: The longest duration of the tick; None lets every attempt end. Tasks that do not fit stay
                due.
        """
        budget = (
            TimeBudget(None, None)
            if within is None
            else TimeBudget(max(within - RESPONSE_MARGIN, within / 2), within)
        )
        return await self._app.tick(budget)

    async def run_forever(self, *, every: timedelta = MINUTE) -> None:
        """Tick at once, and then each time *every* has passed, until cancelled.

        A tick lasts as long as its longest attempt; the next ones do not wait for it. When a tick cannot
        reach the store, the next one tries again. Cancelling ends what runs; a later tick makes it again.
        """
        loop = asyncio.get_running_loop()
        due = loop.time()
        running: set[asyncio.Task[None]] = set()
        async with asyncio.TaskGroup() as group:
            while True:
                if len(running) < MAX_RUNNING_TICKS:
                    tick = group.create_task(self._tick_and_log())
                    running.add(tick)
                    tick.add_done_callback(running.discard)
                due = max(due + every.total_seconds(), loop.time())
                await asyncio.sleep(due - loop.time())

    async def _tick_and_log(self) -> None:
        try:
            await self.tick()
        except StoreError as exc:
            log.error("tick_degraded", extra={"error": str(exc)})  # noqa: TRY400  # known, and no secret in it

    async def run(self, task_id: str) -> Run | None:
        """Run a task now, apart from its schedule, and wait for it.

        Returns:
            The record of its last attempt; None when another process runs it.
        """
        asked_at = self._app.now()
        await task_commands.request_run(self._app.store, task_id, now=asked_at, new_id=self._app.new_id)
        return await self._run_now(task_id, asked_at)

    async def _run_now(self, task_id: str, occurrence: datetime) -> Run | None:
        await self._app.run_tasks([task_id], TimeBudget(None, None))
        return await find_attempt(self._app.store, task_id, occurrence)

    async def run_once(self, task: TaskSpec) -> Run | None:
        """Create *task*, which needs no schedule, run it now, and wait for it.

        The task is kept. When nothing else starts it, it has ended with this run and its retries, which later
        ticks make.

        Returns:
            As `run`.

        Raises:
            InputError: The params do not fit the type.
            ConflictError: There is a task of this id.
        """
        _raise_problems(_params_problems(task) if isinstance(task, TaskFields) else [f"task: {NO_TASK}"])
        created = await create_and_run(
            self._app.store, task, by="library", clock=self._app.now, new_id=self._app.new_id
        )
        return await self._run_now(created.id, created.created_at)

    async def pause(self, task_id: str, *, note: str = "", until: datetime | None = None) -> Task:
        """Stop a task, until *until* or until it is resumed. A running attempt ends normally.

        Raises:
            InputError: The note is too long or no text, or *until* has no time zone or has passed.
        """
        how: dict[str, Any] = {"note": note, "until": _instant("until", until), "by": "library"}
        try:
            return await task_commands.pause_task(
                self._app.store, task_id, now=self._app.now(), new_id=self._app.new_id, **how
            )
        except ValidationError as exc:
            raise InputError(validation_sentence(exc)) from None

    async def resume(self, task_id: str, *, catch_up: bool = False) -> Task:
        """End a pause. Missed occurrences are skipped, or run with *catch_up*."""
        return await task_commands.resume_task(
            self._app.store,
            task_id,
            catch_up=catch_up,
            now=self._app.now(),
            new_id=self._app.new_id,
        )

    async def cancel(self, task_id: str) -> Task:
        """Cancel the current occurrence within seconds, in whichever process it runs."""
        return await task_commands.cancel_task(
            self._app.store, task_id, now=self._app.now(), new_id=self._app.new_id
        )

    async def publish(
        self, event_type: str, data: Mapping[str, Any] | None = None, *, event_id: str = "", to: str = ""
    ) -> PublishResult:
        """Publish an event to the tasks that start on it; a repeated *event_id* starts nothing.

        Raises:
            InputError: The type is no name of one, or *data* is not JSON; the text names the field.
        """
        try:
            event = Event(
                id=event_id or self._app.new_id(),
                type=event_type,
                source="library",
                time=self._app.now(),
                data=dict(data or {}),
                to=to,
            )
            check_values(event.data, "data", any_json=True)
        except ValidationError as exc:
            raise InputError(validation_sentence(exc)) from None
        except ValueError as exc:
            raise InputError(str(exc)) from None
        return await self._app.publish_event(event)


def _instant(name: str, at: datetime | None) -> datetime | None:
    """Return *at* in UTC. Raises InputError, with the *name* of the argument, when it has no time zone."""
    if at is not None and at.tzinfo is None:
        raise InputError(f"{name}: give an instant with its time zone, such as datetime.now(UTC)")
    try:
        return at and check_instant(at)
    except ValueError as exc:
        raise InputError(f"{name}: {exc}") from None


def _raise_problems(problems: Sequence[str]) -> None:
    if problems:
        raise InputError("\n".join(problems))


def _params_problems(task: TaskSpec) -> list[str]:
    try:
        registry.check_params(task.type, task.params)
    except InputError as exc:
        return [f"{task.id}: {exc}"]
    return []
