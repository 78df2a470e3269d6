"""What a stored task holds in memory, and how its outcomes are read."""

import tracemalloc
from datetime import UTC, datetime
from typing import Any

from pydantic_core import to_json

from functions.domain.storage import ConditionalWrite, VersionedTask
from functions.domain.task import MAX_RECENT_OUTCOMES, Task
from functions.stores.codec import decode_task
from functions.web.api.dependencies import to_task_out

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
LINES = [f"succeeded {n} 2026-11-20T12:00:00Z" for n in range(MAX_RECENT_OUTCOMES)]
DOCUMENT: dict[str, Any] = {
    "id": "a",
    "title": "A",
    "type": "http",
    "schedule": "@daily",
    "createdAt": NOON,
    "updatedAt": NOON,
}
# As many as the document of a task with a history has.
WRITTEN = dict.fromkeys(
    (
        "description",
        "owner",
        "origin",
        "tally",
        "lastError",
        "lastResultSummary",
        "appliedSpecHash",
        "recent",
    ),
    "",
) | dict.fromkeys(("runCount", "lastDurationMs", "attempt", "shard", "interruptions", "expiredClaims"), 0)
MOST = 2300  # bytes; 2,000 on 64 bits, and twice as much with the names of the fields that were given


def test_what_nobody_reads_of_a_task_is_not_held() -> None:
    row = to_json(DOCUMENT | WRITTEN)
    stored = _read(row)  # builds the validator
    tracemalloc.start()
    read = [_read(row) for _ in range(100)]
    as_read, _ = tracemalloc.get_traced_memory()
    copies = [ConditionalWrite.for_changes(stored, dict(stored.task)).task for _ in range(100)]
    with_copies, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert 100 == len(read) == len(copies)
    assert as_read / 100 < MOST
    assert (with_copies - as_read) / 100 < MOST


def _read(row: bytes) -> VersionedTask:
    task = decode_task(b"a", 1, row)
    assert isinstance(task, VersionedTask)
    return task


def test_outcomes_of_older_documents_and_of_the_api_are_lists() -> None:
    old = Task.model_validate(DOCUMENT | {"recent": LINES})
    new = Task.model_validate(DOCUMENT | {"recent": "\n".join(LINES)})
    assert (old.recent, old.recent.splitlines()) == (new.recent, LINES)
    assert "" == Task.model_validate(DOCUMENT | {"recent": []}).recent

    shown = to_task_out(VersionedTask(old, 1), now=NOON).model_dump(mode="json", by_alias=True)
    assert LINES == shown["recent"]
