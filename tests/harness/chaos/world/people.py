"""What people do while the scheduler works: make tasks, edit, pause, resume, run, cancel and delete them."""

import asyncio
import random
import secrets
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from functions.domain.storage import ConditionalWrite, TaskFilter, WriteStatus
from functions.domain.task import TaskSpec
from functions.domain.types import format_instant
from functions.errors import ConflictError, InputError, StoreError, StoreUnavailableError
from functions.interfaces import Store
from functions.services import apply, task_commands
from functions.services.paging import all_tasks
from tests.harness.chaos.checker.history import Op
from tests.harness.chaos.world.clock import Clock
from tests.harness.chaos.world.tasks import is_guilty

KINDS = (
    *("retitle",) * 2,
    *("edit",) * 4,
    *("pause",) * 2,
    *("resume",) * 4,
    *("run",) * 5,
    *("cancel",) * 2,
    "delete",
)


def new_id() -> str:
    return secrets.token_hex(8)


class People:
    """Works on the store directly, as the command line does, and keeps the log of it."""

    def __init__(self, store: Store, specs: list[dict[str, Any]], dice: random.Random, clock: Clock) -> None:
        self.ops: list[Op] = []
        self._clock = clock
        self._store = store
        self._specs = {spec["id"]: spec for spec in specs}
        self._dice = dice

    async def create(self) -> None:
        """Make all tasks."""
        invoked, now = self._clock.time(), self._clock.now()
        specs = [TaskSpec.model_validate(spec) for spec in self._specs.values()]
        await apply.apply_plan(self._store, specs, origin="chaos", now=now, new_id=new_id, prune=False)
        completed, at = self._clock.time(), format_instant(now)
        self.ops += [
            Op("create", task, invoked, completed, spec=spec, at=at) for task, spec in self._specs.items()
        ]

    async def act(self) -> None:
        """Do something to a task picked at random."""
        task = self._dice.choice(sorted(name for name, spec in self._specs.items() if not is_guilty(spec)))
        kind = self._dice.choice(KINDS)
        await getattr(self, f"_{kind}")(task)

    async def resume_all(self) -> None:
        """Resume whatever stands still, so that everything can come to an end."""
        for stored in await all_tasks(self._store, TaskFilter()):
            if stored.task.status in ("paused", "quarantined") and not is_guilty(self._specs[stored.task.id]):
                await self._resume(stored.task.id)

    async def _retitle(self, task: str) -> None:
        spec = self._specs[task] | {"title": f"Title {self._dice.random()}"}
        await self._apply(task, spec)

    async def _edit(self, task: str) -> None:
        other = [
            one for one in ("* * * * *", "*/2 * * * *", "every 1m") if one != self._specs[task]["schedule"]
        ]
        await self._apply(task, self._specs[task] | {"schedule": self._dice.choice(other)})

    async def _apply(self, task: str, spec: dict[str, Any]) -> None:
        async def work(now: datetime) -> None:
            model = TaskSpec.model_validate(spec)
            await apply.apply_plan(self._store, [model], origin="chaos", now=now, new_id=new_id, prune=False)

        if await self._logged("edit", task, work, spec=spec) == "done":
            self._specs[task] = spec

    async def _pause(self, task: str) -> None:
        async def work(now: datetime) -> None:
            how = {"note": "chaos", "until": None, "by": "chaos"}
            await task_commands.pause_task(self._store, task, now=now, new_id=new_id, **how)  # type: ignore[arg-type]  # the values fit

        await self._logged("pause", task, work)

    async def _resume(self, task: str) -> None:
        async def work(now: datetime) -> None:
            await task_commands.resume_task(self._store, task, catch_up=False, now=now, new_id=new_id)

        await self._logged("resume", task, work)

    async def _run(self, task: str) -> None:
        async def work(now: datetime) -> None:
            await task_commands.request_run(self._store, task, now=now, new_id=new_id)

        await self._logged("run", task, work)

    async def _cancel(self, task: str) -> None:
        async def work(now: datetime) -> None:
            await task_commands.cancel_task(self._store, task, now=now, new_id=new_id)

        await self._logged("cancel", task, work)

    async def _delete(self, task: str) -> None:
        async def work(now: datetime) -> None:
            stored = (await self._store.get_tasks([task])).tasks[0]
            [written] = await self._store.write([ConditionalWrite(stored.task, stored.revision, delete=True)])
            if written.status is WriteStatus.CONFLICT:
                raise InputError("changed meanwhile")
            if written.status is WriteStatus.UNKNOWN:
                raise StoreUnavailableError("unknown")

        if await self._logged("delete", task, work) != "refused":
            del self._specs[task]

    async def _logged(
        self,
        kind: str,
        task: str,
        work: Callable[[datetime], Awaitable[None]],
        spec: dict[str, Any] | None = None,
    ) -> str:
        invoked, now = self._clock.time(), self._clock.now()
        try:
            async with asyncio.timeout(20):
                await work(now)
            result = "done"
        except (InputError, ConflictError):
            result = "refused"
        except (StoreError, TimeoutError):
            result = "unknown"
        except asyncio.CancelledError:  # the run ends while this person is at work: it may still be done
            self._note(kind, task, invoked, now, "unknown", spec)
            raise
        self._note(kind, task, invoked, now, result, spec)
        return result

    def _note(
        self, kind: str, task: str, invoked: float, now: datetime, result: str, spec: dict[str, Any] | None
    ) -> None:
        self.ops.append(Op(kind, task, invoked, self._clock.time(), result, spec, format_instant(now)))
