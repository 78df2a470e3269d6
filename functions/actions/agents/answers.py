"""A model's answer read as a result: JSON found wherever it is in the text, items cleaned and ranked."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from functions.actions.feeds.plain import plain_text, web_link

SHAPE = """{
  "summary": "one sentence, at most 300 characters: what was found",
  "items": [
    {"title": "a few words", "url": "https://... or empty", "text": "one or two sentences", "score": 0.0}
  ]
}"""
ITEM_LIMIT = 20
_TITLE_CHARS, _TEXT_CHARS, _SUMMARY_CHARS = 200, 500, 400
_STARTS = 200  # places in a text that are tried as the beginning of JSON
_START = re.compile(r"[{\[]")


@dataclass(frozen=True, slots=True)
class Item:
    """One thing found; *score* is how much it matters, None when the model did not say."""

    title: str
    url: str
    text: str
    score: float | None

    def as_json(self) -> dict[str, str]:
        """The item as outcomes have it."""
        score = {} if self.score is None else {"score": f"{self.score:g}"}
        return {"title": self.title, "url": self.url, "text": self.text} | score


@dataclass(frozen=True, slots=True)
class Result:
    """What a model came to: one sentence, and items, the best first."""

    summary: str
    items: tuple[Item, ...]


def read_result(text: str, *, limit: int) -> Result | None:
    """The result in *text*, with at most *limit* items; None when there is none.

    Fences, prose around the JSON, a bare list and items that are mere titles are understood.
    """
    for value in _values(text):
        given = {"items": value} if isinstance(value, list) else value
        items = given.get("items")
        summary = given.get("summary")
        if not isinstance(items, list) and not isinstance(summary, str):
            continue
        cleaned = [item for one in (items if isinstance(items, list) else ()) if (item := _item(one))]
        ranked = sorted(
            cleaned, key=lambda item: -math.inf if item.score is None else item.score, reverse=True
        )
        return Result(_summary(summary, ranked), tuple(ranked[: min(limit, ITEM_LIMIT)]))
    return None


def _values(text: str) -> Iterator[dict[str, Any] | list[Any]]:
    """Each object and list of objects that begins somewhere in *text*, not within another one."""
    decoder = json.JSONDecoder()
    place = 0
    for _ in range(_STARTS):
        found = _START.search(text, place)
        if found is None:
            return
        try:
            value, place = decoder.raw_decode(text, found.start())
        except (ValueError, RecursionError):
            place = found.end()
            continue
        if isinstance(value, dict) or (isinstance(value, list) and all(isinstance(v, dict) for v in value)):
            yield value


def _item(given: object) -> Item | None:
    if isinstance(given, str):
        given = {"title": given}
    if not isinstance(given, Mapping):
        return None
    title = plain_text(_text(given.get("title")), limit=_TITLE_CHARS)
    text = plain_text(_text(given.get("text")), limit=_TEXT_CHARS)
    if not title and not text:
        return None
    url = web_link(_text(given.get("url")))
    return Item(title or text[:80], url, text, _score(given.get("score")))


def _score(given: object) -> float | None:
    try:
        score = float(given) if isinstance(given, int | float | str) else math.nan
    except (ValueError, OverflowError):
        return None
    return round(score, 4) if math.isfinite(score) else None


def _summary(given: object, items: list[Item]) -> str:
    summary = plain_text(_text(given), limit=_SUMMARY_CHARS)
    if summary:
        return summary
    return f"Found {len(items)}: {items[0].title}" if items else "Found nothing"


def _text(given: object) -> str:
    return given if isinstance(given, str) else ""
