"""The commands `export` and `import`: between stores, and from other schedulers."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from functions.cli.apply import show
from functions.cli.session import Session
from functions.domain.storage import RUNS_KEPT
from functions.errors import InputError
from functions.transfer.archive.export import export
from functions.transfer.archive.format import Totals, is_archive
from functions.transfer.archive.restore import Imported, import_archive
from functions.transfer.foreign.entry import Older, Terms
from functions.transfer.foreign.formats import NAMES, read_older
from functions.transfer.foreign.save import adopt, task_file, without_ended

TOLD_EVERY = 5000  # records between two lines of progress
ARCHIVE = "archive"
SHAPES = (ARCHIVE, *NAMES)
SUFFIXES = (".yaml", ".yml", ".json", ".csv", ".cron", ".crontab")


async def export_store(session: Session, *, path: Path) -> int:
    """Write all that the store keeps to *path*; 1 when something could not be read, or went on running."""
    _only_local(session, "export")
    progress = _Progress(session)
    done = await export(
        session.store, path, clock=session.now, tell=lambda totals: progress.tell("written", totals)
    )
    for broken in done.broken:
        session.screen.warn(f"{broken.id}: is not in the file, for it cannot be read: {broken.reason}")
    if done.running:
        names = _some(done.running)
        session.screen.warn(f"{names}: still running; in the file due, as if the process had died")
    if done.restless:
        session.screen.warn(
            f"{_some(done.restless)}: ran during the export; stop the pinger, and export again"
        )
    data = {
        "path": str(path),
        **done.totals.as_data(),
        "broken": [asdict(broken) for broken in done.broken],
        "running": done.running,
        "restless": done.restless,
    }
    session.screen.answer(data, [f"{path}: {_figures(done.totals)}"])
    return 1 if done.broken or done.running or done.restless else 0


async def import_file(
    session: Session,
    *,
    paths: Sequence[Path],
    shape: str | None = None,
    dry_run: bool = False,
    replace: bool = False,
    write: Path | None = None,
    timezone: str | None = None,
    timeout_s: float | None = None,
) -> int:
    """Import an archive, or files of an older scheduler; 1 when some of it was refused or could not be read.

    Args:
        shape: One of `SHAPES`; None means that it is found by looking.
        replace: Of an archive: what differs in the store becomes as the file has it.
        write: Of older files: write a task file there in place of changing the store.
        timezone: Of whatever names none; None means DEFAULT_TIMEZONE.
        timeout_s: How long an attempt may take where nothing says so; None means the usual limit.
    """
    if write is None:
        _only_local(session, "import")
    if shape is not None and shape not in SHAPES:
        raise InputError(f"--from: must be one of {', '.join(SHAPES)}")
    if shape == ARCHIVE or (shape is None and len(paths) == 1 and is_archive(paths[0])):
        if write is not None or len(paths) != 1:
            raise InputError("import: an archive goes alone, and into a store; --write is for older files")
        return await _archive(session, paths[0], dry_run=dry_run, replace=replace)
    if replace:
        raise InputError(
            "--replace: is for archives; tasks of older files are always made as the file has them"
        )
    terms = Terms(session.now(), timezone or session.settings.default_timezone, timeout_s)
    older = read_older([(str(path), _text(path)) for path in _files(paths)], terms, shape=shape)
    return await _older(session, older, write=write, dry_run=dry_run)


async def _archive(session: Session, path: Path, *, dry_run: bool, replace: bool) -> int:
    progress = _Progress(session)

    def tell(so_far: Imported) -> None:
        done = (so_far.created, so_far.unchanged, so_far.replaced)
        sums = Totals(*(sum(getattr(one, name) for one in done) for name in ("tasks", "runs", "documents")))
        progress.tell("looked at" if dry_run else "done", sums, of=so_far.of)

    done = await import_archive(session.store, path, replace=replace, dry_run=dry_run, tell=tell)
    for fault in done.faults:
        session.screen.warn(f"{path}: {fault}")
    for name in done.refused:
        session.screen.warn(f"{name}: is there already and differs; it stays, unless --replace is given")
    session.screen.answer(
        {"imported": not dry_run, **asdict(done)}, list(_archive_lines(done, dry_run=dry_run))
    )
    return 1 if done.refused or done.faults else 0


def _archive_lines(done: Imported, *, dry_run: bool) -> Iterator[str]:
    to_do = "to make" if dry_run else "made"
    yield f"{to_do}: {_figures(done.created)}"
    for text, totals in (("as they were", done.unchanged), ("replaced", done.replaced)):
        if totals != Totals():
            yield f"{text}: {_figures(totals)}"
    if done.refused:
        yield f"refused: {len(done.refused)}"
    if done.created.runs:
        yield f"History is kept for {RUNS_KEPT.days} days; what is older may go any time"


async def _older(session: Session, older: Older, *, write: Path | None, dry_run: bool) -> int:
    screen = session.screen
    older = without_ended(older, now=session.now())
    data: dict[str, Any] = {
        "shape": older.shape,
        "notes": [asdict(note) for note in older.notes],
        "faults": [asdict(fault) for fault in older.faults],
    }
    for line in (str(note) for note in older.notes if not screen.as_json):
        screen.line(line)
    if write is not None:
        text = task_file(
            [one.spec for one in older.moved], about=[str(one) for one in older.notes if one.did != "mapped"]
        )
        if not dry_run:
            _write(write, text)
        lines = [f"{write}: {len(older.moved)} tasks; when they ran last is in no task file"]
        screen.answer(data | {"applied": False, "written": str(write), "tasks": len(older.moved)}, lines)
    else:
        specs = [one.spec for one in older.moved]
        changes = await adopt(
            session.store, older.moved, now=session.now(), new_id=session.new_id, dry_run=dry_run
        )
        if screen.as_json:
            moved = [{"id": one.id, "action": one.action, "nextRunAt": one.after} for one in changes]
            screen.answer(_plain(data | {"applied": not dry_run, "changes": moved}), ())
        else:
            show(screen, changes, specs, dry_run=dry_run)
    screen.warn("\n".join(str(fault) for fault in older.faults))
    if older.faults:
        screen.complain(
            f"{len(older.faults)} faults: mend them and import again; all else is as it says above"
        )
    return 1 if older.faults else 0


class _Progress:
    """Says on the error stream how far long work is."""

    def __init__(self, session: Session) -> None:
        self._screen = session.screen
        self._told = 0

    def tell(self, what: str, totals: Totals, *, of: Totals | None = None) -> None:
        """Say how much is done, every so many records."""
        done = totals.tasks + totals.runs + totals.documents
        if done - self._told >= TOLD_EVERY:
            self._told = done
            end = f" of {of.tasks + of.runs + of.documents}" if of else ""
            self._screen.warn(f"{what}: {done}{end} records")


def _only_local(session: Session, verb: str) -> None:
    if session.is_remote:
        raise InputError(f"{verb}: works on a store; unset SCHEDULER_URL, and set STORE_URL")


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            found = sorted(one for one in path.rglob("*") if one.suffix in SUFFIXES and one.is_file())
            if not found:
                raise InputError(f"{path}: there is no file in it that could be one of an older scheduler")
            yield from found
        else:
            yield path


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as exc:
        raise InputError(f"{path}: cannot be read: {exc.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: is not UTF-8 text; save it as UTF-8") from None


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.part")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as exc:
        raise InputError(f"{path}: cannot be written: {exc.strerror}") from None


def _plain(data: dict[str, Any]) -> dict[str, Any]:
    for change in data["changes"]:
        at = change["nextRunAt"]
        change["nextRunAt"] = at.isoformat().replace("+00:00", "Z") if at else None
    return data


def _figures(totals: Totals) -> str:
    return f"{totals.tasks} tasks, {totals.runs} runs, {totals.documents} documents"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
