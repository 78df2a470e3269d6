"""Loads task files and folders: returns the tasks in them, and all problems with file and line."""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from pydantic import ValidationError

from functions.domain.schedule.base import ScheduleError
from functions.domain.schedule.days.entries import check_calendar_name, split_entries
from functions.domain.schedule.days.public_holidays import check_entries
from functions.domain.task import Group, TaskSpec, default_title
from functions.domain.validation import DocumentSyntaxError, FieldPath, FileProblem, Problem, problems_of
from functions.taskfiles.parser import ParsedFile, parse_text
from functions.taskfiles.validation import check_task

MAX_FILE_BYTES = 1_048_576
TASK_FILE_SUFFIXES = (".yaml", ".yml", ".json")  # in any case
STANDARD_INPUT = Path("-")
NO_TASK_REASON = "has no field of a task; write a list under tasks:, each with id, type, schedule and params"


@dataclass(frozen=True, slots=True)
class LoadResult:
    """The tasks of files: those without a problem, and every problem of the others.

    Attributes:
        paths: The path, of those that were given, from which each task comes, by id.
        calendars: The entries of the calendars of all files, by name.
    """

    specs: tuple[TaskSpec, ...]
    problems: tuple[FileProblem, ...]
    paths: Mapping[str, Path] = field(default_factory=dict)
    calendars: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def read_task_files(
    paths: Sequence[Path], *, default_timezone: str = "UTC", runs_when_asked: bool = False
) -> LoadResult:
    """Read each file, and each folder whole, and check every task in them.

    Args:
        paths: A folder means all .yaml, .yml and .json files in it and below, but hidden ones and
            .schema.json; STANDARD_INPUT is read to its end.
        default_timezone: For tasks without one.
        runs_when_asked: See `check_task`.
    """
    reading = _TaskFileLoader(default_timezone, runs_when_asked=runs_when_asked)
    for path in paths:
        reading.load(path)
    return LoadResult(tuple(reading.specs), tuple(reading.problems), reading.paths, reading.calendars)


class _TaskFileLoader:
    def __init__(self, default_timezone: str, *, runs_when_asked: bool) -> None:
        self.specs: list[TaskSpec] = []
        self.problems: list[FileProblem] = []
        self.paths: dict[str, Path] = {}
        self.calendars: dict[str, tuple[str, ...]] = {}
        self._default_timezone = default_timezone
        self._runs_when_asked = runs_when_asked
        self._loaded_files: set[Path] = set()
        self._first_location: dict[str, str] = {}

    def load(self, path: Path) -> None:
        if path != STANDARD_INPUT and path.is_dir():
            try:
                files = find_task_files(path)
            except OSError as exc:  # what is in it may be tasks that run: without them they would be removed
                self._report(Path(exc.filename or path), f"the folder cannot be read: {exc.strerror}")
                return
            if not files:
                self._report(path, "there is no .yaml, .yml or .json file in this folder")
        else:
            files = [path]
        for file in files:
            if file.resolve() not in self._loaded_files:
                self._loaded_files.add(file.resolve())
                before, known = len(self.problems), len(self.specs)
                self._load_file(file)
                self.paths |= {spec.id: path for spec in self.specs[known:]}
                self.problems[before:] = sorted(self.problems[before:], key=lambda problem: problem.line or 0)

    def _load_file(self, file: Path) -> None:
        try:
            document = parse_text(_read_text(file), as_json=file.suffix.lower() == ".json")
        except DocumentSyntaxError as exc:
            self._report(file, str(exc), line=exc.line)
            return
        groups = document.value.get("groups") if isinstance(document.value, dict) else None
        tasks = list(_iter_tasks(document.value))
        self._load_calendars(file, document)
        for problem in document.problems:
            self._report(file, problem.reason, line=document.line_of(problem.path), field=problem.field)
        for place, given in tasks:
            if isinstance(given, Problem):
                self._report(file, given.reason, line=document.line_of(given.path), field=given.field)
            else:
                self._add_task(file, document, place, _with_group(given, groups))

    def _load_calendars(self, file: Path, document: ParsedFile) -> None:
        """Keep the calendars of a file; several files may have one of the same name and the same days."""
        for name, found in _iter_calendars(document.value):
            place = ("calendars", name) if name else ("calendars",)
            reason = found if isinstance(found, str) else ""
            if not reason and self.calendars.setdefault(name, tuple(found)) != found:
                reason = "another file has a calendar of this name with other days; write it in one of them"
            if reason:
                self._report(file, reason, line=document.line_of(place), field=".".join(place))

    def _add_task(self, file: Path, document: ParsedFile, place: FieldPath, given: Any) -> None:
        name = _display_name(given, place)
        checked = check_task(
            _with_title(given),
            default_timezone=self._default_timezone,
            runs_when_asked=self._runs_when_asked,
        )
        if isinstance(checked, TaskSpec):
            task_id = checked.id
        else:
            task_id = str(given.get("id", "")) if isinstance(given, dict) else ""
            for problem in checked:
                line = document.line_of(place + problem.path)
                self._report(file, problem.reason, line=line, task=name, field=problem.field)
        line = document.line_of((*place, "id"))
        here = str(file) if line is None else f"{file}:{line}"
        if task_id and (first := self._first_location.setdefault(task_id, here)) is not here:
            reason = f"{task_id} is already the id of a task in {first}; ids must differ"
            self._report(file, reason, line=line, task=name, field="id")
        elif isinstance(checked, TaskSpec):
            self.specs.append(checked)

    def _report(
        self, file: Path, reason: str, *, line: int | None = None, task: str = "", field: str = ""
    ) -> None:
        self.problems.append(FileProblem(str(file), line, task, field, reason))


