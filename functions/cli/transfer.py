"""The commands `export` and `import`: from store to store, and from other schedulers."""

import io
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from functions.cli.apply import show_changes
from functions.cli.console import Screen
from functions.cli.local.location import store_files
from functions.cli.options import UsageError, format_count
from functions.cli.session import CliContext
from functions.domain.schedule.timezones import load_zone
from functions.domain.storage import RUN_RETENTION
from functions.errors import InputError
from functions.services.apply import name_some
from functions.taskfiles.loader import STANDARD_INPUT, read_standard_input
from functions.transfer.archive.export import export_archive
from functions.transfer.archive.format import RecordCounts, is_archive
from functions.transfer.archive.restore import ImportResult, import_archive
from functions.transfer.foreign.entry import ForeignTasks, ImportDefaults
from functions.transfer.foreign.formats import FORMAT_NAMES, read_foreign
from functions.transfer.foreign.save import drop_ended, render_task_file, save_tasks

MAX_TIMEOUT_S = 3000  # of a task
PROGRESS_INTERVAL = 5000  # records between two lines of progress
ARCHIVE = "archive"
FORMATS = (ARCHIVE, *FORMAT_NAMES)
SUFFIXES = (".yaml", ".yml", ".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".cron", ".crontab")


async def export_store(context: CliContext, *, path: Path) -> int:
    """Write the whole store to *path*; 1 when a document could not be read, or a task was running."""
    _require_local_store(context, "export")
    path = _check_target(path)
    _require_other_than_store(context, path)
    progress = _Progress(context)
    done = await export_archive(
        context.store, path, clock=context.now, on_progress=lambda totals: progress.report("written", totals)
    )
    for broken in done.unreadable:
        context.screen.warn(f"{broken.id}: is not in the file, because it cannot be read: {broken.reason}")
    if done.running:
        names = name_some(done.running)
        context.screen.warn(f"{names}: still running; the file has them as due, as after a crash")
    if done.changing:
        context.screen.warn(
            f"{name_some(done.changing)}: ran during the export; stop the pinger, and export again"
        )
    data = {
        "path": str(path),
        **done.counts.to_json(),
        "unreadable": [asdict(broken) for broken in done.unreadable],
        "running": done.running,
        "changing": done.changing,
    }
    context.screen.show(data, [f"{path}: {_format_counts(done.counts)}"])
    return 1 if done.unreadable or done.running or done.changing else 0


async def import_file(
    context: CliContext,
    *,
    paths: Sequence[Path],
    format_name: str | None = None,
    dry_run: bool = False,
    replace: bool = False,
    write: Path | None = None,
    timezone: str | None = None,
    timeout_s: float | None = None,
) -> int:
    """Import an archive, or files of an older scheduler; 1 when some of it was refused or could not be read.

    Args:
        format_name: One of `FORMATS`; None means that it is detected.
        replace: For an archive: replace what differs in the store.
        write: For other files: write a task file there instead of changing the store.
        timezone: The zone of tasks without one; None means DEFAULT_TIMEZONE.
        timeout_s: The timeout of tasks without one; None means the default.
    """
    if write is None:
        _require_local_store(context, "import")
    else:
        _require_other_than_store(context, write)
    if format_name is not None and format_name not in FORMATS:
        raise InputError(f"--from: must be one of {', '.join(FORMATS)}")
    if format_name == ARCHIVE or (format_name is None and len(paths) == 1 and is_archive(paths[0])):
        if write is not None or len(paths) != 1:
            raise InputError(
                "import: give an archive alone and without --write, which is for files of other schedulers"
            )
        if timezone is not None or timeout_s is not None:
            raise InputError("--timezone, --timeout: are for files of other schedulers; an archive has both")
        return await _import_archive(context, paths[0], dry_run=dry_run, replace=replace)
    _check_defaults(timezone, timeout_s)
    if replace:
        raise InputError(
            "--replace: is for archives; tasks from other schedulers always replace those with the same id"
        )
    terms = ImportDefaults(context.now(), timezone or context.settings.default_timezone, timeout_s)
    older = read_foreign(
        [(str(path), _read_text(path)) for path in _iter_files(paths)], terms, format_name=format_name
    )
    return await _import_foreign(context, older, write=write, dry_run=dry_run)


def _check_defaults(timezone: str | None, timeout_s: float | None) -> None:
    """Check what is filled in for tasks without their own, before anything is read or changed.

    Raises:
        InputError: It cannot be used.
    """
    if timezone is not None:
        try:
            load_zone(timezone)
        except InputError as exc:
            raise InputError(f"--{exc}; nothing was imported") from None
    if timeout_s is not None and not 0 < timeout_s <= MAX_TIMEOUT_S:  # also refuses NaN
        raise InputError(
            f"--timeout: must be a number of seconds up to {MAX_TIMEOUT_S}; nothing was imported"
        )


async def _import_archive(context: CliContext, path: Path, *, dry_run: bool, replace: bool) -> int:
    progress = _Progress(context)

    def report_progress(so_far: ImportResult) -> None:
        done = (so_far.created, so_far.unchanged, so_far.replaced)
        sums = RecordCounts(
            *(sum(getattr(one, name) for one in done) for name in ("tasks", "runs", "documents"))
        )
        progress.report("checked" if dry_run else "done", sums, total=so_far.total)

    done = await import_archive(
        context.store, path, replace=replace, dry_run=dry_run, on_progress=report_progress
    )
    for problem in done.problems:
        context.screen.warn(f"{path}: {problem}")
    for name in done.refused:
        context.screen.warn(f"{name}: exists and differs; it stays unless --replace is given")
    context.screen.show({"imported": not dry_run, **asdict(done)}, list(_result_lines(done, dry_run=dry_run)))
    context.show_store()
    return 1 if done.refused or done.problems else 0


def _result_lines(done: ImportResult, *, dry_run: bool) -> Iterator[str]:
    to_do = "to create" if dry_run else "created"
    yield f"{to_do}: {_format_counts(done.created)}"
    for text, totals in (("unchanged", done.unchanged), ("replaced", done.replaced)):
        if totals != RecordCounts():
            yield f"{text}: {_format_counts(totals)}"
    if done.left_out:
        yield f"left out: {done.left_out}; keys belong to the store that they were made in, so make new ones"
    if done.refused:
        yield f"refused: {len(done.refused)}"
    if done.created.runs:
        yield f"History is kept for {RUN_RETENTION.days} days; older runs may be deleted at any time"


async def _import_foreign(
    context: CliContext, foreign: ForeignTasks, *, write: Path | None, dry_run: bool
) -> int:
    screen = context.screen
    foreign = drop_ended(foreign, now=context.now())
    data: dict[str, Any] = {
        "format": foreign.format_name,
        "notes": [asdict(note) for note in foreign.notes],
        "problems": [asdict(problem) for problem in foreign.problems],
    }
    if not screen.as_json:
        for note in foreign.notes:
            screen.write_line(str(note))
    if write is not None:
        _write_task_file(screen, foreign, write, data, dry_run=dry_run)
    else:
        await _save_foreign(context, foreign, data, dry_run=dry_run)
    screen.warn("\n".join(str(problem) for problem in foreign.problems))
    if foreign.problems:
        count = len(foreign.problems)
        wrong = "1 error: fix it" if count == 1 else f"{count} errors: fix them"
        rest = "would be done" if dry_run else "is done"
        screen.error(f"{wrong} and import again; the rest {rest} as shown above")
    return 1 if foreign.problems else 0


def _write_task_file(
    screen: Screen, foreign: ForeignTasks, path: Path, data: Mapping[str, Any], *, dry_run: bool
) -> None:
    """Write the tasks of *foreign* as a task file; show that with *data*, what is known of the import."""
    text = render_task_file(
        [one.spec for one in foreign.tasks],
        comments=[str(one) for one in foreign.notes if one.action != "mapped"],
    )
    if not foreign.tasks and foreign.problems:
        screen.warn("\n".join(str(problem) for problem in foreign.problems))
        raise InputError(f"{path}: is not written, because no task could be read")
    if not dry_run:
        _write_file(path, text)
    count = len(foreign.tasks)
    tasks = format_count(count, "task")
    screen.show(
        {**data, "applied": False, "written": None if dry_run else str(path), "tasks": count},
        [f"{path}: {'would have' if dry_run else 'has'} {tasks}, but not when they last ran"],
    )


async def _save_foreign(
    context: CliContext, foreign: ForeignTasks, data: Mapping[str, Any], *, dry_run: bool
) -> None:
    """Save the tasks of *foreign* in the store; show that with *data*, what is known of the import."""
    screen = context.screen
    changes = await save_tasks(
        context.store,
        foreign.tasks,
        now=context.now(),
        new_id=context.new_id,
        dry_run=dry_run,
        limits=context.app.owner_limits,
    )
    if screen.as_json:
        moved = [{"id": one.id, "action": one.action, "nextRunAt": one.after} for one in changes]
        screen.show(_format_next_runs({**data, "applied": not dry_run, "changes": moved}), ())
    else:
        show_changes(screen, changes, dry_run=dry_run)
    context.show_store()


class _Progress:
    """Reports the progress of long work on the error stream."""

    def __init__(self, context: CliContext) -> None:
        self._screen = context.screen
        self._last_reported = 0

    def report(self, what: str, totals: RecordCounts, *, total: RecordCounts | None = None) -> None:
        """Write how much is done, every PROGRESS_INTERVAL records."""
        done = totals.tasks + totals.runs + totals.documents
        if done - self._last_reported >= PROGRESS_INTERVAL:
            self._last_reported = done
            end = f" of {total.tasks + total.runs + total.documents}" if total else ""
            self._screen.warn(f"{what}: {done}{end} records")


def _require_local_store(context: CliContext, verb: str) -> None:
    if context.is_remote:
        raise InputError(f"{verb}: needs a store; unset SCHEDULER_URL, and set STORE_URL")


def _iter_files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            found = sorted(one for one in path.rglob("*") if _may_be_imported(one))
            if not found:
                raise InputError(f"{path}: has no file that could come from another scheduler")
            yield from found
        else:
            yield path


def _may_be_imported(path: Path) -> bool:
    """Whether *path* is a file that may hold tasks; those of `/etc/cron.d` have no suffix."""
    is_crontab = (
        path.parent.name == "cron.d" and re.fullmatch(r"[\w-]+", path.name) is not None
    )  # as cron does
    return (is_crontab or path.suffix.lower() in SUFFIXES) and path.is_file()


def _read_text(path: Path) -> str | InputError:
    """Return the text of a file, or why it has none."""
    try:
        content = read_standard_input() if path == STANDARD_INPUT else path.read_bytes()
        return io.StringIO(content.decode("utf-8-sig"), newline=None).read()
    except InputError as exc:
        return exc
    except OSError as exc:
        return InputError(f"{path}: cannot be read: {exc.strerror}")
    except UnicodeDecodeError as exc:
        line = exc.object.count(b"\n", 0, exc.start) + 1
        return InputError(f"{path}:{line}: is not UTF-8 text; save it as UTF-8")


def _check_target(path: Path) -> Path:
    """Return where *path* leads to: a file that is written completely or not at all replaces what is there.

    Raises:
        InputError: It is no file, and cannot be replaced.
    """
    if str(path) == "-":
        raise UsageError("-: a file is written completely or not at all; name one")
    whole = path.resolve()
    if whole.is_dir():
        raise UsageError(f"{path}: is a folder; name a file in it")
    if whole.exists() and not whole.is_file():
        raise UsageError(f"{path}: is a device or a pipe, which cannot be replaced; name a file")
    return whole if path.is_symlink() else path


def _require_other_than_store(context: CliContext, path: Path) -> None:
    """Refuse to write over a file of the store: what is in it would be gone.

    Raises:
        InputError: *path* is one.
    """
    if path.resolve() in {file.resolve() for file in store_files(context.settings.store_url)}:
        raise UsageError(f"{path}: is a file of the store itself; give another name")


def _write_file(path: Path, text: str) -> None:
    path = _check_target(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as exc:
        raise InputError(f"{path}: cannot be written: {exc.strerror}") from None
    finally:
        with suppress(OSError):  # it is there still where the disk was full
            temporary.unlink(missing_ok=True)


def _format_next_runs(data: dict[str, Any]) -> dict[str, Any]:
    for change in data["changes"]:
        at = change["nextRunAt"]
        change["nextRunAt"] = at.isoformat().replace("+00:00", "Z") if at else None
    return data


def _format_counts(totals: RecordCounts) -> str:
    counts = ((totals.tasks, "task"), (totals.runs, "run"), (totals.documents, "document"))
    return ", ".join(format_count(*one) for one in counts)
