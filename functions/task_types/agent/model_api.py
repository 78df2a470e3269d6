"""The client of a model's server with OpenAI's chat completions: one request, one reply or a clear error."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from functions.http_client import FetchError
from functions.http_client.httpx import httpx
from functions.http_client.requests import lower_first
from functions.task_types.support.context import LanguageModel
from functions.task_types.support.limits import truncate
from functions.task_types.support.responses import (
    is_retryable_status,
    is_truncated,
    response_text,
    retry_after,
)

MAX_CALLS = 20  # of one reply; the others are dropped


class ModelError(Exception):
    """The model gave no usable reply.

    Attributes:
        reason: One sentence for the task's owner; never the key.
        permanent: True when trying again cannot help.
        retry_after: The wait that the server requests; None when it requests none.
    """

    def __init__(self, reason: str, *, permanent: bool = False, retry_after: timedelta | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.permanent = permanent
        self.retry_after = retry_after


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
        ValueError: *body* is not a chat completion.
    """
    try:
        document = json.loads(body)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    choices = document.get("choices") if isinstance(document, dict) else None
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or not isinstance(message, dict):
        raise ValueError("no choices[0].message")  # noqa: TRY004  # the document is wrong, not the caller
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


MAX_RESPONSE_BYTES = 1_048_576
MAX_WAIT = timedelta(seconds=5)  # a requested wait up to this is spent within the attempt
MAX_TRIES = 3
_MAX_DETAIL_CHARS = 200
# Newer models accept only the second, many servers only the first.
_TOKEN_FIELDS = ("max_tokens", "max_completion_tokens")


class ChatCompletionsClient:
    """Sends requests to one model.

    Attributes:
        token_field: This server's name for the limit of a reply's tokens, as far as known.

    Args:
        now: The start of the attempt, to read a wait given as a date.
    """

    def __init__(self, model: LanguageModel, name: str, *, token_field: str, now: datetime) -> None:
        self.token_field = token_field if token_field in _TOKEN_FIELDS else _TOKEN_FIELDS[0]
        self._model = model
        self._name = name
        self._now = now

    async def complete(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        tools: Sequence[Mapping[str, Any]] = (),
        can_call_tools: bool = True,
        max_tokens: int,
        timeout_s: float,
    ) -> ModelReply:
        """Return the model's reply to *messages*.

        Args:
            tools: All tools of the conversation; servers require them while it holds calls.
            can_call_tools: Whether the model may call one now.

        Raises:
            ModelError: There was no usable reply.
        """
        body: dict[str, Any] = {"model": self._name, "messages": list(messages)}
        if tools:
            body |= {"tools": list(tools), "tool_choice": "auto" if can_call_tools else "none"}
        deadline = asyncio.get_running_loop().time() + timeout_s
        for last in [False] * (MAX_TRIES - 1) + [True]:
            left_s = deadline - asyncio.get_running_loop().time()
            response = await self._send(body | {self.token_field: max_tokens}, timeout_s=left_s)
            if response.status_code == 200:
                return self._to_reply(response)
            if response.status_code == 400 and not last and self._needs_max_completion_tokens(response):
                continue
            error = self._to_error(response)
            wait = error.retry_after
            left_s = deadline - asyncio.get_running_loop().time()
            if last or wait is None or wait > MAX_WAIT or wait.total_seconds() >= left_s:
                raise error
            await asyncio.sleep(wait.total_seconds())
        raise AssertionError("the last try returns or raises")

    async def _send(self, body: Mapping[str, Any], *, timeout_s: float) -> httpx.Response:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self._model.api_key:
            headers["Authorization"] = f"Bearer {self._model.api_key}"
        try:
            return await self._model.http.post(
                f"{self._model.url.rstrip('/')}/chat/completions",
                headers=headers,
                content=json.dumps(body, ensure_ascii=False).encode("utf-8", "replace"),
                follow_redirects=False,
                timeout=max(0.01, timeout_s),
                extensions={"max_body_bytes": MAX_RESPONSE_BYTES},
            )
        except FetchError as exc:
            raise ModelError(
                f"The model's server: {lower_first(exc.reason)}", permanent=exc.permanent
            ) from None

    def _to_reply(self, response: httpx.Response) -> ModelReply:
        if is_truncated(response):
            raise ModelError("The model's server answered with more than 1 MB")
        try:
            return parse_reply(response.content)
        except ValueError:
            kind = response.headers.get("content-type", "").partition(";")[0].strip() or "something"
            raise ModelError(
                f"The model's server answered with {truncate(kind, 60)} that is not a chat completion; "
                "if this repeats, check LLM_BASE_URL"
            ) from None

    def _needs_max_completion_tokens(self, response: httpx.Response) -> bool:
        """Whether the server refuses the name of the token limit; then the other name is used from now on."""
        other = next(name for name in _TOKEN_FIELDS if name != self.token_field)
        text = response_text(response, limit_bytes=8192)
        if other not in text and f"'{self.token_field}'" not in text:
            return False
        self.token_field = other
        return True

    def _to_error(self, response: httpx.Response) -> ModelError:
        status = response.status_code
        if status in (401, 403):
            reason = f"The model's server refused the key ({status}): check LLM_API_KEY"
        elif status == 404:
            name = truncate(self._name, 80)
            reason = f"The model's server has no model {name}, or is not at LLM_BASE_URL (404)"
        elif status == 402 or (
            status == 429 and "insufficient_quota" in response_text(response, limit_bytes=8192)
        ):
            reason = f"The account at the model's server has no credit left ({status}): check its billing"
        elif 300 <= status < 400:
            reason = f"The model's server redirects ({status}): set LLM_BASE_URL to the target"
        elif is_retryable_status(status):
            wait = retry_after(response, now=self._now)
            state = "is busy" if status == 429 else "has a fault"
            return ModelError(f"The model's server {state} ({status})", retry_after=wait)
        else:
            reason = f"The model's server refused the request ({status}){self._error_detail(response)}"
        return ModelError(reason, permanent=True)

    def _error_detail(self, response: httpx.Response) -> str:
        """Return the server's own message, after a colon; without the key, which some servers repeat."""
        try:
            error = json.loads(response.content)["error"]
            message = error["message"] if isinstance(error, dict) else error
        except (ValueError, KeyError, TypeError, RecursionError):
            return ""
        text = " ".join(str(message).split())
        if self._model.api_key:
            text = text.replace(self._model.api_key, "***")
        return f": {truncate(text, _MAX_DETAIL_CHARS)}"
