"""The history: a row for each entry of the ledger, or several where the records of one are long."""

import json
import zlib
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from functions.domain.run import Run
from functions.domain.storage import RUNS_KEPT, LedgerEntry
from functions.domain.types import OutcomeKind, instant_text
from functions.stores.bitable.cells import fit, milliseconds, seconds, text
from functions.stores.bitable.config import FULL, RefusedError, Unanswered
from functions.stores.bitable.table import PAGE, Change, Record, Records, batches, compared, contains, is_
from functions.stores.codec import cut, newest_first, record_of, text_of
from functions.stores.editable.model import moment
from functions.stores.json_text import mapping

PART_CHARACTERS = 80_000  # of records in one row; a cell holds 100,000
MOST_ROWS = 19_000  # a table holds 20,000
ROOM_EVERY = 100  # entries; at each of these it is seen to that there is room
MADE_ROOM = 500  # rows removed at once, the oldest
REMEMBERED = 200  # entries whose rows are known, should one be kept again
NEWEST = 5  # rows looked at for the last moment: `at` is whole seconds
LEAST_PAGE = 20
SUMMED_UP = 20  # runs in the line for people
TRUER_WITHIN = timedelta(hours=1)  # of an attempt that was given up, its own record may come so much earlier


class Ledger:
    """The table with the history."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._rows: OrderedDict[str, list[str]] = OrderedDict()  # of entries kept by this process
        self._unsure: set[str] = set()

    async def keep(self, entry: LedgerEntry) -> None:
        """Leave *entry* in the table, with these records and no others.

        Raises:
            Unanswered: It may be there.
            StoreError: It is not.
        """
        rows = list(_rows(entry))
        if zlib.crc32(entry.id.encode()) % ROOM_EVERY == 0:
            await self._make_room()
        try:
            await self._keep(entry.id, rows)
        except RefusedError as exc:
            if exc.code != FULL:
                raise
            await self._remove(await self._oldest())
            await self._keep(entry.id, rows)
        except Unanswered:
            self._unsure.add(entry.id)
            raise

    async def of_tick(self, tick_id: str) -> list[Run]:
        """The records in the entries of one tick."""
        found = await self._records.search(is_("tick", tick_id))
        mine = [one for one in found if text(one.fields.get("tick")) == tick_id]
        return newest_first(run for one in mine for run in _runs(one))[::-1]

    async def runs(
        self, task_id: str | None, since: datetime | None, before: datetime | None, limit: int
    ) -> list[Run]:
        """Run records, newest first."""
        if limit <= 0:
            return []
        conditions = [] if task_id is None else [contains("tasks", f"|{task_id}|")]
        if since is not None:
            conditions.append(compared("latestAt", "isGreaterEqual", seconds(since)))
        if before is not None:
            conditions.append(compared("earliestAt", "isLessEqual", seconds(before)))
        newest: list[Run] = []
        size = min(PAGE, max(LEAST_PAGE, limit + 1))
        async for page in self._records.pages(*conditions, every=True, newest_by="latestAt", size=size):
            runs = (run for record in page for run in _runs(record))
            wanted = (run for run in runs if _is_wanted(run, task_id, since, before))
            newest = newest_first([*newest, *wanted])
            if page and _is_enough(newest[:limit], limit, page[-1]):
                break
        return newest[:limit]

    async def last_at(self) -> datetime | None:
        """When an entry was last kept; None when none was."""
        newest = await self._records.search(newest_by="at", most=NEWEST)
        return max((at for one in newest if (at := moment(_content(one).get("at")))), default=None)

    async def prune(self, now: datetime) -> int:
        """Remove what is past keeping; return how many entries went."""
        removed: set[str] = set()
        past = compared("at", "isLess", seconds(now - RUNS_KEPT))
        while some := await self._records.search(past, most=MADE_ROOM):
            await self._remove(some)
            removed |= {text(one.fields.get("id")) for one in some}
        return len(removed)

    async def _keep(self, entry_id: str, rows: Sequence[Mapping[str, Any]]) -> None:
        known = self._rows.get(entry_id)
        if known is None and entry_id in self._unsure:
            found = await self._records.search(is_("id", entry_id))
            known = [one.id for one in found if text(one.fields.get("id")) == entry_id]
        known = known or []
        for some in batches([*zip(known, rows, strict=False)]):
            await self._records.update([Change(name, row) for name, row in some])
        made: list[str] = []
        for new in batches(rows[len(known) :]):
            made += await self._records.create(new)
        for gone in batches(known[len(rows) :]):
            await self._records.delete(gone)
        self._unsure.discard(entry_id)
        self._rows[entry_id] = [*known[: len(rows)], *made]
        while len(self._rows) > REMEMBERED:
            self._rows.popitem(last=False)

    async def _make_room(self) -> None:
        if await self._records.total() > MOST_ROWS:
            await self._remove(await self._oldest())

    async def _oldest(self) -> list[Record]:
        return await self._records.search(oldest_by="at", most=MADE_ROOM)

    async def _remove(self, records: Sequence[Record]) -> None:
        for some in batches([one.id for one in records]):
            await self._records.delete(some)


def _rows(entry: LedgerEntry) -> Iterator[dict[str, Any]]:
    """*entry* as rows, each with as many records as a cell holds."""
    part: list[Run] = []
    texts: list[str] = []
    number = 1
    for run in entry.runs:
        one = text_of(run)
        if len(one) > PART_CHARACTERS:
            one = text_of(cut(run))
        if texts and sum(map(len, texts)) + len(one) > PART_CHARACTERS:
            yield _row(entry, number, part, texts)
            part, texts, number = [], [], number + 1
        part.append(run)
        texts.append(one)
    yield _row(entry, number, part, texts)


def _row(entry: LedgerEntry, number: int, runs: Sequence[Run], texts: Sequence[str]) -> dict[str, Any]:
    finished = [run.finished_at for run in runs] or [entry.at]
    content = f'{{"at":{json.dumps(instant_text(entry.at))},"runs":[{",".join(texts)}]}}'
    return {
        "summary": fit(_summary(runs)),
        "Finished": milliseconds(max(finished)),
        "tasks": "|" + "".join(f"{name}|" for name in sorted({run.task_id for run in runs})),
        "id": entry.id,
        "tick": entry.id.rpartition(".")[0] if entry.id.rpartition(".")[2].isdecimal() else None,
        "part": number,
        "at": seconds(entry.at),
        "earliestAt": seconds(min(finished)),
        "latestAt": seconds(max(finished)),
        "runs": content.encode(errors="replace").decode(),
    }


def _summary(runs: Sequence[Run]) -> str:
    lines = [f"{run.task_id}: {run.outcome}; {run.summary}".rstrip("; ") for run in runs[:SUMMED_UP]]
    return "\n".join([*lines, f"and {len(runs) - SUMMED_UP} more"] if len(runs) > SUMMED_UP else lines)


def _content(record: Record) -> Mapping[str, Any]:
    try:
        return mapping(json.loads(text(record.fields.get("runs"))))
    except ValueError:
        return {}


def _runs(record: Record) -> list[Run]:
    """The records in a row; what was spoilt by hand is left out."""
    kept = _content(record).get("runs")
    found = (record_of(json.dumps(one)) for one in kept) if isinstance(kept, list) else ()
    return [run for run in found if run is not None]


def _is_wanted(run: Run, task_id: str | None, since: datetime | None, before: datetime | None) -> bool:
    return (
        (task_id is None or run.task_id == task_id)
        and (since is None or run.finished_at >= since)
        and (before is None or run.finished_at < before)
    )


def _is_enough(newest: Sequence[Run], limit: int, last: Record) -> bool:
    """Whether no row behind *last* has a record that belongs to *newest*, or a truer one of them."""
    if len(newest) < limit:
        return False
    given_up = any(run.outcome is OutcomeKind.ABANDONED for run in newest)
    latest = last.fields.get("latestAt")
    oldest = newest[-1].finished_at - (TRUER_WITHIN if given_up else timedelta())
    return isinstance(latest, int | float) and latest < seconds(oldest)
