"""A task in its two parts: what a person wrote by hand, and what the scheduler keeps beside it."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from functions.rules.task import Task, TaskSpec
from functions.store.json_text import digest, mapping
from functions.store.sqlite_documents import encode

WRITTEN = frozenset(field.alias or name for name, field in TaskSpec.model_fields.items())
TIMING = ("schedule", "timezone", "startAt", "endAt", "maxRuns", "jitterSeconds", "enabled")
LINKS = ("after", "onEvent")

Part = Mapping[str, Any]


def written_part(task: Task) -> dict[str, Any]:
    """What a person would write about *task*."""
    return {name: value for name, value in _document(task).items() if name in WRITTEN}


def kept_part(task: Task, written: Part, *, revision: int) -> dict[str, Any]:
    """What is kept beside *written*, which says the rest of *task*.

    `seen` is a fingerprint of *written*, by which a later edit of it is noticed; `timing` is what
    the next occurrence comes from, which such an edit may change.
    """
    document = _document(task)
    timing = {name: document[name] for name in (*TIMING, *LINKS) if name in document}
    kept = {name: value for name, value in document.items() if name not in WRITTEN}
    title = {} if "title" in written else {"title": task.title}
    head = {"revision": revision, "seen": digest(written), "timing": timing}
    return head | title | {"nextRunAt": None} | kept


def whole(task_id: str, written: Part, kept: Part) -> dict[str, Any]:
    """Both parts as one document."""
    return {**written, **kept, "id": task_id}


def moment(value: Any) -> datetime | None:
    """The instant that *value* tells of; None when it tells of none."""
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return at if at is not None and at.tzinfo is not None else None


def revision_of(kept: Part | None) -> int:
    """How many writes the store had seen when this part was written; 0 when it never was."""
    number = mapping(kept).get("revision", 0)
    return number if type(number) is int else 0


def _document(task: Task) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(encode(task))
    return document
