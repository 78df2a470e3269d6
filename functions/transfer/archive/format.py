"""An archive: all that a store keeps as lines of JSON, one record a line, first what it is and last how much.

    {"kind":"cronfire","version":1,"exportedAt":...}      the heading
    {"kind":"document","shelf":"owners","id":...,"data":{...}}
    {"kind":"task","task":{...}}
    {"kind":"run","run":{...}}
    {"kind":"end","tasks":3,"runs":40,"documents":2}      without it, the file is only a part

A task that ran during the export stands there twice, and is as the line with "again" says.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import ValidationError

from functions.domain.run import Run
from functions.domain.storage import Document, Kind
from functions.domain.task import Task
from functions.domain.types import Instant, Model, instant_text
from functions.errors import InputError

VERSION = 1
SHELVES: tuple[Kind, ...] = get_args(Kind)
KINDS = ("cronfire", "document", "task", "run", "end")
FAULT = "fault"
MOST_BYTES = 8_000_000  # of one line; no store keeps a larger record


class Heading(Model):
    """What an archive says of itself."""

    kind: Literal["cronfire"] = "cronfire"
    version: int = VERSION
    exported_at: Instant


@dataclass(slots=True)
class Totals:
    """How many records there are."""

    tasks: int = 0
    runs: int = 0
    documents: int = 0

    def as_data(self) -> dict[str, int]:
        """The figures by name."""
        return {"tasks": self.tasks, "runs": self.runs, "documents": self.documents}


@dataclass(frozen=True, slots=True)
class Line:
    """One record as it stands in the file."""

    number: int
    kind: str
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def again(self) -> bool:
        """Whether an earlier line has the same task as it was before."""
        return self.values.get("again") is True

    def task(self) -> Task:
        """The task; raises InputError when it is none."""
        try:
            return Task.model_validate(self.values.get("task"))
        except ValidationError as exc:
            raise InputError(f"line {self.number}: is no task: {_first(exc)}") from None

    def run(self) -> Run:
        """The record of a run; raises InputError when it is none."""
        try:
            return Run.model_validate(self.values.get("run"))
        except ValidationError as exc:
            raise InputError(f"line {self.number}: is no record of a run: {_first(exc)}") from None

    def document(self) -> Document:
        """The document; raises InputError when it is none."""
        shelf, name, data = (self.values.get(one) for one in ("shelf", "id", "data"))
        if shelf not in SHELVES or not isinstance(name, str) or not isinstance(data, dict):
            raise InputError(
                f"line {self.number}: is no document of {', '.join(SHELVES)} with an id and data"
            )
        expires = self.values.get("expireAt")
        try:
            at = None if expires is None else datetime.fromisoformat(expires)
        except (TypeError, ValueError):
            raise InputError(f"line {self.number}: expireAt is no instant") from None
        return Document(shelf, name, data, expire_at=at)


def heading_line(at: datetime) -> str:
    """The first line."""
    return _text({"kind": "cronfire", "version": VERSION, "exportedAt": instant_text(at)})


def task_line(task: Task, *, again: bool = False) -> str:
    """The line of a task; *again* when an earlier line has it as it was before."""
    more = '"again":true,' if again else ""
    return f'{{"kind":"task",{more}"task":{task.model_dump_json(by_alias=True, exclude_defaults=True)}}}\n'


def run_line(run: Run) -> str:
    """The line of a run."""
    return f'{{"kind":"run","run":{run.model_dump_json(by_alias=True, exclude_defaults=True)}}}\n'


def document_line(document: Document) -> str:
    """The line of a document."""
    values = {"kind": "document", "shelf": document.kind, "id": document.id, "data": dict(document.data)}
    if document.expire_at is not None:
        values["expireAt"] = instant_text(document.expire_at)
    return _text(values)


def end_line(totals: Totals) -> str:
    """The last line."""
    return _text({"kind": "end", **totals.as_data()})


def read_lines(path: Path) -> Iterator[Line]:
    """The lines of an archive, one by one; one that is no record has the kind `fault` and says why.

    Raises:
        InputError: The file cannot be read.
    """
    try:
        with path.open("rb") as file:
            for number in range(1, 1 << 62):
                text = file.readline(MOST_BYTES + 1)
                if not text:
                    return
                if text.strip():
                    yield _line(number, text)
    except OSError as exc:
        raise InputError(f"{path}: cannot be read: {exc.strerror}") from None


def is_archive(path: Path) -> bool:
    """Whether *path* begins as an archive does."""
    try:
        with path.open("rb") as file:
            first = file.readline(1000)
    except OSError:
        return False
    return first.lstrip().startswith(b"{") and b'"cronfire"' in first and b'"kind"' in first


def check_heading(line: Line) -> None:
    """Return quietly when *line* is the heading of an archive that can be read.

    Raises:
        InputError: It is another file, or of a later version.
    """
    try:
        heading = Heading.model_validate(dict(line.values))
    except ValidationError:
        raise InputError("line 1: is no heading of an archive; scheduler export writes one") from None
    if heading.version > VERSION:
        raise InputError(f"line 1: the archive is of version {heading.version}; this program reads {VERSION}")


def _line(number: int, text: bytes) -> Line:
    try:
        values = json.loads(text)
    except ValueError:
        why = (
            "is longer than any record"
            if len(text) > MOST_BYTES
            else "is no JSON; the file was cut or changed"
        )
        return Line(number, FAULT, {"why": why})
    if not isinstance(values, dict) or values.get("kind") not in KINDS:
        return Line(number, FAULT, {"why": f"is no record of a kind that is known ({', '.join(KINDS)})"})
    return Line(number, values["kind"], values)


def _text(values: Mapping[str, Any]) -> str:
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")) + "\n"


def _first(exc: ValidationError) -> str:
    """Field and fault of the first error, without the value."""
    error = exc.errors(include_url=False, include_input=False, include_context=False)[0]
    return f"{'.'.join(str(one) for one in error['loc']) or 'all of it'}: {error['msg']}"
