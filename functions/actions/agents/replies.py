"""What a model's server answers: a reply with text and wishes for tools, or a fault explained."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

MOST_CALLS = 20  # read of one reply


class ModelError(Exception):
    """The model gave no reply that could be used.

    Attributes:
        reason: One sentence for the task's owner; never the key.
        permanent: True when trying again cannot help.
        retry_after: The wait the server asked for; None when it asked for none.
    """

    def __init__(self, reason: str, *, permanent: bool = False, retry_after: timedelta | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.permanent = permanent
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A wish for a tool.

    Attributes:
        arguments: JSON as the model wrote it, so perhaps none.
        raw: The wish as it came: some servers want to see it again with all that they put in.
    """

    id: str
    name: str
    arguments: str
    raw: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply of a model.

    Attributes:
        finish: Why it ended, as servers say it: `stop`, `length`, `tool_calls`, `content_filter`.
        prompt_tokens: None when the server did not count.
    """

    text: str
    calls: tuple[ToolCall, ...] = ()
    finish: str = ""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None

    def as_message(self) -> dict[str, Any]:
        """The reply as a message of the talk that goes on."""
        message: dict[str, Any] = {"role": "assistant", "content": self.text or None}
        if self.calls:
            message["tool_calls"] = [dict(call.raw) for call in self.calls]
        else:
            message["content"] = self.text
        return message


def read_reply(body: bytes) -> Reply:
    """Read a chat completion.

    Raises:
        ValueError: It is none.
    """
    try:
        document = json.loads(body)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    choices = document.get("choices") if isinstance(document, dict) else None
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or not isinstance(message, dict):
        raise ValueError("no choices[0].message")  # noqa: TRY004  # a document's fault, not a caller's
    usage = document.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    return Reply(
        text=_text(message.get("content")),
        calls=_calls(message.get("tool_calls")),
        finish=str(choice.get("finish_reason") or ""),
        prompt_tokens=_count(usage.get("prompt_tokens")),
        completion_tokens=_count(usage.get("completion_tokens")),
    )


def _text(content: object) -> str:
    """The text of a message, whole or in parts."""
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def _calls(given: object) -> tuple[ToolCall, ...]:
    calls = []
    for number, raw in enumerate(given[:MOST_CALLS] if isinstance(given, list) else ()):
        function = raw.get("function") if isinstance(raw, dict) else None
        if not isinstance(function, dict):
            continue
        arguments = function.get("arguments")
        text = arguments if isinstance(arguments, str) else json.dumps(arguments)
        id_ = str(raw.get("id") or f"call-{number}")
        whole = {**raw, "id": id_, "type": "function", "function": {**function, "arguments": text}}
        calls.append(ToolCall(id_, str(function.get("name", "")), text, whole))
    return tuple(calls)


def _count(given: object) -> int | None:
    return given if isinstance(given, int) and not isinstance(given, bool) and given >= 0 else None
