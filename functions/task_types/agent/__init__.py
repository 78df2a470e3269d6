"""What the task type `agent` is made of: a model's server, the talk with it, tools, answers and notes."""

import asyncio
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from functions.domain.credits import DEFAULT_MAX_TOKENS
from functions.domain.run import Outcome, failed, succeeded
from functions.domain.task import Job
from functions.domain.types import Model
from functions.task_types.agent.conversation import AgentConversation, AgentLimits, Usage
from functions.task_types.agent.model_api import ChatCompletionsClient, ModelError
from functions.task_types.agent.results import AgentResult, SeenItems, system_message, task_message
from functions.task_types.agent.tools import AgentTools
from functions.task_types.support.context import Tools
from functions.task_types.support.limits import truncate

# Task type `agent`: a language model does a task, perhaps with tools that read, and reports ranked items.

NO_REFERENCES = ("goal", "prompt", "system")  # what a model is told, others read
EXAMPLE: dict[str, Any] = {
    "goal": "Which of today's stories matter to somebody who runs a small web shop? Say why.",
    "tools": ["rss_read"],
    "hosts": ["example.com"],
    "maxItems": 5,
}
_TIME_MARGIN = 0.1  # of the time, kept for coming to an end, so that what was used is known
_MAX_TIME_MARGIN_S = 1.0
_MAX_MODEL_CHARS = 80

_Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=16_000)]
_Host = Annotated[
    str,
    StringConstraints(
        to_lower=True, max_length=253, pattern=r"^(\*\.)?[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?$"
    ),
]


class Params(Model):
    """What is asked of which model, and how far it may go.

    Attributes:
        goal: What to find out or decide; or *prompt*, which is the same under another name.
        system: Added to the scheduler's own rules for the model.
        model: None for LLM_MODEL.
        max_steps: Rounds of tools; 0 means an answer from what the model knows.
        max_tokens: In one run, prompts and answers together.
        tools: What the model may use. All of them only read.
        hosts: Whom the tools may reach: names, or `*.example.com` for all below one.
        use_previous_result: Show the model what the last run came to.
        silent_when_nothing_new: Items told before are left out, and without others nobody is told.
    """

    goal: _Text | None = None
    prompt: _Text | None = None
    system: Annotated[str, StringConstraints(max_length=8000)] = ""
    model: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = None
    max_steps: Annotated[int, Field(ge=0, le=15)] = 5
    max_tokens: Annotated[int, Field(ge=500, le=1_000_000)] = DEFAULT_MAX_TOKENS
    max_items: Annotated[int, Field(ge=1, le=20)] = 10
    tools: Annotated[tuple[Literal["http_get", "rss_read"], ...], Field(max_length=2)] = ()
    hosts: Annotated[tuple[_Host, ...], Field(max_length=50)] = ()
    use_previous_result: bool = False
    silent_when_nothing_new: bool = True

    @model_validator(mode="after")
    def _check_combination(self) -> Self:
        if (self.goal is None) == (self.prompt is None):
            raise ValueError("give either goal or prompt")
        if bool(self.tools) != bool(self.hosts):
            raise ValueError(
                "tools and hosts go together: what the model may use, and whom it may reach with it"
            )
        return self


async def perform(job: Job, params: Params, tools: Tools) -> Outcome:
    """Let the model work, within tokens, steps and time, and tell what it found."""
    model = tools.model
    name = params.model or (model.default_model if model else "")
    if model is None or not name:
        return failed("Set LLM_BASE_URL and LLM_MODEL (and LLM_API_KEY): no model is set up", permanent=True)
    notes = SeenItems.from_memory(job.memory)
    endpoint = ChatCompletionsClient(model, name, token_field=notes.token_field, now=job.started_at)
    work = _build_conversation(job, params, tools, endpoint, notes)
    about = {"model": truncate(name, _MAX_MODEL_CHARS)}
    try:
        result = await work.run()
    except ModelError as exc:
        metrics = about | work.usage.metrics()
        wait = exc.retry_after
        return failed(exc.reason, permanent=exc.permanent, retry_after=wait, metrics=metrics)
    return _to_outcome(result, params, notes, work.usage, endpoint, about)


def _build_conversation(
    job: Job, params: Params, tools: Tools, client: ChatCompletionsClient, seen_items: SeenItems
) -> AgentConversation:
    toolbox = None
    if params.tools and params.max_steps:
        toolbox = AgentTools(tools.http, tuple(dict.fromkeys(params.tools)), params.hosts, tools.redact)
    previous = seen_items.previous_result if params.use_previous_result else None
    asked = task_message(
        params.goal or params.prompt or "",
        at=job.scheduled_at,
        timezone=job.timezone,
        limit=params.max_items,
        previous=previous,
        event=job.event.to_cloud_event().to_structured_json() if job.event else None,
    )
    margin_s = min(_MAX_TIME_MARGIN_S, job.timeout_s * _TIME_MARGIN)
    limited = job.max_tokens is not None and job.max_tokens < params.max_tokens
    bounds = AgentLimits(
        max_tokens=min(params.max_tokens, job.max_tokens)
        if job.max_tokens is not None
        else params.max_tokens,
        tokens_exceeded_reason="the credits for this run are used up"
        if limited
        else "maxTokens allows no more",
        max_steps=params.max_steps,
        deadline=asyncio.get_running_loop().time() + job.timeout_s - margin_s,
        max_items=params.max_items,
    )
    return AgentConversation(client, toolbox, [system_message(params.system), asked], bounds)


def _to_outcome(
    result: AgentResult,
    params: Params,
    seen_items: SeenItems,
    usage: Usage,
    client: ChatCompletionsClient,
    base_metrics: dict[str, Any],
) -> Outcome:
    fresh = seen_items.unseen(result.items)
    told = fresh if params.silent_when_nothing_new else result.items
    news = bool(told) or not params.silent_when_nothing_new
    count = len(result.items)
    quiet = f"Nothing new: {count} found, all told before" if count else f"Nothing new: {result.summary}"
    return succeeded(
        result.summary if news else quiet,
        metrics=base_metrics | usage.metrics() | {"items": count, "new": len(fresh)},
        items=tuple(item.to_json() for item in told),
        memory=seen_items.with_items(result, token_field=client.token_field),
        has_news=news,
    )
