"""The client of a model's server with OpenAI's chat completions: one request, one reply or a clear error."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from functions.domain.json_depth import parse_json
from functions.http_client import FetchError
from functions.http_client.httpx import httpx
from functions.http_client.requests import lower_first
from functions.parsing.errors import ParsingStoppedError, UnreadableError
from functions.parsing.pool import Parse, parsing_time
from functions.parsing.replies import ModelReply, parse_reply
from functions.task_types.support.context import LanguageModel
from functions.task_types.support.limits import truncate
from functions.task_types.support.responses import (
    is_retryable_status,
    is_truncated,
    response_text,
    retry_after,
)


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
        parse: See `Tools`.
        now: The start of the attempt, to read a wait given as a date.
    """

    def __init__(
        self, model: LanguageModel, name: str, *, parse: Parse, token_field: str, now: datetime
    ) -> None:
        self.token_field = token_field if token_field in _TOKEN_FIELDS else _TOKEN_FIELDS[0]
        self._model = model
        self._parse = parse
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
                return await self._to_reply(response, timeout_s=parsing_time(timeout_s))
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

    async def _to_reply(self, response: httpx.Response, *, timeout_s: float) -> ModelReply:
        if is_truncated(response):
            raise ModelError("The model's server answered with more than 1 MB")
        try:
            return await self._parse(parse_reply, response.content, timeout_s=timeout_s)
        except ParsingStoppedError as exc:
            raise ModelError(f"The model's reply could not be read {exc.why}") from None
        except UnreadableError:
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
            error = parse_json(response.content)["error"]
            message = error["message"] if isinstance(error, dict) else error
        except (ValueError, KeyError, TypeError):
            return ""
        text = " ".join(str(message).split())
        if self._model.api_key:
            text = text.replace(self._model.api_key, "***")
        return f": {truncate(text, _MAX_DETAIL_CHARS)}"
