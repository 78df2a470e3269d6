"""Requests that a server of chat completions accepts: what it refuses, and the order of messages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from functions.domain.json_depth import parse_json
from functions.parsing.completions import THOUGHTS, Message, content_text


@dataclass(frozen=True, slots=True)
class Dialect:
    """What one server is known to accept.

    Attributes:
        token_field: Its name for the limit of a reply's tokens. Newer models accept only the second, many
            servers only the first.
        folds_system: The instructions go into the first user message: there is no role for them.
        sends_tool_choice: Whether `tool_choice` is sent beside tools.
        returns_thoughts: Whether what the model thought is sent back with what it said. DeepSeek and Kimi
            refuse a request without it; others refuse one with it, and it costs tokens.
    """

    token_field: str = "max_tokens"  # noqa: S105  # no password
    folds_system: bool = False
    sends_tool_choice: bool = True
    returns_thoughts: bool = False

    @classmethod
    def from_token_field(cls, name: str) -> Self:
        """Return the usual dialect with *name*, where it is one of the two."""
        return cls(token_field=name) if name == _OTHER_FIELD["max_tokens"] else cls()

    @property
    def _is_newer(self) -> bool:
        return self.token_field == _OTHER_FIELD["max_tokens"]

    def request(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return *body* as this server accepts it."""
        request = dict(body)
        limits = [request.pop(name, None) for name in _OTHER_FIELD]
        request[self.token_field] = next((limit for limit in limits if limit is not None), None)
        if request[self.token_field] is None:
            del request[self.token_field]
        if not self.sends_tool_choice:
            request.pop("tool_choice", None)
        messages = order_messages(body.get("messages", ()), fold_system=self.folds_system)
        if self.returns_thoughts:
            messages = [_with_thoughts(message) for message in messages]
        request["messages"] = messages
        return request

    def after_refusal(self, words: str) -> Self | None:
        """Return the dialect that may pass where this one was refused with *words*; None when none may."""
        said = words.casefold()
        other = _OTHER_FIELD[self.token_field]
        is_refused = not self._is_newer or any(word in said for word in _UNKNOWN_FIELD)
        if is_refused and (other in said or (self._is_newer and self.token_field in said)):
            return replace(self, token_field=other)
        if not self.folds_system and any(word in said for word in _NO_SYSTEM_ROLE):
            return replace(self, folds_system=True)
        if self.sends_tool_choice and ("tool_choice" in said or "tool choice" in said):
            return replace(self, sends_tool_choice=False)
        if not self.returns_thoughts and THOUGHTS in said:
            return replace(self, returns_thoughts=True)
        return None


_OTHER_FIELD = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
_UNKNOWN_FIELD = ("unsupported", "unknown", "unrecognized", "extra", "not permitted", "not supported")
_NO_SYSTEM_ROLE = (
    "system role",
    "role 'system'",
    "role: system",
    "system message",
    "developer instruction",
    "must alternate",
)


def order_messages(messages: Sequence[Mapping[str, Any]], *, fold_system: bool = False) -> list[Message]:
    """Return *messages* as the strictest templates want them.

    One system message, first or (folded) none; then user and assistant in turns. What a user says after
    a tool is part of the tool's result. Arguments that are no JSON object are sent back as `{}`: servers that
    read them answer 400 to every later request.
    """
    ordered: list[Message] = []
    system: list[str] = []
    for message in messages:
        role, text = message.get("role"), content_text(message.get("content"))
        if role in ("system", "developer") and not ordered:
            system.append(text)
        elif role == "assistant":
            _add_assistant(ordered, message, text)
        elif role == "tool":
            ordered.append({**message, "content": text})
        elif ordered and ordered[-1]["role"] in ("user", "tool"):
            ordered[-1]["content"] = _joined(ordered[-1]["content"], text)
        else:
            ordered.append({"role": "user", "content": text})
    rules = _joined(*system)
    if rules and fold_system:
        first = next((message for message in ordered if message["role"] == "user"), None)
        if first is not None:
            first["content"] = _joined(rules, first["content"])
    elif rules:
        ordered.insert(0, {"role": "system", "content": rules})
    return ordered


def _add_assistant(ordered: list[Message], message: Mapping[str, Any], text: str) -> None:
    calls = [_sendable_call(call) for call in message.get("tool_calls") or ()]
    last = ordered[-1] if ordered else {}
    if not text and not calls:
        return
    thoughts = {THOUGHTS: message[THOUGHTS]} if message.get(THOUGHTS) else {}
    if last.get("role") == "assistant" and not last.get("tool_calls"):
        text = _joined(last.get("content") or "", text)
        ordered.pop()
    answer = {"role": "assistant", "content": text or None} | thoughts
    ordered.append(answer | ({"tool_calls": calls} if calls else {}))


def _sendable_call(call: Mapping[str, Any]) -> Message:
    function = dict(call.get("function") or {})
    if parse_arguments(function.get("arguments")) is None:
        function["arguments"] = "{}"
    return {**call, "function": function}


def parse_arguments(given: object) -> dict[str, Any] | None:
    """Return the arguments of a tool call, which may come as text; None when they are no JSON object."""
    if isinstance(given, str):
        try:
            given = parse_json(given) if given.strip() else {}
        except ValueError:
            return None
    return given if isinstance(given, dict) else {} if given is None else None


def _with_thoughts(message: Message) -> Message:
    """Return *message* with thoughts, where it is the model's; those before the refusal were not kept.

    A space stands for them: an empty text is refused, too.
    """
    return {THOUGHTS: " ", **message} if message["role"] == "assistant" else message


def _joined(*texts: str) -> str:
    return "\n\n".join(text for text in texts if text)
