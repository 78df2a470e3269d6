"""The work of an agent: a short plan, at most so many rounds of tools, an answer; within tokens and time."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from functions.task_types.agent import results
from functions.task_types.agent.model_api import Endpoint, ModelError, Reply
from functions.task_types.agent.results import Result, read_result
from functions.task_types.agent.tools import Found, Toolbox
from functions.task_types.support.limits import cut

# The talk with a model as it fits into a number of tokens, estimated: old findings give way first.

BYTES_PER_TOKEN = 3  # on the safe side for English, about right for Chinese
LEFT_OUT = "(An earlier finding, left out for want of room.)"
_CUT_SHORT = "\n(Cut short for want of room.)"
_LEAST_CHARS = 200

Message = Mapping[str, Any]


def tokens_in(value: object) -> int:
    """About how many tokens *value*, written as JSON, takes."""
    text = json.dumps(value, ensure_ascii=False)
    return -(-len(text.encode("utf-8", "replace")) // BYTES_PER_TOKEN)


def fitted(messages: Sequence[Message], limit: int) -> list[Message]:
    """*messages* with findings left out, oldest first, then the newest cut, until they take *limit* tokens.

    What was asked is never touched: where that alone is too long, more than *limit* is returned.
    """
    kept = list(messages)
    findings = [place for place, message in enumerate(kept) if message.get("role") == "tool"]
    for place in findings[:-1]:
        if tokens_in(kept) <= limit:
            return kept
        kept[place] = {**kept[place], "content": LEFT_OUT}
    over = tokens_in(kept) - limit
    if over > 0 and findings:
        last = kept[findings[-1]]
        kept[findings[-1]] = {**last, "content": _shortened(str(last.get("content", "")), over)}
    return kept


def _shortened(text: str, tokens: int) -> str:
    """*text* with at least *tokens* fewer, where it has so many."""
    room = len(text.encode("utf-8", "replace")) - (tokens + len(_CUT_SHORT)) * BYTES_PER_TOKEN
    head = text.encode("utf-8", "replace")[: max(room, _LEAST_CHARS)].decode("utf-8", "ignore")
    return head + _CUT_SHORT


CONTEXT_TOKENS = 24_000  # of one request: the oldest findings give way
ANSWER_TOKENS = 8192  # of one reply, its thoughts included
LEAST_ANSWER_TOKENS = 200  # fewer are no answer
PLAN_TOKENS = 1024
CALLS_AT_ONCE = 4  # of the tools a reply asks for; the others it may ask for again
CALL_S = 120.0
LEAST_S = 0.5
_PLAN_CHARS = 300


@dataclass(slots=True)
class Usage:
    """What was used so far.

    Attributes:
        steps: Rounds of tools.
        refused: Calls of tools that were not made, as the task does not allow them.
        estimated: Whether the server left some tokens uncounted, so that they were estimated.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    steps: int = 0
    refused: int = 0
    estimated: bool = False
    plan: str = ""

    @property
    def tokens(self) -> int:
        """Prompts and answers together."""
        return self.prompt_tokens + self.completion_tokens

    def metrics(self) -> dict[str, Any]:
        """As metrics of a run."""
        metrics: dict[str, Any] = {
            "promptTokens": self.prompt_tokens,
            "completionTokens": self.completion_tokens,
            "steps": self.steps,
        }
        optional = {"refusedCalls": self.refused, "tokensEstimated": self.estimated, "plan": self.plan}
        return metrics | {name: value for name, value in optional.items() if value}


@dataclass(frozen=True, slots=True)
class Bounds:
    """How far the work may go.

    Attributes:
        tokens: In all, prompts and answers.
        too_many: What is told when they are used up.
        deadline: By the loop's clock.
        items: In the answer.
    """

    tokens: int
    too_many: str
    steps: int
    deadline: float
    items: int


