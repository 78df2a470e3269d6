"""Task type `daily_briefing`: what happened since the last one, what is wrong now, what comes next."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import Field, StringConstraints

from functions.domain.run import Outcome, succeeded
from functions.domain.task import Job
from functions.domain.types import Model, Tag, instant_text
from functions.task_types.daily_briefing.facts import gather
from functions.task_types.daily_briefing.text import sections, sentence
from functions.task_types.support.context import Tools

EXAMPLE: dict[str, Any] = {"title": "Garden", "maxNext": 3, "tags": ["garden"]}
FIRST_SPAN = timedelta(hours=24)
LONGEST_SPAN = timedelta(days=31)  # a briefing that stood still for a year need not read the whole ledger
REMEMBERED = 500


class Params(Model):
    """What the briefing is about.

    Attributes:
        title: Opens the briefing, in place of a greeting.
        max_next: Coming runs to name.
        tags: Only tasks with one of these tags; empty means all.
        include_next: False leaves out what comes next.
    """

    title: Annotated[str, StringConstraints(strip_whitespace=True, max_length=100)] = ""
    max_next: Annotated[int, Field(ge=1, le=20)] = 5
    tags: Annotated[tuple[Tag, ...], Field(max_length=20)] = ()
    include_next: bool = True


async def perform(job: Job, params: Params, tools: Tools) -> Outcome:
    """Tell of everything but the briefing itself, from the last one (at first: a day ago) until now."""
    since = _since(job)
    wanted = frozenset(params.tags)
    tasks = [
        task
        for task in await tools.records.tasks()
        if task.id != job.task_id and (not wanted or not wanted.isdisjoint(task.tags))
    ]
    ids = {task.id for task in tasks}
    runs = [
        run
        for run in await tools.records.runs(since)
        if run.task_id != job.task_id and (not wanted or run.task_id in ids)
    ]
    facts = gather(
        tasks,
        runs,
        since=since,
        now=job.started_at,
        failing_before=_failing_before(job.memory),
        max_next=params.max_next if params.include_next else 0,
    )
    zone = _zone(job.timezone)
    return succeeded(
        sentence(facts, zone, title=params.title),
        metrics={
            "runs": facts.runs,
            "failed": facts.failed,
            "failing": len(facts.failing),
            "stopped": len(facts.stopped),
        },
        items=sections(facts, zone),
        memory={
            "lastAt": instant_text(job.started_at),
            "failing": [one.task_id for one in facts.failing[:REMEMBERED]],
        },
        news=True,
    )


def _since(job: Job) -> datetime:
    """When the last briefing was given, if its memory can be believed."""
    earliest = job.started_at - LONGEST_SPAN
    try:
        last = datetime.fromisoformat(str(job.memory.get("lastAt")))
    except ValueError:
        return job.started_at - FIRST_SPAN
    if last.tzinfo is None or last > job.started_at:
        return job.started_at - FIRST_SPAN
    return max(last.astimezone(UTC), earliest)


def _failing_before(memory: Mapping[str, Any]) -> frozenset[str]:
    ids = memory.get("failing")
    return frozenset(one for one in ids if isinstance(one, str)) if isinstance(ids, list) else frozenset()


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # a zone that is gone from tzdata is no reason to say nothing
        return ZoneInfo("UTC")
