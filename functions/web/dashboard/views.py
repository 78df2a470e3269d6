"""Signing in and out, and what was typed into a form when its session had ended.

The page that asks for the key carries the fields. The next page sends them to the form, which shows them
and saves nothing: a form that was sent without a session may be anybody's.
"""

import json
import re
from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from functions.domain.json_depth import parse_json
from functions.web.api.scheduler import ApiDependencies
from functions.web.dashboard.context import (
    MAX_FORM_FIELDS,
    MAX_TARGET_CHARS,
    CurrentPage,
    check_origin,
    is_from_elsewhere,
    redirect_to_login,
    show_csrf_error,
)
from functions.web.dashboard.rendering import redirect, render_page
from functions.web.dashboard.session import Session, Sessions

router = APIRouter(prefix="/dashboard", include_in_schema=False)

DASHBOARD_PATH = "/dashboard"
MAX_LINK_CHARS = 300
# Forms that only their button saves; those that are an action alone, such as "Run now", are not sent again.
KEPT_FORM = re.compile(r"/dashboard/(?:new|tasks/[^/]{1,100}/edit|channels/[^/]{1,63}|calendars|keys|owners)")
MAX_KEPT_BYTES = 60_000  # of its fields as JSON; the page that asks for the key sends 64 KB at most
ACTIONS = ("remove", "refresh")  # of a button that needs nothing typed
NOT_KEPT = ("csrf_token", "do")  # what is of the session that ended, and the button
SPENT_LINK = "This link was used before or is too old: sign in with the key"


@router.get("/sign-in")
async def sign_in_form(
    request: Request,
    to: Annotated[str, Query(max_length=MAX_TARGET_CHARS)] = DASHBOARD_PATH,
    once: Annotated[str, Query(max_length=MAX_LINK_CHARS)] = "",
    undone: Annotated[str, Query(max_length=1)] = "",
) -> Response:
    """Show the sign-in form, or of the link that `serve` prints the button that signs in.

    Reading a link uses nothing up, because previews of chats and scanners of mail read links as well. The
    page's script presses the button as soon as somebody looks at it.
    """
    sessions: Sessions = request.app.state.sessions
    if once and not await sessions.is_link_usable(once):
        return _render_sign_in(request, to, fault=SPENT_LINK)
    return _render_sign_in(request, to, once=once, undone=bool(undone))


@router.post("/sign-in")
async def sign_in(request: Request) -> Response:
    """Sign in with a key, or by a link that works once, and set the session's cookie."""
    check_origin(request)
    form = await request.form(max_files=0, max_fields=5)
    kept = str(form.get("kept", ""))
    token, to = str(form.get("key", "")).strip(), str(form.get("to", DASHBOARD_PATH))
    once = str(form.get("once", ""))[:MAX_LINK_CHARS]
    response = redirect(to if _is_dashboard_path(to) else DASHBOARD_PATH)
    sessions: Sessions = request.app.state.sessions
    if once and not token:
        if await sessions.create_from_link(once, request, response):
            return response
        return _render_sign_in(request, to, fault=SPENT_LINK)
    if (session := await sessions.create(token, request, response)) is not None:
        fields = _parse_kept(kept)
        return _render_kept(request, session, to, fields, response) if fields else response
    fault = f"This key is not valid: it is wrong, revoked or expired. {sessions.problem}".removesuffix(". ")
    return _render_sign_in(request, to, fault=fault, kept=kept)


@router.post("/sign-out")
async def sign_out(context: CurrentPage) -> Response:
    """Sign out."""
    await context.read_form()
    response = redirect("/dashboard/sign-in")
    sessions: Sessions = context.request.app.state.sessions
    await sessions.end(context.session, response)
    return response


async def ask_to_sign_in(request: Request, error: Exception) -> Response:
    """Ask the sender of *request* to sign in; what was typed into a form is kept until then."""
    kept = await _read_kept(request)
    if not kept:
        return await redirect_to_login(request, error)
    return _render_sign_in(request, request.url.path, kept=kept)


async def refuse_form(request: Request, error: Exception) -> Response:
    """Refuse a form of another session; what was typed into a form is kept for this one."""
    sessions: Sessions = request.app.state.sessions
    session, fields = await sessions.current(request), _parse_kept(await _read_kept(request))
    if session is None or not fields:
        return await show_csrf_error(request, error)
    return _render_kept(request, session, request.url.path, fields, Response())


async def typed_again(request: Request) -> dict[str, str]:
    """Return what brings a form that could not be saved back to the user, with the token that it brought."""
    if not (fields := _parse_kept(await _read_kept(request))):
        return {}
    return fields | {"csrf_token": str((await request.form()).get("csrf_token", ""))}


async def _read_kept(request: Request) -> str:
    """Return the fields of a form as JSON; empty for one that is not kept, and where they are too long."""
    is_form = request.method == "POST" and KEPT_FORM.fullmatch(request.url.path)
    if not is_form or is_from_elsewhere(request):
        return ""
    try:
        form = await request.form(max_files=0, max_fields=MAX_FORM_FIELDS)
    except (HTTPException, ClientDisconnect):
        return ""
    if form.get("do") in ACTIONS:
        return ""
    fields = {name: value for name, value in form.items() if isinstance(value, str) and name not in NOT_KEPT}
    kept = json.dumps(fields, ensure_ascii=False)
    return kept if fields and len(kept.encode("utf-8", "replace")) <= MAX_KEPT_BYTES else ""


def _parse_kept(kept: str) -> dict[str, str]:
    try:
        fields = parse_json(kept[:MAX_KEPT_BYTES]) if kept else None
    except ValueError:
        return {}
    if not isinstance(fields, dict):
        return {}
    return {name: value for name, value in fields.items() if isinstance(value, str) and name not in NOT_KEPT}


def _render_kept(
    request: Request, session: Session, to: str, fields: Mapping[str, str], response: Response
) -> Response:
    """Return the page that sends *fields* to the form at *to*, with the cookie that *response* sets."""
    if not KEPT_FORM.fullmatch(to):
        return response
    dependencies: ApiDependencies = request.app.state.dependencies
    page = render_page(
        "kept",
        now=dependencies.now(),
        session=session,
        language=dependencies.language,
        to=to,
        fields=fields,
    )
    if cookie := response.headers.get("set-cookie"):
        page.headers["Set-Cookie"] = cookie
    return page


def _render_sign_in(
    request: Request, to: str, *, fault: str = "", once: str = "", kept: str = "", undone: bool = False
) -> Response:
    dependencies: ApiDependencies = request.app.state.dependencies
    return render_page(
        "sign_in",
        now=dependencies.now(),
        session=None,
        language=dependencies.language,
        status=401 if fault or kept else 200,
        to=to if _is_dashboard_path(to) else DASHBOARD_PATH,
        fault=fault,
        once=once,
        kept=kept,
        undone=undone,
    )


def _is_dashboard_path(address: str) -> bool:
    """Whether *address* is a page of the dashboard: the sign-in page never redirects to another site."""
    return address == DASHBOARD_PATH or (
        address.startswith((f"{DASHBOARD_PATH}/", f"{DASHBOARD_PATH}?"))
        and "//" not in address
        and "\\" not in address
    )
