"""The tasks table: its queries and its conditional writes."""

import json
import secrets
import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from functions.domain.storage import (
    ConditionalWrite,
    DuePosition,
    InvalidDocument,
    QueryResult,
    StoreStats,
    TaskFilter,
    VersionedTask,
    WriteResult,
    WriteStatus,
)
from functions.domain.task import Task
from functions.stores.codec import decode_task, encode_model, from_microseconds, to_microseconds
from functions.stores.sqlite.schema import MAX_INVALID_SKIPPED, REVISION_BITS

SELECT_DUE = """
    SELECT id, rev, doc FROM tasks
    WHERE next_run_at BETWEEN :from AND :until AND (next_run_at > :from OR id > :after)
    ORDER BY next_run_at, id LIMIT :limit
"""
# A document does not hold fields at their default. A document that is not JSON has no shard.
SELECT_DUE_IN_SHARDS = """
    SELECT id, rev, doc FROM tasks
    WHERE next_run_at BETWEEN :from AND :until AND (next_run_at > :from OR id > :after)
      AND CASE WHEN json_valid(doc) THEN coalesce(json_extract(doc, '$.shard'), 0) END
        BETWEEN :first_shard AND :last_shard
    ORDER BY next_run_at, id LIMIT :limit
"""
SELECT_TASKS = """
    SELECT id, rev, doc FROM tasks WHERE id IN (SELECT value FROM json_each(?))
"""
MATCHING_TASKS = """
    FROM tasks
    WHERE id > :after
      AND (:status IS NULL OR status = :status)
      AND (:type IS NULL OR type = :type)
      AND (:owner IS NULL OR owner = :owner)
      AND (:origin IS NULL OR origin = :origin)
      AND (:tag IS NULL OR EXISTS (SELECT 1 FROM json_each(tags) WHERE value = :tag))
      AND (:ids IS NULL OR id IN (SELECT value FROM json_each(:ids)))
      AND (:outcomes IS NULL OR CASE WHEN json_valid(doc) THEN json_extract(doc, '$.lastOutcome') END
        IN (SELECT value FROM json_each(:outcomes)))
"""
SELECT_TASK_PAGE = f"SELECT id, rev, doc {MATCHING_TASKS} ORDER BY id LIMIT :limit"
COUNT_TASKS = f"SELECT count(*) {MATCHING_TASKS}"
COUNT_SCHEDULED = """
    SELECT count(*) FROM tasks
    WHERE next_run_at IS NOT NULL AND status IN ('scheduled', 'running', 'retrying')
"""
COUNT_DUE = "SELECT count(*) FROM tasks WHERE next_run_at <= ?"
SELECT_LAST_BATCH_AT = "SELECT max(at) FROM run_batches"
INSERT_TASK = """
    INSERT INTO tasks (rev, next_run_at, status, type, owner, origin, tags, doc, id)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING
"""
# Documents are replaced whole, many in one statement; see `encode_writes` for the rows. Fields that only a
# newer version knows are kept. A document that SQLite cannot parse (it may hold a NaN, which Python reads)
# has to be left out of the merge, or the statement fails.
UPDATE_TASKS = """
    UPDATE tasks
    SET rev = :first + changed.position, next_run_at = changed.next_run_at, status = changed.status,
        type = changed.type, owner = changed.owner, origin = changed.origin, tags = changed.tags,
        doc = CASE WHEN json_valid(tasks.doc)
            THEN json_patch(changed.doc, json_patch(tasks.doc, :known_fields)) ELSE changed.doc END
    FROM (
        SELECT json_extract(value, '$[0]') AS position, json_extract(value, '$[1]') AS expected,
            json_extract(value, '$[2]') AS next_run_at, json_extract(value, '$[3]') AS status,
            json_extract(value, '$[4]') AS type, json_extract(value, '$[5]') AS owner,
            json_extract(value, '$[6]') AS origin, json_extract(value, '$[7]') AS tags,
            json_extract(value, '$[8]') AS doc, json_extract(value, '$[9]') AS id
        FROM json_each(:rows)
    ) AS changed
    WHERE tasks.id = changed.id AND tasks.rev = changed.expected
"""
FIRST_DUE = -(2**63)  # the least that the column holds
KNOWN_FIELDS = json.dumps({field.alias or name: None for name, field in Task.model_fields.items()})
SELECT_REVISIONS = "SELECT id, rev FROM tasks WHERE id IN (SELECT value FROM json_each(?))"
DELETE_TASK = "DELETE FROM tasks WHERE id = ? AND rev = ?"