def find_task_files(folder: Path) -> list[Path]:
    """Return the task files in *folder* and below it, in order: links are followed, hidden ones left out.

    A link to nothing is among them, so that reading it is a problem.

    Raises:
        OSError: A folder cannot be read.
    """
    found: list[Path] = []
    seen: set[str] = set()
    for here, folders, files in os.walk(folder, followlinks=True, onerror=_raise_error):
        whole = os.path.realpath(here)
        folders[:] = [] if whole in seen else [one for one in folders if not one.startswith(".")]
        if whole not in seen:
            found += (Path(here, one) for one in files if not one.startswith("."))
        seen.add(whole)  # a link may lead to a folder around it
    return sorted(path for path in found if _is_task_file(path))


def _is_task_file(path: Path) -> bool:
    is_schema = path.name.lower().endswith(".schema.json")  # for editors, see `schema.task_file_schema`
    has_suffix = path.suffix.lower() in TASK_FILE_SUFFIXES and not is_schema
    return has_suffix and (path.is_file() or (path.is_symlink() and not path.exists()))


def _raise_error(error: OSError) -> NoReturn:
    raise error


def _read_text(file: Path) -> str:
    content = read_standard_input(MAX_FILE_BYTES + 1) if file == STANDARD_INPUT else _read_file(file)
    if len(content) > MAX_FILE_BYTES:
        raise DocumentSyntaxError("the file is larger than 1 MiB; split it")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = content.count(b"\n", 0, exc.start) + 1
        raise DocumentSyntaxError("the file is not UTF-8 text; save it as UTF-8", line) from exc


def read_standard_input(limit: int = -1) -> bytes:
    """Return what comes by standard input: all of it, or the first *limit* bytes.

    Raises:
        DocumentSyntaxError: It is closed, or cannot be read.
    """
    if sys.stdin is None:
        raise DocumentSyntaxError("standard input is closed; name a file")
    try:
        return sys.stdin.buffer.read(limit)
    except OSError as exc:
        raise DocumentSyntaxError(f"standard input cannot be read: {exc.strerror}") from exc


def _read_file(file: Path) -> bytes:
    if file.suffix.lower() not in TASK_FILE_SUFFIXES and file.exists():
        raise DocumentSyntaxError(
            f"a task file's name must end in {', '.join(TASK_FILE_SUFFIXES[:-1])} or {TASK_FILE_SUFFIXES[-1]}"
        )
    try:
        with file.open("rb") as opened:
            return opened.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        why = "is a link to nothing" if file.is_symlink() else "there is no such file or folder"
        raise DocumentSyntaxError(why) from None
    except OSError as exc:
        raise DocumentSyntaxError(f"the file cannot be read: {exc.strerror}") from exc


