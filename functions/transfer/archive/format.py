"""The archive format: one JSON record a line, with a header first and the counts last.

    {"kind":"cronfire","version":1,"exportedAt":...}      the heading
    {"kind":"document","documentKind":"owners","id":...,"data":{...}}
    {"kind":"task","task":{...}}
    {"kind":"run","run":{...}}
    {"kind":"end","tasks":3,"runs":40,"documents":2}      without it, the file is only a part

A task that ran during the export stands there twice, and is as the line with "replacesEarlier" says.
"""

import json
import re
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeGuard, get_args

from pydantic import ValidationError

from functions.domain.run import Run
from functions.domain.storage import Document, DocumentKind
from functions.domain.task import Task
from functions.domain.types import Instant, Model, format_instant, parse_stored_instant
from functions.domain.validation import INSTANT_MESSAGE, validation_sentence
from functions.errors import InputError

VERSION = 1
DOCUMENT_KINDS: tuple[DocumentKind, ...] = get_args(DocumentKind)
# Rows of keys are signed for one installation, and what signs sessions or says which have ended is its own.
# Slots of groups are held by its claims.
LOCAL_KINDS: frozenset[DocumentKind] = frozenset({"keys", "groups"})
LOCAL_META = ("signing", "sessions.")
RECORD_KINDS = ("cronfire", "document", "task", "run", "end")
INVALID = "invalid"
_DOCUMENT_ID = re.compile(r"(?!__.*__$|\.{1,2}$)[^/\x00-\x1f]{1,375}")  # every store takes 1,500 bytes
MAX_LINE_BYTES = 8_000_000  # no store has a larger record


def is_local(document: Document) -> bool:
    """Whether *document* belongs to one installation: it is neither exported nor imported."""
    return document.kind in LOCAL_KINDS or (
        document.kind == "meta" and (document.id == LOCAL_META[0] or document.id.startswith(LOCAL_META[1]))
    )


class ArchiveHeader(Model):
    """The header of an archive."""

    kind: Literal["cronfire"] = "cronfire"
    version: int = VERSION
    exported_at: Instant


@dataclass(slots=True)
class RecordCounts:
    """The number of records of each kind."""

    tasks: int = 0
    runs: int = 0
    documents: int = 0

    def to_json(self) -> dict[str, int]:
        """Return the counts by name."""
        return {"tasks": self.tasks, "runs": self.runs, "documents": self.documents}


@dataclass(frozen=True, slots=True)
class ArchiveRecord:
    """One line of an archive."""

    number: int
    kind: str
    fields: Mapping[str, Any] = field(default_factory=dict)

    @property
    def replaces_earlier(self) -> bool:
        """Whether an earlier line has an earlier state of the same task."""
        return self.fields.get("replacesEarlier") is True

    def parse(self) -> Task | Run | Document:
        """Return the task, run or document; raises InputError when the record is none of its kind."""
        match self.kind:
            case "task":
                return self.parse_task()
            case "run":
                return self.parse_run()
            case _:
                return self.parse_document()

    def parse_task(self) -> Task:
        """Return the task; raises InputError when the record is none."""
        try:
            return Task.model_validate(self.fields.get("task"))
        except ValidationError as exc:
            raise InputError(
                f"line {self.number}: is no task: {validation_sentence(exc, whole='all of it')}"
            ) from None

    def parse_run(self) -> Run:
        """Return the run; raises InputError when the record is none."""
        try:
            return Run.model_validate(self.fields.get("run"))
        except ValidationError as exc:
            raise InputError(
                f"line {self.number}: is no record of a run: {validation_sentence(exc, whole='all of it')}"
            ) from None

    def parse_document(self) -> Document:
        """Return the document; raises InputError when the record is none."""
        kind, name, data = (self.fields.get(one) for one in ("documentKind", "id", "data"))
        if kind == "audit" and isinstance(name, str):
            name = name.replace("/", "%2F")  # as `audit_id_prefix` has it; older versions kept the slash
        if kind not in DOCUMENT_KINDS or not _is_document_id(name) or not isinstance(data, dict):
            raise InputError(
                f"line {self.number}: is no document of {', '.join(DOCUMENT_KINDS)} with an id and data"
            )
        expires = self.fields.get("expireAt")
        at = parse_stored_instant(expires)
        if at is None and expires is not None:
            raise InputError(f"line {self.number}: expireAt {INSTANT_MESSAGE}, of the years 1970 to 9000")
        return Document(kind, name, data, expire_at=at)


