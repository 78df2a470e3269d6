"""Several processes at once: every document is won exactly once, and nothing is half written."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest

from functions.domain.run import Run
from functions.domain.storage import ConditionalWrite, RunBatch, VersionedTask, WriteStatus
from functions.domain.task import Claim, Task
from functions.domain.types import Status
from functions.interfaces import Store
from tests.conftest import NOON
from tests.contract.documents import changing, create, read

MakeTask = Callable[..., Task]
OpenStore = Callable[[], Store]
UNTIL = NOON + timedelta(seconds=35)


def claims(found: Sequence[VersionedTask], name: str) -> list[ConditionalWrite]:
    return [
        changing(
            stored,
            status=Status.RUNNING,
            next_run_at=UNTIL,
            claim=Claim(token=f"{name}.{number}", until=UNTIL, started_at=NOON),
        )
        for number, stored in enumerate(found)
    ]


@pytest.mark.slow
async def test_each_of_200_tasks_is_claimed_by_exactly_one_of_two_ticks(
    open_store: OpenStore, make_task: MakeTask
) -> None:
    one, other = open_store(), open_store()
    await create(one, *(make_task(f"t{number}") for number in range(200)))

    async def tick(store: Store, name: str) -> dict[str, str]:
        found = (await store.fetch_due(NOON, limit=1000)).tasks
        won = {}
        for start in range(0, len(found), 20):
            wave = claims(found[start : start + 20], f"{name}{start}")
            answers = await store.write(wave)
            for write, written in zip(wave, answers, strict=True):
                if written.status is WriteStatus.APPLIED and write.task.claim:
                    won[write.task.id] = write.task.claim.token
        return won

    wins = await asyncio.gather(tick(one, "one"), tick(other, "other"))

    assert 200 == sum(len(won) for won in wins)
    stored = (await one.get_tasks([f"t{number}" for number in range(200)])).tasks
    tokens = {each.task.id: each.task.claim.token for each in stored if each.task.claim}
    assert wins[0] | wins[1] == tokens


async def test_one_of_many_wins_a_single_task(
    open_store: OpenStore, make_task: MakeTask, one_writer_wins: bool
) -> None:
    """Where several may get a success, one of them is what is stored, and only that one can go on."""
    stores = [open_store() for _ in range(4)]
    [stored] = await create(stores[0], make_task("ping"))
    wanted = [claims([stored], f"tick{number}") for number in range(20)]

    answers = await asyncio.gather(
        *(store.write(claim) for store, claim in zip(stores * 5, wanted, strict=True))
    )

    won = [
        VersionedTask(claim.task, written.revision)
        for [claim], [written] in zip(wanted, answers, strict=True)
        if written.status is WriteStatus.APPLIED
    ]
    assert {WriteStatus.APPLIED, WriteStatus.CONFLICT} >= {written.status for [written] in answers}
    assert (await read(stores[0], "ping")).task.claim in [winner.task.claim for winner in won]
    assert 1 == len(won) or not one_writer_wins
    later = [await stores[0].write([changing(winner, run_count=1)]) for winner in won]
    assert 1 == sum(written.status is WriteStatus.APPLIED for [written] in later)


async def test_one_of_many_creates_a_task(open_store: OpenStore, make_task: MakeTask) -> None:
    stores = [open_store() for _ in range(4)]

    answers = await asyncio.gather(
        *(
            store.write([ConditionalWrite(make_task("ping", title=f"By {number}"), None)])
            for number, store in enumerate(stores)
        )
    )

    winners = [n for n, [written] in enumerate(answers) if written.status is WriteStatus.APPLIED]
    assert [f"By {n}" for n in winners] == [(await read(stores[0], "ping")).task.title]


@pytest.mark.slow
async def test_flushes_side_by_side_are_all_kept(
    open_store: OpenStore, make_task: MakeTask, make_run: Callable[..., Run]
) -> None:
    one, other = open_store(), open_store()
    stored = await create(one, *(make_task(f"t{number}") for number in range(20)))

    answers = await asyncio.gather(
        *(
            (one, other)[number % 2].write_with_runs(
                RunBatch(f"ab.{number}", NOON, (make_run(each.task.id),)), [changing(each, run_count=1)]
            )
            for number, each in enumerate(stored)
        )
    )

    assert {WriteStatus.APPLIED} == {written.status for [written] in answers}
    assert {f"t{number}" for number in range(20)} == {run.task_id for run in await one.runs_of_tick("ab")}
    assert {1} == {each.task.run_count for each in (await other.fetch_due(NOON, limit=100)).tasks}


async def test_what_one_process_writes_the_other_sees_at_once(
    open_store: OpenStore, make_task: MakeTask
) -> None:
    one, other = open_store(), open_store()
    await other.fetch_due(NOON, limit=1)

    [stored] = await create(one, make_task("ping"))

    assert stored == await read(other, "ping")
