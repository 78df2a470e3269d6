"""Stores against a dictionary: whatever is written in whatever order, they agree on what there is."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from functions.domain.sharding import shard_of
from functions.domain.storage import (
    ConditionalWrite,
    Document,
    RunBatch,
    TaskFilter,
    VersionedTask,
    WriteStatus,
)
from functions.domain.task import Task
from functions.interfaces import Store
from functions.stores.sqlite.store import SqliteStore
from tests.conftest import NOON
from tests.fakes.bitable import FakeBitable
from tests.support import profile
from tests.support.bitable_places import Sheet
from tests.support.firestore_emulator import emulator_host

IDS = st.sampled_from(["a", "b", "c"])
MINUTES = st.integers(-3, 3)


class StoreMachine(RuleBasedStateMachine):
    """Guards that hold, and guards that are out of date, on tasks and on small documents."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.store = self.open()
        self.tasks: dict[str, VersionedTask] = {}
        self.documents: dict[str, Document] = {}
        self.old: list[Any] = [None]  # revisions there were, and none

    def open(self) -> Store:
        return SqliteStore(":memory:")

    def teardown(self) -> None:
        self.do(self.store.close())
        self.loop.close()

    @rule(task_id=IDS, minutes=MINUTES, title=st.sampled_from(["One", "Größe 🔥", "x" * 200]))
    def make(self, task_id: str, minutes: int, title: str) -> None:
        task = Task.model_validate(
            {
                "id": task_id,
                "title": title,
                "type": "http",
                "schedule": "* * * * *",
                "created_at": NOON,
                "updated_at": NOON,
                "shard": shard_of(task_id),
                "next_run_at": NOON + timedelta(minutes=minutes),
            }
        )
        [written] = self.do(self.store.write([ConditionalWrite(task, None)]))
        assert (written.status is WriteStatus.APPLIED) == (task_id not in self.tasks)
        if written.status is WriteStatus.APPLIED:
            self.tasks[task_id] = VersionedTask(task, written.revision)

    @rule(task_id=IDS, minutes=st.none() | MINUTES, entry=st.booleans())
    def change(self, task_id: str, minutes: int | None, entry: bool) -> None:
        if task_id not in self.tasks:
            return
        at = None if minutes is None else NOON + timedelta(minutes=minutes)
        before = self.tasks[task_id]
        self.old.append(before.revision)
        write = ConditionalWrite.for_changes(
            before, {"next_run_at": at, "run_count": before.task.run_count + 1}
        )
        ledger = RunBatch(f"tick.{len(self.old)}", NOON, ()) if entry else None
        [written] = self.do(self.store.write_with_runs(ledger, [write]))
        assert written.status is WriteStatus.APPLIED
        self.tasks[task_id] = VersionedTask(write.task, written.revision)

    @rule(task_id=IDS, which=st.integers(0, 50))
    def change_what_is_no_more(self, task_id: str, which: int) -> None:
        revision = self.old[which % len(self.old)]
        if task_id not in self.tasks or revision is None:
            return
        stale = VersionedTask(self.tasks[task_id].task, revision)
        [written] = self.do(self.store.write([ConditionalWrite.for_changes(stale, {"run_count": 999})]))
        assert written.status is WriteStatus.CONFLICT

    @rule(task_id=IDS)
    def remove(self, task_id: str) -> None:
        if task_id not in self.tasks:
            return
        stored = self.tasks.pop(task_id)
        self.old.append(stored.revision)
        [written] = self.do(self.store.write([ConditionalWrite(stored.task, stored.revision, delete=True)]))
        assert written.status is WriteStatus.APPLIED

    @rule(name=IDS, value=st.integers(), fresh=st.booleans())
    def put(self, name: str, value: int, fresh: bool) -> None:
        known = self.documents.get(name)
        revision = known.revision if known and not fresh else None
        document = Document("owners", name, {"value": value}, revision)
        [written] = self.do(self.store.put_documents([document]))
        assert (written.status is WriteStatus.APPLIED) == (revision is not None or known is None)
        if written.status is WriteStatus.APPLIED:
            self.documents[name] = replace(document, revision=written.revision)

    @rule(name=IDS)
    def discard(self, name: str) -> None:
        if name in self.documents:
            [written] = self.do(self.store.delete_documents([self.documents.pop(name)]))
            assert written.status is WriteStatus.APPLIED

    @invariant()
    def they_agree_on_what_there_is(self) -> None:
        found = self.do(self.store.list_tasks(TaskFilter()))
        assert sorted(self.tasks.items()) == [(one.task.id, one) for one in found.tasks]
        due = self.do(self.store.fetch_due(NOON, limit=10))
        wanted = [one for one in self.tasks.values() if one.task.next_run_at and one.task.next_run_at <= NOON]
        assert sorted((one.task.next_run_at, one.task.id) for one in wanted) == [
            (one.task.next_run_at, one.task.id) for one in due.tasks
        ]
        shelf = self.do(self.store.list_documents("owners"))
        assert sorted(self.documents.items()) == [(one.id, one) for one in shelf]

    def do(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)


class FirestoreMachine(StoreMachine):
    """The same on the emulator."""

    def open(self) -> Store:
        from functions.stores.firestore.store import (
            FirestoreStore,  # not needed, and slow, without an emulator
        )

        return FirestoreStore(f"machine-{uuid4().hex[:12]}", emulator=emulator_host())


class BitableMachine(StoreMachine):
    """The same in a table of the local Feishu."""

    def open(self) -> Store:
        self.feishu = FakeBitable()
        self.do(self.feishu.start())
        return Sheet(self.feishu).store()

    def teardown(self) -> None:
        self.do(self.store.close())
        self.do(self.feishu.close())
        self.loop.close()


def play(machine: type[StoreMachine], *, examples: int, steps: int) -> None:
    chosen = settings(
        max_examples=profile.examples(examples),
        stateful_step_count=steps,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine, settings=chosen)


@pytest.mark.slow
def test_sqlite_agrees_with_a_dictionary() -> None:
    play(StoreMachine, examples=60, steps=30)


def test_a_table_of_feishu_agrees_with_a_dictionary() -> None:
    play(BitableMachine, examples=12, steps=20)


@pytest.mark.emulator
def test_firestore_agrees_with_a_dictionary() -> None:
    emulator_host()  # or skipped by name
    play(FirestoreMachine, examples=8, steps=20)
