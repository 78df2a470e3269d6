"""Tasks and runs as the JSON text of a row, and back; a row that is no task becomes a report of why."""

from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from functions.errors import StoreError
from functions.rules.outcome import Run
from functions.rules.storage import Broken, Stored
from functions.rules.task import Task

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
DEEPEST = 50  # levels kept of a value that JSON cannot hold as it is (it may contain itself)

Document = TypeVar("Document", Task, Run)


def micros(at: datetime) -> int:
    """*at* in microseconds since 1970, exactly."""
    return (at - EPOCH) // MICROSECOND


def moment(at: int) -> datetime:
    """The instant *at* microseconds after 1970."""
    return EPOCH + at * MICROSECOND


def encode(document: Document) -> str:
    """The JSON text of *document*, without what is at its default.

    What JSON cannot hold (half a surrogate pair from a web page, an object a task type left in its
    memory) is replaced, for refusing it would stop everything that is written together with it.

    Raises:
        StoreError: Even so it cannot be written.
    """
    try:
        return document.model_dump_json(by_alias=True, exclude_defaults=True)
    except PydanticSerializationError:
        return _encode_what_can_be(document)


def decode_task(task_id: bytes, rev: int, text: bytes) -> Stored | Broken:
    """The task in the row *task_id*, or field and fault when it is none."""
    name = task_id.decode(errors="replace")
    try:
        task = Task.model_validate_json(text)
    except ValidationError as exc:
        return Broken(name, _reason(exc))
    if task.id != name:
        return Broken(name, "id: it differs from the name the document is kept under")
    return Stored(task, rev)


def decode_runs(texts: list[bytes]) -> list[Run]:
    """The readable ones of *texts*: a damaged line of history must not hide the others."""
    runs = []
    for text in texts:
        try:
            runs.append(Run.model_validate_json(text))
        except ValidationError:
            continue
    return runs


def _reason(exc: ValidationError) -> str:
    """Field and fault of the first error; pydantic's messages say what was expected, not what was found."""
    faults = exc.errors(include_url=False, include_context=False, include_input=False)
    where = ".".join(str(part) for part in faults[0]["loc"]) or "document"
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    return f"{where}: {faults[0]['msg']}{more}"


def _encode_what_can_be(document: Document) -> str:
    cleaned = {name: _plain(value) for name, value in document if type(value) in (str, dict)}
    try:
        return document.model_copy(update=cleaned).model_dump_json(by_alias=True, exclude_defaults=True)
    except PydanticSerializationError:
        name = document.id if isinstance(document, Task) else document.key
        raise StoreError(f"{name}: holds a value that cannot be written as JSON") from None


def _plain(value: Any, depth: int = 0) -> Any:
    if depth > DEEPEST:
        return None
    match value:
        case str():
            return value.encode(errors="replace").decode()
        case dict():
            return {_plain(str(key)): _plain(item, depth + 1) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_plain(item, depth + 1) for item in value]
        case None | bool() | int() | float() | datetime():
            return value
        case _:
            return f"<{type(value).__name__}>"
