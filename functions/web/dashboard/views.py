"""Signing in and out."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from functions.web.api.scheduler import ApiDependencies
from functions.web.dashboard.context import MAX_TARGET_CHARS, CurrentPage, check_origin
from functions.web.dashboard.rendering import redirect, render_page
from functions.web.dashboard.session import Sessions

router = APIRouter(prefix="/dashboard", include_in_schema=False)

DASHBOARD_PATH = "/dashboard"
MAX_LINK_CHARS = 300
SPENT_LINK = "This link was used before or is too old: sign in with the key"


@router.get("/sign-in")
async def sign_in_form(
    request: Request,
    to: Annotated[str, Query(max_length=MAX_TARGET_CHARS)] = DASHBOARD_PATH,
    once: Annotated[str, Query(max_length=MAX_LINK_CHARS)] = "",
) -> Response:
    """Show the sign-in form, or of the link that `serve` prints the button that signs in.

    Reading a link uses nothing up, because previews of chats and scanners of mail read links as well. The
    page's script presses the button as soon as somebody looks at it.
    """
    sessions: Sessions = request.app.state.sessions
    if once and not await sessions.is_link_usable(once):
        return _render_sign_in(request, to, fault=SPENT_LINK)
    return _render_sign_in(request, to, once=once)


@router.post("/sign-in")
async def sign_in(request: Request) -> Response:
    """Sign in with a key, or by a link that works once, and set the session's cookie."""
    check_origin(request)
    form = await request.form(max_files=0, max_fields=4)
    token, to = str(form.get("key", "")).strip(), str(form.get("to", DASHBOARD_PATH))
    once = str(form.get("once", ""))[:MAX_LINK_CHARS]
    response = redirect(to if _is_dashboard_path(to) else DASHBOARD_PATH)
    sessions: Sessions = request.app.state.sessions
    if once and not token:
        if await sessions.create_from_link(once, request, response):
            return response
        return _render_sign_in(request, to, fault=SPENT_LINK)
    if await sessions.create(token, request, response):
        return response
    fault = "This key is not valid: it is wrong, revoked or expired"
    return _render_sign_in(request, to, fault=f"{fault}. {sessions.problem}".removesuffix(". "))


@router.post("/sign-out")
async def sign_out(context: CurrentPage) -> Response:
    """Sign out."""
    await context.read_form()
    response = redirect("/dashboard/sign-in")
    sessions: Sessions = context.request.app.state.sessions
    await sessions.end(context.session, response)
    return response


def _render_sign_in(request: Request, to: str, *, fault: str = "", once: str = "") -> Response:
    dependencies: ApiDependencies = request.app.state.dependencies
    return render_page(
        "sign_in",
        now=dependencies.now(),
        session=None,
        language=dependencies.language,
        status=401 if fault else 200,
        to=to if _is_dashboard_path(to) else DASHBOARD_PATH,
        fault=fault,
        once=once,
    )


def _is_dashboard_path(address: str) -> bool:
    """Whether *address* is a page of the dashboard: the sign-in page never redirects to another site."""
    return address == DASHBOARD_PATH or (
        address.startswith((f"{DASHBOARD_PATH}/", f"{DASHBOARD_PATH}?"))
        and "//" not in address
        and "\\" not in address
    )
