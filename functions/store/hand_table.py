"""Tasks that people write by hand, as rows by name."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from functions.rules.task import slug
from functions.store.hand_row import Row
from functions.store.json_text import mapping


@dataclass(frozen=True, slots=True)
class Tasks:
    """The rows by name; *others* is what else their place says, *last* the last revision given."""

    rows: Mapping[str, Row] = field(default_factory=dict)
    others: Mapping[str, Any] = field(default_factory=dict)
    last: int = 0


def changed(tasks: Tasks, rows: Mapping[str, Row | None], *, last: int) -> Tasks:
    """*tasks* with *rows* in the place of those of their names; None removes one."""
    merged = {**tasks.rows, **rows}
    return replace(tasks, rows=ordered(row for row in merged.values() if row is not None), last=last)


def name_of(entry: Any) -> str:
    """The id a person gave, or the one his title makes; empty when he gave neither."""
    name = mapping(entry).get("id")
    if name is None and isinstance(mapping(entry).get("title"), str):
        return slug(entry["title"])
    return name if isinstance(name, str) else ""


def ordered(rows: Iterable[Row]) -> Mapping[str, Row]:
    """By name, so that a diff shows what has changed and nothing else; the nameless last."""
    return {row.name: row for row in sorted(rows, key=lambda row: (row.nameless, row.name))}
