"""The run log: a row for each batch of runs, or several where its records are long."""

import json
import zlib
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from functions.domain.run import Run
from functions.domain.storage import RUN_RETENTION, RunBatch
from functions.domain.types import OutcomeKind, format_instant, parse_stored_instant
from functions.stores.bitable.cells import sanitize, to_milliseconds, to_seconds, to_text
from functions.stores.bitable.config import TABLE_FULL, FeishuRequestError, NoAnswerError
from functions.stores.bitable.table import (
    PAGE_SIZE,
    Record,
    RecordsApi,
    RowUpdate,
    compare_number,
    contains,
    equals,
    split_into_batches,
)
from functions.stores.codec import decode_run, encode_run, merge_newest_first, truncate_run
from functions.stores.json_text import as_mapping

MAX_ROW_CHARACTERS = 80_000  # of records in one row; a cell holds 100,000
MAX_ROWS = 19_000  # a table holds 20,000
SPACE_CHECK_EVERY = 100  # batches between two checks that the table is not full
PRUNE_BATCH_SIZE = 500  # rows removed at once, the oldest
MAX_CACHED_BATCHES = 200  # entries whose rows are known, should one be kept again
NEWEST_ROWS_READ = 5  # rows read for the time of the last batch: `at` holds whole seconds
MIN_PAGE_SIZE = 20
MAX_SUMMARY_RUNS = 20  # runs in the line for users
LATE_RESULT_WINDOW = timedelta(
    hours=1
)  # of an attempt that was given up, its own record may come so much earlier


class RunTable:
    """The table with the history."""

    def __init__(self, records: RecordsApi) -> None:
        self._records = records
        self._row_ids: OrderedDict[str, list[str]] = OrderedDict()  # of entries kept by this process
        self._maybe_saved: set[str] = set()

    async def save(self, batch: RunBatch) -> None:
        """Leave *batch* in the table, with these records and no others.

        Raises:
            NoAnswerError: It may be there.
            StoreError: It is not.
        """
        rows = list(_encode_batch(batch))
        if zlib.crc32(batch.id.encode()) % SPACE_CHECK_EVERY == 0:
            await self._prune_for_space()
        try:
            await self._save_rows(batch.id, rows)
        except FeishuRequestError as exc:
            if exc.code != TABLE_FULL:
                raise
            await self._delete(await self._find_oldest())
            await self._save_rows(batch.id, rows)
        except NoAnswerError:
            self._maybe_saved.add(batch.id)
            raise

    async def of_tick(self, tick_id: str) -> list[Run]:
        """The records in the entries of one tick."""
        found = await self._records.search(equals("tick", tick_id))
        mine = [one for one in found if to_text(one.fields.get("tick")) == tick_id]
        return merge_newest_first(run for one in mine for run in _decode_runs(one))[::-1]

    async def runs(
        self, task_id: str | None, since: datetime | None, before: datetime | None, limit: int
    ) -> list[Run]:
        """Run records, newest first."""
        if limit <= 0:
            return []
        conditions = [] if task_id is None else [contains("tasks", f"|{task_id}|")]
        if since is not None:
            conditions.append(compare_number("latestAt", "isGreaterEqual", to_seconds(since)))
        if before is not None:
            conditions.append(compare_number("earliestAt", "isLessEqual", to_seconds(before)))
        newest: list[Run] = []
        size = min(PAGE_SIZE, max(MIN_PAGE_SIZE, limit + 1))
        async for page in self._records.iter_pages(
            *conditions, match_all=True, newest_by="latestAt", size=size
        ):
            runs = (run for record in page for run in _decode_runs(record))
            matching = (run for run in runs if _is_requested_run(run, task_id, since, before))
            newest = merge_newest_first([*newest, *matching])
            if page and _is_complete(newest[:limit], limit, page[-1]):
                break
        return newest[:limit]

    async def last_saved_at(self) -> datetime | None:
        """When an entry was last kept; None when none was."""
        newest = await self._records.search(newest_by="at", max_rows=NEWEST_ROWS_READ)
        return max(
            (at for one in newest if (at := parse_stored_instant(_content(one).get("at")))), default=None
        )

    async def prune(self, now: datetime) -> int:
        """Remove what is past keeping; return how many entries went."""
        removed: set[str] = set()
        past = compare_number("at", "isLess", to_seconds(now - RUN_RETENTION))
        while rows := await self._records.search(past, max_rows=PRUNE_BATCH_SIZE):
            await self._delete(rows)
            removed |= {to_text(one.fields.get("id")) for one in rows}
        return len(removed)

    async def _save_rows(self, batch_id: str, rows: Sequence[Mapping[str, Any]]) -> None:
        known = self._row_ids.get(batch_id)
        if known is None and batch_id in self._maybe_saved:
            found = await self._records.search(equals("id", batch_id))
            known = [one.id for one in found if to_text(one.fields.get("id")) == batch_id]
        known = known or []
        for batch in split_into_batches([*zip(known, rows, strict=False)]):
            await self._records.update([RowUpdate(name, row) for name, row in batch])
        made: list[str] = []
        for new in split_into_batches(rows[len(known) :]):
            made += await self._records.create(new)
        for gone in split_into_batches(known[len(rows) :]):
            await self._records.delete(gone)
        self._maybe_saved.discard(batch_id)
        self._row_ids[batch_id] = [*known[: len(rows)], *made]
        while len(self._row_ids) > MAX_CACHED_BATCHES:
            self._row_ids.popitem(last=False)

    async def _prune_for_space(self) -> None:
        if await self._records.count_rows() > MAX_ROWS:
            await self._delete(await self._find_oldest())

    async def _find_oldest(self) -> list[Record]:
        return await self._records.search(oldest_by="at", max_rows=PRUNE_BATCH_SIZE)

    async def _delete(self, records: Sequence[Record]) -> None:
        for batch in split_into_batches([one.id for one in records]):
            await self._records.delete(batch)


