"""Ledger entries as documents: small enough, readable by older versions, found by what stands beside them."""

from datetime import timedelta
from typing import Any

from google.cloud.firestore_v1.types import Write

from functions.domain.run import Run
from functions.domain.storage import RUN_RETENTION, RunBatch
from functions.domain.types import OutcomeKind
from functions.stores.codec import merge_newest_first
from functions.stores.firestore.codec import decode_value, encode_value
from functions.stores.firestore.runs_and_documents import (
    decode_documents,
    decode_runs,
    encode_run_batch,
    get_timestamp,
)
from tests.conftest import NOON


def make_run(task_id: str = "water-plants", **changes: Any) -> Run:
    defaults: dict[str, Any] = {
        "task_id": task_id,
        "occurrence": NOON,
        "attempt": 1,
        "token": "t.0",
        "outcome": OutcomeKind.SUCCEEDED,
        "started_at": NOON,
        "finished_at": NOON,
    }
    return Run(**(defaults | changes))


def test_records_come_back_in_order() -> None:
    runs = (make_run("b", metrics={"ms": 1.5}, items=({"title": "花"},), has_news=True), make_run("a"))

    assert list(runs) == decode_runs(entry_of(*runs))


def test_what_queries_need_stands_beside_the_records() -> None:
    late = NOON + timedelta(seconds=9)

    document = entry_of(make_run("b", finished_at=late), make_run("a"), make_run("b"))

    beside = {name: decode_value(value) for name, value in document.fields.items() if name != "runs"}
    assert {
        "at": NOON,
        "tickId": "2026.tick",
        "taskIds": ["a", "b"],
        "earliestAt": NOON,
        "latestAt": late,
        "expireAt": NOON + RUN_RETENTION,
    } == beside


def test_an_entry_too_large_for_firestore_loses_the_largest_records_details_alone() -> None:
    """The rest of the flush is worth more than one task's long list of items."""
    small = make_run("small", metrics={"ms": 1})
    large = make_run("large", summary="Found much", items=({"title": "x" * 600_000},))
    larger = make_run("larger", summary="Found more", items=({"title": "花" * 300_000},))

    document = entry_of(small, larger, large)

    kept_small, kept_larger, kept_large = decode_runs(document)
    assert small == kept_small
    assert large == kept_large
    assert ((), "Found more", "larger") == (kept_larger.items, kept_larger.summary, kept_larger.task_id)
    assert {"note": "Metrics and items were too large to keep"} == kept_larger.metrics
    assert document.ByteSize() < 1_000_000


def test_a_hundred_records_too_large_each_still_make_an_entry() -> None:
    runs = [make_run(f"t{number}", items=({"title": "x" * 100_000},)) for number in range(100)]

    document = entry_of(*runs)

    assert 100 == len(decode_runs(document))
    assert document.ByteSize() < 1_000_000


def test_a_record_that_is_no_json_is_kept_without_its_details() -> None:
    """An outcome's metrics come from a task type; its record must not be lost for them."""
    odd = make_run("odd", summary="half \ud800", metrics={"what": object()})

    [kept] = decode_runs(entry_of(odd))

    assert ("odd", "half ?", OutcomeKind.SUCCEEDED) == (kept.task_id, kept.summary, kept.outcome)


def test_a_record_of_a_newer_version_is_read_without_what_is_new() -> None:
    """Else an older tick would take a finished attempt for an abandoned one and repeat it."""
    document = entry_of(make_run("a"), make_run("b"))
    text = document.fields["runs"].array_value.values[0].string_value
    document.fields["runs"].array_value.values[0].string_value = text[:-1] + ',"inventedLater":1}'

    assert [make_run("a"), make_run("b")] == decode_runs(document)


def test_a_record_spoilt_by_hand_does_not_hide_the_others() -> None:
    document = entry_of(make_run("a"), make_run("b"), make_run("c"))
    values = document.fields["runs"].array_value.values
    values[0].string_value = "{"
    values[1].string_value = '{"items": ' + "[" * 90_000

    assert [make_run("c")] == decode_runs(document)


def test_a_record_kept_twice_is_listed_once() -> None:
    late = make_run(attempt=2, finished_at=NOON + timedelta(seconds=1))

    assert [late, make_run()] == merge_newest_first([make_run(), late, make_run()])


def test_a_document_that_is_no_entry_has_no_runs_and_no_moments() -> None:
    document = Write.pb()().update

    assert [] == decode_runs(document)
    assert get_timestamp(document, "at") is None


def test_an_entry_without_a_moment_where_one_belongs_has_none() -> None:
    document = Write.pb()().update
    document.fields["at"].geo_point_value.latitude = 56.9

    assert get_timestamp(document, "at") is None


def test_a_document_spoilt_by_hand_is_there_without_data() -> None:
    """An account that was left out would be one without limits, and its row could not be written again."""
    alice, bob, carol = (Write.pb()().update for _ in range(3))
    encode_value(alice.fields["data"], {"monthlyCredits": 5, "since": NOON})
    encode_value(bob.fields["data"], ["monthlyCredits"])
    for number, document in enumerate((alice, bob, carol)):
        document.name, document.update_time.nanos = f"projects/p/x/owners/{number}", 7

    found = decode_documents("owners", [alice, bob, carol])

    assert [("0", True), ("1", False), ("2", False)] == [(one.id, one.is_readable) for one in found]
    assert [{"monthlyCredits": 5, "since": "2026-11-20T12:00:00Z"}, {}, {}] == [one.data for one in found]
    assert {7} == {one.revision for one in found}


def entry_of(*runs: Run) -> Any:
    slot = Write.pb()()
    encode_run_batch(slot, RunBatch("2026.tick.3", NOON, runs), name="projects/p/x/runs/2026.tick.3")
    return slot.update
