"""Public pages for anyone with the link: a task's badge, and the status page of an owner's tasks with a tag.

A link contains a signature of its subject, so that it cannot be guessed and needs no storage; once one was
revoked, also how many were. Responses are cached for a minute, here and by clients: a badge on a popular page
costs two reads a minute, and a revoked link works for up to a minute.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Annotated
from urllib.parse import quote, unquote

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from functions.domain.history.tally import DAYS, read_incidents, read_tally
from functions.domain.storage import TaskFilter
from functions.domain.task import Task
from functions.domain.types import OutcomeKind, OutcomeLine, Status
from functions.errors import NotFoundError
from functions.services.access.public_links import (
    LinkKind,
    count_revocations,
    read_name,
    read_page_words,
    sign_name,
    task_subject,
)
from functions.services.access.view import OwnerView
from functions.services.paging import PAGE_SIZE
from functions.web.api.scheduler import ApiDependencies
from functions.web.dashboard.presentation.charts import SlotBar, percent, uptime_bars
from functions.web.dashboard.presentation.formatting import BAD, GOOD, QUIET
from functions.web.dashboard.rendering import HEADERS, render, render_page

router = APIRouter(include_in_schema=False)

CACHE_TTL = timedelta(seconds=60)
MAX_CACHED_LINKS = 1000
MAX_TASKS = 200  # tasks that one status page shows; it counts all
COUNTED = 900  # tasks that it counts
SEARCHED = 6000  # tasks with the tag that are read for it; the operator's page leaves out those of owners
MAX_INCIDENTS = 20  # that are over
OLD_AFTER = timedelta(minutes=15)  # a state, once its task is due; a tick may come each few minutes
CACHE_HEADERS = {"Cache-Control": f"public, max-age={CACHE_TTL.seconds}"}
SEVERITY_COLOURS = {GOOD: "#1a7f4b", BAD: "#b42318", QUIET: "#6b675f"}

LinkName = Annotated[str, Path(max_length=200)]


class PublicLinks:
    """Signs public links, and caches their responses."""

    def __init__(self, dependencies: ApiDependencies) -> None:
        self._dependencies = dependencies
        self._cache: OrderedDict[tuple[LinkKind, str], tuple[datetime, Response]] = OrderedDict()

    async def sign_name(self, kind: LinkKind, subject: str) -> str:
        """Return the signed name of *subject*, a `task_subject` or a `page_subject`; empty for no secret."""
        if not self._dependencies.signer.is_ready:
            return ""
        revoked = await count_revocations(self._dependencies.store, kind, subject)
        return await sign_name(self._dependencies.signer, kind, subject, revoked=revoked)

    async def verify_name(self, kind: LinkKind, name: str) -> str:
        """Return the subject of a signed name. A wrong signature costs no read.

        Raises:
            NotFoundError: The signature is wrong, or the link is revoked.
        """
        found = await read_name(self._dependencies.signer, kind, name)
        if found is None or found[1] != await count_revocations(self._dependencies.store, kind, found[0]):
            raise NotFoundError("There is nothing at this address")
        return found[0]

    async def get_response(
        self, kind: LinkKind, name: str, build: Callable[[str], Awaitable[Response]]
    ) -> Response:
        """Return the response for *name*, rebuilt when it is a minute old."""
        now = self._dependencies.now()
        cached = self._cache.get((kind, name))
        if cached is not None and now < cached[0]:
            return cached[1]
        response = await build(await self.verify_name(kind, name))
        self._cache[kind, name] = (now + CACHE_TTL, response)
        if len(self._cache) > MAX_CACHED_LINKS:
            self._cache.popitem(last=False)
        return response


@router.get("/badge/{name}.svg")
async def show_badge(request: Request, name: LinkName) -> Response:
    """Return a badge with a task's state, for a README or a wiki."""
    dependencies: ApiDependencies = request.app.state.dependencies

    async def build(subject: str) -> Response:
        found = await dependencies.store.get_tasks([subject.partition("~")[0]])
        if not found.tasks or task_subject(found.tasks[0].task) != subject:
            raise NotFoundError("There is nothing at this address")
        task = found.tasks[0].task
        text, tone = public_state(task, now=dependencies.now())
        svg = render("badge.svg", title=task.title[:60], text=text, colour=SEVERITY_COLOURS[tone])
        return Response(svg, media_type="image/svg+xml", headers=CACHE_HEADERS | HEADERS)

    public: PublicLinks = request.app.state.public_links
    return await public.get_response("badge", name, build)


