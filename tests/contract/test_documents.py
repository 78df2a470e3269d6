"""Documents: every field comes back as it was, and one that cannot be read harms no other."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pydantic_core import PydanticUndefined

from functions.domain.alerts.model import AlertState, Notification
from functions.domain.costs.task_budget import CreditLimit, Spending
from functions.domain.events import After, Dependent, Event, OnEvent, Outbox
from functions.domain.heartbeat.model import HeartbeatState, OpenRun
from functions.domain.json_depth import MAX_DEPTH
from functions.domain.storage import ConditionalWrite, QueryResult, TaskFilter, WriteStatus
from functions.domain.task import (
    Claim,
    Group,
    Misfire,
    NotifyRule,
    Pause,
    QueuedRun,
    Retry,
    SkippedRange,
    Task,
    TaskCalendar,
)
from functions.domain.types import OutcomeKind, Priority, Status, Trigger
from functions.interfaces import Store
from tests.conftest import NOON
from tests.contract.documents import broken_ids, changing, create, ids, read
from tests.contract.places import Place

MakeTask = Callable[..., Task]
LATER = NOON + timedelta(days=1, microseconds=123_457)
CANARY = "s3cret-canary"
TREE = {
    "unicode": "早上好 🌅 \u0000 \\ \" '",
    "nested": {"list": [{"a": {"b": [{"c": None}]}}], "empty": {}},
    "none": None,
    "empties": {"list": [], "text": "", "mapping": {}},
    "numbers": [0, 1, -1, 1.0, 0.1, -2.5e-7, 1e300, 2**53 + 1, 2**63 - 1, -(2**63)],
    "booleans": [True, False],
    "mixed": [1, "1", 1.5, None, True, {"x": 1}],
    "odd keys": {"": 1, "a.b": 2, "`": 3, "__x__": 4, "ключ": 5, "a/b": 6, "0": 7},
    "looks like a time": "2026-11-20T12:00:00Z",
}

PAID = Event(
    id="7",
    type="order.paid",
    source="shop",
    subject="order 7",
    time=NOON,
    data={"total": 12.0, "lines": [{"n": 1}], "note": "é", "none": None},
    to="full",
    owner="alice",
    hops=3,
)
FULL = Task(
    id="full",
    title="Tout",
    description="Ü" * 2000,
    owner="alice",
    tags=("a", "b c"),
    type="http",
    params=TREE,
    schedule="every 15m",
    timezone="Europe/Riga",
    excluded=("weekends", "calendar:company"),
    on_excluded="next",
    calendars=(TaskCalendar(name="company", revision="1", entries=("12-24", "holidays:LV")),),
    start_at=NOON,
    end_at=LATER,
    max_runs=9,
    jitter_seconds=7,
    misfire=Misfire(policy="run_all", grace_seconds=0),
    overlap="queue_all",
    priority=Priority.URGENT,
    timeout_seconds=2.5,
    retry=Retry(max_attempts=7, min_backoff_seconds=2, max_backoff_seconds=3),
    delivery="at_most_once",
    group=Group(name="shop-api", max_concurrent=2, per_minute=30),
    pause_after_failures=5,
    budget=CreditLimit(credits_per_run=2.5),
    expect_seconds=3600,
    notify=(NotifyRule(on=("news",), channels=("feishu",), after=3), NotifyRule()),
    enabled=False,
    origin="file",
    applied_spec_hash="0123456789ab",
    created_at=NOON - timedelta(microseconds=1),
    updated_at=LATER,
    shard=63,
    status=Status.RETRYING,
    pause=Pause(note="Holiday", until=LATER, by="alice", at=NOON),
    next_occurrence=LATER,
    next_run_at=LATER,
    occurrence=NOON,
    trigger=Trigger.CATCH_UP,
    attempt=2,
    retry_at=LATER,
    claim=Claim(token="tick.1", until=LATER, started_at=NOON),
    cancel_requested=True,
    expired_claims=1,
    interruptions=2,
    backlog=(
        QueuedRun(at=NOON, trigger=Trigger.MANUAL),
        QueuedRun(at=LATER, trigger=Trigger.EVENT, event=PAID),
    ),
    missed=SkippedRange(count=3, first=NOON, last=LATER),
    after=(After(task="other", on="failure"),),
    on_event=(OnEvent(type="order.paid", source="shop"),),
    event=PAID,
    dependents=(Dependent(task="another", on="finished"),),
    seen_event_ids=("shop 7",),
    outbox=Outbox(events=(PAID,), retry_at=LATER),
    last_run_at=NOON,
    last_outcome=OutcomeKind.TIMED_OUT,
    last_result_summary="Answered 200",
    last_error="No answer",
    last_duration_ms=0,
    consecutive_failures=4,
    run_count=2**40,
    memory=TREE,
    credits_spent=Spending(month="2026-11", credits=1.5),
    recent=("failed 50 2026-11-20T12:00:00Z",) * 20,
    tally="499123 60x22,12.1 1440x89,700.3",
    incidents=("2026-11-20T12:00:00Z 2026-11-20T13:00:00Z 2",) * 8,
    alert=AlertState(
        failing_since=NOON,
        notified=True,
        notified_channels=("feishu",),
        failure_fingerprints="timeout",
        held_until=LATER,
        first_notified_at=NOON,
        reminded_at=LATER,
        acknowledged_by="alice",
        outcome_history=".!",
        flapping=("default", "feishu"),
        late_notified=True,
        missing_success_notified=True,
        awaiting_since=NOON,
        pending=(
            Notification(
                id="full@2026-11-20T12:00:00Z#failure",
                kind="failure",
                task_id="full",
                title="Tout",
                type="http",
                schedule="every 15m",
                timezone="Europe/Riga",
                occurrence=NOON,
                at=LATER,
                summary="No answer",
                channels=("feishu", "slack"),
                since=NOON,
                failures=4,
                attempt=2,
                duration_ms=17,
                next_run_at=LATER,
                items=({"title": "One", "url": "https://example.com/"}, {}),
                unconfirmed={"slack": 1},
                lacking={"email": ("0a1b2c3d",)},
            ),
        ),
        delivery_attempts=1,
        retry_at=LATER,
    ),
    heartbeat=HeartbeatState(
        last_at=NOON,
        open_runs=(OpenRun(started_at=NOON), OpenRun(run_id="__a.b__", started_at=LATER)),
        output="begins\nhalf-way",
        address=2,
    ),
)


def spoiled(**changes: Any) -> dict[str, Any]:
    """The document of a good task, with *changes* (API names); None takes a field away."""
    document = json.loads(
        FULL.model_copy(update={"params": {}, "memory": {}}).model_dump_json(by_alias=True)
    ) | {"id": "spoiled"}
    return {name: value for name, value in (document | changes).items() if value is not None}


SPOILED = [
    pytest.param(spoiled(title=None), "title", id="a field is missing"),
    pytest.param(spoiled(type={"name": CANARY}), "type", id="a field is of the wrong kind"),
    pytest.param(spoiled(status=CANARY), "status", id="a word nobody knows"),
    pytest.param(spoiled(nextOccurrence=CANARY), "nextOccurrence", id="a date that is none"),
    pytest.param(spoiled(startAt="9999-12-31T23:00:00Z"), "startAt", id="an instant out of range"),
    pytest.param(
        spoiled(retry={"maxAttempts": 0}), "retry.maxAttempts", id="a nested field is out of bounds"
    ),
    pytest.param(spoiled(tags=["fine", {"a": CANARY}]), "tags[1]", id="an element is of the wrong kind"),
    pytest.param({}, "required", id="nothing at all"),
    pytest.param(b'{"title": "' + CANARY.encode(), "", id="bytes"),
    pytest.param(b"\xff\xfe" + CANARY.encode(), "", id="bytes that are no text"),
]


def as_json(task: Task) -> str:
    """All of *task*, comparable to the type of each number; the order of a mapping does not matter."""
    return json.dumps(json.loads(task.model_dump_json()), sort_keys=True)


async def test_every_field_of_a_task_comes_back(store: Store) -> None:
    for name, field in Task.model_fields.items():
        default = field.get_default(call_default_factory=True)
        assert default is PydanticUndefined or default != getattr(FULL, name), (
            f"{name}: give FULL another value"
        )

    await create(store, FULL)

    assert FULL == (await read(store, "full")).task
    assert as_json(FULL) == as_json((await read(store, "full")).task)  # here 1 is not 1.0


async def test_every_field_of_a_task_can_be_changed(store: Store, make_task: MakeTask) -> None:
    [stored] = await create(store, make_task("full"))
    changes = {name: getattr(FULL, name) for name in Task.model_fields}

    await store.write([changing(stored, **changes)])

    assert as_json(FULL) == as_json((await read(store, "full")).task)


async def test_a_task_of_defaults_comes_back(store: Store, make_task: MakeTask) -> None:
    [stored] = await create(store, make_task("plain"))

    assert as_json(stored.task) == as_json((await read(store, "plain")).task)


async def test_big_notes_are_kept(store: Store, make_task: MakeTask) -> None:
    memory = {"seen": [f"https://example.com/articles/{number:07}" for number in range(5000)]}

    await create(store, make_task("feed", memory=memory))

    assert memory == (await read(store, "feed")).task.memory


async def test_a_field_of_a_newer_version_is_no_fault(store: Store, place: Place) -> None:
    await place.plant("spoiled", spoiled(fieldOfTomorrow={"a": 1}), at=NOON)

    found = await store.fetch_due(NOON, limit=10)

    assert (["spoiled"], ()) == (ids(found), found.invalid)


@pytest.mark.parametrize(("raw", "field"), SPOILED)
async def test_an_unreadable_document_is_reported_by_field_and_without_values(
    store: Store, place: Place, make_task: MakeTask, raw: dict[str, Any] | bytes, field: str
) -> None:
    await create(store, make_task("before", next_run_at=NOON - timedelta(seconds=2)), make_task("zafter"))
    await place.plant("spoiled", raw, at=NOON - timedelta(seconds=1))

    found = await store.fetch_due(NOON, limit=10)

    assert (["before", "zafter"], ["spoiled"]) == (ids(found), broken_ids(found))
    assert field in found.invalid[0].reason
    assert CANARY not in found.invalid[0].reason
    assert "\n" not in found.invalid[0].reason


@pytest.mark.parametrize(
    "ask",
    [
        lambda store: store.get_tasks(["good", "spoiled"]),
        lambda store: store.list_tasks(TaskFilter()),
        lambda store: store.fetch_due(NOON, limit=5),
    ],
    ids=["read", "page", "due"],
)
async def test_an_unreadable_document_is_reported_wherever_it_is_met(
    store: Store, place: Place, make_task: MakeTask, ask: Callable[[Store], Any]
) -> None:
    await create(store, make_task("good"))
    await place.plant("spoiled", spoiled(title=None), at=NOON)

    found: QueryResult = await ask(store)

    assert (["good"], ["spoiled"]) == (ids(found), broken_ids(found))


async def test_an_unreadable_document_is_removed_at_the_revision_that_was_read(
    store: Store, place: Place, make_task: MakeTask
) -> None:
    await create(store, make_task("good"))
    await place.plant("spoiled", spoiled(title=None), at=NOON)
    [invalid] = (await store.get_tasks(["spoiled"])).invalid

    refused = await store.write([ConditionalWrite.for_removal(replace(invalid, revision=None))])
    removed = await store.write([ConditionalWrite.for_removal(invalid)])

    assert [WriteStatus.CONFLICT, WriteStatus.APPLIED] == [one.status for one in (*refused, *removed)]
    found = await store.list_tasks(TaskFilter())
    assert (["good"], []) == (ids(found), broken_ids(found))


async def test_a_document_whose_own_id_differs_is_known_by_the_name_it_is_kept_under(
    store: Store, place: Place
) -> None:
    """Known by the other one, it would be due for ever: each write would miss it, or hit a stranger."""
    await place.plant("kept-as", spoiled(id="calls-itself"), at=NOON)

    found = await store.fetch_due(NOON, limit=10)

    assert ["kept-as"] == [*ids(found), *broken_ids(found)]


async def test_an_unreadable_document_counts_towards_the_limit(
    store: Store, place: Place, make_task: MakeTask
) -> None:
    await create(store, *(make_task(f"t{n}", next_run_at=NOON) for n in range(5)))
    await place.plant("spoiled", {}, at=NOON - timedelta(hours=1))

    found = await store.fetch_due(NOON, limit=4)

    assert (3, ["spoiled"]) == (len(found.tasks), broken_ids(found))


async def test_unreadable_documents_do_not_hide_the_tasks_behind_them(
    store: Store, place: Place, make_task: MakeTask
) -> None:
    """They are due for ever; were they all that a full query shows, nothing else would ever run."""
    for number in range(6):
        await place.plant(f"spoiled-{number}", {}, at=NOON - timedelta(hours=1))
    await create(store, *(make_task(f"t{n}", next_run_at=NOON + n * timedelta(seconds=1)) for n in range(3)))

    found = await store.fetch_due(NOON + timedelta(hours=1), limit=4)

    assert ["t0", "t1"] == ids(found)[:2]
    assert 4 >= len(found.tasks) + len(found.invalid)


async def test_a_page_that_is_cut_counts_the_unreadable(
    store: Store, place: Place, make_task: MakeTask
) -> None:
    await create(store, make_task("a"), make_task("c"), make_task("d"))
    await place.plant("b", {}, at=NOON)

    first = await store.list_tasks(TaskFilter(), limit=2)
    second = await store.list_tasks(TaskFilter(), after="b", limit=2)

    assert (["a"], ["b"]) == (ids(first), broken_ids(first))
    assert (["c", "d"], []) == (ids(second), broken_ids(second))


async def test_an_unreadable_document_is_not_overwritten_by_a_creation(
    store: Store, place: Place, make_task: MakeTask
) -> None:
    await place.plant("spoiled", {}, at=NOON)

    [written] = await store.write([ConditionalWrite(make_task("spoiled"), None)])

    assert WriteStatus.CONFLICT is written.status
    assert ["spoiled"] == broken_ids(await store.get_tasks(["spoiled"]))


async def test_an_unreadable_document_is_counted_as_due(store: Store, place: Place) -> None:
    await place.plant("spoiled", spoiled(title=None), at=NOON)

    assert 1 == (await store.stats(NOON)).due


@pytest.mark.parametrize("levels", [16, 17, 20, MAX_DEPTH, 240])
async def test_a_value_comes_back_however_deep(store: Store, make_task: MakeTask, levels: int) -> None:
    """What was stored before there was a limit of depth is still read and listed."""
    deep: Any = "x"
    for level in range(levels - 1):
        deep = {"a": deep} if level % 2 else [deep]
    task = make_task(params={"v": deep}, memory={"v": deep})

    await create(store, task)

    assert task == (await read(store, task.id)).task
    listed = await store.list_tasks(TaskFilter())
    assert ([task], ()) == ([stored.task for stored in listed.tasks], listed.invalid)
