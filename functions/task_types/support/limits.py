"""How big and of what kind an outcome may be, whatever a task type hands back."""

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeGuard

from functions.domain.run import Outcome, failed
from functions.domain.task import SUMMARY_CHARS
from functions.domain.types import OutcomeKind

ITEMS = 20
ITEM_CHARS = {"title": 200, "url": 2048, "text": 500, "score": 12}
METRICS = 20
METRIC_CHARS = 300
OUTPUT_CHARS = {"snippet": 8192, "stdout": 16_500, "stderr": 16_500}  # metrics that are another side's words
METRIC_NAME_CHARS = 40
MEMORY_BYTES = 65_536  # as JSON; the memory is read and written with each run of the task
_INT64 = 2**63  # no store keeps a larger integer

Mask = Callable[[str], str]


def shown(text: str) -> str:
    """*text* as it is: the mask of a task that was given no secrets."""
    return text


def within_limits(given: object, *, task_type: str, mask: Mask = shown) -> Outcome:
    """Return *given* as an outcome every store can keep: texts cut, metrics and items thinned out.

    Every text, those of the memory included, goes through *mask* before it is cut: half a secret
    would not be found any more.

    Memory that is too big, or not JSON, makes the outcome a permanent failure. The task's memory
    stays as it was, and a type that goes on from stale notes without a word (announcing the same
    entries every time, say) would be worse than one that is seen to fail.
    """
    if not isinstance(given, Outcome) or not isinstance(given.kind, OutcomeKind):
        return failed(
            f"The task type {task_type} returned {type(given).__name__} instead of an outcome", permanent=True
        )
    try:
        memory = None if given.memory is None else _masked(_kept(given.memory), mask)
    except (TypeError, ValueError, RecursionError):
        return failed(
            f"The work was done, but its memory is not a JSON object of at most {MEMORY_BYTES} bytes"
            " and was not kept",
            permanent=True,
            metrics=_scalars(given.metrics, mask),
        )
    fit: dict[str, Any] = {
        "summary": cut(mask(str(given.summary)), SUMMARY_CHARS),
        "retry_after": given.retry_after if isinstance(given.retry_after, timedelta) else None,
        "metrics": _scalars(given.metrics, mask),
        "items": _items(given.items, mask),
        "memory": memory,
    }
    changed = {name: value for name, value in fit.items() if getattr(given, name) is not value}
    return replace(given, **changed) if changed else given


def cut(text: str, limit: int) -> str:
    """*text* in at most *limit* characters, an ellipsis showing that there was more; always valid UTF-8."""
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode()  # half a surrogate pair would spoil a whole batch
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def _kept(memory: Mapping[str, Any]) -> dict[str, Any]:
    """*memory* as it will be read back.

    Raises:
        TypeError, ValueError: It is not JSON, not an object, or too big.
    """
    text = json.dumps(dict(memory), ensure_ascii=False, allow_nan=False)
    if len(text.encode()) > MEMORY_BYTES:
        raise ValueError("too big")
    kept: dict[str, Any] = json.loads(text)
    return kept


def _masked(value: Any, mask: Mask) -> Any:
    """JSON with every text in it masked, names too."""
    if mask is shown or value is None or isinstance(value, bool):
        return value
    if isinstance(value, dict):
        return {mask(name): _masked(one, mask) for name, one in value.items()}
    if isinstance(value, list):
        return [_masked(one, mask) for one in value]
    text = str(value)
    return value if mask(text) == text else mask(text)  # a number may be a secret as well


def _scalars(metrics: object, mask: Mask) -> dict[str, Any]:
    """The first metrics that are small scalars, by name; *metrics* itself where all of them are."""
    if mask is shown and _are_plain(metrics):
        return metrics
    if not isinstance(metrics, Mapping):
        return {}
    kept: dict[str, Any] = {}
    for given_name, given in metrics.items():
        if len(kept) == METRICS:
            break
        name = cut(mask(str(given_name)), METRIC_NAME_CHARS)
        value = _masked(given, mask) if isinstance(given, str | int | float) else given
        if isinstance(value, str):
            kept[name] = cut(value, OUTPUT_CHARS.get(name, METRIC_CHARS))
        elif (
            value is None
            or (isinstance(value, int) and -_INT64 <= value < _INT64)
            or (isinstance(value, float) and math.isfinite(value))
        ):
            kept[name] = value
    return kept


def _are_plain(metrics: object) -> TypeGuard[dict[str, Any]]:
    """Whether all of *metrics* can be kept as they are; true of nearly all, and quickly told."""
    if type(metrics) is not dict or len(metrics) > METRICS:
        return False
    for name, value in metrics.items():
        if type(name) is not str or len(name) > METRIC_NAME_CHARS or not name.isascii():
            return False
        if type(value) is int:
            if not -_INT64 <= value < _INT64:
                return False
        elif type(value) is not str or len(value) > METRIC_CHARS or not value.isascii():
            return False
    return True


def _items(items: object, mask: Mask) -> tuple[dict[str, str], ...]:
    """The first items, each with the known fields only. What is not an item is left out."""
    if not items or not isinstance(items, Iterable):
        return ()
    kept: list[dict[str, str]] = []
    for item in items:
        if len(kept) == ITEMS:
            break
        if isinstance(item, Mapping) and (fields := _fields(item, mask)):
            kept.append(fields)
    return tuple(kept)


def _fields(item: Mapping[Any, Any], mask: Mask) -> dict[str, str]:
    """A title, url and text of *item*; a url that is too long is dropped, since half a link is no link."""
    fields = {name: mask(str(item[name])) for name in ITEM_CHARS if item.get(name)}
    if len(fields.get("url", "")) > ITEM_CHARS["url"]:
        del fields["url"]
    return {name: cut(value, ITEM_CHARS[name]) for name, value in fields.items()}
