"""Task type `daily_briefing`: what happened since the last briefing, what is wrong, which runs are next."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from functions.domain.run import Outcome, succeeded
from functions.domain.storage import MAX_RUNS_READ, MAX_TASKS_READ
from functions.domain.task import Job
from functions.domain.types import Model, Tag, format_instant, parse_stored_instant, timezone_or_utc
from functions.task_types.daily_briefing.facts import collect_facts
from functions.task_types.daily_briefing.text import build_sections, build_summary
from functions.task_types.support.context import Tools

EXAMPLE: dict[str, Any] = {"title": "Garden", "maxNext": 3, "tags": ["garden"]}
DEFAULT_PERIOD = timedelta(hours=24)
MAX_PERIOD = timedelta(days=31)  # after a long pause not all of the history is read
MAX_REMEMBERED = 500


class Params(Model):
    """The content of the briefing.

    Attributes:
        title: Begins the briefing, in place of a greeting.
        max_next: The number of next runs to list.
        tags: Only tasks with one of these tags; empty means all.
        include_next: False leaves out the next runs.
    """

    title: Annotated[str, StringConstraints(strip_whitespace=True, max_length=100)] = ""
    max_next: Annotated[int, Field(ge=1, le=20)] = 5
    tags: Annotated[tuple[Tag, ...], Field(max_length=20)] = ()
    include_next: bool = True


async def perform(job: Job, params: Params, tools: Tools) -> Outcome:
    """Summarise all other tasks, from the last briefing (at first: a day ago) until now."""
    since = _period_start(job)
    tags = frozenset(params.tags)
    all_tasks = await tools.store.list_tasks()
    all_runs = await tools.store.list_runs(since)
    tasks = [
        task for task in all_tasks if task.id != job.task_id and (not tags or not tags.isdisjoint(task.tags))
    ]
    ids = {task.id for task in tasks}
    runs = [run for run in all_runs if run.task_id != job.task_id and (not tags or run.task_id in ids)]
    facts = collect_facts(
        tasks,
        runs,
        since=since,
        now=job.started_at,
        previously_failing=_previously_failing(job.memory),
        max_next=params.max_next if params.include_next else 0,
    )
    zone = timezone_or_utc(job.timezone)
    return succeeded(
        build_summary(facts, zone, title=params.title),
        metrics={
            "runs": facts.runs,
            "failed": facts.failed,
            "failing": len(facts.failing),
            "stopped": len(facts.paused),
        },
        items=(*build_sections(facts, zone), *_omissions(len(all_tasks), len(all_runs))),
        memory={
            "lastAt": format_instant(job.started_at),
            "failing": [one.task_id for one in facts.failing[:MAX_REMEMBERED]],
        },
        has_news=True,
    )


def _period_start(job: Job) -> datetime:
    """Return the time of the last briefing, a day ago when the memory holds none that is valid."""
    earliest = job.started_at - MAX_PERIOD
    last = parse_stored_instant(job.memory.get("lastAt"))
    return job.started_at - DEFAULT_PERIOD if last is None or last > job.started_at else max(last, earliest)


def _omissions(tasks: int, runs: int) -> tuple[dict[str, str], ...]:
    """Return a section that says what is not in the briefing, if there is too much of it."""
    lines = [f"only the first {MAX_TASKS_READ} tasks, by id"] if tasks == MAX_TASKS_READ else []
    lines += [f"only the newest {MAX_RUNS_READ} runs"] if runs == MAX_RUNS_READ else []
    return ({"title": "Left out", "text": f"This is about {' and '.join(lines)}."},) if lines else ()


def _previously_failing(memory: Mapping[str, Any]) -> frozenset[str]:
    ids = memory.get("failing")
    return frozenset(one for one in ids if isinstance(one, str)) if isinstance(ids, list) else frozenset()
