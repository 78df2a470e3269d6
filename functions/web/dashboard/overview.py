"""The page that people leave open: what fails first, how many are well, and whether ticks come.

Its reads are bounded, whatever the number of tasks: `FAILING_SHOWN` tasks, those of the list (see
`task_list`), a count for each figure (one read for each thousand tasks), and the next in the queue.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response

from functions.domain.costs.credits import Account
from functions.domain.storage import QueryResult, TaskFilter
from functions.domain.task import Task
from functions.domain.types import OutcomeLine, Status, parse_stored_instant
from functions.errors import InputError, NotFoundError
from functions.services.access.public_links import PageWords, read_page_words
from functions.services.access.view import OwnerView, tolerate_missing_index
from functions.task_types.registry import type_names
from functions.web.dashboard.context import CurrentPage, PageContext
from functions.web.dashboard.presentation.formatting import BAD, GOOD, QUIET, WARN, severity
from functions.web.dashboard.public import PublicLinks, page_subject
from functions.web.dashboard.task_list import ALL_SORTS, BAD_OUTCOMES, LATE_AFTER, filter_of_store, list_page

router = APIRouter(prefix="/dashboard", include_in_schema=False)

QueryText = Annotated[str, Query(max_length=100)]

FAILING_SHOWN = 50  # before all others, on the first page
FAILING_SEARCHED = 300  # for those that have a tag
MAX_CURSOR_CHARS = 400  # an id and a title
NEXT_SHOWN = 6
RECENT_SHOWN = 8
STOPPED = (Status.PAUSED, Status.ENDED)


@dataclass(frozen=True, slots=True)
class Counts:
    """How many tasks are in which state. *late* is None for who sees only the tasks of one owner."""

    all: int
    ok: int
    failing: int
    paused: int
    late: int | None


@dataclass(frozen=True, slots=True)
class Pinger:
    """Whether ticks come.

    Attributes:
        tone: Red when work waits and no tick came; amber when ticks come and work waits.
        last_at: When a tick last wrote a run, in any process, or ended in this one.
        took_ms: How long the last one of this process took.
    """

    tone: str
    text: str
    last_at: datetime | None
    took_ms: int | None


@dataclass(frozen=True, slots=True)
class Change:
    """A task began to fail, or recovered."""

    at: datetime
    task: Task
    is_recovery: bool


@router.get("")
async def show_overview(
    context: CurrentPage,
    status: QueryText = "",
    type: QueryText = "",
    tag: QueryText = "",
    owner: QueryText = "",
    search: QueryText = "",
    after: Annotated[str, Query(max_length=MAX_CURSOR_CHARS)] = "",
    sort: QueryText = "",
) -> Response:
    """Show counts, the pinger, and the tasks: those that fail first, then by id."""
    which = TaskFilter(type=type or None, tag=tag or None, owner=owner or None)
    is_filtered = any((status, type, tag, owner, search))
    now = context.dependencies.now()
    listing, failing, summary = await asyncio.gather(
        list_page(context.service, which, now=now, status=status, search=search, after=after, sort=sort),
        _list_failing(context, which)
        if not (after or status or search or sort in ALL_SORTS)
        else _no_tasks(),
        _summarize(context),
    )
    chosen = {"status": status, "type": type, "tag": tag, "owner": owner, "search": search}
    chosen["sort"] = listing.sort if sort else ""
    shown = {task.id for task in failing}
    tasks = failing + [task for task in listing.tasks if task.id not in shown]
    return context.render(
        "overview",
        tasks=tasks,
        broken=listing.broken if not context.service.principal.owner else (),
        chosen=chosen,
        is_filtered=is_filtered,
        statuses=("failing", "late", *Status),
        types=type_names(),
        tags=sorted({one for task in tasks for one in task.tags}),
        after=after,
        query=context.request.url.query,
        select_all=context.request.query_params.get("select") == "all",
        more=listing.more,
        sortable=listing.sortable,
        public=await _sign_page(context, tag) if tag and tasks else "",
        words=await _page_words(context, tag) if tag and tasks else None,
        changes=recent_changes([*failing, *listing.tasks])[:RECENT_SHOWN],
        **summary,
    )


async def _list_failing(context: PageContext, which: TaskFilter) -> list[Task]:
    asked = filter_of_store(replace(which, outcomes=BAD_OUTCOMES), context.service.principal.owner)
    limit = FAILING_SHOWN if asked.tag == which.tag else FAILING_SEARCHED
    page = await tolerate_missing_index(context.service.list_tasks(asked, limit=limit), QueryResult(()))
    found = (stored.task for stored in page.tasks if which.matches(stored.task))
    return [task for task in found if task.status not in STOPPED][:FAILING_SHOWN]


async def _no_tasks() -> list[Task]:
    return []


async def _summarize(context: PageContext) -> dict[str, Any]:
    """Return counts, pinger, queue and credits, for the template."""
    service, dependencies = context.service, context.dependencies
    now, owner = dependencies.now(), service.principal.owner
    counts = _count(service.view)
    if owner:
        known, account = await asyncio.gather(counts, _find_account(context, owner))
        found = Counts(**known, late=None) if known else None
        return {"counts": found, "pinger": None, "upcoming": [], "account": account}
    known, stats, status, upcoming = await asyncio.gather(
        counts,
        dependencies.store.stats(now - LATE_AFTER),
        dependencies.status(),
        service.list_next(limit=NEXT_SHOWN),
    )
    last_at = parse_stored_instant(status.get("lastTickAt"))
    pinger = describe_pinger(last_at, stats.due, problem=str(status.get("problem", "")), now=now)
    return {
        "counts": Counts(**known, late=stats.due) if known else None,
        "pinger": Pinger(*pinger, last_at, dependencies.last_tick_ms),
        "upcoming": [task for task in upcoming if task.next_run_at is not None],
        "account": None,
    }


async def _count(view: OwnerView) -> dict[str, int] | None:
    """Return the counts that the store makes; None while its database lacks the index for them."""
    good, paused = frozenset({"succeeded"}), str(Status.PAUSED)
    questions = (
        TaskFilter(),
        TaskFilter(status=paused),
        TaskFilter(outcomes=good),
        TaskFilter(outcomes=good, status=paused),
        TaskFilter(outcomes=BAD_OUTCOMES),
        TaskFilter(outcomes=BAD_OUTCOMES, status=paused),
    )
    counting = asyncio.gather(*(view.count_tasks(which) for which in questions))
    if (numbers := await tolerate_missing_index(counting, None)) is None:
        return None
    all_tasks, stopped, well, well_stopped, bad, bad_stopped = numbers
    return {
        "all": all_tasks,
        "ok": well - well_stopped,
        "failing": bad - bad_stopped,
        "paused": stopped,
    }


def describe_pinger(last_at: datetime | None, late: int, *, problem: str, now: datetime) -> tuple[str, str]:
    """Return the colour of the pinger's light, and what it says.

    A tick that finds nothing writes nothing: without work in the queue its absence is no fault.
    """
    is_recent = last_at is not None and now - last_at <= LATE_AFTER
    if late and not is_recent:
        return BAD, "No tick comes"
    if problem:
        return BAD, problem
    if late:
        return WARN, "Ticks come, and work waits"
    if is_recent:
        return GOOD, "Ticks come"
    return QUIET, "Nothing waits" if last_at else "No tick yet"


def recent_changes(tasks: Iterable[Task]) -> list[Change]:
    """Return when *tasks* began to fail and recovered, newest first, as far as `Task.recent` reaches."""
    found = []
    for task in {task.id: task for task in tasks}.values():
        before = ""
        for line in task.recent.splitlines():
            attempt = OutcomeLine.parse(line)
            tone, instant = severity(attempt.outcome), parse_stored_instant(attempt.started_at)
            if tone in (GOOD, BAD) and instant is not None:
                if before and tone != before:
                    found.append(Change(instant, task, is_recovery=tone == GOOD))
                before = tone
    return sorted(found, key=lambda change: change.at, reverse=True)


async def _find_account(context: PageContext, owner: str) -> Account | None:
    try:
        return await context.dependencies.accounts.get(owner)
    except (NotFoundError, InputError):
        return None


async def _page_words(context: PageContext, tag: str) -> PageWords:
    subject = page_subject(context.service.principal.owner, tag)
    return await read_page_words(context.dependencies.store, subject)


async def _sign_page(context: PageContext, tag: str) -> str:
    public: PublicLinks = context.request.app.state.public_links
    return await public.sign_name("page", page_subject(context.service.principal.owner, tag))
