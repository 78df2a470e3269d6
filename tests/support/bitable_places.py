"""A base of the local Feishu that was set up for the scheduler, as a person and the store see it."""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from threading import Thread
from types import MappingProxyType
from typing import Any

from functions.stores.bitable.cells import encode_cells, encode_notes, parse_user_cells
from functions.stores.bitable.config import (
    DEFAULT_CELL_PARSER,
    CellParser,
    FeishuCredentials,
    TableRef,
    Timeouts,
    random_id,
)
from functions.stores.bitable.lease import HAD_TASKS_ROW as HAD_TASKS
from functions.stores.bitable.lease import LEASE_ROW, META_KIND
from functions.stores.bitable.schema import (
    DOCUMENT_COLUMNS,
    RUN_COLUMNS,
    TASK_COLUMNS,
    TASK_COLUMNS_BY_NAME,
    USER_COLUMNS,
    Column,
    document_table_name,
    run_table_name,
)
from functions.stores.bitable.store import BitableStore
from functions.stores.json_text import content_hash
from tests.fakes.bitable import FakeBitable, Row, Table

QUICK = Timeouts(write_gap_s=0.0, settle_s=0.15)


class Sheet:
    """One base with its three tables; `add` and `row` are what a person does, `store` a process of ours."""

    def __init__(self, feishu: FakeBitable, *, older: Mapping[str, int] = MappingProxyType({})) -> None:
        """*older* are columns that were there before, by their types; ours are added to them."""
        self.feishu = feishu
        self.base = feishu.add_base()
        [self.tasks] = self.base.tables.values()
        for name, kind in {**{one.name: one.type for one in TASK_COLUMNS}, **older}.items():
            self.tasks.add_field(name, kind)
        self.runs = self._table(run_table_name(self.tasks.table_id), RUN_COLUMNS)
        self.kept = self._table(document_table_name(self.tasks.table_id), DOCUMENT_COLUMNS)
        for name in (LEASE_ROW, HAD_TASKS):
            self.kept.add_row({"name": f"{META_KIND} {name}", "kind": META_KIND, "id": name, "data": "{}"})

    @property
    def url(self) -> str:
        return f"bitable://{self.base.app_token}/{self.tasks.table_id}"

    def store(
        self,
        bounds: Timeouts = QUICK,
        *,
        new_id: Callable[[], str] = random_id,
        reads: CellParser = DEFAULT_CELL_PARSER,
    ) -> BitableStore:
        app = FeishuCredentials(self.feishu.app_id, self.feishu.app_secret, self.feishu.url)
        address = TableRef(self.base.app_token, self.tasks.table_id)
        return BitableStore(address, app, timeouts=bounds, new_id=new_id, cell_parser=reads)

    def add(self, **values: Any) -> Row:
        """Add a task by hand."""
        return self.tasks.add_row(values)

    def row(self, task_id: str) -> Row:
        return self.tasks.row("id", task_id)

    def notes(self, task_id: str) -> Any:
        """What the scheduler keeps of a task."""
        return json.loads(self.row(task_id).text("state"))

    def _table(self, name: str, columns: Sequence[Column]) -> Table:
        return self.base.add_table(name, {one.name: one.type for one in columns}, blank_rows=0)


def planted(task_id: str, raw: Mapping[str, Any] | bytes, *, at: datetime) -> dict[str, Any]:
    """Cells that hold *raw*, as if the store had written it; in people's form."""
    looks = {"id": task_id, "nextRunAt": int(at.timestamp())}
    if isinstance(raw, bytes):
        return {**looks, "state": raw.decode("latin-1")}
    names = {column.name for column in USER_COLUMNS} | {"after", "onEvent"}
    entry = {name: one for name, one in raw.items() if name in names} | {"id": task_id}
    kept = {name: one for name, one in raw.items() if name not in names}
    cells = {name: one for name, one in encode_cells(entry).items() if one is not None}
    given, _ = parse_user_cells(cells, imported=True, parser=DEFAULT_CELL_PARSER)
    exact = {
        name: [content_hash(given.get(name)), entry.get(name)]
        for name in given.keys() | entry.keys()
        if name != "id" and given.get(name) != entry.get(name)
    }
    seen = {**given, "id": task_id} | {name: meant for name, [_, meant] in exact.items()}
    kept |= {
        "revision": 0,
        "contentHash": content_hash(seen),
        "nextRunAt": at.isoformat(),
        "id": task_id,
        "exact": exact,
    }
    return {**_typed(cells), **looks, "state": encode_notes(kept, subject=task_id)}


def _typed(cells: Mapping[str, Any]) -> dict[str, Any]:
    """Cells as a person would type them: dates are dates."""
    dates = {name for name in cells if TASK_COLUMNS_BY_NAME[name].type == 5}
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
