"""Many rows as one text of JSON, which a single statement takes apart: SQLite works while Python goes on.

A statement a row would give the interpreter away and wait to have it back, a hundred times a batch; and
Python would write out whole documents of which a tick changes a few fields.
"""

import json
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import orjson
from pydantic import BaseModel

from functions.rules.outcome import Run
from functions.rules.storage import Write
from functions.rules.task import Task
from functions.store.sqlite_documents import encode, micros

IN_COLUMNS = frozenset(
    {"type", "owner", "origin", "tags"}
)  # fields with a column of their own; they rarely change
_NONE = object()


def changes_text(writes: Iterable[tuple[int, Write]]) -> str | None:
    """Each write's place, id, guard, next look, status, the fields it clears, and what it says in them.

    None when some value is none of JSON.

    Args:
        writes: Those that name the fields they change, each with its place among the writes of a call.
    """
    return _text([_change(place, write, write.fields or frozenset()) for place, write in writes])


def runs_text(runs: Sequence[Run], keys: Sequence[str]) -> str:
    """The key, which is given for each, the task, the end and the document of *runs*."""
    heads = [(key, run.task_id, micros(run.finished_at)) for key, run in zip(keys, runs, strict=True)]
    rows = [(*head, _said(run, Run.model_fields)) for head, run in zip(heads, runs, strict=True)]
    text = _text(rows)
    if text is None:  # then one of them is written with something else in the place of that value
        whole = [(*head, json.loads(encode(run))) for head, run in zip(heads, runs, strict=True)]
        text = json.dumps(whole)
    return text


def _change(place: int, write: Write, fields: frozenset[str]) -> tuple[Any, ...]:
    task = write.task
    look_at = None if task.next_run_at is None else micros(task.next_run_at)
    # The guard as text, which SQLite compares by its value: one of another make is refused, whatever it is.
    return place, task.id, str(write.revision), look_at, task.status, _cleared(fields), _said(task, fields)


def _said(document: BaseModel, fields: Iterable[str]) -> dict[str, Any]:
    """What *document* says in *fields*, save for what is evidently at its default."""
    values, known = document.__dict__, _known(type(document))
    said = {}
    for name in fields:
        alias, default = known[name]
        if (value := values[name]) is not default:
            said[alias] = value
    return said


def _text(rows: Sequence[Sequence[Any]]) -> str | None:
    # Five times as quick as pydantic's, and a twelfth of a tick: it knows instants, words and plain values.
    try:
        return orjson.dumps(rows, default=_plain, option=orjson.OPT_UTC_Z).decode()
    except orjson.JSONEncodeError:
        return None


def _plain(value: Any) -> dict[str, Any]:
    """What a part of a document, such as a claim, says."""
    if isinstance(value, BaseModel):
        return _said(value, type(value).model_fields)
    raise TypeError


@lru_cache
def _known(model: type[BaseModel]) -> dict[str, tuple[str, Any]]:
    """Under which name each field is kept, and its default."""
    return {
        name: (field.alias or name, _NONE if field.is_required() else field.default)
        for name, field in model.model_fields.items()
    }


@lru_cache(maxsize=256)
def _cleared(fields: frozenset[str]) -> str:
    known = _known(Task)
    return json.dumps({known[name][0]: None for name in fields})
