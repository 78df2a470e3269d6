"""The route that rehearses alert rules before they are saved."""

from typing import Annotated, Literal

from fastapi import Path

from functions.domain.task import why_never_started
from functions.domain.types import Instant
from functions.services.rehearsals import ProposedRules, RehearsalReport, rehearse_for
from functions.taskfiles.validation import merge_fields
from functions.web.api.dependencies import Dependencies, TaskServiceDep, make_api_router, to_spec
from functions.web.api.errors import error_responses
from functions.web.api.schemas import Schema

router = make_api_router("/api/tasks", "task actions")


class RehearsalRequest(ProposedRules, Schema):
    """What to rehearse; an absent field is as stored, null is the default.

    *quiet* and *maintenance* count for every channel, in place of its own.
    """


class MessageOut(Schema):
    """A message that would have been sent, in the words of it."""

    at: Instant
    channel: str
    kinds: tuple[str, ...]
    text: str


class RehearsalOut(Schema):
    """What the rules would have sent, oldest first.

    *records* run records were read for it, 2,000 at most. *present* is how many messages the stored rules
    would have sent; *held* would still wait for the end of quiet hours or maintenance. *notes* says what
    this cannot show.
    """

    since: Instant
    until: Instant
    records: int
    summary: str
    messages: list[MessageOut]
    present: int
    held: list[str]
    notes: list[str]
    simulated: Literal[True] = True


@router.post("/{id}/rehearse", responses=error_responses(404, 409), summary="Rehearse alert rules")
async def rehearse_task(
    service: TaskServiceDep,
    dependencies: Dependencies,
    task_id: Annotated[str, Path(alias="id", min_length=1, max_length=100, examples=["shop-front"])],
    body: RehearsalRequest | None = None,
) -> RehearsalOut:
    """Return which messages rules would have sent in the last 30 days, and in which words; nothing is sent.

    The recorded outcomes of the task are folded through the rules of the engine. Ticks are taken to have come
    each minute, and messages to have been accepted at once.
    """
    request = body or RehearsalRequest()
    task = (await service.get_task(task_id)).task
    spec = to_spec(
        merge_fields(task, request.changes()),
        default_timezone=dependencies.default_timezone,
        runs_when_asked=bool(why_never_started(task)),
    )
    report = await rehearse_for(service.view, dependencies, task, spec, plan=request.plan())
    return to_rehearsal_out(report)


def to_rehearsal_out(report: RehearsalReport) -> RehearsalOut:
    """Return *report* as the API has it."""
    return RehearsalOut(
        since=report.since,
        until=report.until,
        records=report.records,
        summary=report.summary(),
        messages=[
            MessageOut(at=one.at, channel=one.channel, kinds=one.kinds, text=one.text)
            for one in report.messages
        ],
        present=report.present,
        held=list(report.held),
        notes=list(report.notes),
    )
