"""Reading a model's reply: the chat completion, and the result somewhere in its text, cleaned and ranked."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from functions.domain.json_depth import check_depth, parse_json
from functions.parsing.errors import UnreadableError
from functions.parsing.markup import html_to_text, safe_http_url

# A chat completion.

MAX_CALLS = 20  # of one reply; the others are dropped


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool call that the model requests.

    Attributes:
        arguments: As the model wrote them; perhaps not valid JSON.
        raw: The call as received: some servers require it back with all their own fields.
    """

    id: str
    name: str
    arguments: str
    raw: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ModelReply:
    """One reply of a model.

    Attributes:
        finish_reason: The server's word for why it ended: `stop`, `length`, `tool_calls`, `content_filter`.
        prompt_tokens: None when the server did not count.
    """

    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: str = ""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None

    def to_message(self) -> dict[str, Any]:
        """Return the reply as a message of the conversation."""
        message: dict[str, Any] = {"role": "assistant", "content": self.text or None}
        if self.tool_calls:
            message["tool_calls"] = [dict(call.raw) for call in self.tool_calls]
        else:
            message["content"] = self.text
        return message


def parse_reply(body: bytes) -> ModelReply:
    """Parse a chat completion.

    Raises:
        UnreadableError: *body* is not a chat completion.
    """
    try:
        document = parse_json(body)
    except ValueError as exc:
        raise UnreadableError("something that is not JSON") from exc
    choices = document.get("choices") if isinstance(document, dict) else None
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or not isinstance(message, dict):
        raise UnreadableError("JSON without choices[0].message")
    usage = document.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    return ModelReply(
        text=_message_text(message.get("content")),
        tool_calls=_parse_tool_calls(message.get("tool_calls")),
        finish_reason=str(choice.get("finish_reason") or ""),
        prompt_tokens=_count_or_none(usage.get("prompt_tokens")),
        completion_tokens=_count_or_none(usage.get("completion_tokens")),
    )


def _message_text(content: object) -> str:
    """Return the text of a message, which may come in parts."""
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def _parse_tool_calls(given: object) -> tuple[ToolCall, ...]:
    calls = []
    for number, raw in enumerate(given[:MAX_CALLS] if isinstance(given, list) else ()):
        function = raw.get("function") if isinstance(raw, dict) else None
        if not isinstance(function, dict):
            continue
        arguments = function.get("arguments")
        text = arguments if isinstance(arguments, str) else json.dumps(arguments)
        id_ = str(raw.get("id") or f"call-{number}")
        whole = {**raw, "id": id_, "type": "function", "function": {**function, "arguments": text}}
        calls.append(ToolCall(id_, str(function.get("name", "")), text, whole))
    return tuple(calls)


def _count_or_none(given: object) -> int | None:
    return given if isinstance(given, int) and not isinstance(given, bool) and given >= 0 else None


# The result: JSON anywhere in the text.

MAX_ITEMS = 20
_MAX_TITLE_CHARS, _MAX_TEXT_CHARS, _MAX_SUMMARY_CHARS = 200, 500, 400
_MAX_STARTS = 200  # places in a text where JSON may begin
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

    Code fences, prose around the JSON, a bare list and items that are only titles are accepted.

    Args:
        text: Of a reply, in UTF-8.
    """
    for value in _iter_json_values(text.decode("utf-8", "replace")):
        given = {"items": value} if isinstance(value, list) else value
        items = given.get("items")
        summary = given.get("summary")
        if not isinstance(items, list) and not isinstance(summary, str):
            continue
        cleaned = [item for one in (items if isinstance(items, list) else ()) if (item := _parse_item(one))]
        ranked = sorted(
            cleaned, key=lambda item: -math.inf if item.score is None else item.score, reverse=True
        )
        return AgentResult(_build_summary(summary, ranked), tuple(ranked[: min(limit, MAX_ITEMS)]))
    return None


def _iter_json_values(text: str) -> Iterator[dict[str, Any] | list[Any]]:
    """Yield each object and list of objects in *text* that is not within another one."""
    decoder = json.JSONDecoder()
    place = 0
    for _ in range(_MAX_STARTS):
        start = _JSON_START.search(text, place)
        if start is None:
            return
        try:
            value, place = decoder.raw_decode(text, start.start())
            check_depth(value)
        except (ValueError, RecursionError):
            place = start.end()
            continue
        if isinstance(value, dict) or (isinstance(value, list) and all(isinstance(v, dict) for v in value)):
            yield value


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
