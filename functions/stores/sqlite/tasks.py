"""The tasks table: its queries and its conditional writes."""

import json
import secrets
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import chain
from typing import Any

from functions.domain.storage import (
    ConditionalWrite,
    DuePosition,
    InvalidDocument,
    OrderedPage,
    OrderPosition,
    QueryResult,
    StoreStats,
    TaskFilter,
    TaskOrder,
    VersionedTask,
    WriteResult,
    WriteStatus,
)
from functions.domain.task import FORMER_NAMES, Task
from functions.stores.codec import (
    EPOCH,
    decode_task,
    encode_model,
    from_microseconds,
    hidden_tasks_error,
    to_microseconds,
)
from functions.stores.sqlite.schema import MAX_INVALID_SKIPPED, MAX_ROWS, REVISION_BITS

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
SELECT_BY_TITLE = """
    SELECT id, rev, doc, title FROM (
        SELECT id, rev, doc, CASE WHEN json_valid(doc) THEN json_extract(doc, '$.title') END AS title
        FROM tasks
    )
    WHERE typeof(title) = 'text' AND (title, id) > (:value, :id) ORDER BY title, id LIMIT :limit
"""
SELECT_BY_NEXT_RUN = """
    SELECT id, rev, doc, next_run_at FROM tasks
    WHERE next_run_at IS NOT NULL AND (next_run_at, id) > (:value, :id)
    ORDER BY next_run_at, id LIMIT :limit
"""
SELECT_WITHOUT_NEXT_RUN = """
    SELECT id, rev, doc, NULL FROM tasks WHERE next_run_at IS NULL AND id > :id ORDER BY id LIMIT :limit
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
# Documents are replaced whole, many in one statement, which has a row of `UPDATE_ROW` for each; see
# `encode_writes`. Fields that only a newer version knows are kept. A document that SQLite cannot parse (it
# may hold a NaN, which Python reads) has to be left out of the merge, or the statement fails.
UPDATE_TASKS = """
    UPDATE tasks
    SET rev = changed.rev, next_run_at = changed.next_run_at, status = changed.status, type = changed.type,
        owner = changed.owner, origin = changed.origin, tags = changed.tags,
        doc = CASE WHEN json_valid(tasks.doc)
            THEN json_patch(changed.doc, json_patch(tasks.doc, ?)) ELSE changed.doc END
    FROM (
        WITH given (expected, rev, next_run_at, status, type, owner, origin, tags, doc, id) AS (VALUES {rows})
        SELECT * FROM given
    ) AS changed
    WHERE tasks.id = changed.id AND tasks.rev = changed.expected
"""
UPDATE_ROW = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
Row = tuple[Any, ...]
FIRST_DUE = -(2**63)  # the least that the column holds
ALIASES = [field.alias or name for name, field in Task.model_fields.items()]
KNOWN_FIELDS = json.dumps(dict.fromkeys([*ALIASES, *FORMER_NAMES.values()]))
SELECT_REVISIONS = "SELECT id, rev FROM tasks WHERE id IN (SELECT value FROM json_each(?))"
DELETE_TASK = "DELETE FROM tasks WHERE id = ? AND rev = ?"


def fetch_due(
    connection: sqlite3.Connection,
    now: datetime,
    limit: int,
    after: DuePosition | None,
    shards: tuple[int, int] | None,
    *,
    may_be_hidden: bool = False,
) -> QueryResult:
    """Tasks to look at by *now*, earliest first; those behind *after*, of *shards* (first and last) alone.

    Unreadable documents stay due for ever. At most half of *limit* is theirs, so that they never hide
    the readable ones behind them; up to `MAX_INVALID_SKIPPED` are passed over on the way.

    Args:
        may_be_hidden: Whether it is no error that more of them hide all tasks, as for a list to look at.

    Raises:
        StoreError: They do.
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
    if not tasks and len(broken) >= limit + MAX_INVALID_SKIPPED and not may_be_hidden:
        raise hidden_tasks_error(len(broken))
    return QueryResult(tuple(tasks), tuple(broken[: limit - len(tasks)]))


def get_tasks(connection: sqlite3.Connection, ids: Sequence[str]) -> QueryResult:
    """The tasks with these ids."""
    return _to_query_result(connection.execute(SELECT_TASKS, (json.dumps(list(ids)),)))


def list_tasks(connection: sqlite3.Connection, which: TaskFilter, after: str, limit: int) -> QueryResult:
    """Tasks that match *which*, by id, those behind *after*. Unreadable ones match by what they were last."""
    if not which.has_keys:
        return QueryResult(())
    values = _filter_values(which) | {"after": after, "limit": max(0, limit)}
    return _to_query_result(connection.execute(SELECT_TASK_PAGE, values))