def fetch_due(
    connection: sqlite3.Connection,
    now: datetime,
    limit: int,
    after: DuePosition | None,
    shards: tuple[int, int] | None,
) -> QueryResult:
    """Tasks to look at by *now*, earliest first; those behind *after*, of *shards* (first and last) alone.

    Unreadable documents stay due for ever. At most half of *limit* is theirs, so that they never hide
    the readable ones behind them; up to `MAX_INVALID_SKIPPED` are passed over on the way.
    """
    if limit <= 0:
        return QueryResult(())
    tasks: list[VersionedTask] = []
    broken: list[InvalidDocument] = []
    first_shard, last_shard = shards or (0, 0)
    values = {
        "from": FIRST_DUE if after is None else to_microseconds(after.at),
        "after": "" if after is None else after.id,
        "until": to_microseconds(now),
        "first_shard": first_shard,
        "last_shard": last_shard,
        "limit": limit + MAX_INVALID_SKIPPED,
    }
    with closing(connection.execute(SELECT_DUE if shards is None else SELECT_DUE_IN_SHARDS, values)) as rows:
        for row in rows:
            match decode_task(*row):
                case VersionedTask() as stored:
                    tasks.append(stored)
                case InvalidDocument() as one:
                    broken.append(one)
            if len(tasks) + min(len(broken), limit // 2) >= limit:
                break
    return QueryResult(tuple(tasks), tuple(broken[: limit - len(tasks)]))


def get_tasks(connection: sqlite3.Connection, ids: Sequence[str]) -> QueryResult:
    """The tasks with these ids."""
    return _to_query_result(connection.execute(SELECT_TASKS, (json.dumps(list(ids)),)))


def list_tasks(connection: sqlite3.Connection, which: TaskFilter, after: str, limit: int) -> QueryResult:
    """Tasks that match *which*, by id, those behind *after*. Unreadable ones match by what they were last."""
    values = _filter_values(which) | {"after": after, "limit": max(0, limit)}
    return _to_query_result(connection.execute(SELECT_TASK_PAGE, values))


def count_tasks(connection: sqlite3.Connection, which: TaskFilter) -> int:
    """How many tasks match *which*."""
    [number] = connection.execute(COUNT_TASKS, _filter_values(which) | {"after": ""}).fetchone()
    return int(number)


def _filter_values(which: TaskFilter) -> dict[str, Any]:
    return {
        "status": which.status or None,
        "type": which.type or None,
        "owner": which.owner or None,
        "origin": which.origin or None,
        "tag": which.tag or None,
        "ids": json.dumps(sorted(which.ids)) if which.ids else None,
        "outcomes": json.dumps(sorted(which.outcomes)) if which.outcomes else None,
    }


def read_stats(connection: sqlite3.Connection, now: datetime) -> StoreStats:
    """The figures of the status page."""
    [scheduled] = connection.execute(COUNT_SCHEDULED).fetchone()
    [late] = connection.execute(COUNT_DUE, (to_microseconds(now),)).fetchone()
    [last] = connection.execute(SELECT_LAST_BATCH_AT).fetchone()
    return StoreStats(scheduled, late, from_microseconds(last))


@dataclass(frozen=True, slots=True)
class EncodedWrites:
    """Conditional writes as SQL takes them.

    Attributes:
        updates: The writes that replace a document, as one JSON array for `UPDATE_TASKS`.
        update_positions: The position of each update among all writes, by the task's id.
        inserts: The columns of the writes that create a task, by their position.
    """

    updates: str
    update_positions: Mapping[bytes, int]
    inserts: Mapping[int, tuple[Any, ...]]


def encode_writes(writes: Sequence[ConditionalWrite]) -> EncodedWrites:
    """Encode *writes* before the lock is taken.

    One row of the updates: `[0, "41", 1763640000000000, "running", "http", "", "", "[]", "{...}", "ping"]`,
    which is the position, the expected revision and the columns as in `INSERT_TASK`.

    Raises:
        StoreError: A task cannot be written as JSON.
    """
    changed = {
        position: write
        for position, write in enumerate(writes)
        if write.revision is not None and not write.delete
    }
    # The revision as text: SQLite compares it by its value, so that one of another type is a conflict.
    rows = [
        (position, str(write.revision), *_column_values(write.task)) for position, write in changed.items()
    ]
    inserts = {
        position: _column_values(write.task)
        for position, write in enumerate(writes)
        if write.revision is None and not write.delete
    }
    positions = {write.task.id.encode(): position for position, write in changed.items()}
    return EncodedWrites(json.dumps(rows), positions, inserts)


def apply_writes(
    connection: sqlite3.Connection, writes: Sequence[ConditionalWrite], encoded: EncodedWrites
) -> list[WriteResult]:
    """Apply each write whose precondition holds. To be called in a transaction."""
    first = secrets.randbits(REVISION_BITS)
    results = [WriteResult(WriteStatus.CONFLICT)] * len(writes)
    for position in _apply_updates(connection, encoded, first):
        results[position] = WriteResult(WriteStatus.APPLIED, first + position)
    for position, row in encoded.inserts.items():
        if connection.execute(INSERT_TASK, (first + position, *row)).rowcount == 1:
            results[position] = WriteResult(WriteStatus.APPLIED, first + position)
    for position, write in enumerate(writes):
        if write.delete and _delete_task(connection, write):
            results[position] = WriteResult(WriteStatus.APPLIED)
    return results


def _apply_updates(
    connection: sqlite3.Connection, encoded: EncodedWrites, first_revision: int
) -> Collection[int]:
    """Replace documents; return the positions of the writes whose precondition held.

    Usually all hold: then no row is fetched. The interpreter lock is released for each row that SQLite
    returns, and a busy event loop gives it back late.
    """
    if not encoded.update_positions:
        return ()
    parameters = {"first": first_revision, "rows": encoded.updates, "known_fields": KNOWN_FIELDS}
    if connection.execute(UPDATE_TASKS, parameters).rowcount == len(encoded.update_positions):
        return encoded.update_positions.values()
    ids = json.dumps([task_id.decode() for task_id in encoded.update_positions])
    stored = connection.execute(SELECT_REVISIONS, (ids,)).fetchall()
    return [
        encoded.update_positions[task_id]
        for task_id, revision in stored
        if revision == first_revision + encoded.update_positions[task_id]
    ]


def _delete_task(connection: sqlite3.Connection, write: ConditionalWrite) -> bool:
    return connection.execute(DELETE_TASK, (write.task.id, str(write.revision))).rowcount == 1


def _column_values(task: Task) -> tuple[Any, ...]:
    return (
        None if task.next_run_at is None else to_microseconds(task.next_run_at),
        task.status,
        task.type,
        task.owner,
        task.origin,
        json.dumps(task.tags) if task.tags else "[]",
        encode_model(task),
        task.id,
    )


def _to_query_result(rows: Iterable[tuple[bytes, int, bytes]]) -> QueryResult:
    """*rows* as tasks and, apart from them, what is none."""
    read = [decode_task(*row) for row in rows]
    return QueryResult(
        tuple(one for one in read if isinstance(one, VersionedTask)),
        tuple(one for one in read if isinstance(one, InvalidDocument)),
    )
