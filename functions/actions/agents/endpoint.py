"""A model's server that speaks OpenAI's chat completions: one request, one reply, faults explained."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from functions.actions.agents.replies import ModelError, Reply, read_reply
from functions.actions.net.errors import FetchError
from functions.actions.net.redirects import lowered
from functions.actions.tools import LanguageModel, Response
from functions.actions.tools.answers import text_of, wait_asked_for, worth_retrying
from functions.actions.tools.limits import cut

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
            raise ModelError(f"The model's server: {lowered(exc.reason)}", permanent=exc.permanent) from None

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
