"""Claims and settlements when answers are lost: unknown is not no."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from functions.domain.lifecycle.attempt import complete_attempt
from functions.domain.lifecycle.complete import Transition
from functions.domain.lifecycle.decide import StartAttempt, decide
from functions.domain.lifecycle.run_records import run_of_skipped_range
from functions.domain.run import succeeded
from functions.domain.storage import ConditionalWrite, RunBatch, VersionedTask, WriteResult, WriteStatus
from functions.domain.task import SkippedRange, Task
from functions.domain.types import Status
from functions.engine import writer
from functions.engine.writer import PendingTransition, TickWriter
from functions.errors import InvalidWriteError, StoreUnavailableError
from functions.stores.sqlite.store import SqliteStore
from tests.conftest import NOON

MakeTask = Callable[..., Task]


@dataclass
class Forgetful:
    """The real store behind a wire that loses what it is told to lose, one call each.

    Attributes:
        losses: For each coming write: `request` (never arrives), `answer` (applied, unheard), `items`
            (applied, each answered with unknown) or `` (goes through).
    """

    store: SqliteStore
    losses: list[str] = field(default_factory=list)
    entry_sizes: list[int] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    async def write(self, writes: Sequence[ConditionalWrite]) -> list[WriteResult]:
        return await self.write_with_runs(None, writes)

    async def write_with_runs(
        self, batch: RunBatch | None, writes: Sequence[ConditionalWrite]
    ) -> list[WriteResult]:
        self.entry_sizes += [len(batch.runs)] if batch else []
        loss = self.losses.pop(0) if self.losses else ""
        if loss == "request":
            raise StoreUnavailableError("The wire is cut")
        written = await self.store.write_with_runs(batch, writes)
        if loss == "answer":
            raise StoreUnavailableError("The wire is cut")
        return [WriteResult(WriteStatus.UNKNOWN)] * len(written) if loss == "items" else written


@pytest.fixture
async def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Forgetful]:
    monkeypatch.setattr(writer, "FIRST_WAIT_S", 0.001)
    sqlite = SqliteStore(str(tmp_path / "books.db"))
    yield Forgetful(sqlite)
    await sqlite.close()


def _books(store: Any, name: str) -> TickWriter:
    return TickWriter(store, tick_id=name, clock=lambda: NOON)


async def _found(store: Forgetful, task_id: str = "water-plants") -> VersionedTask:
    return (await store.store.get_tasks([task_id])).tasks[0]


async def _wanted(ours: TickWriter, store: Forgetful) -> tuple[VersionedTask, dict[str, Any]]:
    stored = await _found(store)
    start = decide(stored.task, token=ours.new_claim_token(), now=NOON)
    assert isinstance(start, StartAttempt)
    return stored, dict(start.changes)


async def _claimed(store: Forgetful, make_task: MakeTask) -> tuple[TickWriter, VersionedTask]:
    await store.store.write([ConditionalWrite(make_task(), None)])
    ours = _books(store, "ours")
    [stored] = await ours.claim([await _wanted(ours, store)])
    return ours, stored


def _decided(stored: VersionedTask) -> PendingTransition:
    def again(task: Task) -> Transition:
        return complete_attempt(
            task, succeeded("Done"), started_at=NOON, now=NOON + timedelta(seconds=1), random_fraction=0.0
        )

    return PendingTransition(stored, again(stored.task), again)


@pytest.mark.parametrize("loss", ["answer", "items"])
async def test_a_claim_whose_answer_was_lost_is_ours_when_it_was_applied(
    store: Forgetful, make_task: MakeTask, loss: str
) -> None:
    store.losses = [loss]

    _, stored = await _claimed(store, make_task)

    assert (await _found(store)) == stored


async def test_a_claim_that_never_arrived_is_not_ours(store: Forgetful, make_task: MakeTask) -> None:
    await store.store.write([ConditionalWrite(make_task(), None)])
    ours = _books(store, "ours")
    wanted = [await _wanted(ours, store)]
    store.losses = ["request"]

    assert [] == await ours.claim(wanted)
    assert {"water-plants"} == ours.unclaimed


async def test_a_claim_that_is_applied_after_the_tick_stopped_waiting_is_released(
    store: Forgetful, make_task: MakeTask
) -> None:
    """Left alone it would expire, and be recorded as the death of a process."""
    await store.write([ConditionalWrite(make_task(), None)])
    ours = _books(store, "ours")
    wanted = await _wanted(ours, store)
    store.losses = ["request"]

    won = await ours.claim([wanted])
    await store.write([ConditionalWrite.for_changes(*wanted)])  # it was on its way all the time
    await ours.release_unanswered_claims()

    after = (await _found(store)).task
    assert ([], Status.RETRYING, 0, None) == (won, after.status, after.attempt, after.claim)
    assert after.next_run_at == NOON


async def test_a_claim_that_somebody_else_won_is_not_ours_whatever_was_lost(
    store: Forgetful, make_task: MakeTask
) -> None:
    await store.store.write([ConditionalWrite(make_task(), None)])
    ours, theirs = _books(store, "ours"), _books(store, "theirs")
    wanted = [await _wanted(ours, store)]
    await theirs.claim([await _wanted(theirs, store)])
    store.losses = ["items"]

    assert [] == await ours.claim(wanted)
    assert set() == ours.unclaimed


@pytest.mark.parametrize("losses", [["request"], ["answer"], ["items"], ["request", "request", "answer"]])
async def test_a_settlement_is_written_once_whatever_was_lost(
    store: Forgetful, make_task: MakeTask, losses: list[str]
) -> None:
    ours, stored = await _claimed(store, make_task)
    store.losses = losses

    [after] = await ours.apply([_decided(stored)])

    now = await _found(store)
    assert after == now
    assert (1, None, "Done") == (now.task.run_count, now.task.claim, now.task.last_result_summary)
    assert 1 == len(await store.runs(limit=9))


async def test_a_settlement_without_a_claim_is_sent_again_when_it_never_arrived(
    store: Forgetful, make_task: MakeTask
) -> None:
    await store.store.write([ConditionalWrite(make_task(), None)])
    store.losses = ["request"]

    [after] = await _books(store, "ours").apply(
        [PendingTransition(await _found(store), Transition({"expired_claims": 1}, ()))]
    )

    assert after == await _found(store)
    assert 1 == (await _found(store)).task.expired_claims


async def test_a_settlement_that_never_gets_through_is_left_to_the_expiry_of_its_claim(
    store: Forgetful, make_task: MakeTask, caplog: pytest.LogCaptureFixture
) -> None:
    ours, stored = await _claimed(store, make_task)
    store.losses = ["request"] * writer.MAX_TRIES

    assert [None] == await ours.apply([_decided(stored)])
    said = [record.message for record in caplog.records]
    assert [*["writes_unanswered"] * writer.MAX_TRIES, "settlements_not_written"] == said


async def test_a_settlement_after_an_edit_keeps_the_edit(store: Forgetful, make_task: MakeTask) -> None:
    ours, stored = await _claimed(store, make_task)
    await store.store.write([ConditionalWrite.for_changes(stored, {"title": "Edited"})])

    await ours.apply([_decided(stored)])

    now = (await _found(store)).task
    assert ("Edited", "Done") == (now.title, now.last_result_summary)


async def test_what_needs_no_claim_is_written_however_often_others_are_first(
    store: Forgetful, make_task: MakeTask
) -> None:
    """A message was sent while another tick claimed the task, and settled it: unwritten, it is sent again."""
    await store.store.write([ConditionalWrite(make_task(memory={"sent": 0}), None)])
    stored = await _found(store)
    claim = {"claim": {"token": "theirs.1", "until": NOON + timedelta(minutes=1), "startedAt": NOON}}
    theirs = [Task.model_validate(stored.task.model_dump(by_alias=True) | claim), stored.task]

    async def interfere(writes: Sequence[ConditionalWrite]) -> list[WriteResult]:
        if theirs:
            await store.store.write([ConditionalWrite(theirs.pop(0), (await _found(store)).revision)])
        return await store.store.write_with_runs(None, writes)

    store.write = interfere  # type: ignore[method-assign]
    sent = Transition({"memory": {"sent": 1}}, ())

    [written] = await _books(store, "ours").apply([PendingTransition(stored, sent, lambda _: sent)])

    assert written is not None
    assert {"sent": 1} == (await _found(store)).task.memory


async def test_more_records_than_an_entry_holds_go_into_several(
    store: Forgetful, make_task: MakeTask
) -> None:
    tasks = [make_task(f"t{n}") for n in range(150)]
    await store.store.write([ConditionalWrite(task, None) for task in tasks])
    ours = _books(store, "ours")
    found = (await store.fetch_due(NOON, limit=200)).tasks
    starts = [(one, decide(one.task, token=ours.new_claim_token(), now=NOON)) for one in found]
    won = await ours.claim([(one, start.changes) for one, start in starts if isinstance(start, StartAttempt)])

    await ours.apply([_decided(one) for one in won])

    assert [100, 50] == store.entry_sizes
    assert 150 == len(await store.runs_of_tick("ours"))


async def test_a_skip_that_somebody_was_faster_than_is_no_skip(store: Forgetful, make_task: MakeTask) -> None:
    """Its record is struck again: the occurrence may well have run."""
    await store.store.write(
        [ConditionalWrite(make_task("first"), None), ConditionalWrite(make_task("second"), None)]
    )
    first, second = [await _found(store, name) for name in ("first", "second")]
    await store.store.write([ConditionalWrite.for_changes(first, {"title": "Claimed by somebody else"})])
    missed = SkippedRange(count=1, first=NOON, last=NOON)
    decided = [
        PendingTransition(
            one, Transition({"next_run_at": None}, (run_of_skipped_range(one.task, missed, now=NOON),))
        )
        for one in (first, second)
    ]

    settled = await _books(store, "ours").apply(decided)

    assert [False, True] == [one is not None for one in settled]
    assert ["second"] == [run.task_id for run in await store.store.runs()]
    assert ["second"] == [run.task_id for run in await store.store.runs_of_tick("ours")]


# -- what the store will never take ------------------------------------------------------------------------


@dataclass
class Narrow(Forgetful):
    """A store that takes no document above a size: it spoils its call, or it alone is refused.

    Attributes:
        unrecorded: Ids of tasks that were written before their runs: a death between the two loses those.
    """

    limit: int = 4000
    spoils_call: bool = False
    unrecorded: list[str] = field(default_factory=list)

    async def write_with_runs(
        self, batch: RunBatch | None, writes: Sequence[ConditionalWrite]
    ) -> list[WriteResult]:
        too_large = [len(write.task.model_dump_json()) > self.limit for write in writes]
        if any(too_large) and (self.spoils_call or all(too_large)):
            raise InvalidWriteError("A document is too large")
        good = [write for write, refused in zip(writes, too_large, strict=True) if not refused]
        results = iter(await self.store.write_with_runs(batch, good))
        on_record = {run.task_id for run in await self.store.runs()}
        self.unrecorded += [write.task.id for write in good if write.task.id not in on_record]
        return [WriteResult(WriteStatus.INVALID) if refused else next(results) for refused in too_large]


@pytest.fixture(params=[False, True], ids=["one is refused", "one spoils the call"])
def narrow(store: Forgetful, request: pytest.FixtureRequest) -> Narrow:
    return Narrow(store.store, spoils_call=request.param)


def _remembers(stored: VersionedTask, memory: dict[str, Any]) -> PendingTransition:
    def again(task: Task) -> Transition:
        outcome = succeeded("Done", memory=memory)
        return complete_attempt(
            task, outcome, started_at=NOON, now=NOON + timedelta(seconds=1), random_fraction=0.0
        )

    return PendingTransition(stored, again(stored.task), again)


async def _claim_all(
    store: Forgetful, make_task: MakeTask, *ids: str
) -> tuple[TickWriter, list[VersionedTask]]:
    await store.store.write([ConditionalWrite(make_task(one), None) for one in ids])
    ours = _books(store, "ours")
    wanted = []
    for one in ids:
        stored = await _found(store, one)
        start = decide(stored.task, token=ours.new_claim_token(), now=NOON)
        assert isinstance(start, StartAttempt)
        wanted.append((stored, dict(start.changes)))
    return ours, await ours.claim(wanted)


async def test_a_memory_that_is_too_large_is_left_out_and_stops_no_other(
    narrow: Narrow, make_task: MakeTask
) -> None:
    ours, claimed = await _claim_all(narrow, make_task, "a", "b", "c", "d", "e")
    narrow.unrecorded.clear()  # a claim has no run
    memories = [{"seen": "x" * (5000 if stored.task.id == "b" else 5)} for stored in claimed]

    applied = await ours.apply(
        [_remembers(stored, memory) for stored, memory in zip(claimed, memories, strict=True)]
    )

    assert all(applied)
    for name in "abcde":
        task = (await _found(narrow, name)).task
        assert (Status.SCHEDULED, "succeeded", name != "b") == (
            task.status,
            str(task.last_outcome),
            bool(task.memory),
        )
        assert 1 == len(await narrow.store.runs(task_id=name))
    assert set() == ours.unwritten
    assert [] == narrow.unrecorded


async def test_a_task_that_the_store_takes_no_more_is_stopped_by_name_and_told(
    narrow: Narrow, make_task: MakeTask
) -> None:
    """Its memory fills the document to the brim: whatever is added is too much."""
    ours, claimed = await _claim_all(narrow, make_task, "full", "other")
    full, other = claimed
    brim = ConditionalWrite.for_changes(full, {"memory": {"seen": "x" * 3000}})
    [written] = await narrow.store.write([brim])
    narrow.limit = 3000  # so that no result fits beside it

    await ours.apply([_decided(VersionedTask(brim.task, written.revision)), _decided(other)])

    task = (await _found(narrow, "full")).task
    assert (Status.QUARANTINED, {}, None) == (task.status, task.memory, task.claim)
    assert "make it smaller" in task.last_error
    assert ["paused"] == [notice.kind for notice in task.alert.pending]
    assert Status.SCHEDULED is (await _found(narrow, "other")).task.status


async def test_a_claim_that_does_not_fit_stops_the_task_and_no_other(
    narrow: Narrow, make_task: MakeTask
) -> None:
    full = make_task("full", memory={"seen": "x" * 3000})
    await narrow.store.write([ConditionalWrite(full, None), ConditionalWrite(make_task("other"), None)])
    narrow.limit = len(full.model_dump_json()) + 10
    ours = _books(narrow, "ours")
    wanted = []
    for one in ("full", "other"):
        stored = await _found(narrow, one)
        start = decide(stored.task, token=ours.new_claim_token(), now=NOON)
        assert isinstance(start, StartAttempt)
        wanted.append((stored, dict(start.changes)))

    won = await ours.claim(wanted)

    assert ["other"] == [stored.task.id for stored in won]
    assert Status.QUARANTINED is (await _found(narrow, "full")).task.status


async def test_what_never_fits_is_left_as_it_is_and_named(
    narrow: Narrow, make_task: MakeTask, caplog: pytest.LogCaptureFixture
) -> None:
    ours, claimed = await _claim_all(narrow, make_task, "huge", "other")
    narrow.limit = len(claimed[1].task.model_dump_json()) + 600
    huge = ConditionalWrite.for_changes(claimed[0], {"params": {"url": "x" * 9000}})
    [written] = await narrow.store.write([huge])

    applied = await ours.apply([_decided(VersionedTask(huge.task, written.revision)), _decided(claimed[1])])

    assert [False, True] == [one is not None for one in applied]
    assert {"huge"} == ours.unwritten
    assert "task_not_storable" in caplog.text
