"""What the task type `agent` is made of: a model's server, the talk with it, tools, answers and notes."""

import asyncio
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from functions.domain.credits import RUN_TOKENS
from functions.domain.run import Outcome, failed, succeeded
from functions.domain.task import Job
from functions.domain.types import Model
from functions.task_types.agent.conversation import Bounds, Usage, Work
from functions.task_types.agent.model_api import Endpoint, ModelError
from functions.task_types.agent.results import Notes, Result, assignment, rules
from functions.task_types.agent.tools import Toolbox
from functions.task_types.support.context import Tools
from functions.task_types.support.limits import cut

# Task type `agent`: a language model does a task, perhaps with tools that read, and reports ranked items.

NO_REFERENCES = ("goal", "prompt", "system")  # what a model is told, others read
EXAMPLE: dict[str, Any] = {
    "goal": "Which of today's stories matter to somebody who runs a small web shop? Say why.",
    "tools": ["rss_read"],
    "hosts": ["example.com"],
    "maxItems": 5,
}
_MARGIN = 0.1  # of the time, kept for coming to an end, so that what was used is known
_MOST_MARGIN_S = 1.0
_MODEL_CHARS = 80

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
    max_tokens: Annotated[int, Field(ge=500, le=1_000_000)] = RUN_TOKENS
    max_items: Annotated[int, Field(ge=1, le=20)] = 10
    tools: Annotated[tuple[Literal["http_get", "rss_read"], ...], Field(max_length=2)] = ()
    hosts: Annotated[tuple[_Host, ...], Field(max_length=50)] = ()
    use_previous_result: bool = False
    silent_when_nothing_new: bool = True

    @model_validator(mode="after")
    def _whole(self) -> Self:
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
    name = params.model or (model.name if model else "")
    if model is None or not name:
        return failed("Set LLM_BASE_URL and LLM_MODEL (and LLM_API_KEY): no model is set up", permanent=True)
    notes = Notes.from_memory(job.memory)
    endpoint = Endpoint(model, name, token_field=notes.token_field, now=job.started_at)
    work = _work(job, params, tools, endpoint, notes)
    about = {"model": cut(name, _MODEL_CHARS)}
    try:
        result = await work.done()
    except ModelError as exc:
        metrics = about | work.usage.metrics()
        wait = exc.retry_after
        return failed(exc.reason, permanent=exc.permanent, retry_after=wait, metrics=metrics)
    return _outcome(result, params, notes, work.usage, endpoint, about)


def _work(job: Job, params: Params, tools: Tools, endpoint: Endpoint, notes: Notes) -> Work:
    toolbox = None
    if params.tools and params.max_steps:
        toolbox = Toolbox(tools.http, tuple(dict.fromkeys(params.tools)), params.hosts, tools.mask)
    previous = notes.previous if params.use_previous_result else None
    asked = assignment(
        params.goal or params.prompt or "",
        at=job.scheduled_at,
        timezone=job.timezone,
        limit=params.max_items,
        previous=previous,
        event=job.event.structured() if job.event else None,
    )
    margin_s = min(_MOST_MARGIN_S, job.timeout_s * _MARGIN)
    limited = job.max_tokens is not None and job.max_tokens < params.max_tokens
    bounds = Bounds(
        tokens=min(params.max_tokens, job.max_tokens) if job.max_tokens is not None else params.max_tokens,
        too_many="the credits for this run are used up" if limited else "maxTokens allows no more",
        steps=params.max_steps,
        deadline=asyncio.get_running_loop().time() + job.timeout_s - margin_s,
        items=params.max_items,
    )
    return Work(endpoint, toolbox, [rules(params.system), asked], bounds)


def _outcome(
    result: Result, params: Params, notes: Notes, usage: Usage, endpoint: Endpoint, about: dict[str, Any]
) -> Outcome:
    fresh = notes.fresh(result.items)
    told = fresh if params.silent_when_nothing_new else result.items
    news = bool(told) or not params.silent_when_nothing_new
    count = len(result.items)
    quiet = f"Nothing new: {count} found, all told before" if count else f"Nothing new: {result.summary}"
    return succeeded(
        result.summary if news else quiet,
        metrics=about | usage.metrics() | {"items": count, "new": len(fresh)},
        items=tuple(item.as_json() for item in told),
        memory=notes.after(result, token_field=endpoint.token_field),
        news=news,
    )
