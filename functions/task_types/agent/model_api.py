"""A model's server that speaks OpenAI's chat completions: one request, one reply, faults explained."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from functions.http_client import FetchError
from functions.http_client.requests import lower_first
from functions.task_types.support.context import LanguageModel, Response
from functions.task_types.support.limits import truncate
from functions.task_types.support.responses import is_retryable_status, response_text, retry_after

# What a model's server answers: a reply with text and wishes for tools, or a fault explained.

MAX_CALLS = 20  # read of one reply


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
class ModelReply:
    """One reply of a model.

    Attributes:
        finish_reason: Why it ended, as servers say it: `stop`, `length`, `tool_calls`, `content_filter`.
        prompt_tokens: None when the server did not count.
    """

    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: str = ""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None

    def to_message(self) -> dict[str, Any]:
        """The reply as a message of the talk that goes on."""
        message: dict[str, Any] = {"role": "assistant", "content": self.text or None}
        if self.tool_calls:
            message["tool_calls"] = [dict(call.raw) for call in self.tool_calls]
        else:
            message["content"] = self.text
        return message


def parse_reply(body: bytes) -> ModelReply:
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
    return ModelReply(
        text=_message_text(message.get("content")),
        tool_calls=_parse_tool_calls(message.get("tool_calls")),
        finish_reason=str(choice.get("finish_reason") or ""),
        prompt_tokens=_count_or_none(usage.get("prompt_tokens")),
        completion_tokens=_count_or_none(usage.get("completion_tokens")),
    )


def _message_text(content: object) -> str:
    """The text of a message, whole or in parts."""
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
MAX_WAIT = timedelta(seconds=5)  # a wait asked for, up to this, is waited within the attempt
MAX_TRIES = 3
_MAX_DETAIL_CHARS = 200
# Newer models take only the second, many servers only the first.
_TOKEN_FIELDS = ("max_tokens", "max_completion_tokens")


class ChatCompletionsClient:
    """Asks one model.

    Attributes:
        token_field: What this server calls the most tokens of a reply, as far as is known.

    Args:
        now: When the attempt began, to read a wait given as a date.
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
            tools: Those the talk is about; servers want them named as long as it holds calls.
            can_call_tools: Whether the model may ask for one now.

        Raises:
            ModelError: There was none that could be used.
        """
        body: dict[str, Any] = {"model": self._name, "messages": list(messages)}
        if tools:
            body |= {"tools": list(tools), "tool_choice": "auto" if can_call_tools else "none"}
        deadline = asyncio.get_running_loop().time() + timeout_s
        for last in [False] * (MAX_TRIES - 1) + [True]:
            left_s = deadline - asyncio.get_running_loop().time()
            response = await self._send(body | {self.token_field: max_tokens}, timeout_s=left_s)
            if response.status == 200:
                return self._to_reply(response)
            if response.status == 400 and not last and self._needs_max_completion_tokens(response):
                continue
            fault = self._to_error(response)
            wait = fault.retry_after
            left_s = deadline - asyncio.get_running_loop().time()
            if last or wait is None or wait > MAX_WAIT or wait.total_seconds() >= left_s:
                raise fault
            await asyncio.sleep(wait.total_seconds())
        raise AssertionError("the last try returns or raises")

    async def _send(self, body: Mapping[str, Any], *, timeout_s: float) -> Response:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self._model.api_key:
            headers["Authorization"] = f"Bearer {self._model.api_key}"
        try:
            return await self._model.http.request(
                "POST",
                f"{self._model.url.rstrip('/')}/chat/completions",
                headers=headers,
                body=json.dumps(body, ensure_ascii=False).encode("utf-8", "replace"),
                max_redirects=0,
                max_body_bytes=MAX_RESPONSE_BYTES,
                timeout_s=max(0.01, timeout_s),
            )
        except FetchError as exc:
            raise ModelError(
                f"The model's server: {lower_first(exc.reason)}", permanent=exc.permanent
            ) from None

    def _to_reply(self, response: Response) -> ModelReply:
        if response.truncated:
            raise ModelError("The model's server answered with more than 1 MB")
        try:
            return parse_reply(response.body)
        except ValueError:
            kind = response.headers.get("content-type", "").partition(";")[0].strip() or "something"
            raise ModelError(
                f"The model's server answered with {truncate(kind, 60)} that is no chat completion; "
                "if it does so each time, check LLM_BASE_URL"
            ) from None

    def _needs_max_completion_tokens(self, response: Response) -> bool:
        """Whether the refusal is about how the most tokens are named; if so the other name is used on."""
        other = next(name for name in _TOKEN_FIELDS if name != self.token_field)
        text = response_text(response, limit_bytes=8192)
        if other not in text and f"'{self.token_field}'" not in text:
            return False
        self.token_field = other
        return True

    def _to_error(self, response: Response) -> ModelError:
        status = response.status
        if status in (401, 403):
            reason = f"The model's server refused the key ({status}): check LLM_API_KEY"
        elif status == 404:
            name = truncate(self._name, 80)
            reason = f"The model's server knows no model {name}, or is not at LLM_BASE_URL (404)"
        elif status == 402 or (
            status == 429 and "insufficient_quota" in response_text(response, limit_bytes=8192)
        ):
            reason = (
                f"The account at the model's server has nothing left ({status}): its bill must be seen to"
            )
        elif 300 <= status < 400:
            reason = f"The model's server redirects ({status}): set LLM_BASE_URL to where it leads"
        elif is_retryable_status(status):
            wait = retry_after(response, now=self._now)
            busy = "asks for patience" if status == 429 else "has a fault"
            return ModelError(f"The model's server {busy} ({status})", retry_after=wait)
        else:
            reason = f"The model's server refused the request ({status}){self._error_detail(response)}"
        return ModelError(reason, permanent=True)

    def _error_detail(self, response: Response) -> str:
        """What the server says is wrong; never with the key, which some servers repeat."""
        try:
            error = json.loads(response.body)["error"]
            words = error["message"] if isinstance(error, dict) else error
        except (ValueError, KeyError, TypeError, RecursionError):
            return ""
        text = " ".join(str(words).split())
        if self._model.api_key:
            text = text.replace(self._model.api_key, "***")
        return f": {truncate(text, _MAX_DETAIL_CHARS)}"
