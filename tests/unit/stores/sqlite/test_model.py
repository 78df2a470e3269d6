"""The SQLite store against a dictionary: whatever is asked in whatever order, both answer the same."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from functions.domain.storage import ConditionalWrite, TaskFilter, VersionedTask, WriteStatus
from functions.domain.task import Task
from functions.domain.types import Status
from functions.stores.sqlite.store import SqliteStore
from tests.conftest import NOON
from tests.support.profile import examples

T = TypeVar("T")
IDS = st.sampled_from(["a", "b", "c", "d-1"])
MOMENTS = st.none() | st.integers(-3, 3).map(lambda number: NOON + timedelta(microseconds=number))
CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "next_run_at": MOMENTS,
        "title": st.text(min_size=1, max_size=20),
        "status": st.sampled_from(Status),
        "memory": st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5) | st.none()),
        "tags": st.lists(st.text(min_size=1, max_size=5), max_size=3).map(tuple),
    },
)


@dataclass(frozen=True)
class Kept:
    """One document as the dictionary knows it."""

    task: Task
    revision: Any


class SqliteIsADictionary(RuleBasedStateMachine):
    """Guards are taken from everything ever read, so that most of them are stale."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.store = SqliteStore(":memory:")
        self.model: dict[str, Kept] = {}
        self.known: dict[str, list[VersionedTask]] = {}
        self.revisions: list[Any] = []

    def teardown(self) -> None:
        self.ask(self.store.close())
        self.runner.close()

    @rule(task_id=IDS, at=MOMENTS, changes=CHANGES)
    def create(self, task_id: str, at: Any, changes: dict[str, Any]) -> None:
        task = Task(
            id=task_id,
            title="T",
            type="http",
            schedule="@hourly",
            created_at=NOON,
            updated_at=NOON,
            next_run_at=at,
        )
        self.written(
            ConditionalWrite(task.model_copy(update=changes), None), expected=task_id not in self.model
        )

    @rule(task_id=IDS, which=st.integers(-3, -1), changes=CHANGES)
    def change(self, task_id: str, which: int, changes: dict[str, Any]) -> None:
        for stored in self.known.get(task_id, [])[which:][:1]:
            self.written(ConditionalWrite.for_changes(stored, changes), expected=self.is_fresh(stored))

    @rule(task_id=IDS, which=st.integers(-3, -1))
    def delete(self, task_id: str, which: int) -> None:
        for stored in self.known.get(task_id, [])[which:][:1]:
            self.written(
                ConditionalWrite(stored.task, stored.revision, delete=True), expected=self.is_fresh(stored)
            )

    @rule(now=MOMENTS.filter(bool), limit=st.integers(0, 4))
    def due(self, now: Any, limit: int) -> None:
        found = self.ask(self.store.fetch_due(now, limit=limit))

        waiting = [kept for kept in self.model.values() if kept.task.next_run_at is not None]
        late = [kept.task for kept in waiting if kept.task.next_run_at <= now]
        late.sort(key=lambda task: (task.next_run_at, task.id))
        assert late[:limit] == [stored.task for stored in found.tasks]

    @rule(status=st.none() | st.sampled_from(Status), after=st.sampled_from(["", "a", "b", "zz"]))
    def page(self, status: Status | None, after: str) -> None:
        found = self.ask(self.store.list_tasks(TaskFilter(status=status), after=after, limit=3))

        matching = [
            self.model[task_id].task
            for task_id in sorted(self.model)
            if task_id > after and status in (None, self.model[task_id].task.status)
        ]
        assert matching[:3] == [stored.task for stored in found.tasks]

    @invariant()
    def what_is_stored_is_what_was_written(self) -> None:
        found = self.ask(self.store.get_tasks(["a", "b", "c", "d-1"]))

        assert () == found.invalid
        assert self.model == {stored.task.id: Kept(stored.task, stored.revision) for stored in found.tasks}

    def written(self, write: ConditionalWrite, *, expected: bool) -> None:
        [written] = self.ask(self.store.write([write]))
        assert expected is (written.status is WriteStatus.APPLIED)
        if not expected:
            return
        if write.delete:
            del self.model[write.task.id]
            return
        assert written.revision not in self.revisions
        self.revisions.append(written.revision)
        self.model[write.task.id] = Kept(write.task, written.revision)
        self.known.setdefault(write.task.id, []).append(VersionedTask(write.task, written.revision))

    def is_fresh(self, stored: VersionedTask) -> bool:
        kept = self.model.get(stored.task.id)
        return kept is not None and kept.revision == stored.revision

    def ask(self, answer: Awaitable[T]) -> T:
        async def awaited() -> T:
            return await answer

        return self.runner.run(awaited())


TestSqliteIsADictionary = SqliteIsADictionary.TestCase
TestSqliteIsADictionary.settings = settings(max_examples=examples(30), stateful_step_count=20, deadline=None)
