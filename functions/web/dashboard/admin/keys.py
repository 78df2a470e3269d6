"""The page of keys: who has one, what it may, a form for another, and its end."""

from collections.abc import Mapping, Sequence
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import ValidationError
from starlette.responses import Response

from functions.domain.validation import Problem, problems_of
from functions.errors import InputError, NotAllowedError, NotFoundError
from functions.web.api.addresses import is_https
from functions.web.api.schemas import KeyRequest
from functions.web.dashboard.context import CurrentPage, PageContext
from functions.web.dashboard.forms.settings_form import key_form
from functions.web.dashboard.rendering import redirect

router = APIRouter(prefix="/dashboard", include_in_schema=False)

PATH = "/dashboard/keys"
COOKIE_NAME = "cronfire_new_key"
COOKIE_LIFETIME_S = 60  # for the way to the page that shows it, and no longer

KeyId = Annotated[str, Path(alias="id", max_length=100)]


@router.get("/keys")
async def list_keys(context: CurrentPage) -> Response:
    """Show all keys and the form for a new one; once, the token of one that was just made."""
    token = context.request.cookies.get(COOKIE_NAME, "")
    if not token or await context.dependencies.keys.find(token) is None:
        return await _render(context)
    response = await _render(context, token=token)
    response.delete_cookie(COOKIE_NAME, path=PATH, httponly=True, samesite="strict")
    return response


@router.post("/keys")
async def create_key(context: CurrentPage) -> Response:
    """Create a key, whose token the page that follows shows once.

    It is no answer to the form, as a page that is loaded anew would send the form again and make another key.
    """
    typed = await context.read_form()
    fields, problems = key_form(owner=context.service.principal.owner, zone=context.zone).read(typed)
    try:
        request = KeyRequest.model_validate(fields)
    except ValidationError as exc:
        problems += problems_of(exc, fields, model=KeyRequest)
    if problems or typed.get("do") != "save":
        return await _render(context, typed=typed, problems=problems)
    try:
        _, token = await context.dependencies.keys.create(
            name=request.name,
            scopes=request.scopes,
            owner=request.owner,
            expires_at=request.expires_at,
            capabilities=request.capabilities,
            by=context.service.principal,
        )
    except (InputError, NotAllowedError) as exc:
        return await _render(context, typed=typed, problems=[_as_problem(exc)])
    response = redirect(PATH)
    response.set_cookie(
        COOKIE_NAME,
        token,
        max_age=COOKIE_LIFETIME_S,
        path=PATH,
        secure=is_https(context.request),
        httponly=True,
        samesite="strict",
    )
    return response


@router.get("/keys/{id}/revoke")
async def confirm_revoking(context: CurrentPage, key_id: KeyId) -> Response:
    """Ask whether the key is to end for good."""
    _require_admin(context)
    found = await context.dependencies.keys.list_keys(by=context.service.principal)
    known = {key.id: key.name for key in found.keys} | dict.fromkeys(found.unreadable, "a row that is no key")
    if key_id not in known:
        raise NotFoundError(f"There is no key {key_id!r}")
    return context.render(
        "confirm",
        title=f"Revoke the key {known[key_id]}?",
        text="Its users are refused at once, and signed out here. This cannot be undone; make another.",
        verb="Revoke the key",
        action=f"/dashboard/keys/{key_id}/revoke",
        back="/dashboard/keys",
    )


@router.post("/keys/{id}/revoke")
async def revoke_key(context: CurrentPage, key_id: KeyId) -> Response:
    """Revoke a key."""
    await context.read_form()
    key = await context.dependencies.keys.revoke(key_id, by=context.service.principal)
    return redirect("/dashboard/keys", message=f"{key.name} is revoked")


async def _render(
    context: PageContext,
    *,
    token: str = "",
    typed: Mapping[str, str] | None = None,
    problems: Sequence[Problem] = (),
) -> Response:
    _require_admin(context)
    found = await context.dependencies.keys.list_keys(by=context.service.principal)
    form = key_form(owner=context.service.principal.owner, zone=context.zone)
    return context.render(
        "keys",
        status=422 if problems else 200,
        keys=found.keys,
        unreadable=found.unreadable,
        token=token,
        is_typed=typed is not None,
        groups=form.show(typed or {}, problems),
        summary=form.summary(problems),
    )


def _require_admin(context: PageContext) -> None:
    if not context.service.principal.has_scope("admin"):
        raise NotAllowedError("Keys need the scope admin")


def _as_problem(error: InputError | NotAllowedError) -> Problem:
    name, colon, reason = str(error).partition(": ")
    return Problem((name,), reason) if colon and name.isidentifier() else Problem((), str(error))
