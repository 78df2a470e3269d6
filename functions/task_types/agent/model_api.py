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
from functions.task_types.support.limits import cut
from functions.task_types.support.responses import text_of, wait_asked_for, worth_retrying

# What a model's server answers: a reply with text and wishes for tools, or a fault explained.

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


MAX_ANSWER_BYTES = 1_048_576
PATIENCE = timedelta(seconds=5)  # a wait asked for, up to this, is waited within the attempt
TRIES = 3
_DETAIL_CHARS = 200
# Newer models take only the second, many servers only the first.
_TOKEN_FIELDS = ("max_tokens", "max_completion_tokens")


class Endpoint:
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
        may_call: bool = True,
        max_tokens: int,
        within_s: float,
    ) -> Reply:
        """Return the model's reply to *messages*.

        Args:
            tools: Those the talk is about; servers want them named as long as it holds calls.
            may_call: Whether the model may ask for one now.

        Raises:
            ModelError: There was none that could be used.
        """
        body: dict[str, Any] = {"model": self._name, "messages": list(messages)}
        if tools:
            body |= {"tools": list(tools), "tool_choice": "auto" if may_call else "none"}
        deadline = asyncio.get_running_loop().time() + within_s
        for last in [False] * (TRIES - 1) + [True]:
            left_s = deadline - asyncio.get_running_loop().time()
            response = await self._send(body | {self.token_field: max_tokens}, within_s=left_s)
            if response.status == 200:
                return self._reply(response)
            if response.status == 400 and not last and self._takes_other_field(response):
                continue
            fault = self._fault(response)
            wait = fault.retry_after
            left_s = deadline - asyncio.get_running_loop().time()
            if last or wait is None or wait > PATIENCE or wait.total_seconds() >= left_s:
                raise fault
            await asyncio.sleep(wait.total_seconds())
        raise AssertionError("the last try returns or raises")

    async def _send(self, body: Mapping[str, Any], *, within_s: float) -> Response:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self._model.key:
            headers["Authorization"] = f"Bearer {self._model.key}"
        try:
            return await self._model.http.request(
                "POST",
                f"{self._model.url.rstrip('/')}/chat/completions",
                headers=headers,
                body=json.dumps(body, ensure_ascii=False).encode("utf-8", "replace"),
                max_redirects=0,
                max_body_bytes=MAX_ANSWER_BYTES,
                timeout_s=max(0.01, within_s),
            )
        except FetchError as exc:
            raise ModelError(
                f"The model's server: {lower_first(exc.reason)}", permanent=exc.permanent
            ) from None

    def _reply(self, response: Response) -> Reply:
        if response.truncated:
            raise ModelError("The model's server answered with more than 1 MB")
        try:
            return read_reply(response.body)
        except ValueError:
            kind = response.headers.get("content-type", "").partition(";")[0].strip() or "something"
            raise ModelError(
                f"The model's server answered with {cut(kind, 60)} that is no chat completion; "
                "if it does so each time, check LLM_BASE_URL"
            ) from None

    def _takes_other_field(self, response: Response) -> bool:
        """Whether the refusal is about how the most tokens are named; if so the other name is used on."""
        other = next(name for name in _TOKEN_FIELDS if name != self.token_field)
        text = text_of(response, limit_bytes=8192)
        if other not in text and f"'{self.token_field}'" not in text:
            return False
        self.token_field = other
        return True

    def _fault(self, response: Response) -> ModelError:
        status = response.status
        if status in (401, 403):
            reason = f"The model's server refused the key ({status}): check LLM_API_KEY"
        elif status == 404:
            reason = (
                f"The model's server knows no model {cut(self._name, 80)}, or is not at LLM_BASE_URL (404)"
            )
        elif status == 402 or (status == 429 and "insufficient_quota" in text_of(response, limit_bytes=8192)):
            reason = (
                f"The account at the model's server has nothing left ({status}): its bill must be seen to"
            )
        elif 300 <= status < 400:
            reason = f"The model's server redirects ({status}): set LLM_BASE_URL to where it leads"
        elif worth_retrying(status):
            wait = wait_asked_for(response, now=self._now)
            busy = "asks for patience" if status == 429 else "has a fault"
            return ModelError(f"The model's server {busy} ({status})", retry_after=wait)
        else:
            reason = f"The model's server refused the request ({status}){self._detail(response)}"
        return ModelError(reason, permanent=True)

    def _detail(self, response: Response) -> str:
        """What the server says is wrong; never with the key, which some servers repeat."""
        try:
            error = json.loads(response.body)["error"]
            words = error["message"] if isinstance(error, dict) else error
        except (ValueError, KeyError, TypeError, RecursionError):
            return ""
        text = " ".join(str(words).split())
        if self._model.key:
            text = text.replace(self._model.key, "***")
        return f": {cut(text, _DETAIL_CHARS)}"