@router.get("/public/{name:path}")  # a tag may have a slash, as team/backend
async def show_page(request: Request, name: LinkName) -> Response:
    """Return a page with the state of an owner's tasks with a tag."""
    dependencies: ApiDependencies = request.app.state.dependencies

    async def build(subject: str) -> Response:
        owner, tag = parse_page_subject(subject)
        found = await _tasks_of_page(OwnerView(dependencies.store, owner), tag)
        now = dependencies.now()
        states = [(task, *public_state(task, now=now)) for task in found]
        rows = sorted(states, key=lambda one: one[2] != BAD)[:MAX_TASKS]  # problems first
        due = [task.next_run_at for task, _, _ in states if task.next_run_at and is_old(task, now)]
        ended = [(one, task) for task, _, _ in states for one in read_incidents(task.incidents)]
        page = render_page(
            "public",
            now=now,
            session=None,
            language=dependencies.language,
            tag=tag,
            page_name=name,
            words=await read_page_words(dependencies.store, subject),
            rows=rows,
            uptime={task.id: _days(task, now) for task, _, _ in rows},
            incidents=sorted(ended, key=lambda one: one[0].since, reverse=True)[:MAX_INCIDENTS],
            zone=dependencies.default_timezone,
            count=len(states),
            old=len(due),
            old_since=min(due, default=None),
            bad=sum(tone == BAD for _, _, tone in states),
        )
        page.headers.update(CACHE_HEADERS)
        return page

    public: PublicLinks = request.app.state.public_links
    return await public.get_response("page", name, build)


async def _tasks_of_page(view: OwnerView, tag: str) -> list[Task]:
    """Return the tasks of the view's owner with *tag*; those of others, who may use any tag, take no room."""
    found: list[Task] = []
    after, read = "", 0
    while len(found) < COUNTED and read < SEARCHED:
        page = await view.list_page(TaskFilter(tag=tag), after=after, limit=PAGE_SIZE)
        found += [stored.task for stored in page.tasks if stored.task.owner == view.owner]
        ids = [stored.task.id for stored in page.tasks] + [one.id for one in page.invalid]
        if len(ids) < PAGE_SIZE:
            break
        after, read = max(ids), read + len(ids)
    return found


def _days(task: Task, now: datetime) -> tuple[tuple[SlotBar, ...], str]:
    """Return the bars of the last 90 days, and the part of them that succeeded."""
    tally = read_tally(task.tally, now=now)
    return uptime_bars(tally.days), percent(tally.share_of_days(DAYS))


def page_subject(owner: str, tag: str) -> str:
    """Return what the link of a status page signs: the page shows the tasks of *owner*, or those of none.

    `shop` for the tag of tasks without an owner, `ann~shop` for ann's.
    """
    return f"{quote(owner, safe='').replace('~', '%7E')}~{tag}" if owner or "~" in tag else tag


def parse_page_subject(subject: str) -> tuple[str, str]:
    """Return the owner and the tag of a `page_subject`."""
    owner, separator, tag = subject.partition("~")
    return (unquote(owner), tag) if separator else ("", subject)


def is_old(task: Task, now: datetime) -> bool:
    """Whether the state of *task* is out of date: it has been due for too long, as without ticks."""
    return task.next_run_at is not None and now - task.next_run_at > OLD_AFTER


def public_state(task: Task, *, now: datetime) -> tuple[str, str]:
    """Return the state of a task in one word, and its colour class. It is public: no error text, no URL."""
    if task.status is Status.QUARANTINED:
        return "stopped", BAD
    if task.is_failing:
        return "failing", BAD
    if task.status in (Status.PAUSED, Status.ENDED, Status.RETRYING):
        return str(task.status), QUIET
    if is_old(task, now):
        return "unknown", QUIET
    verdict = _last_verdict(task)
    if not verdict:
        return "new", QUIET
    return ("passing", GOOD) if verdict == OutcomeKind.SUCCEEDED else ("unknown", QUIET)


NO_VERDICTS = frozenset({OutcomeKind.SKIPPED, OutcomeKind.CANCELLED})  # nothing was tried to its end


def _last_verdict(task: Task) -> str:
    """Return the newest outcome that says whether the task works; empty without one."""
    outcomes = [OutcomeLine.parse(line).outcome for line in task.recent.splitlines()]
    return next((one for one in reversed(outcomes) if one not in NO_VERDICTS), "")
