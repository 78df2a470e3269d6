"""A model within the limits of one run: tokens, steps, time and waits, whoever's model it is."""

import asyncio
import json
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    ModelResponsePart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings

from functions.http_client import FetchError, lower_first
from functions.http_client.httpx import httpx
from functions.parsing.completions import find_fault, plain_words
from functions.task_types.agent.dialect import parse_arguments
from functions.task_types.agent.errors import ModelError
from functions.task_types.agent.results import ANSWER_NOW_PROMPT, MIN_REPLY_TOKENS
from functions.task_types.agent.transport import ModelTransport, UnusableAnswerError
from functions.task_types.support.limits import truncate
from functions.task_types.support.responses import is_retryable_status, retry_after

BYTES_PER_TOKEN = 3  # an overestimate for English, about right for Chinese
MAX_CONTEXT_TOKENS = 24_000  # of one request
MAX_REPLY_TOKENS = 8192  # of one reply, reasoning included
SHORT_REPLY_TOKENS = 1024  # below that it is rather the prompt that is too long
MIN_CONTEXT_TOKENS = 1000
MAX_PLAN_TOKENS = 1024
MAX_CONCURRENT_CALLS = 4  # of one reply's tool calls; the model may repeat the others
REPLY_TIMEOUT_S = 120.0
MIN_TIMEOUT_S = 0.5
MAX_TRIES = 3
MAX_SHORTER_TRIES = 10
MAX_WAIT = timedelta(seconds=5)  # a requested wait up to this is spent within the attempt
WAITS_S = (0.5, 1.0)  # before the second and third try, where the server requests no wait
OMITTED_RESULT = "(An earlier finding, left out for want of room.)"
_TRUNCATION_NOTE = "\n(Cut short for want of room.)"
_MIN_CHARS = 200
_PART_BYTES, _CALL_BYTES = 40, 160  # of JSON around a text, and around a tool call
_MAX_DETAIL_CHARS = 200
_TOOLS = ("tool", "function call")
_NOT_SUPPORTED = ("not support", "n't support", "unsupported", "that support", "requires --", "require --")
_TOO_LONG = ("context", "max_tokens", "max_completion_tokens", "tokens", "too long", "too large")


# Fitting messages into a number of tokens, estimated: the oldest tool results are left out first.