def _encode_batch(batch: RunBatch) -> Iterator[dict[str, Any]]:
    """*batch* as rows, each with as many records as a cell holds."""
    part: list[Run] = []
    texts: list[str] = []
    number = 1
    for run in batch.runs:
        encoded = encode_run(run)
        if len(encoded) > MAX_ROW_CHARACTERS:
            encoded = encode_run(truncate_run(run))
        if texts and sum(map(len, texts)) + len(encoded) > MAX_ROW_CHARACTERS:
            yield _encode_row(batch, number, part, texts)
            part, texts, number = [], [], number + 1
        part.append(run)
        texts.append(encoded)
    yield _encode_row(batch, number, part, texts)


def _encode_row(batch: RunBatch, number: int, runs: Sequence[Run], texts: Sequence[str]) -> dict[str, Any]:
    finished = [run.finished_at for run in runs] or [batch.at]
    content = f'{{"at":{json.dumps(format_instant(batch.at))},"runs":[{",".join(texts)}]}}'
    return {
        "summary": sanitize(_summary(runs)),
        "Finished": to_milliseconds(max(finished)),
        "tasks": "|" + "".join(f"{name}|" for name in sorted({run.task_id for run in runs})),
        "id": batch.id,
        "tick": batch.id.rpartition(".")[0] if batch.id.rpartition(".")[2].isdecimal() else None,
        "part": number,
        "at": to_seconds(batch.at),
        "earliestAt": to_seconds(min(finished)),
        "latestAt": to_seconds(max(finished)),
        "runs": content.encode(errors="replace").decode(),
    }


def _summary(runs: Sequence[Run]) -> str:
    lines = [f"{run.task_id}: {run.outcome}; {run.summary}".rstrip("; ") for run in runs[:MAX_SUMMARY_RUNS]]
    return "\n".join(
        [*lines, f"and {len(runs) - MAX_SUMMARY_RUNS} more"] if len(runs) > MAX_SUMMARY_RUNS else lines
    )


def _content(record: Record) -> Mapping[str, Any]:
    try:
        return as_mapping(json.loads(to_text(record.fields.get("runs"))))
    except ValueError:
        return {}


def _decode_runs(record: Record) -> list[Run]:
    """The records in a row; what was spoilt by hand is left out."""
    kept = _content(record).get("runs")
    found = (decode_run(json.dumps(one)) for one in kept) if isinstance(kept, list) else ()
    return [run for run in found if run is not None]


def _is_requested_run(run: Run, task_id: str | None, since: datetime | None, before: datetime | None) -> bool:
    return (
        (task_id is None or run.task_id == task_id)
        and (since is None or run.finished_at >= since)
        and (before is None or run.finished_at < before)
    )


def _is_complete(newest: Sequence[Run], limit: int, last: Record) -> bool:
    """Whether no row behind *last* has a record that belongs to *newest*, or a truer one of them."""
    if len(newest) < limit:
        return False
    given_up = any(run.outcome is OutcomeKind.ABANDONED for run in newest)
    latest = last.fields.get("latestAt")
    oldest = newest[-1].finished_at - (LATE_RESULT_WINDOW if given_up else timedelta())
    return isinstance(latest, int | float) and latest < to_seconds(oldest)
