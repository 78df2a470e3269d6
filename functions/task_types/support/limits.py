"""Limits of an outcome: whatever a task type returns becomes something that every store can hold."""

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeGuard

from functions.domain.events import Event
from functions.domain.json_depth import MAX_DEPTH, TOO_DEEP, check_depth
from functions.domain.redaction import MIN_SECRET_CHARS
from functions.domain.run import Outcome, failed
from functions.domain.task import MAX_SUMMARY_CHARS
from functions.domain.types import OutcomeKind

MAX_ITEMS = 20
MAX_ITEM_CHARS = {"title": 200, "url": 2048, "text": 500, "score": 12}
MAX_METRICS = 20
MAX_METRIC_CHARS = 300
MAX_OUTPUT_CHARS = {
    "diff": 4096,
    "snippet": 8192,
    "stdout": 16_500,
    "stderr": 16_500,
    "unmet": 8192,
}  # metrics that quote a page, or the output of a server or a program
MAX_METRIC_NAME_CHARS = 40
MAX_MEMORY_BYTES = 65_536  # as JSON; the memory is read and written with each run of the task
REDACTION_MARGIN = 8192  # characters, or bytes, read beyond a cut: a secret there is whole, and is masked
_SHORT_NUMBERS = 10 ** (MIN_SECRET_CHARS - 1)  # a number below is too short for a secret
_INT64 = 2**63  # the limit of every store
MAX_WAIT = timedelta(days=366)
_KINDS_OF_TICKS = (OutcomeKind.CANCELLED, OutcomeKind.ABANDONED, OutcomeKind.SKIPPED)  # no type returns one

Redact = Callable[[str], str]


def redact_nothing(text: str) -> str:
    """Return *text* unchanged: for a task without secrets."""
    return text


def compose(first: Redact, second: Redact) -> Redact:
    """Return a function that masks what *first* masks, and then what *second* masks."""
    return lambda text: second(first(text))


def clamp_outcome(
    outcome: object,
    *,
    task_type: str,
    redact: Redact = redact_nothing,
    redact_memory: Redact = redact_nothing,
) -> Outcome:
    """Return *outcome* as an outcome that every store can hold: texts cut, metrics and items limited.

    Every text, those of events and of the memory included, is redacted before it is cut: less than half
    of a secret is not recognised.

    Args:
        redact: Masks secrets in what is shown.
        redact_memory: Masks secrets in the memory.

    Memory that is too big, or not JSON, makes the outcome a permanent failure, and the stored memory does
    not change. Success with stale memory would be worse: the type would, for example, announce the same
    entries at every run.
    """
    if (
        not isinstance(outcome, Outcome)
        or not isinstance(outcome.kind, OutcomeKind)
        or outcome.kind in _KINDS_OF_TICKS
    ):
        return failed(
            f"The task type {task_type} returned {_describe(outcome)} instead of an outcome; "
            "return succeeded(...) or failed(...)",
            permanent=True,
        )
    try:
        memory = (
            None if outcome.memory is None else _redact_json(_bounded_memory(outcome.memory), redact_memory)
        )
    except (TypeError, ValueError, RecursionError) as exc:
        return failed(
            f"The work was done, but its memory is not a JSON object of at most {MAX_MEMORY_BYTES} bytes"
            f" and {MAX_DEPTH} levels, and was not kept: {redact(_memory_problem(exc))}",
            permanent=True,
            metrics=_bounded_metrics(outcome.metrics, redact),
        )
    try:
        events = _redacted_events(outcome.events, redact)
    except ValueError:
        return failed(f"The work was done, but the data of an event {TOO_DEEP}", permanent=True)
    wait, wait_problem = _bounded_wait(outcome.retry_after)
    fit: dict[str, Any] = {
        "summary": _shown(f"{outcome.summary}{wait_problem}", MAX_SUMMARY_CHARS, redact),
        "permanent": bool(outcome.permanent),
        "retry_after": wait,
        "metrics": _bounded_metrics(outcome.metrics, redact),
        "items": _bounded_items(outcome.items, redact),
        "has_news": bool(outcome.has_news),
        "events": events,
        "memory": memory,
    }
    changed = {name: value for name, value in fit.items() if getattr(outcome, name) is not value}
    return replace(outcome, **changed) if changed else outcome


def _describe(returned: object) -> str:
    if isinstance(returned, Outcome):
        return f"an Outcome of the kind {returned.kind}"
    return "None" if returned is None else f"a {type(returned).__name__}"