def header_line(at: datetime) -> str:
    """Return the first line."""
    return _to_json_line({"kind": "cronfire", "version": VERSION, "exportedAt": format_instant(at)})


def task_line(task: Task, *, replaces_earlier: bool = False) -> str:
    """Return the line of a task; *replaces_earlier* if an earlier line has an earlier state of it."""
    more = '"replacesEarlier":true,' if replaces_earlier else ""
    return f'{{"kind":"task",{more}"task":{task.model_dump_json(by_alias=True, exclude_defaults=True)}}}\n'


def run_line(run: Run) -> str:
    """Return the line of a run."""
    return f'{{"kind":"run","run":{run.model_dump_json(by_alias=True, exclude_defaults=True)}}}\n'


def document_line(document: Document) -> str:
    """Return the line of a document."""
    values = {
        "kind": "document",
        "documentKind": document.kind,
        "id": document.id,
        "data": dict(document.data),
    }
    if document.expire_at is not None:
        values["expireAt"] = format_instant(document.expire_at)
    return _to_json_line(values)


def end_line(counts: RecordCounts) -> str:
    """Return the last line."""
    return _to_json_line({"kind": "end", **counts.to_json()})


def read_records(path: Path) -> Iterator[ArchiveRecord]:
    """The lines of an archive, one by one; one that is no record has the kind `INVALID` and says why.

    Raises:
        InputError: The file cannot be read.
    """
    try:
        with path.open("rb") as file:
            for number in range(1, 1 << 62):
                text = file.readline(MAX_LINE_BYTES + 1)
                text = text.removeprefix(BOM_UTF8) if number == 1 else text  # editors add it
                if not text:
                    return
                if text.strip():
                    yield _parse_line(number, text)
    except OSError as exc:
        raise InputError(f"{path}: cannot be read: {exc.strerror}") from None


def is_archive(path: Path) -> bool:
    """Whether *path* is a file that begins like an archive; a pipe is not looked into, as it is read once."""
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            first = file.readline(1000)
    except OSError:
        return False
    return (
        first.removeprefix(BOM_UTF8).lstrip().startswith(b"{")
        and b'"cronfire"' in first
        and b'"kind"' in first
    )


def check_header(record: ArchiveRecord) -> None:
    """Check that *record* is the header of an archive that can be read.

    Raises:
        InputError: It is another file, or of a later version.
    """
    try:
        heading = ArchiveHeader.model_validate(dict(record.fields))
    except ValidationError:
        raise InputError("line 1: is no heading of an archive; scheduler export writes one") from None
    if heading.version > VERSION:
        raise InputError(f"line 1: the archive is of version {heading.version}; this program reads {VERSION}")


def _parse_line(number: int, text: bytes) -> ArchiveRecord:
    try:
        values = json.loads(text, parse_constant=_refuse_constant)
        if b"\\ud" in text.lower():  # half a surrogate pair, which no store holds
            json.dumps(values, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        why = (
            "is longer than any record"
            if len(text) > MAX_LINE_BYTES
            else "is no JSON; the file was cut or changed"
        )
        return ArchiveRecord(number, INVALID, {"why": why})
    if not isinstance(values, dict) or values.get("kind") not in RECORD_KINDS:
        return ArchiveRecord(
            number, INVALID, {"why": f"is no record of a kind that is known ({', '.join(RECORD_KINDS)})"}
        )
    return ArchiveRecord(number, values["kind"], values)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _is_document_id(name: object) -> TypeGuard[str]:
    """Whether *name* is an id that every store takes."""
    return isinstance(name, str) and _DOCUMENT_ID.fullmatch(name) is not None


def _to_json_line(values: Mapping[str, Any]) -> str:
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")) + "\n"
