"""The queries and the conditional writes of a store, over rows in memory."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from functions.domain.run import Run
from functions.domain.storage import (
    COUNTED_STATUSES,
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
from functions.stores.editable.model import (
    EditableRow,
    EditableTasks,
    replace_rows,
    state_section,
    user_section,
)
from functions.stores.json_text import as_mapping

MAX_EDIT_AGE = timedelta(hours=1)  # an edit counts from when it was saved, if that is not longer ago


def fetch_due(
    tasks: EditableTasks,
    now: datetime,
    limit: int,
    after: DuePosition | None,
    shards: tuple[int, int] | None,
) -> QueryResult:
    """Tasks to look at by *now*, earliest first; those behind *after*, of *shards* (first and last) alone.

    Unreadable ones stay due until they are repaired. At most half of *limit* is theirs, so that they
    never hide the readable ones behind them.
    """
    if limit <= 0:
        return QueryResult(())
    waiting = ((row.due_at, row.task_id, row) for row in tasks.rows.values() if row.due_at is not None)
    found: list[VersionedTask] = []
    broken: list[InvalidDocument] = []
    start = None if after is None else (after.at, after.id)
    due = (one for one in waiting if one[0] <= now and (start is None or one[:2] > start))
    for _, _, row in sorted(due, key=lambda one: one[:2]):
        match row.versioned:
            case VersionedTask() as stored if shards is None or shards[0] <= stored.task.shard <= shards[1]:
                found.append(stored)
            case InvalidDocument() as one if shards is None:
                broken.append(one)
        if len(found) + min(len(broken), limit // 2) >= limit:
            break
    return QueryResult(tuple(found), tuple(broken[: limit - len(found)]))


def get_tasks(tasks: EditableTasks, ids: Sequence[str]) -> QueryResult:
    """The tasks with these ids."""
    return to_query_result(tasks.rows[name] for name in dict.fromkeys(ids) if name in tasks.rows)


def list_tasks(tasks: EditableTasks, which: TaskFilter, after: str, limit: int) -> QueryResult:
    """Tasks that match *which*, by id, those behind *after*. Unreadable ones match by what they say."""
    names = sorted(name for name in tasks.rows if name > after and (not which.ids or name in which.ids))
    found: list[EditableRow] = []
    for name in names:
        if len(found) >= limit:
            break
        if _matches_filter(tasks.rows[name], which):
            found.append(tasks.rows[name])
    return to_query_result(found)


def list_ordered(
    tasks: EditableTasks, order: TaskOrder, after: OrderPosition | None, limit: int
) -> OrderedPage:
    """Tasks in *order*, those behind *after*."""
    known = [one for row in tasks.rows.values() if isinstance(one := row.versioned, VersionedTask)]
    places = sorted((*_place(OrderPosition.of(order, one.task)), number) for number, one in enumerate(known))
    start = () if after is None else _place(after)
    found = [known[place[3]] for place in places if place[:3] > start][: max(0, limit)]
    is_full = bool(found) and len(found) == limit
    return OrderedPage(tuple(found), OrderPosition.of(order, found[-1].task) if is_full else None)


def _place(position: OrderPosition) -> tuple[bool, Any, str]:
    """What puts *position* into its order: nothing is last."""
    return position.value is None, position.value or "", position.id


def count_tasks(tasks: EditableTasks, which: TaskFilter) -> int:
    """How many tasks match *which*."""
    return sum(
        _matches_filter(row, which)
        for row in tasks.rows.values()
        if not which.ids or row.task_id in which.ids
    )


def compute_stats(tasks: EditableTasks, now: datetime, last_tick_at: datetime | None) -> StoreStats:
    """The figures of the status page."""
    waiting = [row for row in tasks.rows.values() if row.due_at is not None]
    scheduled = sum(_listing_fields(row)["status"] in COUNTED_STATUSES for row in waiting)
    late = sum(row.due_at is not None and row.due_at <= now for row in waiting)
    return StoreStats(scheduled, late, last_tick_at)


def find_user_edits(tasks: EditableTasks) -> list[EditableRow]:
    """Return the rows that users added or edited and that are not imported yet."""
    return [
        row for row in tasks.rows.values() if row.has_user_edit and isinstance(row.versioned, VersionedTask)
    ]


def import_edits(tasks: EditableTasks, now: datetime) -> tuple[EditableTasks, list[Run]]:
    """Return *tasks* with the users' edits imported, and the runs to record for them."""
    rows: dict[str, EditableRow | None] = {}
    runs: list[Run] = []
    last = tasks.last_revision
    for row in find_user_edits(tasks):
        at = min(now, max(row.saved_at, now - MAX_EDIT_AGE))
        if accepted := row.import_edit(last + 1, now=at):
            last += 1
            rows[row.task_id], recorded = accepted
            runs += recorded
    return (replace_rows(tasks, rows, last_revision=last) if rows else tasks), runs


