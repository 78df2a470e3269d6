"""Trials: the request of a task, made once through the guarded client, for who is about to save the task."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from functions.domain.lifecycle.permissions import secret_names
from functions.domain.run import failed
from functions.domain.task import Job, TaskSpec
from functions.domain.types import OutcomeKind, Trigger
from functions.errors import InputError
from functions.http_client.client import HttpClient
from functions.http_client.httpx import httpx
from functions.task_types.registry import Tools, run_job
from functions.task_types.support.limits import REDACTION_MARGIN, Redact, compose
from functions.task_types.support.responses import body_text, elapsed_ms, is_truncated
from functions.task_types.support.secrets import redactor_for
from functions.task_types.support.trial import TRIED_TYPES, Trial

TIMEOUT = timedelta(seconds=15)  # in all, as somebody waits for it
MAX_BODY_CHARS, MAX_HEADERS, MAX_HEADER_CHARS = 2000, 40, 300
_HIDDEN_HEADERS = frozenset({"set-cookie", "authorization", "proxy-authorization"})  # whoever's they are


async def try_request(spec: TaskSpec, tools: Tools, *, now: datetime, new_id: Callable[[], str]) -> Trial:
    """Make the request of *spec* once; return its outcome and its last answer.

    Raises:
        InputError: Tasks of this type make no single request.
    """
    if spec.type not in TRIED_TYPES:
        raise InputError(f"type: only tasks of {' and '.join(sorted(TRIED_TYPES))} can be tested")
    client = tools.http
    assert isinstance(client, HttpClient)  # as App builds it
    answers: list[tuple[httpx.Response, bytes]] = []
    job = _job(spec, now=now, trial_id=new_id())
    recorder = client.recording(lambda answer, body: answers.append((answer, body)))
    recording = replace(tools, open_http=lambda: recorder)
    try:
        async with asyncio.timeout(TIMEOUT.total_seconds()):
            outcome = await run_job(job, recording)
    except TimeoutError:
        outcome = failed(f"No answer within {TIMEOUT.seconds} s")
    secrets = [tools.secrets[name] for name in secret_names(spec.params) if name in tools.secrets]
    redact = compose(redactor_for(secrets), tools.redact)
    trial = Trial(outcome.kind is OutcomeKind.SUCCEEDED, outcome.summary)
    return _with_answer(trial, *answers[-1], redact) if answers else trial


def _with_answer(trial: Trial, answer: httpx.Response, body: bytes, redact: Redact) -> Trial:
    limit = 4 * MAX_BODY_CHARS + REDACTION_MARGIN
    text = redact(body_text(answer, body, limit_bytes=limit))
    headers = [(name, _shown(name, value, redact)) for name, value in answer.headers.multi_items()]
    return replace(
        trial,
        status=answer.status_code,
        elapsed_ms=elapsed_ms(answer),
        headers=tuple(headers[:MAX_HEADERS]),
        body=text[:MAX_BODY_CHARS],
        is_cut=len(text) > MAX_BODY_CHARS or len(body) > limit or is_truncated(answer),
    )


def _shown(name: str, value: str, redact: Redact) -> str:
    return "(not shown)" if name.lower() in _HIDDEN_HEADERS else redact(value)[:MAX_HEADER_CHARS]


def _job(spec: TaskSpec, *, now: datetime, trial_id: str) -> Job:
    return Job(
        task_id=spec.id,
        title=spec.title,
        type=spec.type,
        params=spec.params,
        timezone=spec.timezone,
        idempotency_key=f"{spec.id}@trial-{trial_id}",
        scheduled_at=now,
        started_at=now,
        attempt=1,
        trigger=Trigger.MANUAL,
        missed=None,
        memory={},
        timeout_s=min(spec.timeout_seconds, TIMEOUT.total_seconds()),
        owner=spec.owner,
    )
