"""Reading what a model answers: without what it only thought, and the result in it, cleaned and ranked."""

import ast
import json
import math
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from functions.domain.json_depth import check_depth, parse_json
from functions.parsing.markup import html_to_text, safe_http_url

# What a model thought: between tags, of which servers leave the first one or the last one out.

_THOUGHT_TAGS = ("think", "thinking", "thought", "reasoning")
_FINAL_CHANNEL = "<|channel|>final<|message|>"  # of OpenAI's open models, where the server leaves it in


def strip_thinking(text: str) -> str:
    """Return *text* without what the model only thought; a draft there is no answer.

    <think>{"summary": "draft"}</think> {"summary": "ripe"}    {"summary": "ripe"}
    I look ... </think> {"summary": "ripe"}                    {"summary": "ripe"}
    <think> I look ... {"summary": "draft"}                    (nothing)
    """
    if _is_json(text):  # tags in its texts are texts
        return text
    _, _, final = text.rpartition(_FINAL_CHANNEL)
    text = final
    for tag in _THOUGHT_TAGS:
        text = _without(text, f"<{tag}>", f"</{tag}>")
    return text.strip()


def _is_json(text: str) -> bool:
    if not text.lstrip().startswith(("{", "[")):
        return False
    try:
        parse_json(text)
    except ValueError:
        return False
    return True


def _without(text: str, start: str, end: str) -> str:
    kept: list[str] = []
    while True:
        before, opened, rest = text.partition(start)
        if end in before:  # its start was left out: all before it was thought
            kept.clear()
            text = text.partition(end)[2]
            continue
        kept.append(before)
        if not opened:
            return "".join(kept)
        text = rest.partition(end)[2]  # without an end all the rest was thought


# The result: JSON anywhere in the text.

MAX_ITEMS = 20
_MAX_TITLE_CHARS, _MAX_TEXT_CHARS, _MAX_SUMMARY_CHARS = 200, 500, 400
_MAX_STARTS = 200  # places in a text where JSON may begin
_MAX_LITERALS = 8  # of them, those where it may be nearly JSON
_MAX_LITERAL_CHARS = 65_536
_JSON_START = re.compile(r"[{\[]")


@dataclass(frozen=True, slots=True)
class ResultItem:
    """One item found; *score* is how much it matters, None when the model gave none."""

    title: str
    url: str
    text: str
    score: float | None

    def to_json(self) -> dict[str, str]:
        """Return the item as in an outcome."""
        score = {} if self.score is None else {"score": f"{self.score:g}"}
        return {"title": self.title, "url": self.url, "text": self.text} | score


@dataclass(frozen=True, slots=True)
class AgentResult:
    """The result of a run: one sentence, and items, the best first."""

    summary: str
    items: tuple[ResultItem, ...]


def parse_result(text: bytes, *, limit: int) -> AgentResult | None:
    """Return the result in *text*, with at most *limit* items; None when there is none.

    Code fences, prose around the JSON, a bare list, items that are only titles, single quotes and commas too
    many are accepted. Of several results the last counts: models correct themselves. What cannot be read is
    no empty result.

    Args:
        text: Of a reply, in UTF-8.
    """
    found: AgentResult | None = None
    listed: AgentResult | None = None
    answer = strip_thinking(text.decode("utf-8", "replace"))
    for value in _iter_json_values(answer):
        if isinstance(value, dict):
            found = _to_result(value, limit) or found
        elif value or answer.strip() == "[]":
            listed = _to_result({"items": value}, limit) or listed
    return found or listed


def _to_result(given: Mapping[str, Any], limit: int) -> AgentResult | None:
    items, summary = given.get("items"), _text_or_empty(given.get("summary")).strip()
    if not isinstance(items, list | None):  # as a text or an object it is no empty list
        return None
    if items is None and (not summary or "title" in given):  # an item of something cut off
        return None
    listed = items if isinstance(items, list) else []
    cleaned = [item for one in listed if (item := _parse_item(one))]
    if listed and not cleaned:
        return None
    ranked = sorted(cleaned, key=lambda item: -math.inf if item.score is None else item.score, reverse=True)
    return AgentResult(_build_summary(summary, ranked), tuple(ranked[: min(limit, MAX_ITEMS)]))


def _iter_json_values(text: str) -> Iterator[dict[str, Any] | list[Any]]:
    """Yield each object and list of objects in *text* that is not within another one."""
    decoder = json.JSONDecoder(strict=False)  # line breaks within texts
    place = 0
    literals = _MAX_LITERALS
    for _ in range(_MAX_STARTS):
        start = _JSON_START.search(text, place)
        if start is None:
            return
        try:
            value, place = decoder.raw_decode(text, start.start())
            check_depth(value)
        except (ValueError, RecursionError):
            place = start.end()
            literals -= 1
            if literals < 0:
                continue
            end = text.rfind("}" if start[0] == "{" else "]") + 1
            value = _try_literal(text, start.start(), end)
            if value is None:
                continue
            place = end
        if isinstance(value, dict) or (isinstance(value, list) and all(isinstance(v, dict) for v in value)):
            yield value


def _try_literal(text: str, first: int, end: int) -> Any:
    """Return the value that *text* nearly has as JSON from *first* to *end*; None when it has none."""
    if not first < end <= first + _MAX_LITERAL_CHARS:
        return None
    try:
        value = _read_literal(text[first:end])
        check_depth(value)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None
    return value


def _read_literal(text: str) -> Any:
    """Return the value of *text*, which is nearly JSON: with single quotes, or commas before a bracket.

    Raises:
        ValueError, SyntaxError, RecursionError, MemoryError: It is none.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about escapes that Python has not
        return _literal_value(ast.parse(text, mode="eval").body)


def _literal_value(node: ast.expr) -> Any:
    match node:
        case ast.Constant(value=str() | int() | float() | None as value):
            return value
        case ast.Name(id="true" | "false" | "null" as name):
            return {"true": True, "false": False, "null": None}[name]
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            return -value
        case ast.List(elts=values):
            return [_literal_value(value) for value in values]
        case ast.Dict(keys=keys, values=values):
            names = [key.value if isinstance(key, ast.Constant) else key for key in keys]
            if all(isinstance(name, str) for name in names):
                return dict(zip(names, map(_literal_value, values), strict=True))
    raise ValueError("no JSON")


def _parse_item(given: object) -> ResultItem | None:
    if isinstance(given, str):
        given = {"title": given}
    if not isinstance(given, Mapping):
        return None
    title = html_to_text(_text_or_empty(given.get("title")), limit=_MAX_TITLE_CHARS)
    text = html_to_text(_text_or_empty(given.get("text")), limit=_MAX_TEXT_CHARS)
    if not title and not text:
        return None
    url = safe_http_url(_text_or_empty(given.get("url")))
    return ResultItem(title or text[:80], url, text, _parse_score(given.get("score")))


def _parse_score(given: object) -> float | None:
    try:
        score = float(given) if isinstance(given, int | float | str) else math.nan
    except (ValueError, OverflowError):
        return None
    return round(score, 4) if math.isfinite(score) else None


def _build_summary(given: object, items: list[ResultItem]) -> str:
    summary = html_to_text(_text_or_empty(given), limit=_MAX_SUMMARY_CHARS)
    if summary:
        return summary
    return f"Found {len(items)}: {items[0].title}" if items else "Found nothing"


def _text_or_empty(given: object) -> str:
    return given if isinstance(given, str) else ""
