"""Python values as Firestore keeps them, and back: as messages of google-cloud-firestore.

Maps, lists, texts, numbers and instants are kept as what they are, so that a document reads well in the
console. What Firestore has no shape for (a list in a list, a whole number beyond 64 bits, a key it reserves,
a nesting too deep) is kept as JSON text in a map of one field, `{"$json": "[[1, 2], [3]]"}`.
"""

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

from google.cloud.firestore_v1.types import Value
from pydantic import ValidationError
from pydantic_core import to_jsonable_python

from functions.domain.storage import ConditionalWrite, InvalidDocument, QueryResult, VersionedTask
from functions.domain.task import FORMER_NAMES, Task
from functions.domain.types import format_instant
from functions.domain.validation import validation_sentence

# Documents are read and written as the protobuf messages beneath the library's wrappers (`Type.pb(...)`).
# A task of twenty fields is written in 42 us and read in 30 us; by the wrappers it is 237 us and 309 us, a
# third of a second more for a thousand due tasks. The messages are made at run time, without static types.
RawValue: TypeAlias = Any
RawTimestamp: TypeAlias = Any
RawDocument: TypeAlias = Any
RawWrite: TypeAlias = Any

JSON_KEY = "$json"  # the one field of the map that stands for a value Firestore has no shape for
NATIVE_DEPTH = 16  # levels as maps and lists, deeper ones as text: Firestore refuses more than 20 in all
MAX_KEY_BYTES = 1500
RESERVED_KEY = re.compile(r"__.*__", re.DOTALL)
INT64 = 2**63

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def encode_value(slot: RawValue, value: Any, *, depth: int = 0) -> None:
    """Write *value* into the empty message *slot*.

    A value that is no JSON (a set, a date without a zone) is kept as its JSON form, or as its text.
    Half a surrogate pair, which no UTF-8 can hold, becomes a question mark.

    Raises:
        ValueError: The value holds itself.
        TypeError: A map's key is neither a text nor a number.
    """
    if value is None:
        slot.null_value = 0  # the only value of its enumeration
    elif isinstance(value, str):
        _encode_text(slot, value)
    elif isinstance(value, bool):
        slot.boolean_value = value
    elif isinstance(value, int):
        _encode_int(slot, value)
    elif isinstance(value, float):
        slot.double_value = value
    elif isinstance(value, datetime) and value.tzinfo is not None:
        encode_timestamp(slot.timestamp_value, value)
    elif isinstance(value, Mapping):
        _encode_map(slot, value, depth)
    elif isinstance(value, list | tuple):
        _encode_list(slot, value, depth)
    else:
        encode_value(slot, _to_jsonable(value), depth=depth)


