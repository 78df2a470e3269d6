"""The run log: its tables, queries and pruning."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from itertools import chain, islice

from functions.domain.run import Run
from functions.domain.storage import RUN_RETENTION, RunBatch, is_key
from functions.stores.codec import decode_runs, encode_model, to_microseconds
from functions.stores.sqlite.schema import MAX_INVALID_SKIPPED, MAX_ROWS

PRUNE_BATCH_SIZE = 500  # entries removed in one transaction, so that no other process waits long for the lock

INSERT_BATCH = "INSERT OR IGNORE INTO run_batches (id, at, keys) VALUES (?, ?, ?)"
REPLACE_BATCH = "INSERT OR REPLACE INTO run_batches (id, at, keys) VALUES (?, ?, ?)"
# An attempt recorded as abandoned may have ended after all: its own record replaces the presumed one.
INSERT_RUNS = """
    INSERT INTO runs (key, task_id, finished_at, batch_id, doc) VALUES {rows}
    ON CONFLICT (key) DO UPDATE
    SET finished_at = excluded.finished_at, batch_id = excluded.batch_id, doc = excluded.doc
    WHERE json_extract(excluded.doc, '$.outcome') <> 'abandoned'
        OR json_extract(doc, '$.outcome') = 'abandoned'
"""
RUN_ROW = "(?, ?, ?, ?, ?)"
SELECT_REMOVED_KEYS = """
    SELECT kept.value FROM run_batches, json_each(run_batches.keys) AS kept
    WHERE run_batches.id = ? AND kept.value NOT IN (SELECT value FROM json_each(?))
"""
REASSIGN_RUN = """
    WITH others AS (
        SELECT run_batches.id FROM run_batches, json_each(run_batches.keys) AS kept
        WHERE run_batches.at > :since AND run_batches.id <> :batch_id AND kept.value = :key
        ORDER BY run_batches.at DESC LIMIT 1
    )
    UPDATE runs SET batch_id = (SELECT id FROM others)
    WHERE key = :key AND batch_id = :batch_id AND EXISTS (SELECT 1 FROM others)
"""
DELETE_RUN = "DELETE FROM runs WHERE key = :key AND batch_id = :batch_id"
SHARED_RUN_WINDOW = timedelta(days=1)  # entries that hold one record are about as old as a claim lasts
SELECT_RUNS_OF_TICK = """
    SELECT runs.doc FROM run_batches, json_each(run_batches.keys) AS kept JOIN runs ON runs.key = kept.value
    WHERE run_batches.id > :first AND run_batches.id < :after
      AND substr(run_batches.id, length(:first) + 1) NOT GLOB '*[^0-9]*'
    ORDER BY length(run_batches.id), run_batches.id, kept.id
"""
SELECT_RUNS = """
    SELECT doc FROM runs WHERE finished_at >= ? AND finished_at < ?
    ORDER BY finished_at DESC, rowid DESC LIMIT ?
"""
SELECT_RUNS_OF_TASK = """
    SELECT doc FROM runs WHERE task_id = ? AND finished_at >= ? AND finished_at < ?
    ORDER BY finished_at DESC, rowid DESC LIMIT ?
"""
SELECT_EXPIRED_BATCHES = "SELECT id, keys FROM run_batches WHERE at < ? LIMIT ?"
DELETE_EXPIRED_RUNS = "DELETE FROM runs WHERE batch_id = ? AND key IN (SELECT value FROM json_each(?))"
DELETE_BATCH = "DELETE FROM run_batches WHERE id = ?"

MIN_INT64 = -(2**63)
MAX_INT64 = 2**63 - 1

RunRow = tuple[str, str, int, str, str]
BatchRows = tuple[tuple[str, int, str], list[RunRow]]


def encode_batch(batch: RunBatch) -> BatchRows:
    """Encode the row of *batch* and those of its runs, before the lock is taken."""
    rows = [
        (run.key, run.task_id, to_microseconds(run.finished_at), batch.id, encode_model(run))
        for run in batch.runs
    ]
    keys = [key for key, *_ in rows]
    return (batch.id, to_microseconds(batch.at), json.dumps(keys)), rows


def save_batch(connection: sqlite3.Connection, rows: BatchRows) -> None:
    """Save a batch; runs that it held before and no longer holds are removed. Call it in a transaction."""
    entry, runs_of_entry = rows
    is_new = connection.execute(INSERT_BATCH, entry).rowcount == 1
    if not is_new:
        _remove_runs_not_in(connection, entry)
        connection.execute(REPLACE_BATCH, entry)
    for start in range(0, len(runs_of_entry), MAX_ROWS):
        batch = runs_of_entry[start : start + MAX_ROWS]
        statement = INSERT_RUNS.format(rows=", ".join([RUN_ROW] * len(batch)))
        connection.execute(statement, list(chain.from_iterable(batch)))


def _remove_runs_not_in(connection: sqlite3.Connection, batch: tuple[str, int, str]) -> None:
    name, at, keys = batch
    for (key,) in connection.execute(SELECT_REMOVED_KEYS, (name, keys)).fetchall():
        gone = {
            "key": key.decode(),
            "batch_id": name,
            "since": at - SHARED_RUN_WINDOW // timedelta(microseconds=1),
        }
        connection.execute(REASSIGN_RUN, gone)
        connection.execute(DELETE_RUN, gone)


def runs_of_tick(connection: sqlite3.Connection, tick_id: str) -> list[Run]:
    """Return the runs in the batches of one tick."""
    if not is_key(tick_id):
        return []
    span = {"first": f"{tick_id}.", "after": f"{tick_id}/"}  # in ASCII the slash comes right after the point
    return list(_decode_runs(connection.execute(SELECT_RUNS_OF_TICK, span)))


def runs(
    connection: sqlite3.Connection,
    task_id: str | None,
    since: datetime | None,
    before: datetime | None,
    limit: int,
) -> list[Run]:
    """Return runs, newest first. Fewer than *limit* are all that there are."""
    if not is_key(task_id or ""):
        return []
    span = (
        MIN_INT64 if since is None else to_microseconds(since),
        MAX_INT64 if before is None else to_microseconds(before),
    )
    query, which = (SELECT_RUNS, ()) if task_id is None else (SELECT_RUNS_OF_TASK, (task_id,))
    limit = max(0, limit)
    with closing(connection.execute(query, (*which, *span, limit + MAX_INVALID_SKIPPED))) as rows:
        return list(islice(_decode_runs(rows), limit))


def select_expired(connection: sqlite3.Connection, now: datetime) -> list[tuple[bytes, bytes]]:
    """Return some batches past their retention, with their keys; empty when none is left."""
    return connection.execute(
        SELECT_EXPIRED_BATCHES, (to_microseconds(now - RUN_RETENTION), PRUNE_BATCH_SIZE)
    ).fetchall()


def delete_expired(connection: sqlite3.Connection, batches: Sequence[tuple[bytes, bytes]]) -> None:
    """Remove *batches* and their runs, except runs of a later batch. Call it in a transaction."""
    for entry_id, keys in batches:
        name = entry_id.decode()
        connection.execute(DELETE_EXPIRED_RUNS, (name, keys.decode()))
        connection.execute(DELETE_BATCH, (name,))


def _decode_runs(cursor: sqlite3.Cursor) -> Iterator[Run]:
    return decode_runs(text for [text] in cursor)
