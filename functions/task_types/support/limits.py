"""Limits of an outcome: whatever a task type returns becomes something that every store can hold."""

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeGuard

from functions.domain.run import Outcome, failed
from functions.domain.task import MAX_SUMMARY_CHARS
from functions.domain.types import OutcomeKind

MAX_ITEMS = 20
MAX_ITEM_CHARS = {"title": 200, "url": 2048, "text": 500, "score": 12}
MAX_METRICS = 20
MAX_METRIC_CHARS = 300
MAX_OUTPUT_CHARS = {
    "snippet": 8192,
    "stdout": 16_500,
    "stderr": 16_500,
}  # metrics that quote the output of a server or a program
MAX_METRIC_NAME_CHARS = 40
MAX_MEMORY_BYTES = 65_536  # as JSON; the memory is read and written with each run of the task
_INT64 = 2**63  # the limit of every store

Redact = Callable[[str], str]


def redact_nothing(text: str) -> str:
    """Return *text* unchanged: for a task without secrets."""
    return text


def clamp_outcome(outcome: object, *, task_type: str, redact: Redact = redact_nothing) -> Outcome:
    """Return *outcome* as an outcome that every store can hold: texts cut, metrics and items limited.

    Every text, the memory's included, is redacted before it is cut: half a secret would not be recognised.

    Memory that is too big, or not JSON, makes the outcome a permanent failure, and the stored memory does
    not change. Success with stale memory would be worse: the type would, for example, announce the same
    entries at every run.
    """
    if not isinstance(outcome, Outcome) or not isinstance(outcome.kind, OutcomeKind):
        return failed(
            f"The task type {task_type} returned {type(outcome).__name__} instead of an outcome",
            permanent=True,
        )
    try:
        memory = None if outcome.memory is None else _redact_json(_bounded_memory(outcome.memory), redact)
    except (TypeError, ValueError, RecursionError):
        return failed(
            f"The work was done, but its memory is not a JSON object of at most {MAX_MEMORY_BYTES} bytes"
            " and was not kept",
            permanent=True,
            metrics=_bounded_metrics(outcome.metrics, redact),
        )
    fit: dict[str, Any] = {
        "summary": truncate(redact(str(outcome.summary)), MAX_SUMMARY_CHARS),
        "retry_after": outcome.retry_after if isinstance(outcome.retry_after, timedelta) else None,
        "metrics": _bounded_metrics(outcome.metrics, redact),
        "items": _bounded_items(outcome.items, redact),
        "memory": memory,
    }
    changed = {name: value for name, value in fit.items() if getattr(outcome, name) is not value}
    return replace(outcome, **changed) if changed else outcome


def truncate(text: str, limit: int) -> str:
    """Return *text* in at most *limit* characters, with an ellipsis when it was cut; always valid UTF-8."""
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode()  # a lone surrogate would make a whole batch fail
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def _bounded_memory(memory: Mapping[str, Any]) -> dict[str, Any]:
    """Return *memory* as it will be read back.

    Raises:
        TypeError, ValueError: *memory* is not JSON, not an object, or too big.
    """
    text = json.dumps(dict(memory), ensure_ascii=False, allow_nan=False)
    if len(text.encode()) > MAX_MEMORY_BYTES:
        raise ValueError("too big")
    parsed: dict[str, Any] = json.loads(text)
    return parsed


def _redact_json(value: Any, redact: Redact) -> Any:
    """Return *value*, which is JSON, with every text in it masked, names included."""
    if redact is redact_nothing or value is None or isinstance(value, bool):
        return value
    if isinstance(value, dict):
        return {redact(name): _redact_json(one, redact) for name, one in value.items()}
    if isinstance(value, list):
        return [_redact_json(one, redact) for one in value]
    text = str(value)
    return value if redact(text) == text else redact(text)  # a number may be a secret as well


def _bounded_metrics(metrics: object, redact: Redact) -> dict[str, Any]:
    """Return the first metrics that are small scalars, by name; *metrics* itself when all of them are."""
    if redact is redact_nothing and _are_bounded(metrics):
        return metrics
    if not isinstance(metrics, Mapping):
        return {}
    bounded: dict[str, Any] = {}
    for given_name, given in metrics.items():
        if len(bounded) == MAX_METRICS:
            break
        name = truncate(redact(str(given_name)), MAX_METRIC_NAME_CHARS)
        value = _redact_json(given, redact) if isinstance(given, str | int | float) else given
        if isinstance(value, str):
            bounded[name] = truncate(value, MAX_OUTPUT_CHARS.get(name, MAX_METRIC_CHARS))
        elif (
            value is None
            or (isinstance(value, int) and -_INT64 <= value < _INT64)
            or (isinstance(value, float) and math.isfinite(value))
        ):
            bounded[name] = value
    return bounded


def _are_bounded(metrics: object) -> TypeGuard[dict[str, Any]]:
    """Whether *metrics* need no change: a fast check that passes for nearly all."""
    if type(metrics) is not dict or len(metrics) > MAX_METRICS:
        return False
    for name, value in metrics.items():
        if type(name) is not str or len(name) > MAX_METRIC_NAME_CHARS or not name.isascii():
            return False
        if type(value) is int:
            if not -_INT64 <= value < _INT64:
                return False
        elif type(value) is not str or len(value) > MAX_METRIC_CHARS or not value.isascii():
            return False
    return True


def _bounded_items(items: object, redact: Redact) -> tuple[dict[str, str], ...]:
    """Return the first items, each with the known fields only; values that are not items are left out."""
    if not items or not isinstance(items, Iterable):
        return ()
    bounded: list[dict[str, str]] = []
    for item in items:
        if len(bounded) == MAX_ITEMS:
            break
        if isinstance(item, Mapping) and (fields := _bounded_item(item, redact)):
            bounded.append(fields)
    return tuple(bounded)


def _bounded_item(item: Mapping[Any, Any], redact: Redact) -> dict[str, str]:
    """Return the known fields of *item*; a url that is too long is left out, not cut."""
    fields = {name: redact(str(item[name])) for name in MAX_ITEM_CHARS if item.get(name)}
    if len(fields.get("url", "")) > MAX_ITEM_CHARS["url"]:
        del fields["url"]
    return {name: truncate(value, MAX_ITEM_CHARS[name]) for name, value in fields.items()}
