"""A task file: tasks as YAML that people read, keep and apply."""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from functions.rules.task import TaskSpec

PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_/. -]*[A-Za-z0-9_]")
WORDS = frozenset(
    {"true", "false", "null", "yes", "no", "on", "off"}
)  # which older YAML takes for something else
UNPRINTED = re.compile(
    "[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]"
)  # YAML refuses or breaks at them


def task_file(specs: Sequence[TaskSpec], *, about: Sequence[str] = ()) -> str:
    """The YAML text of *specs*, below *about* as comments. What is at its default is left away."""
    lines = [f"# {' '.join(line.split())}".rstrip() for line in about]
    if not specs:
        return "\n".join([*lines, "tasks: []", ""])
    lines.append("tasks:")
    for spec in specs:
        lines += [*_task(spec), ""]
    return "\n".join(lines)


def _task(spec: TaskSpec) -> Iterator[str]:
    values: dict[str, Any] = spec.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    if not values.get("timezone"):
        values["timezone"] = spec.timezone  # whoever applies the file may have another default
    start = "  - "
    for name, value in values.items():
        whole = int(value) if isinstance(value, float) and value.is_integer() else value
        yield f"{start}{name}: {_value(whole)}"
        start = "    "


def _value(value: Any) -> str:
    if isinstance(value, str) and PLAIN.fullmatch(value) and value.lower() not in WORDS:
        return value
    text = json.dumps(value, ensure_ascii=False)
    return UNPRINTED.sub(lambda one: f"\\u{ord(one[0]):04x}", text)
