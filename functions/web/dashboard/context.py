"""The context of a page: the session, the services, and the count of documents read."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit

from fastapi import Depends, Request
from starlette.datastructures import UploadFile
from starlette.responses import Response

from functions.domain.storage import OperationCounts
from functions.domain.types import find_timezone
from functions.services.tasks import TaskService
from functions.web.api.addresses import base_url
from functions.web.api.dependencies import require_storable
from functions.web.api.scheduler import ApiDependencies
from functions.web.dashboard.presentation.phrases import Phrasebook, phrasebook
from functions.web.dashboard.rendering import HEADERS, redirect, render_page
from functions.web.dashboard.session import Session, Sessions

MAX_FORM_FIELDS = 1000  # a row of headers has two
MAX_TARGET_CHARS = 200  # of the address that the sign-in page leads back to
ZONE_COOKIE = "cronfire_zone"  # page.js sets it


class LoginRequiredError(Exception):
    """No user is signed in; the handler redirects to the sign-in page."""


class CsrfError(Exception):
    """A form of another site, or without the CSRF token of this session."""


@dataclass(slots=True)
class PageContext:
    """One request for a page."""

    request: Request
    dependencies: ApiDependencies
    session: Session
    service: TaskService
    operations: OperationCounts

    @property
    def zone(self) -> str:
        """The time zone of the user's browser, as far as it says one; else that of tasks without one."""
        named = find_timezone(self.request.cookies.get(ZONE_COOKIE, "")[:64])
        return named.key if named else self.dependencies.default_timezone

    @property
    def words(self) -> Phrasebook:
        """The phrases of this page's language."""
        return phrasebook(self.dependencies.language)

    def address(self, **changes: str) -> str:
        """Return the address of this page with *changes* to its query; an empty value is left out.

        What a page said once, as an answer to a form, is not said again.
        """
        given = {name: value for name, value in self.request.query_params.items() if name != "message"}
        kept = {name: value for name, value in (given | changes).items() if value}
        return self.request.url.path + (f"?{urlencode(kept)}" if kept else "")

    def render(self, name: str, *, status: int = 200, **values: Any) -> Response:
        """Return the page *name* for this user."""
        shown: dict[str, Any] = {"here": self.request.url.path, "message": flash_message(self.request)}
        shown |= {"zone": self.zone, "address": self.address}
        shown |= {"base": base_url(self.request)}
        return render_page(
            name,
            now=self.dependencies.now(),
            session=self.session,
            language=self.dependencies.language,
            reads=lambda: self.operations.reads,
            status=status,
            **shown | values,
        )

    async def read_form(self) -> dict[str, str]:
        """Return the fields of the form in the request.

        Raises:
            CsrfError: It comes from another site, or does not carry the CSRF token of this session.
            ProblemError: 422: a field holds what no store can hold.
        """
        check_origin(self.request)
        form = await self.request.form(max_files=0, max_fields=MAX_FORM_FIELDS)
        fields = {name: value for name, value in form.items() if not isinstance(value, UploadFile)}
        sessions: Sessions = self.request.app.state.sessions
        if not await sessions.check_csrf(self.session, fields.pop("csrf_token", None)):
            raise CsrfError
        require_storable(fields)
        return fields


def check_origin(request: Request) -> None:
    """Check that a form comes from a page of ours, as far as the browser says where it comes from.

    Only a browser has a session that another site could use, and each one sends one of these headers.

    Raises:
        CsrfError: It comes from another site.
    """
    if is_from_elsewhere(request):
        raise CsrfError


def is_from_elsewhere(request: Request) -> bool:
    """Whether a browser says that *request* comes from a page of another site."""
    if site := request.headers.get("sec-fetch-site"):
        return site not in ("same-origin", "none")
    source = request.headers.get("origin") or request.headers.get("referer")
    return source is not None and _split(source).netloc.lower() != request.headers.get("host", "").lower()


def _split(address: str) -> SplitResult:
    """Return the parts of an address that a request names; empty ones of what is none, such as `http://[`."""
    try:
        return urlsplit(address)
    except ValueError:
        return urlsplit("")


def flash_message(request: Request) -> str:
    """Return what the last form came to, truncated; nothing when a link in a mail or a chat says it."""
    is_link = request.headers.get("sec-fetch-site", "same-origin") != "same-origin"
    return "" if is_link or is_from_elsewhere(request) else request.query_params.get("message", "")[:200]


async def get_page_context(request: Request) -> AsyncIterator[PageContext]:
    """Yield the context of a signed-in user.

    Raises:
        LoginRequiredError: No user is signed in.
        ProblemError: 429: the user exceeds the rate.
    """
    dependencies: ApiDependencies = request.app.state.dependencies
    with dependencies.store.count_operations() as operations:
        session = await request.app.state.sessions.current(request)
        if session is None:
            raise LoginRequiredError
        request.app.state.auth.limit(session.principal)
        service = TaskService(
            dependencies.store,
            session.principal,
            clock=dependencies.now,
            new_id=dependencies.new_id,
            limits=dependencies.owner_limits,
            origin="dashboard",
        )
        yield PageContext(request, dependencies, session, service, operations)


CurrentPage = Annotated[PageContext, Depends(get_page_context)]


async def redirect_to_login(request: Request, _: Exception) -> Response:
    """Redirect to the sign-in page, which returns to the requested page.

    A page that refreshes a part of itself loads itself anew, and is redirected then. A form that asks for the
    preview of what is typed stays as it is: loading it anew would lose the rest, which is kept when sent.
    After a button that did nothing for want of a session, the user returns to the page that has it.
    """
    if "hx-request" in request.headers:
        is_own = _split(request.headers.get("hx-current-url", "")).path == request.url.path
        return Response(status_code=204, headers=HEADERS | ({"HX-Refresh": "true"} if is_own else {}))
    if request.method == "GET":
        return redirect(
            f"/dashboard/sign-in?to={quote(_without_message(request.url.path, request.url.query))}"
        )
    page = _split("" if is_from_elsewhere(request) else request.headers.get("referer", ""))
    target = _without_message(page.path, page.query) if page.path.startswith("/dashboard") else "/dashboard"
    return redirect(f"/dashboard/sign-in?to={quote(target)}&undone=1")


def _without_message(path: str, query: str) -> str:
    """Return *path* and *query*, but for what it said once; the path alone where it is long."""
    kept = urlencode([pair for pair in parse_qsl(query, keep_blank_values=True) if pair[0] != "message"])
    target = f"{path}?{kept}" if kept else path
    return target if len(target) <= MAX_TARGET_CHARS else path[:MAX_TARGET_CHARS]


async def show_csrf_error(request: Request, _: Exception) -> Response:
    """Return an error page for a form of another site or of an expired session."""
    dependencies: ApiDependencies = request.app.state.dependencies
    text = "This form belongs to another session; go back, reload the page, and send it again"
    return render_page(
        "problem",
        now=dependencies.now(),
        session=None,
        language=dependencies.language,
        status=403,
        title="Not sent",
        text=text,
        typed={},
    )
