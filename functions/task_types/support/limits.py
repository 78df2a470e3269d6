"""How big and of what kind an outcome may be, whatever a task type hands back."""

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
}  # metrics that are another side's words
MAX_METRIC_NAME_CHARS = 40
MAX_MEMORY_BYTES = 65_536  # as JSON; the memory is read and written with each run of the task
_INT64 = 2**63  # no store keeps a larger integer

Redact = Callable[[str], str]


def redact_nothing(text: str) -> str:
    """*text* as it is: the mask of a task that was given no secrets."""
    return text


def clamp_outcome(outcome: object, *, task_type: str, redact: Redact = redact_nothing) -> Outcome:
    """Return *outcome* as an outcome every store can keep: texts cut, metrics and items thinned out.

    Every text, those of the memory included, goes through *redact* before it is cut: half a secret
    would not be found any more.

    Memory that is too big, or not JSON, makes the outcome a permanent failure. The task's memory
    stays as it was, and a type that goes on from stale notes without a word (announcing the same
    entries every time, say) would be worse than one that is seen to fail.
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
    """*text* in at most *limit* characters, an ellipsis showing that there was more; always valid UTF-8."""
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode()  # half a surrogate pair would spoil a whole batch
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def _bounded_memory(memory: Mapping[str, Any]) -> dict[str, Any]:
    """*memory* as it will be read back.

    Raises:
        TypeError, ValueError: It is not JSON, not an object, or too big.
    """
    text = json.dumps(dict(memory), ensure_ascii=False, allow_nan=False)
    if len(text.encode()) > MAX_MEMORY_BYTES:
        raise ValueError("too big")
    kept: dict[str, Any] = json.loads(text)
    return kept


def _redact_json(value: Any, redact: Redact) -> Any:
    """JSON with every text in it masked, names too."""
    if redact is redact_nothing or value is None or isinstance(value, bool):
        return value
    if isinstance(value, dict):
        return {redact(name): _redact_json(one, redact) for name, one in value.items()}
    if isinstance(value, list):
        return [_redact_json(one, redact) for one in value]
    text = str(value)
    return value if redact(text) == text else redact(text)  # a number may be a secret as well


def _bounded_metrics(metrics: object, redact: Redact) -> dict[str, Any]:
    """The first metrics that are small scalars, by name; *metrics* itself where all of them are."""
    if redact is redact_nothing and _are_bounded(metrics):
        return metrics
    if not isinstance(metrics, Mapping):
        return {}
    kept: dict[str, Any] = {}
    for given_name, given in metrics.items():
        if len(kept) == MAX_METRICS:
            break
        name = truncate(redact(str(given_name)), MAX_METRIC_NAME_CHARS)
        value = _redact_json(given, redact) if isinstance(given, str | int | float) else given
        if isinstance(value, str):
            kept[name] = truncate(value, MAX_OUTPUT_CHARS.get(name, MAX_METRIC_CHARS))
        elif (
            value is None
            or (isinstance(value, int) and -_INT64 <= value < _INT64)
            or (isinstance(value, float) and math.isfinite(value))
        ):
            kept[name] = value
    return kept


def _are_bounded(metrics: object) -> TypeGuard[dict[str, Any]]:
    """Whether all of *metrics* can be kept as they are; true of nearly all, and quickly told."""
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
    """The first items, each with the known fields only. What is not an item is left out."""
    if not items or not isinstance(items, Iterable):
        return ()
    kept: list[dict[str, str]] = []
    for item in items:
        if len(kept) == MAX_ITEMS:
            break
        if isinstance(item, Mapping) and (fields := _bounded_item(item, redact)):
            kept.append(fields)
    return tuple(kept)


def _bounded_item(item: Mapping[Any, Any], redact: Redact) -> dict[str, str]:
    """A title, url and text of *item*; a url that is too long is dropped, since half a link is no link."""
    fields = {name: redact(str(item[name])) for name in MAX_ITEM_CHARS if item.get(name)}
    if len(fields.get("url", "")) > MAX_ITEM_CHARS["url"]:
        del fields["url"]
    return {name: truncate(value, MAX_ITEM_CHARS[name]) for name, value in fields.items()}
