"""The questions about tasks, as SQL."""

import json
import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

import orjson
from pydantic import BaseModel

from functions.domain.run import Run
from functions.domain.storage import (
    ConditionalWrite,
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

# Many rows as one text of JSON, which a single statement takes apart: SQLite works while Python goes on.

COLUMN_FIELDS = frozenset(
    {"type", "owner", "origin", "tags"}
)  # fields with a column of their own; they rarely change
_NO_DEFAULT = object()


def encode_updates(writes: Iterable[tuple[int, ConditionalWrite]]) -> str | None:
    """Each write's place, id, guard, next look, status, the fields it clears, and what it says in them.

    None when some value is none of JSON.

    Args:
        writes: Those that name the fields they change, each with its place among the writes of a call.
    """
    return _to_json([_encode_update(place, write, write.fields or frozenset()) for place, write in writes])


def encode_runs(runs: Sequence[Run], keys: Sequence[str]) -> str:
    """The key, which is given for each, the task, the end and the document of *runs*."""
    heads = [
        (key, run.task_id, to_microseconds(run.finished_at)) for key, run in zip(keys, runs, strict=True)
    ]
    rows = [(*head, _changed_values(run, Run.model_fields)) for head, run in zip(heads, runs, strict=True)]
    text = _to_json(rows)
    if text is None:  # then one of them is written with something else in the place of that value
        whole = [(*head, json.loads(encode_model(run))) for head, run in zip(heads, runs, strict=True)]
        text = json.dumps(whole)
    return text


def _encode_update(position: int, write: ConditionalWrite, fields: frozenset[str]) -> tuple[Any, ...]:
    task = write.task
    look_at = None if task.next_run_at is None else to_microseconds(task.next_run_at)
    # The guard as text, which SQLite compares by its value: one of another make is refused, whatever it is.
    return (
        position,
        task.id,
        str(write.revision),
        look_at,
        task.status,
        _null_patch(fields),
        _changed_values(task, fields),
    )


def _changed_values(document: BaseModel, fields: Iterable[str]) -> dict[str, Any]:
    """What *document* says in *fields*, save for what is evidently at its default."""
    values, known = document.__dict__, _field_aliases(type(document))
    said = {}
    for name in fields:
        alias, default = known[name]
        if (value := values[name]) is not default:
            said[alias] = value
    return said


def _to_json(rows: Sequence[Sequence[Any]]) -> str | None:
    # Five times as quick as pydantic's, and a twelfth of a tick: it knows instants, words and plain values.
    try:
        return orjson.dumps(rows, default=_encode_nested_model, option=orjson.OPT_UTC_Z).decode()
    except orjson.JSONEncodeError:
        return None


def _encode_nested_model(value: Any) -> dict[str, Any]:
    """What a part of a document, such as a claim, says."""
    if isinstance(value, BaseModel):
        return _changed_values(value, type(value).model_fields)
    raise TypeError


@lru_cache
def _field_aliases(model: type[BaseModel]) -> dict[str, tuple[str, Any]]:
    """Under which name each field is kept, and its default."""
    return {
        name: (field.alias or name, _NO_DEFAULT if field.is_required() else field.default)
        for name, field in model.model_fields.items()
    }


@lru_cache(maxsize=256)
def _null_patch(fields: frozenset[str]) -> str:
    known = _field_aliases(Task)
    return json.dumps({known[name][0]: None for name in fields})


MAX_INVALID_SKIPPED = 10_000  # unreadable documents a due query looks past for the readable ones behind them

SELECT_DUE = """
    SELECT id, rev, doc FROM tasks WHERE next_run_at <= ? ORDER BY next_run_at, id LIMIT ?
"""
# What is at its default is not in a document. One that is no JSON has no shard.
SELECT_DUE_IN_SHARDS = """
    SELECT id, rev, doc FROM tasks
    WHERE next_run_at <= ?
      AND CASE WHEN json_valid(doc) THEN coalesce(json_extract(doc, '$.shard'), 0) END BETWEEN ? AND ?
    ORDER BY next_run_at, id LIMIT ?
"""
SELECT_TASKS = """
    SELECT id, rev, doc FROM tasks WHERE id IN (SELECT value FROM json_each(?))
"""
SELECT_TASK_PAGE = """
    SELECT id, rev, doc FROM tasks
    WHERE id > :after
      AND (:status IS NULL OR status = :status)
      AND (:type IS NULL OR type = :type)
      AND (:owner IS NULL OR owner = :owner)
      AND (:origin IS NULL OR origin = :origin)
      AND (:tag IS NULL OR EXISTS (SELECT 1 FROM json_each(tags) WHERE value = :tag))
      AND (:ids IS NULL OR id IN (SELECT value FROM json_each(:ids)))
    ORDER BY id LIMIT :limit
"""
COUNT_SCHEDULED = """
    SELECT count(*) FROM tasks
    WHERE next_run_at IS NOT NULL AND status IN ('scheduled', 'running', 'retrying')
"""
COUNT_DUE = "SELECT count(*) FROM tasks WHERE next_run_at <= ?"
SELECT_LAST_BATCH_AT = "SELECT max(at) FROM run_batches"
ALLOCATE_REVISIONS = "UPDATE revisions SET last = last + ? RETURNING last"
INSERT_TASK = """
    INSERT INTO tasks (rev, next_run_at, status, type, owner, origin, tags, doc, id)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING
"""
UPDATE_TASK = """
    UPDATE tasks
    SET rev = ?, next_run_at = ?, status = ?, type = ?, owner = ?, origin = ?, tags = ?, doc = ?
    WHERE id = ? AND rev = ?
"""
# What a tick changes, of many tasks in one statement; see `encode_updates`. New fields come first.
UPDATE_TASK_FIELDS = """
    UPDATE tasks
    SET rev = :first + given.place, next_run_at = given.next_run_at, status = given.status,
        doc = CASE given.said WHEN '{}' THEN '{' ELSE substr(given.said, 1, length(given.said) - 1) || ',' END
            || substr(json_patch(doc, given.cleared), 2)
    FROM (
        SELECT json_extract(value, '$[0]') AS place, json_extract(value, '$[1]') AS id,
            json_extract(value, '$[2]') AS rev, json_extract(value, '$[3]') AS next_run_at,
            json_extract(value, '$[4]') AS status, json_extract(value, '$[5]') AS cleared,
            json_extract(value, '$[6]') AS said
        FROM json_each(:rows)
    ) AS given
    WHERE tasks.id = given.id AND tasks.rev = given.rev
"""
SELECT_REVISIONS = "SELECT id, rev FROM tasks WHERE id IN (SELECT value FROM json_each(?))"
DELETE_TASK = "DELETE FROM tasks WHERE id = ? AND rev = ?"


def fetch_due(
    connection: sqlite3.Connection, now: datetime, limit: int, shards: tuple[int, int] | None = None
) -> QueryResult:
    """Tasks to look at by *now*, earliest first; of *shards* alone (first and last), if they are given.

    Unreadable documents stay due for ever. At most half of *limit* is theirs, so that they never hide
    the readable ones behind them; up to `MAX_INVALID_SKIPPED` are passed over on the way.
    """
    if limit <= 0:
        return QueryResult(())
    tasks: list[VersionedTask] = []
    broken: list[InvalidDocument] = []
    query, between = (SELECT_DUE, ()) if shards is None else (SELECT_DUE_IN_SHARDS, shards)
    with closing(
        connection.execute(query, (to_microseconds(now), *between, limit + MAX_INVALID_SKIPPED))
    ) as rows:
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
    return _to_query_result(
        connection.execute(
            SELECT_TASK_PAGE,
            {
                "after": after,
                "status": which.status or None,
                "type": which.type or None,
                "owner": which.owner or None,
                "origin": which.origin or None,
                "tag": which.tag or None,
                "ids": json.dumps(sorted(which.ids)) if which.ids else None,
                "limit": max(0, limit),
            },
        )
    )


def read_stats(connection: sqlite3.Connection, now: datetime) -> StoreStats:
    """The figures of the status page."""
    [scheduled] = connection.execute(COUNT_SCHEDULED).fetchone()
    [late] = connection.execute(COUNT_DUE, (to_microseconds(now),)).fetchone()
    [last] = connection.execute(SELECT_LAST_BATCH_AT).fetchone()
    return StoreStats(scheduled, late, None if last is None else from_microseconds(last))


@dataclass(frozen=True, slots=True)
class EncodedWrites:
    """Writes as SQL takes them.

    Attributes:
        updates: Those that change some fields of a task, as `encode_updates`; empty for none.
        positions: Where each of them stands among all writes, by the task's id.
        full_rows: The columns of the others, by their place; empty for a removal.
    """

    updates: str
    positions: Mapping[bytes, int]
    full_rows: Mapping[int, tuple[Any, ...]]


def encode_writes(writes: Sequence[ConditionalWrite]) -> EncodedWrites:
    """All that can be made of *writes* before taking the lock."""
    some = {place: write for place, write in enumerate(writes) if _is_partial_update(write)}
    changes = encode_updates(some.items()) if some else ""
    if changes is None:
        some, changes = {}, ""
    places = {write.task.id.encode(): place for place, write in some.items()}
    whole = {place: _encode_row(write) for place, write in enumerate(writes) if place not in some}
    return EncodedWrites(changes, places, whole)


def apply_writes(
    connection: sqlite3.Connection, writes: Sequence[ConditionalWrite], encoded: EncodedWrites
) -> list[WriteResult]:
    """Do each write whose guard holds. To be called in a transaction."""
    [[last]] = connection.execute(ALLOCATE_REVISIONS, (len(writes),)).fetchall()
    first = last - len(writes) + 1
    written = [WriteResult(WriteStatus.CONFLICT)] * len(writes)
    whole = encoded.full_rows
    try:
        for place in _update_fields(connection, encoded, first):
            written[place] = WriteResult(WriteStatus.APPLIED, first + place)
    except sqlite3.OperationalError as exc:
        if exc.sqlite_errorcode & 0xFF != sqlite3.SQLITE_ERROR:
            raise
        # A document that we can read and SQLite cannot (it has a NaN in it, say) must not stop the others.
        whole = {place: _encode_row(write) for place, write in enumerate(writes)}
    for place, row in whole.items():
        written[place] = _apply_write(connection, writes[place], row, first + place)
    return written


def _is_partial_update(write: ConditionalWrite) -> bool:
    if write.fields is None or write.revision is None or write.delete:
        return False
    return write.fields.isdisjoint(COLUMN_FIELDS)


def _update_fields(
    connection: sqlite3.Connection, encoded: EncodedWrites, first_revision: int
) -> Collection[int]:
    """Change some fields of tasks; return the places of the writes whose guard held.

    Mostly all: then no row is asked for. For each that SQLite hands out, Python gives the interpreter away
    and waits to have it back from a busy loop.
    """
    if not encoded.updates:
        return ()
    cursor = connection.execute(UPDATE_TASK_FIELDS, {"first": first_revision, "rows": encoded.updates})
    if cursor.rowcount == len(encoded.positions):
        return encoded.positions.values()
    names = json.dumps([name.decode() for name in encoded.positions])
    found = connection.execute(SELECT_REVISIONS, (names,)).fetchall()
    return [
        encoded.positions[name]
        for name, revision in found
        if revision == first_revision + encoded.positions[name]
    ]


def _encode_row(write: ConditionalWrite) -> tuple[Any, ...]:
    return () if write.delete else _column_values(write.task)


def _apply_write(
    connection: sqlite3.Connection, write: ConditionalWrite, row: tuple[Any, ...], revision: int
) -> WriteResult:
    # As text, which SQLite compares by its value: a guard of another make is refused, whatever it is.
    expected = str(write.revision)
    if write.delete:
        cursor = connection.execute(DELETE_TASK, (write.task.id, expected))
    elif write.revision is None:
        cursor = connection.execute(INSERT_TASK, (revision, *row))
    else:
        cursor = connection.execute(UPDATE_TASK, (revision, *row, expected))
    if cursor.rowcount != 1:
        return WriteResult(WriteStatus.CONFLICT)
    return WriteResult(WriteStatus.APPLIED, None if write.delete else revision)


def _column_values(task: Task) -> tuple[Any, ...]:
    return (
        None if task.next_run_at is None else to_microseconds(task.next_run_at),
        task.status,
        task.type,
        task.owner,
        task.origin,
        json.dumps(task.tags),
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
