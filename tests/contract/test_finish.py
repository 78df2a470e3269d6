"""The ledger: what happened is kept before what was decided, and is found again by its tick."""

from collections.abc import Callable
from datetime import timedelta

from functions.domain.events import Event
from functions.domain.run import Run
from functions.domain.storage import RUNS_PER_BATCH, ConditionalWrite, RunBatch, WriteStatus
from functions.domain.task import MAX_SUMMARY_CHARS, Task
from functions.domain.types import OutcomeKind, SkipReason, Trigger
from functions.interfaces import Store
from tests.conftest import NOON
from tests.contract.documents import changing, create, ids, read

MakeTask = Callable[..., Task]
MakeRun = Callable[..., Run]


def entry(entry_id: str, *runs: Run) -> RunBatch:
    return RunBatch(entry_id, NOON, runs)


def some(make_run: MakeRun, count: int, **changes: object) -> list[Run]:
    return [
        make_run(f"t{n}", finished_at=NOON + timedelta(seconds=n), token=f"ab.{n}", **changes)
        for n in range(count)
    ]


async def test_a_result_and_its_record_are_both_kept(
    store: Store, make_task: MakeTask, make_run: MakeRun
) -> None:
    [stored] = await create(store, make_task("ping"))
    run = make_run("ping")

    [written] = await store.write_with_runs(entry("ab.1", run), [changing(stored, run_count=1)])

    assert WriteStatus.APPLIED is written.status
    assert 1 == (await read(store, "ping")).task.run_count
    assert [run] == await store.runs_of_tick("ab")
    assert [run] == await store.runs()


class RunOfTomorrow(Run):
    invented_later: str = ""


async def test_a_record_of_a_newer_version_is_read_without_what_is_new(
    store: Store, make_run: MakeRun
) -> None:
    """Hidden from an older tick, a finished attempt would count as an abandoned one, and be repeated."""
    run = make_run("ping", token="ab.1")
    newer = RunOfTomorrow.model_validate(run.model_dump() | {"invented_later": "x"})

    await store.write_with_runs(entry("ab.1", newer), [])

    assert [run] == await store.runs_of_tick("ab")
    assert [run] == await store.runs(task_id="ping")


async def test_the_answered_revision_guards_the_next_finish(store: Store, make_task: MakeTask) -> None:
    [stored] = await create(store, make_task("ping"))
    [first] = await store.write_with_runs(None, [changing(stored, run_count=1)])

    [second] = await store.write_with_runs(
        None, [ConditionalWrite(stored.task, first.revision, frozenset({"run_count"}))]
    )

    assert WriteStatus.APPLIED is second.status
    assert 0 == (await read(store, "ping")).task.run_count


async def test_the_record_is_kept_even_when_every_write_is_refused(
    store: Store, make_task: MakeTask, make_run: MakeRun
) -> None:
    """The attempt was made, whoever settles it."""
    [stored] = await create(store, make_task("ping"))
    await store.write([changing(stored, title="Edited")])

    [written] = await store.write_with_runs(entry("ab.1", make_run("ping")), [changing(stored, run_count=1)])

    assert WriteStatus.CONFLICT is written.status
    assert [make_run("ping")] == await store.runs_of_tick("ab")
    assert 0 == (await read(store, "ping")).task.run_count


async def test_keeping_an_entry_twice_leaves_one(store: Store, make_run: MakeRun) -> None:
    runs = some(make_run, 3)

    await store.write_with_runs(entry("ab.1", *runs), [])
    assert [] == await store.write_with_runs(entry("ab.1", *runs), [])

    assert sorted(run.key for run in runs) == sorted(run.key for run in await store.runs_of_tick("ab"))
    assert sorted(run.key for run in runs) == sorted(run.key for run in await store.runs())


async def test_writes_are_done_even_when_their_entry_was_kept_before(
    store: Store, make_task: MakeTask, make_run: MakeRun
) -> None:
    """The try before got as far as the entry; this one must not stop there."""
    [stored] = await create(store, make_task("ping"))
    await store.write_with_runs(entry("ab.1", make_run("ping")), [])

    [written] = await store.write_with_runs(entry("ab.1", make_run("ping")), [changing(stored, run_count=1)])

    assert WriteStatus.APPLIED is written.status


async def test_a_record_two_ticks_kept_is_one_line_of_history_found_by_both(
    store: Store, make_run: MakeRun
) -> None:
    """A tick that settles from another's record keeps it too, and may itself die before it is done."""
    run = make_run("ping")

    await store.write_with_runs(entry("dead.1", run), [])
    await store.write_with_runs(entry("heir.1", run), [])

    assert [run] == await store.runs()
    assert [run] == await store.runs_of_tick("dead")
    assert [run] == await store.runs_of_tick("heir")


async def test_without_an_entry_nothing_is_recorded(store: Store, make_task: MakeTask) -> None:
    [stored] = await create(store, make_task("ping"))

    [written] = await store.write_with_runs(None, [changing(stored, run_count=1)])

    assert WriteStatus.APPLIED is written.status
    assert [] == await store.runs()
    assert (await store.stats(NOON)).last_tick_at is None


async def test_with_neither_entry_nor_writes_nothing_happens(store: Store) -> None:
    assert [] == await store.write_with_runs(None, [])


async def test_a_finish_creates_and_deletes_as_well(
    store: Store, make_task: MakeTask, make_run: MakeRun
) -> None:
    [stored] = await create(store, make_task("old"))

    answers = await store.write_with_runs(
        entry("ab.1", make_run("old")),
        [
            ConditionalWrite(stored.task, stored.revision, delete=True),
            ConditionalWrite(make_task("new"), None),
        ],
    )

    assert [WriteStatus.APPLIED] * 2 == [answer.status for answer in answers]
    assert ["new"] == ids(await store.get_tasks(["old", "new"]))