def estimate_tokens(messages: Sequence[ModelMessage], tools: object = ()) -> int:
    """Return the estimated number of tokens of a request."""
    size = _json_bytes(tools) if tools else 0
    instructions = ""
    for message in messages:
        if isinstance(message, ModelRequest):
            instructions = message.instructions or instructions
        size += sum(_part_bytes(part) for part in message.parts)
    return -(-(size + _json_bytes(instructions) + _PART_BYTES) // BYTES_PER_TOKEN)


def _part_bytes(part: object) -> int:
    if isinstance(part, ToolCallPart):
        return _json_bytes([part.tool_name, part.args]) + _CALL_BYTES
    extra = _CALL_BYTES if isinstance(part, ToolReturnPart) else _PART_BYTES
    return _json_bytes(getattr(part, "content", "")) + extra


def _json_bytes(value: object) -> int:
    return len(json.dumps(value, ensure_ascii=False, default=str).encode("utf-8", "replace"))


def fit_messages(messages: Sequence[ModelMessage], limit: int) -> list[ModelMessage]:
    """Return *messages* with tool results left out, oldest first, and the newest cut, to fit *limit* tokens.

    Other messages never change: when they alone are too long, the result exceeds *limit*.
    """
    fitted = list(messages)
    places = list(_tool_results(fitted))
    for place in places[:-1]:
        if estimate_tokens(fitted) <= limit:
            return fitted
        _replace_result(fitted, place, lambda _: OMITTED_RESULT)
    over = estimate_tokens(fitted) - limit
    if over > 0 and places:
        _replace_result(fitted, places[-1], lambda text: _truncate_by_tokens(text, over))
    return fitted


def _tool_results(messages: Sequence[ModelMessage]) -> Iterator[tuple[int, int]]:
    for at, message in enumerate(messages):
        for number, part in enumerate(message.parts):
            if isinstance(part, ToolReturnPart):
                yield at, number


def _replace_result(
    messages: list[ModelMessage], place: tuple[int, int], change: Callable[[str], str]
) -> None:
    at, number = place
    message = messages[at]
    assert isinstance(message, ModelRequest)  # results of tools are in requests
    parts = list(message.parts)
    part = parts[number]
    assert isinstance(part, ToolReturnPart)
    parts[number] = replace(part, content=change(str(part.content)))  # type: ignore[arg-type]  # ours are texts
    messages[at] = replace(message, parts=parts)


def _truncate_by_tokens(text: str, tokens: int) -> str:
    """Return *text* shortened by about *tokens*, to no less than `_MIN_CHARS`."""
    max_bytes = len(text.encode("utf-8", "replace")) - (tokens + len(_TRUNCATION_NOTE)) * BYTES_PER_TOKEN
    head = text.encode("utf-8", "replace")[: max(max_bytes, _MIN_CHARS)].decode("utf-8", "ignore")
    return head + _TRUNCATION_NOTE


@dataclass(slots=True)
class Usage:
    """Tokens and steps used so far.

    Attributes:
        steps: Rounds of tool calls.
        refused_calls: Tool calls that the task does not allow; they were not made.
        left_out_tools: Tools of MCP servers for which a run has no room; the model did not get them.
        is_estimated: Whether some tokens are estimated, as the server did not report them.
        cost_usd: By the price lists of genai-prices; None when one reply's price is unknown.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    steps: int = 0
    refused_calls: int = 0
    left_out_tools: int = 0
    is_estimated: bool = False
    plan: str = ""
    cost_usd: Decimal | None = Decimal(0)

    @property
    def tokens(self) -> int:
        """Prompts and replies together."""
        return self.prompt_tokens + self.completion_tokens

    def metrics(self) -> dict[str, Any]:
        """Return the usage as metrics of a run."""
        metrics: dict[str, Any] = {
            "promptTokens": self.prompt_tokens,
            "completionTokens": self.completion_tokens,
            "steps": self.steps,
        }
        optional = {
            "refusedCalls": self.refused_calls,
            "toolsLeftOut": self.left_out_tools,
            "tokensEstimated": self.is_estimated,
            "plan": self.plan,
            "costUsd": float(round(self.cost_usd, 8)) if self.cost_usd and not self.is_estimated else None,
        }
        return metrics | {name: value for name, value in optional.items() if value}


@dataclass(frozen=True, slots=True)
class AgentLimits:
    """The limits of one run.

    Attributes:
        max_tokens: Prompts and replies together.
        tokens_exceeded_reason: For the outcome when they are used up.
        started: When the attempt began, by the loop's clock.
        deadline: By the same clock.
        max_items: In the answer.
        reply_tokens: The most that is requested of one reply, as far as the server's limit is known.
    """

    max_tokens: int
    tokens_exceeded_reason: str
    max_steps: int
    started: float
    deadline: float
    max_items: int
    reply_tokens: int = MAX_REPLY_TOKENS


class LimitedModel(WrapperModel):
    """A model that is called within the limits of one run.

    A request with `tool_choice` none is the plan's. Arguments that are no JSON object become `{}`, so that no
    server is sent them as history; what the model called with them is known by its id.

    Attributes:
        usage: Current at all times, also when the run fails.
        reply_tokens: The most that is requested of one reply; less once the server refuses more.
        calls_left: How many more calls of the last reply may be made.
        unreadable_calls: The ids of those whose arguments were no JSON object.
        finish_reason: Why the last reply ended.
        is_overrun: Whether the last reply called tools although none may be called.

    Args:
        transport: Of *wrapped*; for errors about its answers.
        name: For errors.
        api_key: Masked in the words of the server's errors.
        started_at: When the attempt began; a date in an answer is compared with the time of that answer.
    """

    def __init__(
        self,
        wrapped: Model,
        limits: AgentLimits,
        transport: ModelTransport,
        *,
        name: str,
        api_key: str,
        started_at: datetime,
    ) -> None:
        super().__init__(wrapped)
        self.usage = Usage()
        self.reply_tokens = min(limits.reply_tokens, MAX_REPLY_TOKENS)
        self.calls_left = 0
        self.unreadable_calls: set[str] = set()
        self.finish_reason: str | None = None
        self.is_overrun = False
        self._context_tokens = MAX_CONTEXT_TOKENS
        self._limits = limits
        self._transport = transport
        self._name = name
        self._api_key = api_key
        self._started_at = started_at

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Return the reply to *messages*, with fewer tokens or after a wait where the server wants that.

        Raises:
            ModelError: There is none, or no tokens or no time for it.
        """
        settings = ModelSettings(**(model_settings or {}))
        is_plan = settings.get("tool_choice") == "none"
        tools = _describe_tools(model_request_parameters)
        may_call = bool(tools) and not is_plan and self._can_afford_step(messages)
        if tools and not may_call:
            settings["tool_choice"] = "none"
            if not is_plan:
                messages = _with_prompt(messages, ANSWER_NOW_PROMPT)
        self.calls_left = MAX_CONCURRENT_CALLS
        response = await self._request_within(
            messages, settings, model_request_parameters, tools, MAX_PLAN_TOKENS if is_plan else None
        )
        self._note_calls(response, {tool["name"] for tool in tools}, may_call=may_call)
        parts = _usable_parts(response.parts, may_call=may_call)
        if is_plan and not any(isinstance(part, TextPart) and part.content for part in parts):
            parts = [TextPart("(no plan)")]
        return replace(response, parts=parts, state="complete")  # "suspended" would be asked on without end

    def _note_calls(self, response: ModelResponse, known: Collection[str], *, may_call: bool) -> None:
        """Note how *response* ended, and its calls of tools, of which those named *known* are allowed."""
        calls = [part for part in response.parts if isinstance(part, ToolCallPart)]
        self.finish_reason = response.finish_reason
        self.unreadable_calls = {call.tool_call_id for call in calls if parse_arguments(call.args) is None}
        self.is_overrun = bool(calls) and not may_call
        if calls and may_call:
            self.usage.steps += 1
            self.usage.refused_calls += sum(call.tool_name not in known for call in calls)

    def seconds_left(self) -> float:
        """Return the seconds of the attempt that are left.

        Raises:
            ModelError: Too few.
        """
        left_s = self._limits.deadline - asyncio.get_running_loop().time()
        if left_s < MIN_TIMEOUT_S:
            raise ModelError(f"Stopped after {self.usage.steps} steps: the time is up (timeoutSeconds)")
        return left_s

    async def _request_within(
        self,
        messages: list[ModelMessage],
        settings: ModelSettings,
        parameters: ModelRequestParameters,
        tools: object,
        max_tokens: int | None,
    ) -> ModelResponse:
        tries, shorter_tries = 0, 0
        while True:
            fitted, prompt, reply_tokens = self._fit(messages, tools, max_tokens or MAX_REPLY_TOKENS)
            within_s = min(REPLY_TIMEOUT_S, self.seconds_left())
            started = asyncio.get_running_loop().time()
            limits = ModelSettings(max_tokens=reply_tokens, timeout=within_s, max_retries=0)
            try:
                response = await super().request(fitted, ModelSettings(**settings, **limits), parameters)
            except ModelHTTPError as exc:
                words = self._words(exc.body)
                if _is_too_long(exc.status_code, words) and shorter_tries < MAX_SHORTER_TRIES:
                    shorter_tries += 1
                    if self._ask_for_less(reply_tokens):
                        continue
                tries += 1
                refuses_tools = bool(tools) and _refuses_tools(exc.status_code, words)
                await self._wait(_no_tools(words) if refuses_tools else self._to_error(exc, words), tries)
                continue
            except Exception as exc:  # noqa: BLE001  # SDKs read replies of any shape, and raise what comes
                if asyncio.get_running_loop().time() - started >= within_s:
                    # The server may have produced the reply, and bill it.
                    self._count(None, prompt, reply_tokens)
                raise self._no_answer(exc) from None
            self._count(response, prompt, estimate_tokens([response]))
            return response

    def _fit(
        self, messages: list[ModelMessage], tools: object, max_tokens: int
    ) -> tuple[list[ModelMessage], int, int]:
        """Return the messages that are sent, their tokens, and the tokens of the reply.

        Raises:
            ModelError: There are not enough for a reply.
        """
        left = self._limits.max_tokens - self.usage.tokens
        overhead = estimate_tokens([], tools)
        room = min(self._context_tokens, left - MIN_REPLY_TOKENS) - overhead
        fitted = fit_messages(messages, room)
        prompt = estimate_tokens(fitted) + overhead
        reply_tokens = min(max_tokens, self.reply_tokens, left - prompt)
        if reply_tokens < MIN_REPLY_TOKENS:
            raise ModelError(
                f"Stopped after {self.usage.tokens} tokens: {self._limits.tokens_exceeded_reason}",
                permanent=True,
            )
        return fitted, prompt, reply_tokens

    def _ask_for_less(self, reply_tokens: int) -> bool:
        """Whether there is less to request: half the reply, below `SHORT_REPLY_TOKENS` half the prompt."""
        if reply_tokens // 2 >= SHORT_REPLY_TOKENS:
            self.reply_tokens = reply_tokens // 2
        elif self._context_tokens // 2 >= MIN_CONTEXT_TOKENS:
            self._context_tokens //= 2
        elif reply_tokens // 2 >= MIN_REPLY_TOKENS:
            self.reply_tokens = reply_tokens // 2
        else:
            return False
        return True

    async def _wait(self, error: ModelError, tries: int) -> None:
        """Wait before another try, or raise *error* when there is to be none within this attempt."""
        if error.permanent or tries >= MAX_TRIES:
            raise error
        wait = error.retry_after
        wait_s = WAITS_S[tries - 1] if wait is None else wait.total_seconds()
        left_s = self._limits.deadline - asyncio.get_running_loop().time()
        if wait_s > MAX_WAIT.total_seconds() or wait_s + MIN_TIMEOUT_S >= left_s:
            raise error
        await asyncio.sleep(wait_s)

    def _count(self, response: ModelResponse | None, prompt: int, answer: int) -> None:
        used = response.usage if response else None
        is_known = used is not None and (used.input_tokens > 0 or used.output_tokens > 0)
        self.usage.is_estimated |= not is_known
        self.usage.prompt_tokens += used.input_tokens if used and is_known else prompt
        self.usage.completion_tokens += used.output_tokens if used and is_known else answer
        price = _price(response) if response is not None and is_known else None
        known = self.usage.cost_usd
        self.usage.cost_usd = None if price is None or known is None else known + price

    def _can_afford_step(self, messages: list[ModelMessage]) -> bool:
        """Whether one more step is allowed, and the tokens suffice for its results and an answer after it."""
        left = self._limits.max_tokens - self.usage.tokens
        needed = 2 * (estimate_tokens(messages) + MIN_REPLY_TOKENS)
        return self.usage.steps < self._limits.max_steps and left >= needed

    def _no_answer(self, exc: BaseException) -> ModelError:
        """Return the error of a call without a usable answer: the reason of what our transport raised."""
        cause: BaseException | None = exc
        while cause is not None:
            if isinstance(cause, UnusableAnswerError):
                return ModelError(cause.reason, permanent=cause.permanent)
            if isinstance(cause, FetchError):
                return ModelError(
                    f"The model's server: {lower_first(cause.reason)}", permanent=cause.permanent
                )
            cause = cause.__cause__ or cause.__context__
        said = truncate(self.without_key(plain_words(self._transport.answered)), _MAX_DETAIL_CHARS)
        detail = f": {said}" if said else ""
        return ModelError(
            f"The model's server answered with something that its protocol does not have{detail}"
        )

    def _words(self, body: object) -> str:
        """Return the server's own words about an error; without the key, which some servers repeat."""
        fault = find_fault({"error": body}) or find_fault(body)
        return self.without_key(fault.words if fault else "")

    def without_key(self, text: str) -> str:
        """Return *text* on one line, with the key masked."""
        text = " ".join(text.split())
        return text.replace(self._api_key, "***") if self._api_key else text

    def _to_error(self, exc: ModelHTTPError, words: str) -> ModelError:
        """Return the error of a refusal. Never the whole answer: servers repeat keys and requests in it."""
        status = exc.status_code
        detail = f": {truncate(words, _MAX_DETAIL_CHARS)}" if words else ""
        if status == 401:
            reason = f"The model's server refused the key ({status}): check LLM_API_KEY"
        elif status == 403:  # a region, a filter, a firewall, or a key that may not use the model
            hint = "check LLM_API_KEY, and what its account may use"
            reason = f"The model's server refused access ({status}){detail}; {hint}"
        elif status == 404:
            name = truncate(self._name, 80)
            reason = f"The model's server has no model {name}, or is not at LLM_BASE_URL (404){detail}"
        elif status == 402:
            reason = f"The account at the model's server has no credit left ({status}): check its billing"
        elif is_retryable_status(status):
            elapsed = timedelta(seconds=asyncio.get_running_loop().time() - self._limits.started)
            answer = httpx.Response(status, headers=exc.headers or {})
            wait = retry_after(answer, now=self._started_at + elapsed)
            state = "is busy" if status == 429 else "has a fault"
            return ModelError(f"The model's server {state} ({status}){detail}", retry_after=wait)
        else:
            reason = f"The model's server refused the request ({status}){detail}"
        return ModelError(reason, permanent=True)


def _with_prompt(messages: Sequence[ModelMessage], prompt: str) -> list[ModelMessage]:
    """Return *messages* with *prompt* at the end of the last one, which is a request."""
    last = messages[-1]
    assert isinstance(last, ModelRequest)  # the model answers one
    return [*messages[:-1], replace(last, parts=[*last.parts, UserPromptPart(prompt)])]


def _describe_tools(parameters: ModelRequestParameters) -> list[dict[str, Any]]:
    """Return the tools as a request names them: their tokens are counted."""
    return [
        {"name": one.name, "description": one.description, "parameters": one.parameters_json_schema}
        for one in parameters.function_tools
    ]


def _usable_parts(parts: Sequence[ModelResponsePart], *, may_call: bool) -> list[ModelResponsePart]:
    """Return *parts* without calls that may not be made, and without arguments that are no JSON object.

    Also without texts that are none: the SDK takes a block of a kind that it does not know for one.
    """
    return [
        _with_readable_arguments(part) if isinstance(part, ToolCallPart) else part
        for part in parts
        if (may_call or not isinstance(part, ToolCallPart))
        and (not isinstance(part, TextPart) or isinstance(part.content, str))
    ]


def _with_readable_arguments(call: ToolCallPart) -> ToolCallPart:
    return call if parse_arguments(call.args) else replace(call, args={})


def _is_too_long(status: int, words: str) -> bool:
    said = words.casefold()
    return status in (400, 413, 422, 500) and any(word in said for word in _TOO_LONG)


def _refuses_tools(status: int, words: str) -> bool:
    """Whether a request with tools was refused for them; llama.cpp does it with 500, OpenRouter with 404."""
    said = words.casefold()
    is_about_tools = any(word in said for word in _TOOLS)
    return status in (400, 404, 422, 500, 501) and is_about_tools and any(w in said for w in _NOT_SUPPORTED)


def _no_tools(words: str) -> ModelError:
    """Return the error; without its tools the run would answer with what the model remembers or invents."""
    return ModelError(
        "The model does not support tools: choose another (params.model or LLM_MODEL), or remove the task's "
        f"tools. Its server said: {truncate(words, _MAX_DETAIL_CHARS)}",
        permanent=True,
    )


def _price(response: ModelResponse) -> Decimal | None:
    try:
        return response.cost().total_price
    except (LookupError, ValueError, AssertionError):  # a model that has no public price
        return None
