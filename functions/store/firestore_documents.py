"""Tasks as Firestore documents, and back.

A document is one flat map with the API's own camelCase names. A field that has its default value is left
out, save those that queries ask for: `nextRunAt` (a timestamp or null), `status`, `shard`. So a partial
write that returns a field to its default names it in the mask and leaves it out: Firestore deletes it.
"""

from typing import Any

from pydantic import ValidationError

from functions.rules.storage import Broken, Found, Stored, Write
from functions.rules.task import Task
from functions.store import firestore_messages_pb2 as wire
from functions.store.firestore_values import put, take

ALIASES = {name: field.alias or name for name, field in Task.model_fields.items()}
ALWAYS_KEPT = frozenset({"next_run_at", "status", "shard"})  # queries do not find what is not there

NANOS = 10**9


def put_write(slot: wire.Write, write: Write, *, name: str) -> None:
    """Fill the empty message *slot* with *write*, guarded by the revision it expects.

    Raises:
        ValueError, TypeError: Some value of the task cannot be kept at all.
    """
    if write.delete:
        slot.delete = name
    else:
        slot.update.name = name
        _put_task(slot, write)
    guard(slot, write.revision)


def guard(slot: wire.Write, revision: int | None) -> None:
    """Let the write in *slot* be done only at this revision; None means that nothing may be there."""
    if revision is None:
        slot.current_document.exists = False
    else:
        expected = slot.current_document.update_time
        expected.seconds, expected.nanos = divmod(revision, NANOS)


def revision_of(timestamp: wire.Timestamp) -> int:
    """A document's time of update as our revision: nanoseconds since 1970."""
    return int(timestamp.seconds * NANOS + timestamp.nanos)


def id_of(document: wire.Document) -> str:
    """The last part of a document's name, which is the task's or the ledger entry's id."""
    return str(document.name.rpartition("/")[2])


def found(documents: list[wire.Document]) -> Found:
    """The documents as tasks, in their order; those that cannot be read as one apart."""
    read = [read_task(document) for document in documents]
    return Found(
        tuple(one for one in read if isinstance(one, Stored)),
        tuple(one for one in read if isinstance(one, Broken)),
    )


def read_task(document: wire.Document) -> Stored | Broken:
    """The document as a task, or why it cannot be read as one."""
    try:
        return _stored(document)
    except ValidationError as error:
        return Broken(id_of(document), _faults(error))
    except ValueError as error:
        return Broken(id_of(document), str(error))


def _put_task(slot: wire.Write, write: Write) -> None:
    """The fields of the task that differ, or all of them; a document that is created gets all."""
    fields = None if write.revision is None else write.fields
    task = write.task
    given = task.model_dump(
        by_alias=True, exclude_defaults=True, include=None if fields is None else set(fields), warnings=False
    )
    for field in ALWAYS_KEPT if fields is None else ALWAYS_KEPT & fields:
        given.setdefault(ALIASES[field], getattr(task, field))
    slots = slot.update.fields
    for alias, value in given.items():
        put(slots[alias], value)
    if fields is not None:
        slot.update_mask.SetInParent()  # without a mask, even an empty one, the document is replaced
        slot.update_mask.field_paths.extend(ALIASES[field] for field in fields)


def _stored(document: wire.Document) -> Stored:
    given: dict[str, Any] = {}
    for alias, value in document.fields.items():
        try:
            given[alias] = take(value)
        except ValueError as error:
            raise ValueError(f"{alias}: {_fault(error)}") from None  # the cause would show the value
    given["id"] = id_of(document)  # the name is what writes go to, whatever the field says
    return Stored(Task.model_validate(given), revision_of(document.update_time))


def _fault(error: ValueError) -> str:
    return "its JSON text cannot be read" if hasattr(error, "doc") else str(error)


def _faults(error: ValidationError) -> str:
    """The first fault in one sentence, and how many more there are. Never the values."""
    faults = error.errors(include_url=False, include_input=False, include_context=False)
    where = ".".join(str(part) for part in faults[0]["loc"]) or "the document"
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    return f"{where}: {faults[0]['msg']}{more}"