class Work:
    """One run of an agent.

    Attributes:
        usage: Kept up to date, so that a run that fails has used what it used.
    """

    def __init__(
        self, endpoint: Endpoint, toolbox: Toolbox | None, messages: list[Message], bounds: Bounds
    ) -> None:
        self.usage = Usage()
        self._endpoint = endpoint
        self._toolbox = toolbox
        self._tools = toolbox.schemas() if toolbox else []
        self._messages = messages
        self._bounds = bounds

    async def done(self) -> Result:
        """Do the work and return what it came to.

        Raises:
            ModelError: It came to nothing: no reply, no usable answer, no tokens or no time left.
        """
        if self._toolbox is not None:
            await self._plan()
        reply = await self._gathered()
        for again in (True, False):
            result = read_result(reply.text, limit=self._bounds.items)
            if result is not None:
                return result
            if not again or reply.finish in ("length", "content_filter"):
                break
            wish = results.NOW_ANSWER if reply.calls else results.AS_JSON
            self._messages += [*([{"role": "assistant", "content": reply.text}] if reply.text else [])]
            self._messages += [results.said(wish)]
            reply = await self._reply(may_call=False)
        raise self._no_answer(reply)

    async def _plan(self) -> None:
        """Let the model say what it is up to: it keeps to it better, and people can read it afterwards."""
        self._messages.append(results.said(results.PLAN))
        reply = await self._reply(may_call=False, most=PLAN_TOKENS)
        self.usage.plan = cut(" ".join(reply.text.split()), _PLAN_CHARS)
        self._messages.append({"role": "assistant", "content": reply.text or "(no plan)"})
        self._messages.append(results.said(results.GO_ON))

    async def _gathered(self) -> Reply:
        """Let the model use its tools; return its first reply without a wish for one, or the last allowed."""
        while True:
            may_call = bool(self._toolbox) and self.usage.steps < self._bounds.steps and self._is_affordable()
            if self._toolbox and not may_call:
                self._messages.append(results.said(results.NOW_ANSWER))
            reply = await self._reply(may_call=may_call)
            if not may_call or not reply.calls:
                return reply
            await self._use_tools(reply)

    async def _use_tools(self, reply: Reply) -> None:
        assert self._toolbox is not None  # without tools no call is let through
        self.usage.steps += 1
        self._messages.append(reply.as_message())
        now, rest = reply.calls[:CALLS_AT_ONCE], reply.calls[CALLS_AT_ONCE:]
        found = await asyncio.gather(*(self._toolbox.run(call, within_s=self._left_s()) for call in now))
        found += [Found("Too many calls at once; ask again for this one")] * len(rest)
        for call, one in zip(reply.calls, found, strict=True):
            self.usage.refused += one.refused
            self._messages.append({"role": "tool", "tool_call_id": call.id, "content": one.text})

    async def _reply(self, *, may_call: bool, most: int = ANSWER_TOKENS) -> Reply:
        left = self._bounds.tokens - self.usage.tokens
        overhead = tokens_in(self._tools) if self._tools else 0
        messages = fitted(self._messages, min(CONTEXT_TOKENS, left - LEAST_ANSWER_TOKENS) - overhead)
        prompt = tokens_in(messages) + overhead
        room = min(most, left - prompt)
        if room < min(most, LEAST_ANSWER_TOKENS):
            raise ModelError(
                f"Stopped after {self.usage.tokens} tokens: {self._bounds.too_many}", permanent=True
            )
        within_s = min(CALL_S, self._left_s())
        started = asyncio.get_running_loop().time()
        try:
            reply = await self._endpoint.complete(
                messages, tools=self._tools, may_call=may_call, max_tokens=room, within_s=within_s
            )
        except ModelError:
            if asyncio.get_running_loop().time() - started >= within_s:
                self._count(
                    None, None, prompt=prompt, answer=room
                )  # it may well have been made, and be billed
            raise
        self._count(reply.prompt_tokens, reply.completion_tokens, prompt=prompt, answer=tokens_in(reply.text))
        return reply

    def _count(
        self, prompt_tokens: int | None, completion_tokens: int | None, *, prompt: int, answer: int
    ) -> None:
        self.usage.estimated |= prompt_tokens is None or completion_tokens is None
        self.usage.prompt_tokens += prompt if prompt_tokens is None else prompt_tokens
        self.usage.completion_tokens += answer if completion_tokens is None else completion_tokens

    def _is_affordable(self) -> bool:
        """Whether there are tokens for one more finding and an answer after it."""
        return self._bounds.tokens - self.usage.tokens >= 2 * (
            tokens_in(self._messages) + LEAST_ANSWER_TOKENS
        )

    def _left_s(self) -> float:
        left_s = self._bounds.deadline - asyncio.get_running_loop().time()
        if left_s < LEAST_S:
            raise ModelError(f"Stopped after {self.usage.steps} steps: the time was up (timeoutSeconds)")
        return left_s

    def _no_answer(self, reply: Reply) -> ModelError:
        if reply.finish == "length":
            return ModelError("The model's answer was cut off: it needs more maxTokens", permanent=True)
        if reply.finish == "content_filter":
            return ModelError("The model's server withheld the answer (content filter)", permanent=True)
        if reply.calls:
            return ModelError("The model asked for more tools than maxSteps allows, and gave no answer")
        return ModelError("The model's answer was not the JSON that was asked for, twice")
