"""Fields: where a value stands in a task, its widget and its words; and the reading of many at once."""

import json
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from functions.domain.validation import Problem
from functions.web.dashboard.forms.widgets import (
    MISSING,
    FieldError,
    Json,
    Text,
    Texts,
    Widget,
    normalize,
)

PRESENT = ".sent"  # an input of a field whose own inputs may all be missing from what a browser sends
SEEN = "seen"  # the hidden input with the `version_of` what a form began with


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a form.

    Attributes:
        path: Where the value stands, e.g. `("retry", "maxAttempts")`.
        default: The value that counts when none is given, as text.
        example: Shown while the input is empty.
        is_main: Whether it is shown without unfolding anything.
    """

    path: tuple[str, ...]
    widget: Widget
    label: str
    help: str = ""
    example: str = ""
    default: str = ""
    required: bool = False
    is_main: bool = False

    @property
    def name(self) -> str:
        """The name of its inputs, or what they begin with, e.g. `retry.maxAttempts`."""
        return ".".join(self.path)

    def texts_in(self, posted: Mapping[str, str]) -> dict[str, str] | None:
        """Return the texts that were sent for it, by the name below its own; None when it was not shown."""
        name, prefix = self.name, self.name + "."
        texts = {key.removeprefix(prefix): text for key, text in posted.items() if key.startswith(prefix)}
        was_shown = texts.pop(PRESENT[1:], None) is not None
        if name in posted:
            texts[""] = posted[name]
        return texts if texts or was_shown else None

    def faithful_to(self, value: Any) -> Widget:
        """Return its widget, or another one where that cannot show *value* as it is."""
        for widget in (self.widget, Text()):
            if widget.encode(value) is not None:
                return widget
        return Json()


def value_at(fields: Mapping[str, Any], path: Sequence[str]) -> Any:
    """Return the value at *path*; MISSING when there is none."""
    value: Any = fields
    for step in path:
        if not isinstance(value, Mapping) or step not in value:
            return MISSING
        value = value[step]
    return value


def put_at(fields: dict[str, Any], path: Sequence[str], value: Any) -> None:
    """Set the value at *path*, or remove it for MISSING, and with it an object that holds nothing more."""
    step, *rest = path
    if not rest:
        if value is MISSING:
            fields.pop(step, None)
        else:
            fields[step] = value
        return
    inner = fields.get(step)
    if not isinstance(inner, dict):
        if value is MISSING:
            return
        inner = fields[step] = {}
    put_at(inner, rest, value)
    if value is MISSING and all(one is None for one in inner.values()):
        del fields[step]


def read_fields(
    fields: Iterable[Field], posted: Mapping[str, str], *, base: Mapping[str, Any]
) -> tuple[dict[str, Any], list[Problem]]:
    """Return *base* with the fields that were touched, and what is wrong with them."""
    result, problems = deepcopy(dict(base)), []
    for field in fields:
        texts = field.texts_in(posted)
        before = value_at(base, field.path)
        if texts is None or is_untouched(field, texts, before=before):
            continue
        try:
            put_at(result, field.path, field.faithful_to(before).decode(texts, before=before))
        except FieldError as exc:
            problems += [
                Problem((*field.path, *(name.split(".") if name else ())), reason)
                for name, reason in exc.reasons.items()
            ]
    return result, problems


def is_untouched(field: Field, texts: Texts, *, before: Any) -> bool:
    """Whether *texts* are what *before* is shown as."""
    return normalize(texts) == normalize(field.faithful_to(before).encode(before) or {})


def changed_labels(
    fields: Iterable[Field], posted: Mapping[str, str], *, base: Mapping[str, Any]
) -> list[str]:
    """Return the labels of the fields of *base* that *posted* would change."""
    found = []
    for one in fields:
        texts = one.texts_in(posted)
        if texts is not None and not is_untouched(one, texts, before=value_at(base, one.path)):
            found.append(one.label)
    return found


def version_of(value: Any) -> str:
    """Return a short hash of *value*, which is JSON: what is stored has another one once it was changed."""
    return sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
