"""The questions about tasks, and the guarded writes, over the rows in memory."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from functions.domain.run import Run
from functions.domain.storage import Broken, Counts, Filter, Found, Result, Stored, Write, Written
from functions.domain.types import Status
from functions.stores.editable.model import Row, Tasks, changed_rows, kept_part, written_part
from functions.stores.json_text import mapping

LOOKED_AT = (Status.SCHEDULED, Status.RUNNING, Status.RETRYING)
LATE_AT_SIGHT = timedelta(hours=1)  # an edit counts from when it was saved, if that is not longer ago


def due(tasks: Tasks, now: datetime, limit: int, shards: tuple[int, int] | None) -> Found:
    """Tasks to look at by *now*, earliest first; of *shards* alone (first and last), if they are given.

    Unreadable ones stay due until somebody mends them. At most half of *limit* is theirs, so that they
    never hide the readable ones behind them.
    """
    if limit <= 0:
        return Found(())
    waiting = ((row.due_at, row.name, row) for row in tasks.rows.values() if row.due_at is not None)
    found: list[Stored] = []
    broken: list[Broken] = []
    for _, _, row in sorted(one for one in waiting if one[0] <= now):
        match row.read:
            case Stored() as stored if shards is None or shards[0] <= stored.task.shard <= shards[1]:
                found.append(stored)
            case Broken() as one if shards is None:
                broken.append(one)
        if len(found) + min(len(broken), limit // 2) >= limit:
            break
    return Found(tuple(found), tuple(broken[: limit - len(found)]))


def read(tasks: Tasks, ids: Sequence[str]) -> Found:
    """The tasks with these ids."""
    return sorted_out(tasks.rows[name] for name in dict.fromkeys(ids) if name in tasks.rows)


def page(tasks: Tasks, which: Filter, after: str, limit: int) -> Found:
    """Tasks that match *which*, by id, those behind *after*. Unreadable ones match by what they say."""
    names = sorted(name for name in tasks.rows if name > after and (not which.ids or name in which.ids))
    found: list[Row] = []
    for name in names:
        if len(found) >= limit:
            break
        if _matches(tasks.rows[name], which):
            found.append(tasks.rows[name])
    return sorted_out(found)


def counts(tasks: Tasks, now: datetime, last_tick_at: datetime | None) -> Counts:
    """The figures of the status page."""
    waiting = [row for row in tasks.rows.values() if row.due_at is not None]
    scheduled = sum(_features(row)["status"] in LOOKED_AT for row in waiting)
    late = sum(row.due_at is not None and row.due_at <= now for row in waiting)
    return Counts(scheduled, late, last_tick_at)


def by_hand(tasks: Tasks) -> list[Row]:
    """What people have added or edited, and the scheduler has not taken in yet."""
    return [row for row in tasks.rows.values() if row.by_hand and isinstance(row.read, Stored)]


def accept(tasks: Tasks, now: datetime) -> tuple[Tasks, list[Run]]:
    """*tasks* with what people did to them taken in, and what is to be recorded of it."""
    rows: dict[str, Row | None] = {}
    runs: list[Run] = []
    last = tasks.last
    for row in by_hand(tasks):
        at = min(now, max(row.at, now - LATE_AT_SIGHT))
        if accepted := row.accepted(last + 1, now=at):
            last += 1
            rows[row.name], recorded = accepted
            runs += recorded
    return (changed_rows(tasks, rows, last=last) if rows else tasks), runs


def apply(tasks: Tasks, writes: Sequence[Write]) -> tuple[Tasks, list[Written]]:
    """*tasks* with each write done whose guard holds, and the answers."""
    rows: dict[str, Row | None] = {}
    answers = []
    last = tasks.last
    for write in writes:
        before = tasks.rows.get(write.task.id)
        if not _holds(write, before):
            answers.append(Written(Result.REFUSED))
            continue
        if write.delete:
            rows[write.task.id] = None
            answers.append(Written(Result.APPLIED))
            continue
        last += 1
        row = _written(write, before, last)
        rows[row.name] = row
        answers.append(Written(Result.APPLIED, row.revision))
    return (changed_rows(tasks, rows, last=last) if rows else tasks), answers


def _holds(write: Write, before: Row | None) -> bool:
    if before is None or write.revision is None:
        return before is None and write.revision is None and not write.delete
    return bool(before.revision == write.revision)


def _written(write: Write, before: Row | None, revision: int) -> Row:
    """The row *write* makes. The person's words, and how he put them, stay where they mean the same."""
    task = write.task
    written = written_part(task)
    if before is not None and isinstance(before.read, Stored) and written_part(before.read.task) == written:
        entries = before.entries
    else:
        entries = [written]
    kept = kept_part(task, entries[0], revision=revision)
    return Row(task.id, entries, kept, at=task.updated_at, place=before.place if before else "")


def _matches(row: Row, which: Filter) -> bool:
    has = _features(row)
    wanted = {"status": which.status, "type": which.type, "owner": which.owner, "origin": which.origin}
    tags = has["tags"] if isinstance(has["tags"], list | tuple) else ()
    return all(not value or has[name] == value for name, value in wanted.items()) and (
        not which.tag or which.tag in tags
    )


def _features(row: Row) -> Mapping[str, Any]:
    """What a task is listed by."""
    if row.by_hand and isinstance(row.read, Stored):
        task = row.read.task
        document = {name: getattr(task, name) for name in ("status", "type", "owner", "origin", "tags")}
    else:
        document = {**mapping(row.entries[0]), **mapping(row.kept)}
    return {"status": "scheduled", "type": "", "owner": "", "origin": "", "tags": ()} | document


def sorted_out(rows: Iterable[Row]) -> Found:
    """*rows* as tasks and, apart from them, what is none."""
    found = [row.read for row in rows]
    return Found(
        tuple(one for one in found if isinstance(one, Stored)),
        tuple(one for one in found if isinstance(one, Broken)),
    )
