"""The store that the settings name, opened with what it needs, and what task types may read of it."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from functions.errors import InputError
from functions.history import all_runs
from functions.ports import Catalogue
from functions.rules.outcome import Run
from functions.rules.storage import Filter
from functions.rules.task import Task
from functions.settings import Settings
from functions.store import open_store
from functions.store.bitable_account import FeishuApp, Reading

if TYPE_CHECKING:
    from functions.store import AnyStore


def opened(settings: Settings) -> "AnyStore":
    """The store of `STORE_URL`. Nothing is connected yet."""
    secret = settings.feishu_app_secret
    app = None
    if settings.feishu_app_id and secret:
        app = FeishuApp(settings.feishu_app_id, secret.get_secret_value(), settings.feishu_base_url)
    reading = Reading(cell_values, settings.default_timezone)
    emulator = settings.firestore_emulator_host
    return open_store(settings.store_url, feishu=app, reads=reading, emulator=emulator)


def cell_values(text: str) -> Any:
    """What a cell's text says as YAML, by the rules of task files.

    Raises:
        ValueError: It is none; the text says why.
    """
    from functions.taskfiles.documents import parse  # 20 ms, and only where a cell holds no JSON

    try:
        document = parse(text, as_json=False)
    except InputError as exc:
        raise ValueError(f"this is neither YAML nor JSON: {exc}") from None
    for problem in document.problems:
        raise ValueError(problem.reason)
    return document.value


class StoredRecords:
    """What task types may read of the store."""

    def __init__(self, store: Catalogue) -> None:
        self._store = store

    async def tasks(self) -> Sequence[Task]:
        """All tasks that can be read."""
        from functions.applying import everything  # 1.5 ms, for the briefing alone

        return [stored.task for stored in await everything(self._store, Filter())]

    async def runs(self, since: datetime) -> Sequence[Run]:
        """The records of what ended at *since* or later."""
        return [run async for run in all_runs(self._store, since=since)]
