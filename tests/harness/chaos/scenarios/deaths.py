"""One process is made to die in a known place; others tick afterwards; the checker judges what is left."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from functions.domain.task import TaskSpec
from functions.domain.types import format_instant
from functions.services.apply import apply_plan
from functions.stores.sqlite.store import SqliteStore
from tests.harness.chaos.checker.history import Fault, History, Op
from tests.harness.chaos.world.clock import Clock
from tests.harness.chaos.world.people import new_id
from tests.harness.chaos.world.processes import ROOT, order
from tests.harness.chaos.world.target import Target
from tests.harness.chaos.world.warm import WarmProcess

PERIOD = timedelta(minutes=10)
SINCE_DUE = timedelta(seconds=20)
LATER = ("25", "50", "75", "100", "125", "150")  # claims last 18 s, notices wait a minute
READ_AFTER = timedelta(minutes=8)  # before the next occurrence, and near enough to foresee it

Spec = dict[str, Any]


def spec(task_id: str, url: str, **changes: Any) -> Spec:
    """A task that calls *url*."""
    return {
        "id": task_id,
        "title": task_id,
        "type": "http",
        "params": {"method": "POST", "url": url},
        "schedule": "every 10m",
        "timeoutSeconds": 3,
        "retry": {"maxAttempts": 1},
    } | changes


def both_deliveries(target: str) -> list[Spec]:
    """Tasks of each way of delivery that succeed, and one of each that fails and has to be told of."""
    return [
        spec(f"{delivery.replace('_', '-')}-{number}", f"{target}/t/{manner}", delivery=delivery)
        for delivery in ("at_least_once", "at_most_once")
        for number, manner in enumerate(("ok", "ok", "500"))
    ]


class Scene:
    """A target, a store with tasks of which each owes occurrences, and a history of what happens to them.

    Args:
        specs: Makes the tasks, given the target's address.
        owed: How many occurrences each task owes as it begins.
    """

    def __init__(
        self, folder: Path, *, specs: Callable[[str], list[Spec]] = both_deliveries, owed: int = 1
    ) -> None:
        self.folder = folder
        self.target = Target(1, time.time)
        self.faults: list[Fault] = []
        self._specs = specs
        self._file = folder / "scene.db"
        self._made = datetime.now(UTC) - owed * PERIOD - SINCE_DUE
        self._ops: tuple[Op, ...] = ()
        self._processes: list[WarmProcess] = []

    async def start(self) -> None:
        """Open the target and make the tasks."""
        await self.target.start()
        wanted = self._specs(f"http://127.0.0.1:{self.target.port}")
        store = SqliteStore(str(self._file))
        models = [TaskSpec.model_validate(one) for one in wanted]
        await apply_plan(store, models, origin="chaos", now=self._made, new_id=new_id)
        await store.close()
        at = self._made.timestamp()
        self._ops = tuple(
            Op("create", one["id"], at, at, spec=one, at=format_instant(self._made)) for one in wanted
        )

    async def stop(self) -> None:
        """Close the target, and end what still runs."""
        for process in self._processes:
            if process.returncode is None:
                process.kill()
                await process.wait()
        await self.target.stop()

    async def ticks(self, name: str, moments: Sequence[str], *, mutant: str = "") -> int:
        """Have a process tick at *moments*; return its exit code, negative for the signal that ended it."""
        return await (await self.begun(name, moments, mutant=mutant)).wait()

    async def begun(self, name: str, moments: Sequence[str], *, mutant: str = "") -> WarmProcess:
        """Start a process that ticks at *moments*, and return it."""
        variables: Mapping[str, str] = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "STORE_URL": f"sqlite:///{self._file}",
            "WEBHOOK_URL": f"http://127.0.0.1:{self.target.port}/notices",
            "ALLOW_PRIVATE_NETWORKS": "1",
            "CHAOS_DIR": str(self.folder),
            "CHAOS_PROCESS": name,
            "CHAOS_MUTANT": mutant,
            **Clock(began=time.time()).variables,
        }
        process = WarmProcess(moments, variables=variables, log=self.folder / f"{name}.log")
        self._processes.append(process)
        return process

    async def dies(self, point: str, *, mutant: str = "") -> int:
        """Have a process begin the work and die at *point*; return its exit code."""
        began = time.time()
        order(self.folder, "dying", "point", f"{point}:1")
        code = await self.ticks("dying", ["0"], mutant=mutant)
        self.faults.append(Fault("crash", began, time.time(), "dying", point=point))
        return code

    async def history(self) -> History:
        """What there is to judge."""
        store = SqliteStore(str(self._file))
        found = await store.get_tasks([op.task for op in self._ops])
        runs = await store.runs(limit=10_000)
        await store.close()
        now = time.time()
        return History(
            healed=now,
            read=now + READ_AFTER.total_seconds(),
            ops=self._ops,
            calls=tuple(self.target.calls),
            faults=tuple(self.faults),
            told=tuple(self.target.told),
            long_words=tuple(self.target.long_words),
            tasks=tuple(stored.task.model_dump(mode="json", by_alias=True) for stored in found.tasks),
            runs=tuple(run.model_dump(mode="json", by_alias=True) for run in runs),
        )