def decode_timestamp(timestamp: RawTimestamp) -> datetime:
    """Return the instant of a timestamp, in UTC, to the microsecond."""
    return EPOCH + timedelta(seconds=timestamp.seconds, microseconds=timestamp.nanos // 1000)


def decode_value(value: RawValue, instant: Callable[[RawTimestamp], Any] = decode_timestamp) -> Any:
    """The Python value of a message that `encode_value`, or a user of the console, has written.

    Args:
        instant: Makes the value of a timestamp.

    Raises:
        ValueError: A kind of value no task has: a place on Earth, a reference, bytes.
    """
    kind = value.WhichOneof("value_type")
    if kind == "string_value":
        return value.string_value
    if kind == "timestamp_value":
        return instant(value.timestamp_value)
    if kind == "map_value":
        return _decode_map(value.map_value.fields, instant)
    if kind == "array_value":
        return [decode_value(item, instant) for item in value.array_value.values]
    if kind == "null_value":
        return None
    if kind in ("integer_value", "boolean_value", "double_value"):
        return getattr(value, kind)
    raise ValueError(f"a value of the kind {kind} cannot be read")


def decode_json(value: RawValue) -> Any:
    """As `decode_value`, with instants as text: what is read so is JSON, as from every other store."""
    return decode_value(value, _to_instant_text)


def encode_timestamp(slot: RawTimestamp, instant: datetime) -> None:
    """Write *instant* into the empty timestamp *slot*, to the microsecond."""
    since = instant - EPOCH
    slot.seconds = since.days * 86_400 + since.seconds
    slot.nanos = since.microseconds * 1000
    slot.SetInParent()


def to_value(value: Any) -> RawValue:
    """A message of its own for *value*, as a query's filter needs it."""
    message = Value.pb()()
    encode_value(message, value)
    return message


def _encode_text(slot: RawValue, text: str) -> None:
    try:
        slot.string_value = text
    except UnicodeEncodeError:
        slot.string_value = text.encode(errors="replace").decode()


def _encode_int(slot: RawValue, number: int) -> None:
    if -INT64 <= number < INT64:
        slot.integer_value = number
    else:
        _encode_json(slot, number)


def _encode_map(slot: RawValue, value: Mapping[Any, Any], depth: int) -> None:
    if depth >= NATIVE_DEPTH or not all(map(_is_valid_key, value)):
        _encode_json(slot, value)
        return
    fields = slot.map_value.fields
    for key, item in value.items():
        encode_value(fields[key], item, depth=depth + 1)
    slot.map_value.SetInParent()  # an empty map is a map


def _encode_list(slot: RawValue, value: list[Any] | tuple[Any, ...], depth: int) -> None:
    if depth >= NATIVE_DEPTH:
        _encode_json(slot, value)
        return
    slots = slot.array_value.values
    for item in value:
        if isinstance(item, list | tuple | set | frozenset):
            _encode_json(slots.add(), item)
        else:
            encode_value(slots.add(), item, depth=depth + 1)
    slot.array_value.SetInParent()  # an empty list is a list


def _encode_json(slot: RawValue, value: Any) -> None:
    text = json.dumps(value, default=_to_jsonable, ensure_ascii=False)
    _encode_text(slot.map_value.fields[JSON_KEY], text)


def _to_jsonable(value: Any) -> Any:
    return to_jsonable_python(value, fallback=str)


def _is_valid_key(key: Any) -> bool:
    """Whether Firestore takes *key* as a map's key, and it is not one of the keys used here."""
    if not isinstance(key, str) or not key or key == JSON_KEY or RESERVED_KEY.fullmatch(key):
        return False
    if key.isascii():
        return len(key) <= MAX_KEY_BYTES
    try:
        return len(key.encode()) <= MAX_KEY_BYTES
    except UnicodeEncodeError:
        return False


def _decode_map(fields: Mapping[str, RawValue], instant: Callable[[RawTimestamp], Any]) -> Any:
    if len(fields) == 1 and JSON_KEY in fields:
        try:
            return json.loads(fields[JSON_KEY].string_value)
        except RecursionError:
            raise ValueError("its JSON text is nested too deep") from None
    return {key: decode_value(item, instant) for key, item in fields.items()}


def _to_instant_text(timestamp: RawTimestamp) -> str:
    return format_instant(decode_timestamp(timestamp))


# -- tasks as documents, and back -----------------------------------------------------------

ALIASES = {name: field.alias or name for name, field in Task.model_fields.items()}
ALWAYS_WRITTEN = frozenset({"next_run_at", "status", "shard"})  # queries do not find what is not there
JSON_FIELDS = frozenset({"params", "memory"})  # of whatever a type has; all others have a form of their own

NEVER_DUE = "nextRunAt: must be a timestamp, or null; as it is, no query finds the task"

NANOS = 10**9


def encode_write(slot: RawWrite, write: ConditionalWrite, *, name: str) -> None:
    """Fill the empty message *slot* with *write*, guarded by the revision it expects.

    Raises:
        ValueError, TypeError: Some value of the task cannot be kept at all.
    """
    if write.delete:
        slot.delete = name
    else:
        slot.update.name = name
        _encode_task(slot, write)
    set_precondition(slot, write.revision)


def set_precondition(slot: RawWrite, revision: int | None) -> None:
    """Let the write in *slot* be done only at this revision; None means that nothing may be there."""
    if revision is None:
        slot.current_document.exists = False
    else:
        expected = slot.current_document.update_time
        expected.seconds, expected.nanos = divmod(revision, NANOS)


def revision_of(timestamp: RawTimestamp) -> int:
    """A document's time of update as our revision: nanoseconds since 1970."""
    return int(timestamp.seconds * NANOS + timestamp.nanos)


def id_of(document: RawDocument) -> str:
    """The last part of a document's name, which is the task's or the run batch's id."""
    return str(document.name.rpartition("/")[2])


def to_query_result(documents: list[RawDocument]) -> QueryResult:
    """The documents as tasks, in their order; those that cannot be read as one apart."""
    read = [decode_task(document) for document in documents]
    return QueryResult(
        tuple(one for one in read if isinstance(one, VersionedTask)),
        tuple(one for one in read if isinstance(one, InvalidDocument)),
    )


def decode_task(document: RawDocument) -> VersionedTask | InvalidDocument:
    """The document as a task, or why it cannot be read as one."""
    try:
        return _decode_versioned_task(document)
    except ValidationError as error:
        reason = validation_sentence(error)
    except ValueError as error:
        reason = str(error)
    return InvalidDocument(id_of(document), reason, revision_of(document.update_time))


def _encode_task(slot: RawWrite, write: ConditionalWrite) -> None:
    """The fields of the task that differ, or all of them; a document that is created gets all."""
    fields = None if write.revision is None else write.fields
    task = write.task
    given = task.model_dump(
        by_alias=True, exclude_defaults=True, include=None if fields is None else set(fields), warnings=False
    )
    for field in ALWAYS_WRITTEN if fields is None else ALWAYS_WRITTEN & fields:
        given.setdefault(ALIASES[field], getattr(task, field))
    slots = slot.update.fields
    for alias, value in given.items():
        encode_value(slots[alias], value)
    if fields is not None:
        slot.update_mask.SetInParent()  # without a mask, even an empty one, the document is replaced
        slot.update_mask.field_paths.extend(ALIASES[field] for field in fields)
        slot.update_mask.field_paths.extend(FORMER_NAMES[field] for field in FORMER_NAMES.keys() & fields)


def _decode_versioned_task(document: RawDocument) -> VersionedTask:
    given: dict[str, Any] = {}
    for alias, value in document.fields.items():
        try:
            given[alias] = decode_json(value) if alias in JSON_FIELDS else decode_value(value)
        except ValueError as error:
            raise ValueError(
                f"{alias}: {_describe_value_error(error)}"
            ) from None  # the cause would show the value
    given["id"] = id_of(document)  # the name is what writes go to, whatever the field says
    task = Task.model_validate(given)
    if not isinstance(given.get("nextRunAt", ""), datetime | None):
        raise ValueError(NEVER_DUE)  # noqa: TRY004  # as what else is wrong in the document
    task.model_fields_set.clear()
    return VersionedTask(task, revision_of(document.update_time))


def _describe_value_error(error: ValueError) -> str:
    return "its JSON text cannot be read" if hasattr(error, "doc") else str(error)
