"""Tasks, runs and documents as JSON text, and back; used by every store that keeps text."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from functions.domain.json_depth import MAX_DEPTH
from functions.domain.run import Run
from functions.domain.storage import Document, InvalidDocument, VersionedTask
from functions.domain.task import MAX_SUMMARY_CHARS, Task
from functions.domain.types import OutcomeKind, check_instant, format_instant
from functions.domain.validation import validation_sentence
from functions.errors import InputError, InvalidWriteError, StoreError
from functions.stores.json_text import has_half_pairs, replace_half_pairs

TRUNCATED_METRICS = {"note": "Metrics and items were too large to keep"}


def hidden_tasks_error(count: int) -> StoreError:
    """The error of a tick that found *count* documents that cannot be read, and looks no further."""
    return StoreError(
        f"{count:,} tasks that cannot be read hide what is due behind them; scheduler doctor names them: "
        "mend or remove them"
    )


def merge_newest_first(runs: Iterable[Run]) -> list[Run]:
    """Return *runs* by the time they finished, newest first, each record once."""
    once: dict[str, Run] = {}
    for run in runs:
        known = once.get(run.key)
        once[run.key] = run if known is None or _precedence(run) > _precedence(known) else known
    return sorted(once.values(), key=lambda run: (run.finished_at, run.key), reverse=True)


def _precedence(run: Run) -> tuple[bool, bool, datetime]:
    """Of two records of one attempt the greater is valid: an abandoned attempt may have ended after all."""
    return run.outcome is not OutcomeKind.ABANDONED, run.final, run.finished_at


def decode_run(text: str) -> Run | None:
    """The record that *text* holds; None when it was spoilt by hand."""
    try:
        return Run.model_validate_json(text)
    except ValidationError:
        return _decode_showable(text)


def _decode_showable(text: str) -> Run | None:
    """The record without what no page can show: it still says what happened."""
    try:
        return Run.model_validate(replace_half_pairs(json.loads(text)))
    except (ValueError, RecursionError):
        return None


def encode_run(run: Run) -> str:
    """The record as JSON, without what is at its default."""
    try:
        return run.model_dump_json(by_alias=True, exclude_defaults=True)
    except ValueError:  # metrics that are no JSON, or half a surrogate pair: store the rest
        return truncate_run(run).model_dump_json(by_alias=True, exclude_defaults=True)


def truncate_run(run: Run) -> Run:
    """The record without what may be large."""
    summary = run.summary[:MAX_SUMMARY_CHARS].encode(errors="replace").decode()
    return run.model_copy(update={"summary": summary, "metrics": TRUNCATED_METRICS, "items": ()})


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

Record = TypeVar("Record", Task, Run)


def to_microseconds(at: datetime) -> int:
    """*at* in microseconds since 1970, exactly."""
    return (at - EPOCH) // MICROSECOND


def from_microseconds(at: Any) -> datetime | None:
    """The instant *at* microseconds after 1970; None for what is out of range, or no number."""
    try:
        return check_instant(EPOCH + at * MICROSECOND)
    except (TypeError, OverflowError, ValueError):
        return None


def encode_model(document: Record) -> str:
    """The JSON text of *document*, without what is at its default.

    What JSON cannot hold (half a surrogate pair from a web page, an object a task type left in its
    memory) is replaced, for refusing it would stop everything that is written together with it.

    Raises:
        InvalidWriteError: Even so it cannot be written.
    """
    try:
        return document.model_dump_json(by_alias=True, exclude_defaults=True)
    except PydanticSerializationError:
        return _encode_lossy(document)


def decode_task(task_id: bytes, revision: int, text: bytes) -> VersionedTask | InvalidDocument:
    """The task in the row *task_id*, or field and fault when it is none."""
    name = task_id.decode(errors="replace")
    try:
        task = _decode(Task, text)
    except ValidationError as exc:
        return InvalidDocument(name, validation_sentence(exc), revision)
    if task.id != name:
        return InvalidDocument(name, "id: it differs from the name of the stored document", revision)
    task.model_fields_set.clear()
    return VersionedTask(task, revision)


def decode_runs(texts: Iterable[bytes]) -> Iterator[Run]:
    """The readable ones of *texts*: a damaged line of history must not hide the others."""
    for text in texts:
        try:
            yield _decode(Run, text)
        except ValidationError:
            continue


def _decode(model: type[Record], text: bytes) -> Record:
    """The record that *text* is, also when it is nested deeper than pydantic's reader goes (200 levels)."""
    try:
        return model.model_validate_json(text)
    except ValidationError as exc:
        if exc.errors()[0]["type"] != "json_invalid":
            raise
        try:
            document = json.loads(text, parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            raise exc from None
        if has_half_pairs(document):  # what pydantic refuses too, and no page or answer can hold
            raise
        return model.model_validate(document)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _encode_lossy(document: Record) -> str:
    cleaned = {name: _to_json_value(value) for name, value in document if type(value) in (str, dict)}
    try:
        return document.model_copy(update=cleaned).model_dump_json(by_alias=True, exclude_defaults=True)
    except PydanticSerializationError:
        name = document.id if isinstance(document, Task) else document.key
        raise InvalidWriteError(f"{name}: holds a value that cannot be written as JSON") from None


def _to_json_value(value: Any, depth: int = 0) -> Any:
    if depth > MAX_DEPTH:  # it may contain itself
        return None
    match value:
        case str():
            return value.encode(errors="replace").decode()
        case dict():
            return {_to_json_value(str(key)): _to_json_value(item, depth + 1) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_to_json_value(item, depth + 1) for item in value]
        case None | bool() | int() | float() | datetime():
            return value
        case _:
            return f"<{type(value).__name__}>"


def encode_documents(documents: Sequence[Document]) -> list[Mapping[str, Any]]:
    """Encode what each put sets, without the new revision.

    Raises:
        InputError: Data that are no JSON values; nothing is written.
    """
    return [_encode_document(document) for document in documents]


def _encode_document(document: Document) -> Mapping[str, Any]:
    try:
        text = json.dumps(dict(document.data), ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError):
        raise InputError(f"{document.kind} {document.id}: holds a value that is no JSON") from None
    data = json.loads(text.encode(errors="replace"))
    expires = {} if document.expire_at is None else {"expireAt": format_instant(document.expire_at)}
    return {**expires, "data": data}
