"""A task's document: what people see in the console, what a partial write says, what is broken."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from google.cloud.firestore_v1.types import Document, Write

from functions.domain.alerts.model import AlertState, Notification
from functions.domain.costs.task_budget import CreditLimit, Spending
from functions.domain.events import After, Dependent, Event, OnEvent, Outbox
from functions.domain.heartbeat.model import HeartbeatState
from functions.domain.storage import ConditionalWrite, InvalidDocument, VersionedTask
from functions.domain.task import (
    Claim,
    Group,
    NotifyRule,
    Pause,
    QueuedRun,
    Retry,
    SkippedRange,
    Task,
    TaskCalendar,
)
from functions.domain.types import OutcomeKind, Status, Trigger
from functions.stores.firestore.codec import encode_value, encode_write, id_of, revision_of, to_query_result
from tests.conftest import NOON

NAME = "projects/p/databases/(default)/documents/tasks/water-plants"


def test_every_field_of_a_task_comes_back(make_task: Callable[..., Task]) -> None:
    task = full(make_task)
    at_default = {name for name in Task.model_fields if getattr(task, name) == default(name)}
    assert set() == at_default, "give each another value in `full`, below"

    [stored] = to_query_result([document_of(ConditionalWrite(task, None))]).tasks

    assert task == stored.task


def test_what_has_its_default_is_left_out_save_what_queries_ask_for(make_task: Callable[..., Task]) -> None:
    task = make_task(next_run_at=None, next_occurrence=None, shard=0)

    kept = document_of(ConditionalWrite(task, None)).fields

    expected = {"id", "title", "type", "params", "schedule", "createdAt", "updatedAt"}
    assert expected | {"nextRunAt", "status", "shard"} == set(kept)
    assert "null_value" == kept["nextRunAt"].WhichOneof("value_type")


def test_instants_are_timestamps_wherever_they_are(make_task: Callable[..., Task]) -> None:
    claim = Claim(token="t.1", until=NOON, started_at=NOON)

    kept = document_of(ConditionalWrite(make_task(claim=claim), None)).fields

    assert "timestamp_value" == kept["nextRunAt"].WhichOneof("value_type")
    assert "timestamp_value" == kept["claim"].map_value.fields["startedAt"].WhichOneof("value_type")


def test_instants_in_what_a_type_has_are_text_as_in_every_other_store(
    make_task: Callable[..., Task],
) -> None:
    given = {"params": {"since": NOON}, "memory": {"seen": [{"at": NOON}]}}

    [stored] = to_query_result([document_of(ConditionalWrite(make_task(**given), None))]).tasks

    text = "2026-11-20T12:00:00Z"
    assert ({"since": text}, {"seen": [{"at": text}]}) == (stored.task.params, stored.task.memory)


@pytest.mark.parametrize("due", ["2026-11-20T12:00:00Z", 1_795_000_000, 5.5, ...])
def test_a_task_that_no_query_would_find_is_told(make_task: Callable[..., Task], due: Any) -> None:
    """It would look like any other that waits, and never run."""
    document = document_of(ConditionalWrite(make_task(), None))
    del document.fields["nextRunAt"]
    if due is not ...:
        encode_value(document.fields["nextRunAt"], due)

    [broken] = to_query_result([document]).invalid

    assert broken.reason.startswith("nextRunAt: must be a timestamp")


def test_a_field_back_at_its_default_is_in_the_mask_and_not_in_the_document(
    make_task: Callable[..., Task],
) -> None:
    """That is how Firestore is told to delete it."""
    claim = Claim(token="t", until=NOON, started_at=NOON)
    before = VersionedTask(make_task(claim=claim, attempt=2, status=Status.RUNNING), 7)

    write = written(
        ConditionalWrite.for_changes(before, {"claim": None, "attempt": 0, "status": Status.SCHEDULED})
    )

    assert {"claim", "attempt", "status"} == set(write.update_mask.field_paths)
    assert {"status"} == set(write.update.fields)


def test_a_field_that_stays_as_it_was_is_not_in_the_mask(make_task: Callable[..., Task]) -> None:
    """A document is not sent again for what is the same in it."""
    before = VersionedTask(make_task(attempt=2), 7)

    write = written(ConditionalWrite.for_changes(before, {"attempt": 3, "status": before.task.status}))

    assert {"attempt"} == set(write.update_mask.field_paths)


def test_the_last_outcomes_as_the_version_before_had_them_go_with_the_next_write(
    make_task: Callable[..., Task],
) -> None:
    """Twenty values that each read would decode for nothing."""
    write = written(ConditionalWrite.for_changes(VersionedTask(make_task(), 7), {"recent": "failed 12 x"}))

    assert {"recentOutcomes", "recent"} == set(write.update_mask.field_paths)
    assert {"recentOutcomes"} == set(write.update.fields)


def test_a_write_of_no_field_does_not_replace_the_document(make_task: Callable[..., Task]) -> None:
    write = written(ConditionalWrite.for_changes(VersionedTask(make_task(), 7), {}))

    assert write.HasField("update_mask")
    assert [] == list(write.update_mask.field_paths)


def test_a_document_that_is_created_gets_every_field(make_task: Callable[..., Task]) -> None:
    write = written(ConditionalWrite(make_task(), None, fields=frozenset({"status"})))

    assert not write.HasField("update_mask")
    assert "Water plants" == write.update.fields["title"].string_value
    assert write.current_document.HasField("exists")
    assert write.current_document.exists is False


def test_the_guard_is_the_revision_to_the_nanosecond(make_task: Callable[..., Task]) -> None:
    revision = 1_795_176_000_123_456_789

    write = written(ConditionalWrite(make_task(), revision, delete=True))

    assert revision == revision_of(write.current_document.update_time)
    assert NAME == write.delete


def test_the_name_is_the_id_whatever_the_field_says(make_task: Callable[..., Task]) -> None:
    document = document_of(ConditionalWrite(make_task("water-plants"), None))
    encode_value(document.fields["id"], "somebody-else")

    [stored] = to_query_result([document]).tasks

    assert "water-plants" == stored.task.id == id_of(document)


def test_a_field_of_a_newer_version_is_passed_over(make_task: Callable[..., Task]) -> None:
    document = document_of(ConditionalWrite(make_task(), None))
    encode_value(document.fields["inventedLater"], 1)

    assert 1 == len(to_query_result([document]).tasks)


def test_a_broken_document_names_field_and_fault_and_spares_the_others(
    make_task: Callable[..., Task],
) -> None:
    bad_type, bad_kind, bad_json = (document_of(ConditionalWrite(make_task(), None)) for _ in range(3))
    encode_value(bad_type.fields["maxRuns"], "hunter2")
    bad_kind.fields["params"].bytes_value = b"hunter2"
    encode_value(bad_json.fields["memory"], {"x": 1})
    bad_json.fields["memory"].map_value.fields.clear()
    bad_json.fields["memory"].map_value.fields["$json"].string_value = "hunter2"
    good = document_of(ConditionalWrite(make_task(), None))

    answer = to_query_result([bad_type, good, bad_kind, bad_json])

    assert 1 == len(answer.tasks)
    assert (
        InvalidDocument("water-plants", "maxRuns: must be a whole number", 0),
        InvalidDocument("water-plants", "params: a value of the kind bytes_value cannot be read", 0),
        InvalidDocument("water-plants", "memory: its JSON text cannot be read", 0),
    ) == answer.invalid


def test_an_empty_document_is_broken_with_the_number_of_its_faults() -> None:
    document = Document.pb()(name=NAME)

    [broken] = to_query_result([document]).invalid

    assert "title: is required (and 3 more)" == broken.reason


def full(make_task: Callable[..., Task]) -> Task:
    """A task with no field at its default."""
    notice = Notification(
        id="water-plants@2026-11-20T12:00:00Z#failure",
        kind="failure",
        task_id="water-plants",
        title="Water plants",
        type="http",
        schedule="@daily",
        timezone="UTC",
        occurrence=NOON,
        at=NOON,
        summary="Dry",
        items=({"title": "Fern", "text": "干"},),
    )
    later = NOON + timedelta(minutes=5, microseconds=1)
    dry = Event(id="7", type="dry", source="sensor", time=NOON, data={"percent": 3.0}, to="rest", hops=2)
    return make_task(
        description="Двор",
        owner="alice",
        tags=("garden", "花"),
        params={"none": None, "one": 1, "float": 1.0, "empty": {}, "nothing": [], "rows": [[1], [[2]]]},
        timezone="Europe/Riga",
        excluded=("weekends", "calendar:company"),
        on_excluded="next",
        calendars=(TaskCalendar(name="company", revision="1", entries=("12-24",)),),
        start_at=NOON,
        end_at=later,
        max_runs=3,
        jitter_seconds=4,
        misfire={"policy": "skip", "grace_seconds": 7},
        overlap="queue_one",
        priority="high",
        timeout_seconds=30,
        retry=Retry(max_attempts=5),
        delivery="at_most_once",
        group=Group(name="shop-api", max_concurrent=2, per_minute=30),
        pause_after_failures=9,
        heartbeat=HeartbeatState(last_at=NOON, output="begins", address=2),
        budget=CreditLimit(credits_per_month=9),
        expect_seconds=7200,
        notify=(NotifyRule(on=("news",), channels=("feishu",)),),
        after=(After(task="rain"),),
        on_event=(OnEvent(type="dry"),),
        event=dry,
        dependents=(Dependent(task="rest", on="failure"),),
        seen_event_ids=("sensor 7",),
        outbox=Outbox(events=(dry,), retry_at=later),
        enabled=False,
        origin="file",
        applied_spec_hash="0123456789ab",
        shard=13,
        status=Status.RETRYING,
        pause=Pause(note="Winter", until=later, by="alice", at=NOON),
        next_run_at=later,
        occurrence=NOON,
        trigger=Trigger.MANUAL,
        attempt=2,
        retry_at=later,
        claim=Claim(token="t.0", until=later, started_at=NOON),
        cancel_requested=True,
        expired_claims=1,
        interruptions=2,
        backlog=(QueuedRun(at=NOON, trigger=Trigger.BACKFILL),),
        missed=SkippedRange(count=2, first=NOON, last=later),
        last_run_at=NOON,
        last_outcome=OutcomeKind.TIMED_OUT,
        last_result_summary="Wet",
        last_error="Dry",
        last_duration_ms=12,
        consecutive_failures=2,
        run_count=40,
        memory={"seen": ["a", "b"], "big": 2**70},
        credits_spent=Spending(month="2026-11", credits=1.5),
        recent=("failed 12 2026-11-20T12:00:00Z",),
        tally="499123 12.1 12.1",
        incidents=("2026-11-20T12:00:00Z 2026-11-20T13:00:00Z 2",),
        alert=AlertState(
            failing_since=NOON, notified=True, pending=(notice,), delivery_attempts=1, retry_at=later
        ),
    )


def default(name: str) -> Any:
    return Task.model_fields[name].get_default(call_default_factory=True)


def written(write: ConditionalWrite) -> Any:
    slot = Write.pb()()
    encode_write(slot, write, name=NAME)
    return slot


def document_of(write: ConditionalWrite) -> Any:
    return written(write).update
