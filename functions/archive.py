"""Moving between stores: all that one keeps as lines of JSON, and such lines put into another."""

import hashlib
import json
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar, get_args

from pydantic import ValidationError

from functions.applying import everything
from functions.errors import InputError, StoreUnavailable
from functions.following import LinkStore
from functions.history import all_runs
from functions.rules.outcome import Run
from functions.rules.storage import (
    RUNS_PER_ENTRY,
    Document,
    Filter,
    Kind,
    LedgerEntry,
    Result,
    Write,
    Written,
)
from functions.rules.task import Task

VERSION = 1
KINDS: tuple[Kind, ...] = get_args(Kind)
AT_ONCE = 100
T = TypeVar("T")


@dataclass(slots=True)
class Moved:
    """What became of the lines of a file.

    Attributes:
        made: What was not there yet.
        same: What was there already, and equal.
        replaced: What was there and different, and was to be replaced.
        refused: What was there and different, and was left as it is.
        runs: Records of history; those that were there already are kept once.
    """

    made: int = 0
    same: int = 0
    replaced: int = 0
    refused: list[str] = field(default_factory=list)
    runs: int = 0


async def exported(store: LinkStore, *, now: datetime) -> AsyncIterator[str]:
    """Every task, record and document of *store*, a line of JSON each, the header first.

    What a tick is at work on is written as it stands: in the other store its claim expires, and is judged as
    if its process had died. So the pingers of a store are to be stopped before it is moved.
    """
    yield _line({"cronfire": VERSION, "at": now.isoformat()})
    for stored in await everything(store, Filter()):
        yield _line({"task": stored.task.model_dump(mode="json", by_alias=True, exclude_defaults=True)})
    for kind in KINDS:
        after = ""
        while page := await store.shelf(kind, after=after):
            for document in page:
                yield _line({"document": _plain(document)})
            after = page[-1].id
    async for run in all_runs(store):
        yield _line({"run": run.model_dump(mode="json", by_alias=True, exclude_defaults=True)})


async def imported(
    store: LinkStore,
    lines: Iterable[str],
    *,
    replace: bool = False,
    told: Callable[[int], None] = lambda count: None,
) -> Moved:
    """Put what `exported` wrote into *store*. Doing so again, after an interruption say, doubles nothing.

    Args:
        replace: Whether what is there and different gives way.
        told: Called with the number of lines done so far.

    Raises:
        InputError: A line is none of ours; names its number. What stands before it has been put in.
        StoreUnavailable: It is not known what became of some; import the file again.
    """
    moved, done = Moved(), 0
    for some in _parts(_read(lines), AT_ONCE):
        await _tasks(store, [one for one in some if isinstance(one, Task)], moved, replace=replace)
        await _documents(store, [one for one in some if isinstance(one, Document)], moved, replace=replace)
        await _runs(store, [one for one in some if isinstance(one, Run)], moved)
        done += len(some)
        told(done)
    return moved


def _read(lines: Iterable[str]) -> Iterator[Task | Document | Run]:
    header = False
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            given = json.loads(line)
            [(what, value)] = ((name, one) for name, one in given.items() if name != "at")
            if what == "cronfire":
                header = value == VERSION
            elif what == "task":
                yield Task.model_validate(value)
            elif what == "run":
                yield Run.model_validate(value)
            else:
                yield _document(value)
        except (ValueError, KeyError, TypeError, AttributeError, ValidationError) as exc:
            fault = (
                exc.errors()[0]["msg"] if isinstance(exc, ValidationError) else "it is no line of an export"
            )
            raise InputError(f"line {number}: {fault}") from None
        if not header:
            raise InputError("line 1: this is no export of Cronfire's, or one of a newer version")


async def _tasks(store: LinkStore, tasks: Sequence[Task], moved: Moved, *, replace: bool) -> None:
    if not tasks:
        return
    there = {stored.task.id: stored for stored in (await store.read([task.id for task in tasks])).tasks}
    writes = []
    for task in tasks:
        found = there.get(task.id)
        if found is None or (replace and found.task != task):
            writes.append(Write(task, found.revision if found else None))
        elif found.task == task:
            moved.same += 1
        else:
            moved.refused.append(f"task {task.id}")
    written = await store.write(writes) if writes else []
    _count([(f"task {one.task.id}", one.revision is None) for one in writes], written, moved)


async def _documents(store: LinkStore, documents: Sequence[Document], moved: Moved, *, replace: bool) -> None:
    by_kind: dict[Kind, list[Document]] = {}
    for document in documents:
        by_kind.setdefault(document.kind, []).append(document)
    for kind, some in by_kind.items():
        there = {one.id: one for one in await store.documents(kind, [one.id for one in some])}
        puts = []
        for document in some:
            found = there.get(document.id)
            same = found is not None and _plain(found) == _plain(document)
            if found is None or (replace and not same):
                revision = found.revision if found else None
                puts.append(Document(kind, document.id, document.data, revision, document.expire_at))
            elif same:
                moved.same += 1
            else:
                moved.refused.append(f"{kind} {document.id}")
        written = await store.put(puts) if puts else []
        _count([(f"{kind} {one.id}", one.revision is None) for one in puts], written, moved)


async def _runs(store: LinkStore, runs: Sequence[Run], moved: Moved) -> None:
    """Keep records in entries named by what they hold: the same lines make the same entries."""
    for some in _parts(runs, RUNS_PER_ENTRY):
        name = hashlib.sha256("\n".join(run.key for run in some).encode()).hexdigest()[:20]
        entry = LedgerEntry(f"import{name}.1", max(run.finished_at for run in some), tuple(some))
        await store.finish(entry, [])
        moved.runs += len(some)


def _parts(all_: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(all_)
    while part := list(islice(rest, size)):
        yield part


def _count(names: Sequence[tuple[str, bool]], written: Sequence[Written], moved: Moved) -> None:
    for (name, is_new), answer in zip(names, written, strict=True):
        if answer.result is Result.UNKNOWN:
            raise StoreUnavailable("The store did not say what became of everything; import the file again")
        if answer.result is Result.REFUSED:
            moved.refused.append(name)
        elif is_new:
            moved.made += 1
        else:
            moved.replaced += 1


def _document(given: Mapping[str, Any]) -> Document:
    if given["kind"] not in KINDS:
        raise ValueError("kind")
    expires = given.get("expireAt")
    at = datetime.fromisoformat(expires) if expires else None
    return Document(given["kind"], given["id"], given["data"], None, at)


def _plain(document: Document) -> dict[str, Any]:
    expires = document.expire_at.isoformat() if document.expire_at else None
    return {"kind": document.kind, "id": document.id, "data": dict(document.data), "expireAt": expires}


def _line(given: Mapping[str, Any]) -> str:
    return json.dumps(given, ensure_ascii=False, separators=(",", ":"))
