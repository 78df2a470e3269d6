"""The ledger of runs, as SQL."""

import json
import sqlite3
from collections.abc import Sequence
from datetime import datetime, timedelta

from functions.domain.run import Run
from functions.domain.storage import RUNS_KEPT, LedgerEntry
from functions.stores.codec import decode_runs, micros
from functions.stores.sqlite.tasks import runs_text

PRUNED_AT_ONCE = 500  # entries removed in one transaction, so that nobody waits long for the lock

KEEP_ENTRY = "INSERT OR REPLACE INTO entries (id, at, keys) VALUES (?, ?, ?)"
# A claim given up as abandoned may have been alive after all: then what it came to is the truer record.
KEEP_RUNS = """
    INSERT INTO runs (key, task_id, finished_at, entry, doc)
    SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'), :entry,
        json_extract(value, '$[3]')
    FROM json_each(:runs) WHERE true
    ON CONFLICT (key) DO UPDATE
    SET finished_at = excluded.finished_at, entry = excluded.entry, doc = excluded.doc
    WHERE json_extract(excluded.doc, '$.outcome') <> 'abandoned'
        OR json_extract(doc, '$.outcome') = 'abandoned'
"""
GONE = """
    SELECT kept.value FROM entries, json_each(entries.keys) AS kept
    WHERE entries.id = ? AND kept.value NOT IN (SELECT value FROM json_each(?))
"""
HAND_ON = """
    WITH others AS (
        SELECT entries.id FROM entries, json_each(entries.keys) AS kept
        WHERE entries.at > :since AND entries.id <> :entry AND kept.value = :key
        ORDER BY entries.at DESC LIMIT 1
    )
    UPDATE runs SET entry = (SELECT id FROM others)
    WHERE key = :key AND entry = :entry AND EXISTS (SELECT 1 FROM others)
"""
STRIKE = "DELETE FROM runs WHERE key = :key AND entry = :entry"
SHARED_WITHIN = timedelta(days=1)  # entries that hold one record are about as old as a claim lasts
OF_TICK = """
    SELECT runs.doc FROM entries, json_each(entries.keys) AS kept JOIN runs ON runs.key = kept.value
    WHERE entries.id > :first AND entries.id < :after
      AND substr(entries.id, length(:first) + 1) NOT GLOB '*[^0-9]*'
    ORDER BY length(entries.id), entries.id, kept.id
"""
OF_ALL = """
    SELECT doc FROM runs WHERE finished_at >= ? AND finished_at < ?
    ORDER BY finished_at DESC, rowid DESC LIMIT ?
"""
OF_TASK = """
    SELECT doc FROM runs WHERE task_id = ? AND finished_at >= ? AND finished_at < ?
    ORDER BY finished_at DESC, rowid DESC LIMIT ?
"""
PAST = "SELECT id, keys FROM entries WHERE at < ? LIMIT ?"
FORGET_RUNS = "DELETE FROM runs WHERE entry = ? AND key IN (SELECT value FROM json_each(?))"
FORGET_ENTRY = "DELETE FROM entries WHERE id = ?"

EVER = -(2**63)
NEVER = 2**63 - 1

EntryRows = tuple[tuple[str, int, str], str]


def rows_of(entry: LedgerEntry) -> EntryRows:
    """The row of *entry* and those of its runs: all that can be made before taking the lock."""
    keys = [run.key for run in entry.runs]
    return (entry.id, micros(entry.at), json.dumps(keys)), runs_text(entry.runs, keys)


def keep(connection: sqlite3.Connection, rows: EntryRows) -> None:
    """Keep an entry; what it held before and holds no more is struck. To be called in a transaction."""
    name, at, keys = rows[0]
    for (key,) in connection.execute(GONE, (name, keys)).fetchall():
        gone = {"key": key.decode(), "entry": name, "since": at - SHARED_WITHIN // timedelta(microseconds=1)}
        connection.execute(HAND_ON, gone)
        connection.execute(STRIKE, gone)
    connection.execute(KEEP_ENTRY, rows[0])
    connection.execute(KEEP_RUNS, {"entry": name, "runs": rows[1]})


def runs_of_tick(connection: sqlite3.Connection, tick_id: str) -> list[Run]:
    """The runs in the entries of one tick."""
    span = {"first": f"{tick_id}.", "after": f"{tick_id}/"}  # in ASCII the slash comes right after the point
    return _runs(connection.execute(OF_TICK, span))


def runs(
    connection: sqlite3.Connection,
    task_id: str | None,
    since: datetime | None,
    before: datetime | None,
    limit: int,
) -> list[Run]:
    """History, newest first."""
    span = (EVER if since is None else micros(since), NEVER if before is None else micros(before))
    if task_id is None:
        return _runs(connection.execute(OF_ALL, (*span, max(0, limit))))
    return _runs(connection.execute(OF_TASK, (task_id, *span, max(0, limit))))


def past(connection: sqlite3.Connection, now: datetime) -> list[tuple[bytes, bytes]]:
    """Some entries that are past keeping, with their keys; empty when none is left."""
    return connection.execute(PAST, (micros(now - RUNS_KEPT), PRUNED_AT_ONCE)).fetchall()


def forget(connection: sqlite3.Connection, entries: Sequence[tuple[bytes, bytes]]) -> None:
    """Remove *entries* and their runs, save those that a later entry keeps too. In a transaction."""
    for entry_id, keys in entries:
        name = entry_id.decode()
        connection.execute(FORGET_RUNS, (name, keys.decode()))
        connection.execute(FORGET_ENTRY, (name,))


def _runs(cursor: sqlite3.Cursor) -> list[Run]:
    return decode_runs([text for [text] in cursor])
