"""Loading: files and folders become the tasks they hold, or the list of all that is wrong with them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from functions.domain.task import TaskSpec
from functions.domain.validation import Fault, Place, Problem, UnreadableError
from functions.taskfiles.parser import Document, parse
from functions.taskfiles.validation import check_task

MAX_FILE_BYTES = 1_048_576
SUFFIXES = (".yaml", ".yml", ".json")


@dataclass(frozen=True, slots=True)
class Loaded:
    """What files hold: all tasks without a fault, and every fault of the others."""

    specs: tuple[TaskSpec, ...]
    faults: tuple[Fault, ...]


def read_task_files(paths: Sequence[Path], *, default_timezone: str = "UTC") -> Loaded:
    """Read each file, and each folder whole, and check every task in them.

    Args:
        paths: A folder means all .yaml, .yml and .json files in it and below, hidden ones left out.
        default_timezone: For tasks that name none.
    """
    reading = _Reading(default_timezone)
    for path in paths:
        reading.read(path)
    return Loaded(tuple(reading.specs), tuple(reading.faults))


class _Reading:
    def __init__(self, default_timezone: str) -> None:
        self.specs: list[TaskSpec] = []
        self.faults: list[Fault] = []
        self._default_timezone = default_timezone
        self._files: set[Path] = set()
        self._first: dict[str, str] = {}  # where each id was met first

    def read(self, path: Path) -> None:
        if path.is_dir():
            files = sorted(_files_below(path))
            if not files:
                self._say(path, "there is no .yaml, .yml or .json file in this folder")
        else:
            files = [path]
        for file in files:
            if file.resolve() not in self._files:
                self._files.add(file.resolve())
                before = len(self.faults)
                self._read_file(file)
                self.faults[before:] = sorted(self.faults[before:], key=lambda fault: fault.line or 0)

    def _read_file(self, file: Path) -> None:
        try:
            document = parse(_text(file), as_json=file.suffix == ".json")
        except UnreadableError as exc:
            self._say(file, str(exc), line=exc.line)
            return
        tasks = list(_tasks(document.value))
        for problem in document.problems:
            self._say(file, problem.reason, line=document.line(problem.place), field=problem.field)
        for place, given in tasks:
            if isinstance(given, Problem):
                self._say(file, given.reason, line=document.line(given.place), field=given.field)
            else:
                self._task(file, document, place, given)

    def _task(self, file: Path, document: Document, place: Place, given: Any) -> None:
        name = _name(given, place)
        checked = check_task(given, default_timezone=self._default_timezone)
        if isinstance(checked, TaskSpec):
            task_id = checked.id
        else:
            task_id = str(given.get("id", "")) if isinstance(given, dict) else ""
            for problem in checked:
                line = document.line(place + problem.place)
                self._say(file, problem.reason, line=line, task=name, field=problem.field)
        line = document.line((*place, "id"))
        here = str(file) if line is None else f"{file}:{line}"
        if task_id and (first := self._first.setdefault(task_id, here)) is not here:
            reason = f"{task_id} is already the id of a task in {first}; ids must differ"
            self._say(file, reason, line=line, task=name, field="id")
        elif isinstance(checked, TaskSpec):
            self.specs.append(checked)

    def _say(
        self, file: Path, reason: str, *, line: int | None = None, task: str = "", field: str = ""
    ) -> None:
        self.faults.append(Fault(str(file), line, task, field, reason))


def _files_below(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix in SUFFIXES and not hidden and path.is_file():
            yield path


def _text(file: Path) -> str:
    if file.suffix not in SUFFIXES:
        raise UnreadableError(f"a task file's name must end in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}")
    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise UnreadableError("there is no such file or folder") from None
    except OSError as exc:
        raise UnreadableError(f"the file cannot be read: {exc.strerror}") from exc
    if len(content) > MAX_FILE_BYTES:
        raise UnreadableError("the file is larger than 1 MiB; split it")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = content.count(b"\n", 0, exc.start) + 1
        raise UnreadableError("the file is not UTF-8 text; save it as UTF-8", line) from exc


def _tasks(value: Any) -> Iterator[tuple[Place, Any]]:
    """The tasks of a document with their places; a `Problem` in place of what cannot hold any."""
    if not isinstance(value, dict):
        yield (), Problem((), "a task file is a list under tasks:, or one task's fields")
    elif "tasks" not in value:
        yield (), value
    else:
        for name in value:
            if name != "tasks" and not name.startswith("x-"):  # as elsewhere, x- is for anchors
                yield (), Problem((name,), "unknown beside tasks:; a field of a task goes inside the list")
        if isinstance(value["tasks"], list):
            for number, given in enumerate(value["tasks"]):
                yield ("tasks", number), given
        else:
            yield (), Problem(("tasks",), "must be a list; each task begins with a hyphen")


def _name(given: Any, place: Place) -> str:
    """What to call a task that may have neither id nor title."""
    for field in ("id", "title"):
        if isinstance(given, dict) and isinstance(given.get(field), str) and given[field].strip():
            return str(given[field])[:60]
    return f"task {int(place[-1]) + 1}" if place else "task 1"
