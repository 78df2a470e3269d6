"""What every page is handed: who looks, at which desk, and how much was read so far."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request
from starlette.datastructures import UploadFile
from starlette.responses import Response

from functions.domain.storage import Operations
from functions.services.tasks import TaskService
from functions.web.api.dependencies import ApiParts
from functions.web.dashboard.rendering import away, page
from functions.web.dashboard.session import Session, Sessions

FORM_FIELDS = 100


class SignInFirst(Exception):
    """Nobody is signed in; raised by pages, and answered by the way to sign in."""


class NotOurForm(Exception):
    """A form that no page of this session made."""


@dataclass(slots=True)
class Visit:
    """One look at one page."""

    request: Request
    parts: ApiParts
    session: Session
    desk: TaskService
    operations: Operations

    def page(self, name: str, *, status: int = 200, **values: Any) -> Response:
        """The page *name* for this visitor."""
        return page(
            name,
            now=self.parts.now(),
            session=self.session,
            reads=lambda: self.operations.reads,
            status=status,
            **values,
        )

    async def form(self) -> dict[str, str]:
        """What was typed into the form that was sent.

        Raises:
            NotOurForm: It does not carry the proof of this session.
        """
        given = await self.request.form(max_files=0, max_fields=FORM_FIELDS)
        typed = {name: value for name, value in given.items() if not isinstance(value, UploadFile)}
        sessions: Sessions = self.request.app.state.sessions
        if not await sessions.is_ours(self.session, typed.pop("proof", None)):
            raise NotOurForm
        return typed


async def visit(request: Request) -> AsyncIterator[Visit]:
    """Let a signed-in visitor in."""
    parts: ApiParts = request.app.state.parts
    with parts.store.count_operations() as operations:
        session = await request.app.state.sessions.current(request)
        if session is None:
            raise SignInFirst
        request.app.state.identity.count(session.actor)
        desk = TaskService(
            parts.store, session.actor, clock=parts.now, new_id=parts.new_id, origin="dashboard"
        )
        yield Visit(request, parts, session, desk, operations)


Visitor = Annotated[Visit, Depends(visit)]


async def sign_in_first(request: Request, _: Exception) -> Response:
    """Send whoever is not signed in to the form for it, and back afterwards."""
    wanted = request.url.path if request.method == "GET" else "/dashboard"
    return away(f"/dashboard/sign-in?to={wanted}")


async def not_our_form(request: Request, _: Exception) -> Response:
    """Refuse a form that came from elsewhere, or from a session that is over."""
    parts: ApiParts = request.app.state.parts
    text = "This form was made for another session; go back, load the page anew, and send it again"
    return page("problem", now=parts.now(), session=None, status=403, title="Not sent", text=text)


__all__ = ["Visit", "Visitor", "not_our_form", "sign_in_first", "visit"]
