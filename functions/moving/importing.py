"""Importing: an archive into a store. What is there already stays, so that it may be done again."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from functions.errors import InputError
from functions.moving.archive import FAULT, Line, Totals, check_heading, read_lines
from functions.moving.exporting import Kept
from functions.moving.putting import Kind, Outcome, Putting
from functions.rules.storage import RUNS_PER_ENTRY

AT_ONCE = RUNS_PER_ENTRY  # what fits one entry of the ledger fits one write of every other kind too


@dataclass(slots=True)
class Imported:
    """What became of an archive.

    Attributes:
        of: How many records the file has, those that stand there twice counted twice.
        refused: What is in the store already, and differs.
        faults: Lines that cannot be read, each with its number; all others were.
    """

    of: Totals = field(default_factory=Totals)
    created: Totals = field(default_factory=Totals)
    unchanged: Totals = field(default_factory=Totals)
    replaced: Totals = field(default_factory=Totals)
    refused: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Survey:
    """What must be known of a file before anything of it is written.

    Attributes:
        again: Of each task that stands there more than once the line that holds.
        ticks: The ticks whose claims were in flight: their records must be found by these names.
    """

    totals: Totals = field(default_factory=Totals)
    end: Totals | None = None
    again: dict[str, int] = field(default_factory=dict)
    ticks: set[str] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)


async def import_archive(
    store: Kept,
    path: Path,
    *,
    replace: bool = False,
    dry_run: bool = False,
    tell: Callable[[Imported], None],
) -> Imported:
    """Put all that *path* holds into *store*: documents and runs first, for tasks may start at once.

    The file is gone through three times, for only so much of it is held as one write takes.

    Args:
        replace: What differs in the store becomes as the file has it; otherwise it stays, and is reported.
        dry_run: Only say what would be done.
        tell: Hears of the progress now and then.

    Raises:
        InputError: The file is no archive, or not a whole one; nothing was written.
        StoreUnavailable: The store does not answer; do it again, and it goes on from there.
    """
    survey = _surveyed(path)
    imported = Imported(of=survey.totals, faults=survey.faults)
    putting = Putting(store, survey.ticks, replace=replace, dry_run=dry_run)
    for kinds in (("document",), ("run",), ("task",)):
        for batch in _batches(path, kinds, survey):
            for kind, name, outcome in await putting.put(batch):
                _count(imported, kind, name, outcome)
            tell(imported)
    return imported


def _surveyed(path: Path) -> _Survey:
    survey = _Survey()
    lines = read_lines(path)
    first = next(lines, None)
    if first is None:
        raise InputError(f"{path}: is empty")
    check_heading(first)
    for line in lines:
        survey.end = None  # nothing may come behind the end
        try:
            _look(survey, line)
        except InputError as exc:
            survey.faults.append(str(exc))
    if survey.end is None:
        raise InputError(
            f"{path}: has no end: the export, or a copy of it, was cut off; nothing was imported"
        )
    if survey.end != survey.totals and not survey.faults:
        survey.faults.append(
            "the last line counts other records than there are: lines were added or taken away"
        )
    return survey


def _look(survey: _Survey, line: Line) -> None:
    match line.kind:
        case "task":
            task = line.task()
            survey.totals.tasks += 1
            if line.again:
                survey.again[task.id] = line.number
            if task.claim is not None:
                survey.ticks.add(task.claim.token.rpartition(".")[0])
        case "run":
            line.run()
            survey.totals.runs += 1
        case "document":
            line.document()
            survey.totals.documents += 1
        case "end":
            figures = (line.values.get(name) for name in ("tasks", "runs", "documents"))
            survey.end = Totals(*(one if isinstance(one, int) else -1 for one in figures))
        case _:
            raise InputError(f"line {line.number}: {line.values.get('why', 'is a second heading')}")


def _batches(path: Path, kinds: tuple[str, ...], survey: _Survey) -> Iterator[list[Any]]:
    batch: list[Any] = []
    for line in read_lines(path):
        if line.kind not in kinds or line.kind == FAULT:
            continue
        try:
            one: Any = {"document": line.document, "run": line.run, "task": line.task}[line.kind]()
        except InputError:
            continue  # it was told of by the survey
        if line.kind == "task" and survey.again.get(one.id, line.number) != line.number:
            continue
        batch.append(one)
        if len(batch) == AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch


def _count(imported: Imported, kind: Kind, name: str, outcome: Outcome) -> None:
    if outcome == "refused":
        imported.refused.append(f"{kind.removesuffix('s')} {name}")
        return
    totals = {"created": imported.created, "unchanged": imported.unchanged, "replaced": imported.replaced}[
        outcome
    ]
    setattr(totals, kind, getattr(totals, kind) + 1)