def _iter_tasks(value: Any) -> Iterator[tuple[FieldPath, Any]]:
    """Yield the tasks of a document with their paths; a `Problem` for what is not a task."""
    if isinstance(value, list):
        yield from _iter_list(value, ())
    elif not isinstance(value, dict):
        yield (), Problem((), "a task file is a list of tasks, with or without tasks: above it, or one task")
    elif "tasks" not in value:
        yield (), value if _may_be_task(value) else Problem((), NO_TASK_REASON)
    else:
        for name in value:
            # as elsewhere, x- is for anchors
            if name not in ("tasks", "groups", "calendars") and not name.startswith("x-"):
                yield (), Problem((name,), "unknown beside tasks:; a field of a task goes inside the list")
        yield from _check_groups(value.get("groups", {}))
        if isinstance(value["tasks"], list):
            yield from _iter_list(value["tasks"], ("tasks",))
        else:
            yield (), Problem(("tasks",), "must be a list; each task begins with a hyphen")


def _iter_list(values: Sequence[Any], path: FieldPath) -> Iterator[tuple[FieldPath, Any]]:
    return (((*path, number), value) for number, value in enumerate(values))


def _may_be_task(value: Mapping[str, Any]) -> bool:
    """Whether *value* has a field of a task, or a plain value; `jobs: [...]`, and names of tasks, do not."""
    known = {field.alias or name for name, field in TaskSpec.model_fields.items()}
    return any(name in known or not isinstance(one, dict | list) for name, one in value.items())


def _check_groups(groups: Any) -> Iterator[tuple[FieldPath, Problem]]:
    """Yield what is wrong with the `groups` of a file: the limits by the names of groups."""
    if not isinstance(groups, dict):
        yield (
            (),
            Problem(("groups",), "must be a mapping of names to limits, such as shop: {maxConcurrent: 2}"),
        )
        return
    for name, limits in groups.items():
        place = ("groups", str(name))
        if not isinstance(limits, dict):
            yield (), Problem(place, "must be limits, such as {maxConcurrent: 2, perMinute: 30}")
        else:
            whole = {**limits, "name": name}
            try:
                Group.model_validate(whole, by_alias=True, by_name=False)
            except ValidationError as exc:
                for one in problems_of(exc, whole, model=Group):
                    yield (), Problem((*place, *one.path), one.reason)


def _iter_calendars(value: Any) -> Iterator[tuple[str, tuple[str, ...] | str]]:
    """Yield the `calendars` of a document by name, each with its entries, or with what is wrong with it."""
    calendars = value.get("calendars", {}) if isinstance(value, dict) and "tasks" in value else {}
    if not isinstance(calendars, dict):
        yield "", "must be a mapping of names to days, such as company: [12-24..01-02]"
        return
    for name, written in calendars.items():
        texts = split_entries(written)
        if not isinstance(texts, (list, tuple)) or not all(isinstance(one, str) for one in texts):
            yield str(name), "must be a list of days, such as [12-24..01-02, 2027-05-03]"
            continue
        try:
            check_calendar_name(str(name))
            entries = check_entries(texts, may_name_calendars=False)
        except ScheduleError as exc:
            yield str(name), str(exc)
            continue
        yield str(name), entries or "has no days; write at least one, or remove it"


def _with_group(given: Any, groups: Any) -> Any:
    """Return the task with the limits of its group, where it names one of the file's: `group: shop`."""
    if not isinstance(given, dict) or not isinstance(name := given.get("group"), str):
        return given
    limits = groups.get(name) if isinstance(groups, dict) else None
    return {**given, "group": {**limits, "name": name} if isinstance(limits, dict) else {"name": name}}


def _with_title(given: Any) -> Any:
    """Return the task with a title made of its id: files of older schedulers do without one."""
    if isinstance(given, dict) and isinstance(given.get("id"), str) and given["id"] and "title" not in given:
        return {**given, "title": default_title(given["id"])}
    return given


def _display_name(given: Any, place: FieldPath) -> str:
    """Return a name for a task that may have neither id nor title."""
    for name in ("id", "title"):
        if isinstance(given, dict) and isinstance(given.get(name), str) and given[name].strip():
            return str(given[name])[:60]
    return f"task {int(place[-1]) + 1}" if place else "task 1"
