"""A base of the local Feishu that was set up for the scheduler, as a person and the store see it."""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from threading import Thread
from typing import Any

from functions.stores.bitable.cells import cells_of, pack, written_in
from functions.stores.bitable.config import PLAIN, Address, Bounds, FeishuApp, Reading, random_name
from functions.stores.bitable.lease import KIND, PINGER
from functions.stores.bitable.lease import TASKS as HAD_TASKS
from functions.stores.bitable.schema import (
    BY_NAME,
    FILLED_IN,
    KEPT,
    RUNS,
    TASKS,
    Column,
    kept_table,
    runs_table,
)
from functions.stores.bitable.store import BitableStore
from functions.stores.json_text import digest
from tests.fakes.bitable import FakeBitable, Row, Table

QUICK = Bounds(gap_s=0.0, settle_s=0.15)


class Sheet:
    """One base with its three tables; `add` and `row` are what a person does, `store` a process of ours."""

    def __init__(self, feishu: FakeBitable) -> None:
        self.feishu = feishu
        self.base = feishu.add_base()
        [self.tasks] = self.base.tables.values()
        for column in TASKS:
            self.tasks.add_field(column.name, column.kind)
        self.runs = self._table(runs_table(self.tasks.table_id), RUNS)
        self.kept = self._table(kept_table(self.tasks.table_id), KEPT)
        for name in (PINGER, HAD_TASKS):
            self.kept.add_row({"name": f"{KIND} {name}", "kind": KIND, "id": name, "data": "{}"})

    @property
    def url(self) -> str:
        return f"bitable://{self.base.app_token}/{self.tasks.table_id}"

    def store(
        self,
        bounds: Bounds = QUICK,
        *,
        new_id: Callable[[], str] = random_name,
        reads: Reading = PLAIN,
    ) -> BitableStore:
        app = FeishuApp(self.feishu.app_id, self.feishu.app_secret, self.feishu.url)
        address = Address(self.base.app_token, self.tasks.table_id)
        return BitableStore(address, app, bounds=bounds, new_id=new_id, reads=reads)

    def add(self, **values: Any) -> Row:
        """Add a task by hand."""
        return self.tasks.add_row(values)

    def row(self, task_id: str) -> Row:
        return self.tasks.row("id", task_id)

    def notes(self, task_id: str) -> Any:
        """What the scheduler keeps of a task."""
        return json.loads(self.row(task_id).text("state"))

    def _table(self, name: str, columns: Sequence[Column]) -> Table:
        return self.base.add_table(name, {one.name: one.kind for one in columns}, blank_rows=0)


def planted(task_id: str, raw: Mapping[str, Any] | bytes, *, at: datetime) -> dict[str, Any]:
    """Cells that hold *raw*, as if the store had written it; in people's form."""
    looks = {"id": task_id, "nextRunAt": int(at.timestamp())}
    if isinstance(raw, bytes):
        return {**looks, "state": raw.decode("latin-1")}
    names = {column.name for column in FILLED_IN} | {"after", "onEvent"}
    entry = {name: one for name, one in raw.items() if name in names} | {"id": task_id}
    kept = {name: one for name, one in raw.items() if name not in names}
    cells = {name: one for name, one in cells_of(entry).items() if one is not None}
    given, _ = written_in(cells, taken=True, reads=PLAIN)
    exact = {
        name: [digest(given.get(name)), entry.get(name)]
        for name in given.keys() | entry.keys()
        if name != "id" and given.get(name) != entry.get(name)
    }
    seen = {**given, "id": task_id} | {name: meant for name, [_, meant] in exact.items()}
    kept |= {"revision": 0, "seen": digest(seen), "nextRunAt": at.isoformat(), "id": task_id, "exact": exact}
    return {**_typed(cells), **looks, "state": pack(kept, what=task_id)}


def _typed(cells: Mapping[str, Any]) -> dict[str, Any]:
    """Cells as a person would type them: dates are dates."""
    dates = {name for name in cells if BY_NAME[name].kind == 5}
    return {
        name: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=one) if name in dates else one
        for name, one in cells.items()
    }


@contextmanager
def served() -> Iterator[FakeBitable]:
    """The local Feishu in a thread of its own, for who has no loop."""
    feishu = FakeBitable()
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(feishu.start(), loop).result(10)
        yield feishu
        asyncio.run_coroutine_threadsafe(feishu.close(), loop).result(10)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def credentials(feishu: FakeBitable) -> dict[str, str]:
    """The settings that open what is there."""
    return {
        "FEISHU_APP_ID": feishu.app_id,
        "FEISHU_APP_SECRET": feishu.app_secret,
        "FEISHU_BASE_URL": feishu.url,
    }
