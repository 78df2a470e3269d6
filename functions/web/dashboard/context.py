"""What every page is handed: who looks, at which desk, and how much was read so far."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request
from starlette.datastructures import UploadFile
from starlette.responses import Response

from functions.domain.storage import OperationCounts
from functions.services.tasks import TaskService
from functions.web.api.dependencies import ApiDependencies
from functions.web.dashboard.rendering import redirect, render_page
from functions.web.dashboard.session import Session, Sessions

MAX_FORM_FIELDS = 100


class LoginRequiredError(Exception):
    """Nobody is signed in; raised by pages, and answered by the way to sign in."""


class CsrfError(Exception):
    """A form that no page of this session made."""


@dataclass(slots=True)
class PageContext:
    """One look at one page."""

    request: Request
    dependencies: ApiDependencies
    session: Session
    service: TaskService
    operations: OperationCounts

    def render(self, name: str, *, status: int = 200, **values: Any) -> Response:
        """The page *name* for this visitor."""
        return render_page(
            name,
            now=self.dependencies.now(),
            session=self.session,
            reads=lambda: self.operations.reads,
            status=status,
            **values,
        )

    async def read_form(self) -> dict[str, str]:
        """What was typed into the form that was sent.

        Raises:
            CsrfError: It does not carry the CSRF token of this session.
        """
        given = await self.request.form(max_files=0, max_fields=MAX_FORM_FIELDS)
        typed = {name: value for name, value in given.items() if not isinstance(value, UploadFile)}
        sessions: Sessions = self.request.app.state.sessions
        if not await sessions.check_csrf(self.session, typed.pop("csrf_token", None)):
            raise CsrfError
        return typed


async def get_page_context(request: Request) -> AsyncIterator[PageContext]:
    """Let a signed-in visitor in."""
    parts: ApiDependencies = request.app.state.dependencies
    with parts.store.count_operations() as operations:
        session = await request.app.state.sessions.current(request)
        if session is None:
            raise LoginRequiredError
        request.app.state.auth.limit(session.principal)
        desk = TaskService(
            parts.store, session.principal, clock=parts.now, new_id=parts.new_id, origin="dashboard"
        )
        yield PageContext(request, parts, session, desk, operations)


CurrentPage = Annotated[PageContext, Depends(get_page_context)]


async def redirect_to_login(request: Request, _: Exception) -> Response:
    """Send whoever is not signed in to the form for it, and back afterwards."""
    wanted = request.url.path if request.method == "GET" else "/dashboard"
    return redirect(f"/dashboard/sign-in?to={wanted}")


async def show_csrf_error(request: Request, _: Exception) -> Response:
    """Refuse a form that came from elsewhere, or from a session that is over."""
    parts: ApiDependencies = request.app.state.dependencies
    text = "This form was made for another session; go back, load the page anew, and send it again"
    return render_page("problem", now=parts.now(), session=None, status=403, title="Not sent", text=text)