def apply_writes(
    tasks: EditableTasks, writes: Sequence[ConditionalWrite]
) -> tuple[EditableTasks, list[WriteResult]]:
    """*tasks* with each write done whose precondition holds, and the answers."""
    rows: dict[str, EditableRow | None] = {}
    answers = []
    last = tasks.last_revision
    for write in writes:
        before = tasks.rows.get(write.task.id)
        if not _precondition_holds(write, before):
            answers.append(WriteResult(WriteStatus.CONFLICT))
            continue
        if write.delete:
            rows[write.task.id] = None
            answers.append(WriteResult(WriteStatus.APPLIED))
            continue
        last += 1
        row = _row_after_write(write, before, last)
        rows[row.task_id] = row
        answers.append(WriteResult(WriteStatus.APPLIED, row.revision))
    return (replace_rows(tasks, rows, last_revision=last) if rows else tasks), answers


def _precondition_holds(write: ConditionalWrite, before: EditableRow | None) -> bool:
    if before is None or write.revision is None:
        return before is None and write.revision is None and not write.delete
    return bool(before.revision == write.revision)


def _row_after_write(write: ConditionalWrite, before: EditableRow | None, revision: int) -> EditableRow:
    """Return the row that *write* makes. The user's own wording stays where its meaning is unchanged."""
    task = write.task
    written = user_section(task)
    if (
        before is not None
        and isinstance(before.versioned, VersionedTask)
        and user_section(before.versioned.task) == written
    ):
        entries = before.entries
    else:
        entries = [written]
    kept = state_section(task, entries[0], revision=revision)
    return EditableRow(
        task.id, entries, kept, saved_at=task.updated_at, row_id=before.row_id if before else ""
    )


def _matches_filter(row: EditableRow, which: TaskFilter) -> bool:
    has = _listing_fields(row)
    expected = {"status": which.status, "type": which.type, "owner": which.owner, "origin": which.origin}
    tags = has["tags"] if isinstance(has["tags"], list | tuple) else ()
    is_last = any(has["lastOutcome"] == one for one in which.outcomes)  # a list, spoilt by hand, has no hash
    return all(not value or has[name] == value for name, value in expected.items()) and (
        (not which.tag or which.tag in tags) and (not which.outcomes or is_last)
    )


def _listing_fields(row: EditableRow) -> Mapping[str, Any]:
    """What a task is listed by."""
    if row.has_user_edit and isinstance(row.versioned, VersionedTask):
        task = row.versioned.task
        document = {name: getattr(task, name) for name in ("status", "type", "owner", "origin", "tags")}
        document["lastOutcome"] = task.last_outcome
    else:
        document = {**as_mapping(row.entries[0]), **as_mapping(row.state)}
    defaults = {"status": "scheduled", "type": "", "owner": "", "origin": "", "tags": (), "lastOutcome": None}
    return defaults | document


def to_query_result(rows: Iterable[EditableRow]) -> QueryResult:
    """*rows* as tasks and, apart from them, what is none."""
    found = [row.versioned for row in rows]
    return QueryResult(
        tuple(one for one in found if isinstance(one, VersionedTask)),
        tuple(one for one in found if isinstance(one, InvalidDocument)),
    )
