"""Reading what a server of chat completions answers: a completion as OpenAI's servers write it, or a fault.

Most servers speak OpenAI's chat completions with an accent: fields are left out or null, faults come with
status 200, streams unasked for.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import unescape
from typing import Any

from functions.domain.json_depth import parse_json
from functions.parsing.errors import UnreadableError
from functions.parsing.replies import strip_thinking

MAX_CALLS = 20  # of one reply; the others are dropped
MAX_REPORTED_TOKENS = 10_000_000  # of one reply: more is a mistake
_LINE_END = re.compile(r"\r\n|\n|\r")  # of a stream of events; JSON may hold what Python ends lines at too
_WAIT_IN_WORDS = re.compile(r"(?:retry|try again) in ((?:[0-9.]{1,9} ?(?:ms|h|m|s)[a-z]* ?){1,3})", re.I)
_PART_OF_WAIT = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?(ms|h|m|s)")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
_MAX_WORDS_CHARS = 1000
_MAX_FOREIGN_CHARS = 300  # of an answer that is no JSON
_MAX_PAGE_CHARS = 4000  # of a proxy's page, which names itself at its beginning
_TITLE = re.compile(r"<title[^<>]*>([^<>]*[^<>\s][^<>]*)", re.I)
_TAGS = re.compile(r"<(script|style)\b.*?(?:</\1[^<>]*>|$)|<!--.*?(?:-->|$)|<[^<>]*>?", re.I | re.S)
THOUGHTS = "reasoning_content"  # the field of a message with what the model thought
Message = dict[str, Any]


def read_completion(
    document: bytes, *, status: int, content_type: str, model: str, keep_thoughts: bool = False
) -> dict[str, Any]:
    """Return the status that the answer means, and its body as OpenAI's servers write it.

        200 {"choices": ...}                          {"status": 200, "body": {"choices": ...}}
        200 {"error": {"code": 429, "message": "x"}}  {"status": 429, "body": {"error": {"message": "x"}}}

    With a fault may come `wait_s`: the seconds after which the server wants to be asked again.

    Args:
        keep_thoughts: Whether `THOUGHTS` are left in, for a server that wants them back.

    Raises:
        UnreadableError: *status* is 200, and the answer neither a completion nor a fault.
    """
    text = document.decode("utf-8", "replace").lstrip("\ufeff")
    try:
        value = _read_value(text, content_type)
    except ValueError:
        if status == 200:
            raise UnreadableError(_name_broken(text, content_type)) from None
        return _refusal(status, plain_words(text)[:_MAX_FOREIGN_CHARS])
    fault = find_fault(value)
    if fault is None:
        if status == 200:
            completion = whole_completion(value, model=model, keep_thoughts=keep_thoughts)
            return {"status": 200, "body": completion}
        return _refusal(status, "")
    if status == 200 or (status == 429 and fault.status == 402):
        status = fault.status
    wait_s = _wait(fault.words, value)
    return _refusal(status, fault.words) | ({} if wait_s is None else {"wait_s": wait_s})


def plain_words(text: str) -> str:
    """Return the server's words on one line: of a page, as proxies answer with, its title or else its text.

        <html><head><title>502 Bad Gateway</title>     502 Bad Gateway
        <h1>No backend</h1><p>Try later                No backend Try later
        expected <str>                                 expected <str>

    No parser of documents reads it, as no more is wanted of it than these words.
    """
    if text.lstrip().startswith("<"):
        page = text[:_MAX_PAGE_CHARS]
        title = _TITLE.search(page)
        text = unescape(title[1] if title else _TAGS.sub(" ", page))
    return " ".join(text[:_MAX_PAGE_CHARS].split())


def _name_broken(text: str, content_type: str) -> str:
    if not text.strip():
        return "an empty body"
    kind = content_type.partition(";")[0].strip() or "something"
    if "json" in kind and text.lstrip().startswith("{"):
        return "JSON that is broken, or broken off"
    return f"{kind[:60]} that is not a chat completion"


def _wait(words: str, document: object) -> float | None:
    """Return the wait that a fault asks for: Google's `retryDelay`, or in words, as OpenAI writes it.

    "retryDelay": "34s"                              34
    Please try again in 1m12.5s                      72.5
    """
    first = document[0] if isinstance(document, list) and document else document
    error = first.get("error") if isinstance(first, dict) else None
    details = error.get("details") if isinstance(error, dict) else None
    for one in details if isinstance(details, list) else ():
        if isinstance(one, dict) and isinstance(delay := one.get("retryDelay"), str):
            return _duration(delay[:20])
    said = _WAIT_IN_WORDS.search(words[:_MAX_WORDS_CHARS])
    return _duration(said[1]) if said else None


def _duration(text: str) -> float | None:
    parts = _PART_OF_WAIT.findall(text.casefold())
    return sum(float(number) * _SECONDS[unit] for number, unit in parts) if parts else None


def _refusal(status: int, words: str) -> dict[str, Any]:
    message = " ".join(words.split())[:_MAX_WORDS_CHARS]
    return {"status": status, "body": {"error": {"message": message, "code": status}}}


def _read_value(text: str, content_type: str) -> Any:
    is_document = text.lstrip().startswith(("{", "["))  # whatever its type says
    is_stream = "event-stream" in content_type or "\ndata:" in f"\n{text}"
    return completion_of_stream(text) if is_stream and not is_document else parse_json(text)


def content_text(content: object) -> str:
    """Return the text of a message, which may come in parts, or as the object that it should hold as JSON."""
    if isinstance(content, list):
        texts = (part if isinstance(part, str) else _part_text(part) for part in content)
        return "".join(texts)
    if isinstance(content, dict):
        return _part_text(content) or ("" if "type" in content else json.dumps(content, ensure_ascii=False))
    return content if isinstance(content, str) else ""


def _part_text(part: object) -> str:
    is_text = isinstance(part, dict) and part.get("type") in ("text", "output_text", None)
    text = part.get("text") if is_text and isinstance(part, dict) else None
    return text if isinstance(text, str) else ""


# Faults, which some servers report with status 200.


@dataclass(frozen=True, slots=True)
class Fault:
    """What a server says went wrong: *status* as HTTP has it, and its own words; see `plain_words`."""

    status: int
    words: str


_STATUS_OF_CODE = {
    "authentication_error": 401,
    "invalid_api_key": 401,
    "unauthenticated": 401,
    "insufficient_quota": 402,
    "insufficient_balance": 402,
    "billing_error": 402,
    "permission_error": 403,
    "permission_denied": 403,
    "model_not_found": 404,
    "not_found": 404,
    "context_length_exceeded": 400,
    "invalid_argument": 400,
    "invalid_request_error": 400,
    "badrequesterror": 400,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "resource_exhausted": 429,
    "overloaded_error": 503,
    "unavailable": 503,
}


def find_fault(document: object) -> Fault | None:
    """Return the fault that *document* reports: an object, nested or flat, a list of one, or a mere text."""
    if isinstance(document, list):
        return find_fault(document[0]) if document else None
    if not isinstance(document, dict):
        return None
    choices = document.get("choices")
    if isinstance(choices, list) and choices:
        choice = choices[0] if isinstance(choices[0], dict) else {}
        return _fault_of(choice.get("error")) or _fault_of(document.get("error"))
    for name in ("error", "errors", "base_resp", "detail"):
        if fault := _fault_of(document.get(name)):
            return fault
    return _fault_of(document)


def _fault_of(given: object) -> Fault | None:
    if isinstance(given, list) and given:
        given = given[0]
    if isinstance(given, str) and given.strip():
        return Fault(500, plain_words(given))
    if not isinstance(given, dict):
        return None
    words = next((text for name in _WORDS if isinstance(text := given.get(name), str) and text.strip()), "")
    codes = [given.get(name) for name in ("code", "status_code", "status", "type")]
    return Fault(_status_of(codes), plain_words(words)) if words else None


_WORDS = ("message", "msg", "status_msg", "detail", "error")


def _status_of(codes: Sequence[object]) -> int:
    for code in codes:
        text = str(code).casefold()
        if text.isascii() and text.isdigit() and 400 <= int(text[:9]) <= 599:
            return int(text)
        if text in _STATUS_OF_CODE:
            return _STATUS_OF_CODE[text]
    return 500


# Replies.

_FINISH_REASONS = {"max_tokens": "length", "model_length": "length", "safety": "content_filter"}
_KNOWN_REASONS = frozenset({"stop", "length", "tool_calls", "content_filter"})


def whole_completion(document: object, *, model: str, keep_thoughts: bool = False) -> dict[str, Any]:
    """Return a chat completion with every field that the SDK needs, and what the model thought beside or not.

    Raises:
        UnreadableError: *document* is no chat completion.
    """
    choices = document.get("choices") if isinstance(document, dict) else None
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(document, dict) or not isinstance(choice, dict) or not isinstance(message, dict):
        is_empty = isinstance(document, dict) and "choices" in document and not choices
        raise UnreadableError(
            "no reply at all: its choices are empty, as a filter leaves them"
            if is_empty
            else "JSON that is not a chat completion"
        )
    calls = _whole_calls(message)
    refusal = message.get("refusal")
    text = strip_thinking(content_text(message.get("content")))
    whole: Message = {"role": "assistant", "content": text or None}
    if calls:
        whole["tool_calls"] = calls
    if keep_thoughts and (thoughts := _thoughts(message)):
        whole[THOUGHTS] = thoughts
    if isinstance(refusal, str) and refusal.strip() and not text and not calls:
        whole["refusal"] = refusal
    completion = {
        "id": str(document.get("id") or ""),
        "object": "chat.completion",
        "created": 0,
        "model": model,
        "choices": [{"index": 0, "message": whole, "finish_reason": _finish_reason(choice, calls)}],
    }
    usage = _whole_usage(document.get("usage"))
    return completion | ({"usage": usage} if usage else {})


def _thoughts(message: Mapping[str, Any]) -> str:
    given = message.get(THOUGHTS) or message.get("reasoning")
    return given if isinstance(given, str) else ""


def _finish_reason(choice: Mapping[str, Any], calls: Sequence[object]) -> str:
    if calls:  # also those that were cut off: the model learns that from the tool
        return "tool_calls"
    given = str(choice.get("finish_reason") or "").casefold()
    reason = _FINISH_REASONS.get(given, given)
    return reason if reason in _KNOWN_REASONS else "stop"


def _whole_calls(message: Mapping[str, Any]) -> list[Message]:
    given = message.get("tool_calls")
    if not given and isinstance(message.get("function_call"), dict):
        given = [{"function": message["function_call"]}]
    calls: list[Message] = []
    ids: set[str] = set()
    for number, raw in enumerate(given[:MAX_CALLS] if isinstance(given, list) else ()):
        function = raw.get("function") if isinstance(raw, dict) else None
        if not isinstance(function, dict) or not function.get("name"):
            continue
        arguments = function.get("arguments")
        text = arguments if isinstance(arguments, str) else json.dumps({} if arguments is None else arguments)
        id_ = str(raw.get("id") or f"call-{number}")
        id_ = f"{id_}-{number}" if id_ in ids else id_
        ids.add(id_)
        name = str(function["name"])
        calls.append({**raw, "id": id_, "type": "function", "function": {"name": name, "arguments": text}})
    return calls


def _whole_usage(given: object) -> dict[str, int] | None:
    """Return the counts; None unless there are both, and both can be true."""
    if not isinstance(given, dict):
        return None
    prompt, completion = _count(given.get("prompt_tokens")), _count(given.get("completion_tokens"))
    if prompt is None or completion is None:
        return None
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _count(given: object) -> int | None:
    if isinstance(given, bool) or not isinstance(given, int | float) or not math.isfinite(given):
        return None
    return int(given) if 0 <= given <= MAX_REPORTED_TOKENS else None


# Replies as a stream of events, from servers that stream although nobody asked.


def completion_of_stream(text: str) -> dict[str, Any]:
    """Return the completion, or the fault, that a stream of events holds.

    Raises:
        UnreadableError: An event is no JSON, or there is none.
    """
    parts: list[str] = []
    thoughts: list[str] = []
    calls: dict[int, Message] = {}
    reason, usage, seen = None, None, False
    for chunk in _chunks(text):
        if find_fault(chunk):
            return chunk
        usage = chunk.get("usage") or usage
        choices = chunk.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
        delta = choice.get("delta") or choice.get("message") or {}
        if isinstance(delta, dict):
            seen = True
            parts.append(content_text(delta.get("content")))
            thoughts.append(_thoughts(delta))
            _merge_calls(calls, delta.get("tool_calls"))
        reason = choice.get("finish_reason") or reason
    if not seen:
        raise UnreadableError("a stream without a reply")
    message = {"content": "".join(parts), THOUGHTS: "".join(thoughts), "tool_calls": list(calls.values())}
    return {"choices": [{"message": message, "finish_reason": reason}], "usage": usage}


def _chunks(text: str) -> Iterator[dict[str, Any]]:
    for line in _LINE_END.split(text):
        data = line.removeprefix("data:").strip() if line.startswith("data:") else ""
        if not data or data == "[DONE]":
            continue
        try:
            chunk = parse_json(data)
        except ValueError:
            raise UnreadableError("a stream with an event that is not JSON") from None
        if isinstance(chunk, dict):
            yield chunk


def _merge_calls(calls: dict[int, Message], given: object) -> None:
    for number, delta in enumerate(given if isinstance(given, list) else ()):
        function = delta.get("function") if isinstance(delta, dict) else None
        if not isinstance(function, dict):
            continue
        index = delta.get("index")
        call = calls.setdefault(
            index if isinstance(index, int) else number, {"id": "", "function": {"name": "", "arguments": ""}}
        )
        call.update({name: value for name, value in delta.items() if name not in call})  # Gemini's signature
        call["id"] = call["id"] or str(delta.get("id") or "")
        call["function"]["name"] = call["function"]["name"] or str(function.get("name") or "")
        call["function"]["arguments"] += str(function.get("arguments") or "")
