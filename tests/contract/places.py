"""Places a store keeps its documents in, one fresh place a test: how to open it and how to spoil it."""

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

from functions.interfaces import Store
from functions.stores.json_text import content_hash
from functions.stores.jsonfile.store import JsonStore
from functions.stores.sqlite.store import SqliteStore
from tests.fakes.bitable import FakeBitable
from tests.support.bitable_places import Sheet, planted
from tests.support.firestore_emulator import emulator_host


class Place(Protocol):
    """Where one test's documents are kept."""

    def open(self) -> Store:
        """A store over this place; each has its own connection, as in a process of its own."""
        ...

    async def plant(self, task_id: str, raw: Mapping[str, Any] | bytes, *, at: datetime) -> None:
        """Put *raw* where task *task_id* belongs, as if it were due at *at*; JSON values or plain bytes."""
        ...


class SqlitePlace:
    """A file in a folder of the test's own."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "contract.db"

    def open(self) -> Store:
        return SqliteStore(str(self.path))

    async def plant(self, task_id: str, raw: Mapping[str, Any] | bytes, *, at: datetime) -> None:
        store = self.open()
        await store.stats(at)  # makes the tables
        await store.close()
        doc = raw if isinstance(raw, bytes) else json.dumps({**raw, "nextRunAt": at.isoformat()})
        next_run_at = round(at.timestamp()) * 1_000_000
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute(
                "INSERT INTO tasks (id, rev, next_run_at, status, type, owner, origin, tags, doc)"
                " VALUES (?, 0, ?, 'scheduled', '', '', '', '[]', ?)",
                (task_id, next_run_at, doc),
            )


class JsonPlace:
    """Files in a folder of the test's own; what is planted there looks as if the store had written it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "contract.json"
        self._kept = folder / "contract.state.json"

    def open(self) -> Store:
        return JsonStore(str(self.path))

    async def plant(self, task_id: str, raw: Mapping[str, Any] | bytes, *, at: datetime) -> None:
        fields = {"document": raw.decode("latin-1")} if isinstance(raw, bytes) else raw
        entry = {**fields, "id": task_id}
        entries = json.loads(self.path.read_text())["tasks"] if self.path.exists() else []
        kept: Any = {"revision": 0, "tasks": {}}
        if self._kept.exists():
            kept = json.loads(self._kept.read_text())
        kept["tasks"][task_id] = {
            "revision": 0,
            "contentHash": content_hash(entry),
            "nextRunAt": at.isoformat(),
        }
        self._kept.write_text(json.dumps(kept))
        self.path.write_text(json.dumps({"tasks": [*entries, entry]}))


class BitablePlace:
    """A base of the local Feishu; its table has blank rows, as those have that people make."""

    def __init__(self, feishu: FakeBitable) -> None:
        self.sheet = Sheet(feishu)

    def open(self) -> Store:
        return self.sheet.store()

    async def plant(self, task_id: str, raw: Mapping[str, Any] | bytes, *, at: datetime) -> None:
        self.sheet.add(**planted(task_id, raw, at=at))


class FirestorePlace:
    """A project of the test's own in the emulator; it makes one of any name, in lower case."""

    def __init__(self) -> None:
        self.host = emulator_host()
        self.project = f"contract-{uuid4().hex[:12]}"

    def open(self) -> Store:
        from functions.stores.firestore.store import (
            FirestoreStore,  # not needed, and slow, without an emulator
        )

        # An emulator that has just started, beside other work, may take longer than the usual eight seconds.
        return FirestoreStore(self.project, emulator=self.host, read_timeout_s=40, write_timeout_s=40)

    async def plant(self, task_id: str, raw: Mapping[str, Any] | bytes, *, at: datetime) -> None:
        from google.cloud.firestore import Client  # not needed, and slow, without an emulator

        fields = {"document": raw} if isinstance(raw, bytes) else raw
        client = Client(project=self.project)
        client.collection("tasks").document(task_id).set({**fields, "nextRunAt": at})
        client.close()  # type: ignore[no-untyped-call]  # the library leaves it without types
