"""What anybody may see who has the link: a task's badge, and the status page of all tasks with a tag.

A link holds a signature of what it shows, so that nobody can guess one, and nothing is kept for it. Answers
are kept for a minute, here and by whoever asked: a badge in a much-read page costs a read a minute.
"""

import hmac
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Request
from starlette.responses import HTMLResponse, Response

from functions.domain.storage import Filter
from functions.domain.task import Task
from functions.domain.types import Status
from functions.errors import NotFoundError
from functions.web.api.dependencies import ApiParts
from functions.web.dashboard.rendering import BAD, GOOD, HEADERS, QUIET, rendered

router = APIRouter(include_in_schema=False)

KEPT = timedelta(seconds=60)
KEPT_LINKS = 1000
SHOWN = 200  # tasks of one status page
MAC_CHARS = 32
CACHE = {"Cache-Control": f"public, max-age={KEPT.seconds}"}
COLOURS = {GOOD: "#1a7f4b", BAD: "#b42318", QUIET: "#6b675f"}

Kind = Literal["badge", "page"]
Name = Annotated[str, Path(max_length=200)]


class Public:
    """Makes and answers public links."""

    def __init__(self, parts: ApiParts, secret: Callable[[], Awaitable[str]]) -> None:
        self._parts = parts
        self._secret = secret
        self._kept: OrderedDict[tuple[Kind, str], tuple[datetime, Response]] = OrderedDict()

    async def name(self, kind: Kind, subject: str) -> str:
        """The unguessable name under which *subject*, a task's id or a tag, is shown."""
        signed = hmac.new((await self._secret()).encode(), f"{kind} {subject}".encode(), sha256)
        return f"{subject}.{signed.hexdigest()[:MAC_CHARS]}"

    async def subject(self, kind: Kind, name: str) -> str:
        """What a name shows.

        Raises:
            NotFoundError: Nobody was given such a name.
        """
        subject = name.rpartition(".")[0]
        if not hmac.compare_digest(name.encode(), (await self.name(kind, subject)).encode()):
            raise NotFoundError("There is nothing at this address")
        return subject

    async def answer(self, kind: Kind, name: str, make: Callable[[str], Awaitable[Response]]) -> Response:
        """The answer for *name*, made anew when the last one is a minute old."""
        now = self._parts.now()
        kept = self._kept.get((kind, name))
        if kept is not None and now < kept[0]:
            return kept[1]
        response = await make(await self.subject(kind, name))
        self._kept[kind, name] = (now + KEPT, response)
        if len(self._kept) > KEPT_LINKS:
            self._kept.popitem(last=False)
        return response


@router.get("/badge/{name}.svg")
async def show_badge(request: Request, name: Name) -> Response:
    """A small picture of a task's state, for a README or a wiki."""
    parts: ApiParts = request.app.state.parts

    async def make(task_id: str) -> Response:
        found = await parts.store.get_tasks([task_id])
        if not found.tasks:
            raise NotFoundError("There is nothing at this address")
        task = found.tasks[0].task
        text, tone = state_of(task)
        svg = rendered("badge.svg", title=task.title[:60], text=text, colour=COLOURS[tone])
        return Response(svg, media_type="image/svg+xml", headers=CACHE | HEADERS)

    public: Public = request.app.state.public
    return await public.answer("badge", name, make)


@router.get("/public/{name}")
async def show_page(request: Request, name: Name) -> Response:
    """The state of all tasks with a tag, for anybody who has the link."""
    parts: ApiParts = request.app.state.parts

    async def make(tag: str) -> Response:
        found = await parts.store.list_tasks(Filter(tag=tag), limit=SHOWN)
        rows = [(stored.task, *state_of(stored.task)) for stored in found.tasks]
        bad = sum(tone == BAD for _, _, tone in rows)
        html = rendered("public.html", now=parts.now(), session=None, reads=None, tag=tag, rows=rows, bad=bad)
        return HTMLResponse(html, headers=CACHE | HEADERS)

    public: Public = request.app.state.public
    return await public.answer("page", name, make)


def state_of(task: Task) -> tuple[str, str]:
    """One word for the state of a task, and its tone. No error and no address: strangers read this."""
    if task.status is Status.QUARANTINED:
        return "stopped", BAD
    if task.consecutive_failures:
        return "failing", BAD
    if task.status in (Status.PAUSED, Status.ENDED):
        return str(task.status), QUIET
    return ("passing", GOOD) if task.last_outcome else ("new", QUIET)
