"""Guarded writes: who may change a document, and what the others are told."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from functions.domain.storage import ConditionalWrite, VersionedTask, WriteStatus
from functions.domain.task import Claim, Task
from functions.domain.types import Status
from functions.interfaces import Store
from tests.conftest import NOON
from tests.contract.documents import changing, create, ids, read

MakeTask = Callable[..., Task]
UNTIL = NOON + timedelta(seconds=35)


def claiming(stored: VersionedTask, token: str = "tick.1") -> ConditionalWrite:
    claim = Claim(token=token, until=UNTIL, started_at=NOON)
    return changing(stored, status=Status.RUNNING, claim=claim, next_run_at=UNTIL)


async def results(store: Store, *writes: ConditionalWrite) -> list[WriteStatus]:
    return [written.status for written in await store.write(writes)]


async def test_nothing_to_write_is_no_answers(store: Store) -> None:
    assert [] == await store.write([])


async def test_a_created_task_is_there(store: Store, make_task: MakeTask) -> None:
    [stored] = await create(store, make_task("ping"))

    assert stored == await read(store, "ping")


async def test_ids_that_do_not_exist_are_left_out(store: Store, make_task: MakeTask) -> None:
    await create(store, make_task("ping"), make_task("pong"))

    assert {"ping", "pong"} == set(ids(await store.get_tasks(["nobody", "pong", "ping"])))
    assert [] == ids(await store.get_tasks(["nobody"]))
    assert [] == ids(await store.get_tasks([]))


async def test_creating_what_exists_is_refused(store: Store, make_task: MakeTask) -> None:
    await create(store, make_task("ping", title="First"))

    assert [WriteStatus.CONFLICT] == await results(
        store, ConditionalWrite(make_task("ping", title="Second"), None)
    )
    assert "First" == (await read(store, "ping")).task.title


async def test_changing_what_does_not_exist_is_refused(store: Store, make_task: MakeTask) -> None:
    [other] = await create(store, make_task("other"))

    assert [WriteStatus.CONFLICT] == await results(store, ConditionalWrite(make_task("ping"), other.revision))
    assert ["other"] == ids(await store.get_tasks(["ping", "other"]))


async def test_a_change_is_applied_to_the_revision_it_expects(store: Store, make_task: MakeTask) -> None:
    [stored] = await create(store, make_task("ping"))

    [written] = await store.write([claiming(stored)])

    assert WriteStatus.APPLIED is written.status
    assert VersionedTask(claiming(stored).task, written.revision) == await read(store, "ping")


async def test_the_answered_revision_guards_the_next_write(store: Store, make_task: MakeTask) -> None:
    """A settlement follows its claim without a read in between: that is what keeps a run at one read."""
    [stored] = await create(store, make_task("ping"))
    [claimed] = await store.write([claiming(stored)])
    mine = VersionedTask(claiming(stored).task, claimed.revision)

    assert [WriteStatus.APPLIED] == await results(store, changing(mine, claim=None, status=Status.SCHEDULED))


async def test_every_applied_write_makes_another_revision(store: Store, make_task: MakeTask) -> None:
    [stored] = await create(store, make_task("ping"))
    revisions = [stored.revision]

    for number in range(5):
        [written] = await store.write([claiming(stored, f"tick.{number}")])
        stored = VersionedTask(stored.task, written.revision)
        revisions.append(written.revision)

    assert 6 == len(set(revisions))


async def test_a_stale_revision_is_refused(store: Store, make_task: MakeTask) -> None:
    [stored] = await create(store, make_task("ping"))
    await store.write([claiming(stored, "first.1")])

    assert [WriteStatus.CONFLICT] == await results(store, claiming(stored, "second.1"))
    claim = (await read(store, "ping")).task.claim
    assert claim is not None
    assert "first.1" == claim.token


async def test_the_same_write_twice_is_refused_the_second_time(store: Store, make_task: MakeTask) -> None:
    [stored] = await create(store, make_task("ping"))

    assert [WriteStatus.APPLIED] == await results(store, claiming(stored))
    assert [WriteStatus.CONFLICT] == await results(store, claiming(stored))


async def test_a_deleted_task_is_gone(store: Store, make_task: MakeTask) -> None:
    [stored] = await create(store, make_task("ping"))

    assert [WriteStatus.APPLIED] == await results(
        store, ConditionalWrite(stored.task, stored.revision, delete=True)
    )
    assert [] == ids(await store.get_tasks(["ping"]))
    assert [] == ids(await store.fetch_due(NOON, limit=10))


async def test_deleting_what_has_changed_is_refused(store: Store, make_task: MakeTask) -> None:
    [stored] = await create(store, make_task("ping"))
    await store.write([claiming(stored)])

    assert [WriteStatus.CONFLICT] == await results(
        store, ConditionalWrite(stored.task, stored.revision, delete=True)
    )
    assert ["ping"] == ids(await store.get_tasks(["ping"]))


async def test_a_write_after_the_deletion_is_refused(store: Store, make_task: MakeTask) -> None:
    """A person who deletes a running task does not find it back when the run ends."""
    [stored] = await create(store, make_task("ping"))
    [claimed] = await store.write([claiming(stored)])
    await store.write([ConditionalWrite(stored.task, claimed.revision, delete=True)])

    late = [claiming(stored), changing(VersionedTask(stored.task, claimed.revision), run_count=1)]

    for write in late:
        assert [WriteStatus.CONFLICT] == await results(store, write)
    assert [] == ids(await store.get_tasks(["ping"]))


async def test_a_write_meant_for_the_deleted_task_does_not_hit_its_successor(
    store: Store, make_task: MakeTask
) -> None:
    """Deleted and made again, word for word: still another document, with revisions of its own."""
    [first] = await create(store, make_task("ping"))
    await store.write([ConditionalWrite(first.task, first.revision, delete=True)])
    await create(store, make_task("ping"))

    assert [WriteStatus.CONFLICT] == await results(store, claiming(first))
    assert Status.SCHEDULED is (await read(store, "ping")).task.status


async def test_a_partial_write_leaves_the_rest_as_it_was(store: Store, make_task: MakeTask) -> None:
    task = make_task(
        "ping", description="Kept", tags=["a"], memory={"seen": [1, None]}, retry={"maxAttempts": 7}
    )
    [stored] = await create(store, task)

    await store.write([changing(stored, run_count=3, last_error="No answer")])

    expected = task.model_copy(update={"run_count": 3, "last_error": "No answer"})
    assert expected == (await read(store, "ping")).task


@pytest.mark.parametrize(
    ("field", "value", "default"),
    [
        ("claim", Claim(token="tick.1", until=UNTIL, started_at=NOON), None),
        ("memory", {"seen": ["a"]}, {}),
        ("recent", "succeeded 5 2026-11-20T12:00:00Z", ""),
        ("last_error", "No answer", ""),
        ("run_count", 3, 0),
        ("cancel_requested", True, False),
        ("status", Status.RUNNING, Status.SCHEDULED),
    ],
)
async def test_a_field_can_go_back_to_its_default(
    store: Store, make_task: MakeTask, field: str, value: Any, default: Any
) -> None:
    await create(store, make_task("ping").model_copy(update={field: value}))
    stored = await read(store, "ping")
    assert value == getattr(stored.task, field)

    await store.write([changing(stored, **{field: default})])

    assert default == getattr((await read(store, "ping")).task, field)


async def test_a_mapping_is_replaced_and_not_merged(store: Store, make_task: MakeTask) -> None:
    [stored] = await create(store, make_task("ping", memory={"old": 1, "both": {"old": 1}}))

    await store.write([changing(stored, memory={"both": {"new": 2}})])

    assert {"both": {"new": 2}} == (await read(store, "ping")).task.memory


async def test_an_edit_made_meanwhile_is_kept_and_the_result_written_on_top(
    store: Store, make_task: MakeTask
) -> None:
    [stored] = await create(store, make_task("ping"))
    [claimed] = await store.write([claiming(stored)])
    mine = VersionedTask(claiming(stored).task, claimed.revision)
    await store.write([changing(mine, title="Edited")])

    assert [WriteStatus.CONFLICT] == await results(store, changing(mine, claim=None, run_count=1))
    fresh = await read(store, "ping")
    assert [WriteStatus.APPLIED] == await results(store, changing(fresh, claim=None, run_count=1))
    after = (await read(store, "ping")).task
    assert ("Edited", 1, None) == (after.title, after.run_count, after.claim)


async def test_each_write_stands_alone_and_is_answered_in_its_place(
    store: Store, make_task: MakeTask
) -> None:
    stale, gone, fine = await create(store, make_task("stale"), make_task("gone"), make_task("fine"))
    await store.write([claiming(stale), ConditionalWrite(gone.task, gone.revision, delete=True)])

    answers = await results(
        store,
        claiming(stale, "mine.1"),
        claiming(fine, "mine.2"),
        claiming(gone, "mine.3"),
        ConditionalWrite(make_task("new"), None),
        ConditionalWrite(make_task("fine"), None),
    )

    refused, applied = WriteStatus.CONFLICT, WriteStatus.APPLIED
    assert [refused, applied, refused, applied, refused] == answers
    assert {"stale", "fine", "new"} == set(ids(await store.get_tasks(["stale", "gone", "fine", "new"])))


@pytest.mark.slow
async def test_a_thousand_writes_go_through_in_one_call(store: Store, make_task: MakeTask) -> None:
    tasks = [make_task(f"t{number}") for number in range(1000)]

    await create(store, *tasks)

    assert 1000 == len((await store.fetch_due(NOON, limit=1000)).tasks)
    assert 1000 == len((await store.get_tasks([task.id for task in tasks])).tasks)