def list_ordered(
    connection: sqlite3.Connection, order: TaskOrder, after: OrderPosition | None, limit: int
) -> OrderedPage:
    """Tasks in *order*, those behind *after*."""
    if limit <= 0:
        return OrderedPage(())
    rows: list[tuple[bytes, int, bytes, Any]] = []
    start = after or OrderPosition("" if order == "title" else EPOCH, "")
    if start.value is not None:
        instant = isinstance(start.value, datetime)
        value = to_microseconds(start.value) if isinstance(start.value, datetime) else start.value
        query = SELECT_BY_NEXT_RUN if instant else SELECT_BY_TITLE
        rows += connection.execute(query, {"value": value, "id": start.id, "limit": limit})
    if order == "nextRunAt" and len(rows) < limit:
        behind = start.id if start.value is None else ""
        rows += connection.execute(SELECT_WITHOUT_NEXT_RUN, {"id": behind, "limit": limit - len(rows)})
    following = None
    if len(rows) == limit:
        task_id, _, _, value = rows[-1]
        text = value.decode() if isinstance(value, bytes) else value
        following = OrderPosition(text if order == "title" else from_microseconds(value), task_id.decode())
    return OrderedPage(_to_query_result(row[:3] for row in rows).tasks, following)


def count_tasks(connection: sqlite3.Connection, which: TaskFilter) -> int:
    """How many tasks match *which*."""
    if not which.has_keys:
        return 0
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
        first_revision: The new revision of a write is this plus its position among all writes.
        updates: The rows of the writes that replace a document, by position.
        inserts: The rows of the writes that create a task, by position.
    """

    first_revision: int
    updates: Mapping[int, Row]
    inserts: Mapping[int, Row]


def encode_writes(writes: Sequence[ConditionalWrite]) -> EncodedWrites:
    """Encode *writes* before the lock is taken.

    One row of the inserts: `(87, 1763640000000000, "running", "http", "", "", "[]", "{...}", "ping")`, which
    is the new revision and the columns as in `INSERT_TASK`. One of the updates has the expected revision in
    front.

    Raises:
        StoreError: A task cannot be written as JSON.
    """
    first = secrets.randbits(REVISION_BITS)
    # The revision as text: SQLite compares it by its value, so that one of another type is a conflict.
    updates = {
        position: (str(write.revision), first + position, *_column_values(write.task))
        for position, write in enumerate(writes)
        if write.revision is not None and not write.delete
    }
    inserts = {
        position: (first + position, *_column_values(write.task))
        for position, write in enumerate(writes)
        if write.revision is None and not write.delete
    }
    return EncodedWrites(first, updates, inserts)


def apply_writes(
    connection: sqlite3.Connection, writes: Sequence[ConditionalWrite], encoded: EncodedWrites
) -> list[WriteResult]:
    """Apply each write whose precondition holds. To be called in a transaction."""
    results = [WriteResult(WriteStatus.CONFLICT)] * len(writes)
    applied = _apply_updates(connection, encoded.updates)
    applied += [
        position
        for position, row in encoded.inserts.items()
        if connection.execute(INSERT_TASK, row).rowcount == 1
    ]
    for position in applied:
        results[position] = WriteResult(WriteStatus.APPLIED, encoded.first_revision + position)
    for position, write in enumerate(writes):
        if write.delete and _delete_task(connection, write):
            results[position] = WriteResult(WriteStatus.APPLIED)
    return results


def _apply_updates(connection: sqlite3.Connection, updates: Mapping[int, Row]) -> list[int]:
    """Replace documents; return the positions of the writes whose precondition held.

    Usually all hold: then no row is fetched. The interpreter lock is released for each row that SQLite
    returns, and a busy event loop gives it back late.
    """
    applied: list[int] = []
    positions = list(updates)
    for start in range(0, len(positions), MAX_ROWS):
        batch = positions[start : start + MAX_ROWS]
        values = [KNOWN_FIELDS, *chain.from_iterable(updates[position] for position in batch)]
        statement = UPDATE_TASKS.format(rows=", ".join([UPDATE_ROW] * len(batch)))
        if connection.execute(statement, values).rowcount < len(batch):
            batch = _select_updated(connection, batch, updates)
        applied += batch
    return applied


def _select_updated(
    connection: sqlite3.Connection, positions: Sequence[int], updates: Mapping[int, Row]
) -> list[int]:
    """Return those of *positions* whose tasks have the revision that the update gave them."""
    ids = json.dumps([updates[position][-1] for position in positions])
    revisions = {
        task_id.decode(): revision for task_id, revision in connection.execute(SELECT_REVISIONS, (ids,))
    }
    return [
        position for position in positions if revisions.get(updates[position][-1]) == updates[position][1]
    ]


def _delete_task(connection: sqlite3.Connection, write: ConditionalWrite) -> bool:
    return connection.execute(DELETE_TASK, (write.task.id, str(write.revision))).rowcount == 1


def _column_values(task: Task) -> Row:
    return (
        None if task.next_run_at is None else to_microseconds(task.next_run_at),
        str(task.status),
        task.type,
        task.owner,
        task.origin,
        _encode_tags(task.tags),
        encode_model(task),
        task.id,
    )


@lru_cache(maxsize=1024)  # few differ, and most tasks have none
def _encode_tags(tags: tuple[str, ...]) -> str:
    return json.dumps(tags)


def _to_query_result(rows: Iterable[tuple[bytes, int, bytes]]) -> QueryResult:
    """*rows* as tasks and, apart from them, what is none."""
    read = [decode_task(*row) for row in rows]
    return QueryResult(
        tuple(one for one in read if isinstance(one, VersionedTask)),
        tuple(one for one in read if isinstance(one, InvalidDocument)),
    )