async def test_a_tick_finds_its_own_entries_and_no_others(store: Store, make_run: MakeRun) -> None:
    for number, entry_id in enumerate(["ab.1", "ab.2", "ab.10", "abc.1", "a.1", "b.1", "ac.1", "aab.1"]):
        run = make_run(entry_id.replace(".", "-"), token=f"x.{number}")
        await store.write_with_runs(entry(entry_id, run), [])

    found = await store.runs_of_tick("ab")

    assert {"ab-1", "ab-2", "ab-10"} == {run.task_id for run in found}
    assert ["a-1"] == [run.task_id for run in await store.runs_of_tick("a")]
    assert [] == await store.runs_of_tick("nobody")


async def test_a_full_entry_of_long_records_is_kept(store: Store, make_run: MakeRun) -> None:
    items = tuple({"title": "Ü" * 200, "url": "https://example.com/" + "a" * 200} for _ in range(5))
    runs = some(make_run, RUNS_PER_BATCH, summary="Ü" * MAX_SUMMARY_CHARS, items=items)

    await store.write_with_runs(entry("ab.1", *runs), [])

    assert {run.key: run for run in runs} == {run.key: run for run in await store.runs_of_tick("ab")}


async def test_every_field_of_a_record_comes_back(store: Store) -> None:
    run = Run(
        task_id="ping",
        occurrence=NOON + timedelta(microseconds=1),
        trigger=Trigger.BACKFILL,
        attempt=3,
        token="ab.7",
        outcome=OutcomeKind.SKIPPED,
        skip_reason=SkipReason.MISFIRE,
        final=False,
        summary="早上好 🌅",
        started_at=NOON + timedelta(microseconds=2),
        finished_at=NOON + timedelta(microseconds=3),
        last=NOON + timedelta(hours=1),
        count=13,
        metrics={"latencyMs": 42, "ratio": 1.0, "none": None, "nested": {"a": [1, "b", []]}},
        items=({"title": "News", "url": "https://example.com/"},),
        has_news=True,
        cause="order.paid from shop",
        events=(Event(id="7", type="order.paid", time=NOON, data={"total": 12.0}),),
        deferred=True,
        task_created_at=NOON,
    )
    required = {name for name, field in Run.model_fields.items() if field.is_required()}
    assert required == {
        name
        for name, field in Run.model_fields.items()
        if field.get_default(call_default_factory=True) == getattr(run, name) or field.is_required()
    }

    await store.write_with_runs(entry("ab.1", run), [])

    assert [run] == await store.runs_of_tick("ab")
    assert [run] == await store.runs(task_id="ping")
    assert "1.0" in repr((await store.runs())[0].metrics["ratio"])


async def test_an_entry_kept_again_holds_the_runs_of_the_second_time(store: Store, make_run: MakeRun) -> None:
    """What was decided and did not come to pass is struck; what others keep stays."""
    vain, done, shared = some(make_run, 3)
    await store.write_with_runs(entry("other.1", shared), [])
    await store.write_with_runs(entry("ab.1", vain, done), [])

    await store.write_with_runs(entry("ab.1", done), [])

    assert [done] == await store.runs_of_tick("ab")
    assert {done.key, shared.key} == {run.key for run in await store.runs()}


async def test_of_two_records_of_one_attempt_the_truer_holds(store: Store, make_run: MakeRun) -> None:
    """Given up and to be tried again, then given up for good, and then it reported after all."""
    waits = make_run("ping", outcome=OutcomeKind.ABANDONED, final=False, finished_at=NOON)
    over = make_run("ping", outcome=OutcomeKind.ABANDONED, finished_at=NOON + timedelta(seconds=9))
    done = make_run("ping", finished_at=NOON + timedelta(seconds=5))

    await store.write_with_runs(entry("ab.1", waits), [])
    await store.write_with_runs(entry("cd.1", over), [])
    given_up = await store.runs()
    await store.write_with_runs(entry("ab.2", done), [])  # the tick that made it keeps what came of it
    await store.write_with_runs(entry("gh.1", over), [])

    assert ([over], [done]) == (given_up, await store.runs())


async def test_what_another_entry_holds_as_well_is_not_struck(store: Store, make_run: MakeRun) -> None:
    """Two ticks decided the same; the settlement of one came to pass."""
    skipped = make_run(
        "ping", outcome=OutcomeKind.SKIPPED, skip_reason=SkipReason.MISFIRE, token="", attempt=0
    )
    await store.write_with_runs(entry("ab.1", skipped), [])
    await store.write_with_runs(entry("cd.1", skipped), [])

    await store.write_with_runs(entry("cd.1"), [])

    assert ([skipped], [skipped], []) == (
        await store.runs(),
        await store.runs_of_tick("ab"),
        await store.runs_of_tick("cd"),
    )


async def test_skips_of_different_spans_are_different_records(store: Store, make_run: MakeRun) -> None:
    skipped = {"outcome": OutcomeKind.SKIPPED, "skip_reason": SkipReason.MISFIRE, "token": "", "attempt": 0}
    narrow = make_run("ping", **skipped)
    wide = make_run("ping", **skipped, last=NOON + timedelta(minutes=5), count=2)

    await store.write_with_runs(entry("ab.1", narrow), [])
    await store.write_with_runs(entry("cd.1", wide), [])

    assert {narrow.key, wide.key} == {run.key for run in await store.runs()}