def _bounded_wait(wait: object) -> tuple[timedelta | None, str]:
    """Return *wait*, a span or seconds, so that the instant after it can be stored; else what is wrong."""
    if wait is None:
        return None, ""
    if isinstance(wait, timedelta):
        return min(wait, MAX_WAIT), ""
    if isinstance(wait, int | float) and not isinstance(wait, bool) and wait == wait:  # no NaN
        return timedelta(seconds=max(0, min(wait, MAX_WAIT.total_seconds()))), ""
    return None, f" (its retry_after is no timedelta but a {type(wait).__name__})"


def truncate(text: str, limit: int) -> str:
    """Return *text* in at most *limit* characters, with an ellipsis when it was cut; always valid UTF-8."""
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode()  # a lone surrogate would make a whole batch fail
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def _shown(text: str, limit: int, redact: Redact) -> str:
    """Return *text* masked and in at most *limit* characters; not all of a text of megabytes is read."""
    return truncate(redact(text[: limit + REDACTION_MARGIN]), limit)


def _bounded_memory(memory: Mapping[str, Any]) -> dict[str, Any]:
    """Return *memory* as it will be read back.

    Raises:
        TypeError, ValueError: *memory* is not JSON, not an object, too big or nested too deep.
    """
    if not isinstance(memory, Mapping):
        raise TypeError(f"it is a {type(memory).__name__}")
    text = json.dumps(dict(memory), ensure_ascii=False, allow_nan=False)
    if (size := len(text.encode())) > MAX_MEMORY_BYTES:
        raise ValueError(f"it has {size} bytes")
    parsed: dict[str, Any] = json.loads(text)
    check_depth(parsed)
    return parsed


def _memory_problem(exc: TypeError | ValueError | RecursionError) -> str:
    """Return why memory was not kept; the JSON library's words name types, and no values."""
    if isinstance(exc, RecursionError):
        return "it is nested too deep"
    if isinstance(exc, UnicodeEncodeError):
        return "a text has half of a character"
    return str(exc)


def _redact_json(value: Any, redact: Redact) -> Any:
    """Return *value*, which is JSON, with every text in it masked, names included."""
    if redact is redact_nothing or value is None or isinstance(value, bool):
        return value
    if isinstance(value, dict):
        return {redact(name): _redact_json(one, redact) for name, one in value.items()}
    if isinstance(value, list):
        return [_redact_json(one, redact) for one in value]
    if isinstance(value, str):
        return redact(value)
    return _redact_number(value, redact)


def _is_masked(value: str | int, redact: Redact) -> bool:
    if isinstance(value, str):
        return redact(value) != value
    return not -_SHORT_NUMBERS < value < _SHORT_NUMBERS and redact(str(value)) != str(value)


def _redact_number(value: Any, redact: Redact) -> Any:
    """Return *value*, or a mask when its digits are a secret."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    text = str(value)
    return value if (masked := redact(text)) == text else masked


def _bounded_metrics(metrics: object, redact: Redact) -> dict[str, Any]:
    """Return the first metrics that are small scalars, by name; *metrics* itself when nothing changes."""
    if _are_bounded(metrics) and not any(_is_masked(value, redact) for value in metrics.values()):
        return metrics
    if not isinstance(metrics, Mapping):
        return {}
    bounded: dict[str, Any] = {}
    for given_name, given in metrics.items():
        if len(bounded) == MAX_METRICS:
            break
        name = _shown(str(given_name), MAX_METRIC_NAME_CHARS, redact)
        limit = MAX_OUTPUT_CHARS.get(name, MAX_METRIC_CHARS)
        value = _shown(given, limit, redact) if isinstance(given, str) else _redact_number(given, redact)
        if isinstance(value, str):
            bounded[name] = truncate(value, limit)
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
    fields = {name: str(item[name]) for name in MAX_ITEM_CHARS if item.get(name)}
    if len(fields.get("url", "")) > MAX_ITEM_CHARS["url"]:
        del fields["url"]
    return {name: _shown(value, MAX_ITEM_CHARS[name], redact) for name, value in fields.items()}


def _redacted_events(events: object, redact: Redact) -> tuple[Event, ...]:
    """Return the events with every text masked that a receiver or a reader sees; no other values."""
    if not events or not isinstance(events, Iterable):
        return ()
    return tuple(_redacted_event(event, redact) for event in events if isinstance(event, Event))


def _redacted_event(event: Event, redact: Redact) -> Event:
    check_depth(event.data)
    shown = {name: redact(getattr(event, name)) for name in ("id", "source", "subject")}
    return event.model_copy(update={**shown, "data": _redact_json(event.data, redact)})
