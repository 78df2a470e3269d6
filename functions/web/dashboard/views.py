"""The other pages: sign-in, and for administrators keys, channels and owners."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from functions.domain.access import AuditEntry, Scope
from functions.errors import InputError, NotAllowedError, SchedulerError
from functions.services import access
from functions.services.accounts import set_owner_plan
from functions.web.api.admin import OwnerOut
from functions.web.api.channels import apply_channel_changes, require_admin, send_test
from functions.web.api.dependencies import ApiDependencies
from functions.web.dashboard.context import CurrentPage, check_origin
from functions.web.dashboard.rendering import flash_message, redirect, render_page
from functions.web.dashboard.session import Sessions

router = APIRouter(prefix="/dashboard", include_in_schema=False)

DASHBOARD_PATH = "/dashboard"
SCOPES: tuple[Scope, ...] = ("read", "run", "write", "admin")


@router.get("/sign-in")
async def sign_in_form(
    request: Request,
    to: Annotated[str, Query(max_length=200)] = DASHBOARD_PATH,
    once: Annotated[str, Query(max_length=300)] = "",
) -> Response:
    """Show the sign-in form, or sign in by the link that `serve` prints, which works once."""
    if not once:
        return _render_sign_in(request, to)
    response = redirect(to if _is_dashboard_path(to) else DASHBOARD_PATH)
    sessions: Sessions = request.app.state.sessions
    if await sessions.create_from_link(once, request, response):
        return response
    return _render_sign_in(request, to, fault="This link was used before or is too old: sign in with the key")


@router.post("/sign-in")
async def sign_in(request: Request) -> Response:
    """Sign in with a key and set the session's cookie."""
    check_origin(request)
    form = await request.form(max_files=0, max_fields=4)
    token, to = str(form.get("key", "")).strip(), str(form.get("to", DASHBOARD_PATH))
    response = redirect(to if _is_dashboard_path(to) else DASHBOARD_PATH)
    sessions: Sessions = request.app.state.sessions
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


@router.get("/keys")
async def list_keys(context: CurrentPage) -> Response:
    """Show all keys and the form for a new one."""
    return await _render_keys(context)


@router.post("/keys")
async def create_key(context: CurrentPage) -> Response:
    """Create a key and show its token once."""
    typed = await context.read_form()
    scope = next((one for one in SCOPES if one == typed.get("scope")), SCOPES[0])
    try:
        key, token = await context.dependencies.keys.create(
            name=typed.get("name", "").strip()[:100] or "unnamed",
            scopes=(scope,),
            owner=typed.get("owner", "").strip()[:100],
            expires_at=None,
            by=context.service.principal,
        )
    except SchedulerError as exc:
        return await _render_keys(context, fault=str(exc))
    await _audit(context, "key issued", key.id, key.name)
    return await _render_keys(context, token=token)


@router.post("/keys/{id}/revoke")
async def revoke_key(
    context: CurrentPage, key_id: Annotated[str, Path(alias="id", max_length=32)]
) -> Response:
    """Revoke a key."""
    await context.read_form()
    key = await context.dependencies.keys.revoke(key_id, by=context.service.principal)
    await _audit(context, "key revoked", key.id, key.name)
    return redirect("/dashboard/keys", message=f"{key.name} is revoked")


async def _render_keys(context: CurrentPage, *, token: str = "", fault: str = "") -> Response:
    if not context.service.principal.has_scope("admin"):
        raise NotAllowedError("Keys need the scope admin")
    found = await context.dependencies.keys.list_keys(by=context.service.principal)
    return context.render(
        "keys",
        keys=found.keys,
        unreadable=found.unreadable,
        token=token,
        fault=fault,
        scopes=SCOPES,
        message=flash_message(context.request),
    )


async def _audit(context: CurrentPage, verb: str, subject: str, note: str) -> None:
    entry = AuditEntry.model_validate(
        {
            "at": context.dependencies.now(),
            "verb": verb,
            "subject": subject,
            "by": context.service.principal.name,
            "note": note,
        }
    )
    await access.record_entry(context.dependencies.store, entry, new_id=context.dependencies.new_id)


def _render_sign_in(request: Request, to: str, *, fault: str = "") -> Response:
    dependencies: ApiDependencies = request.app.state.dependencies
    return render_page(
        "sign_in",
        now=dependencies.now(),
        session=None,
        language=dependencies.language,
        status=401 if fault else 200,
        to=to if _is_dashboard_path(to) else DASHBOARD_PATH,
        fault=fault,
    )


def _is_dashboard_path(address: str) -> bool:
    """Whether *address* is a page of the dashboard: the sign-in page never redirects to another site."""
    return address == DASHBOARD_PATH or (
        address.startswith(f"{DASHBOARD_PATH}/") and "//" not in address and "\\" not in address
    )


# Pages for administrators: channels, and owners with their credits.

ChannelName = Annotated[str, Path(max_length=50)]


@router.get("/channels")
async def list_channels(context: CurrentPage) -> Response:
    """Show the configured channels and whether they are open."""
    require_admin(context.service.principal)
    found = await context.dependencies.channels.settings()
    rows = [(name, one, context.dependencies.channels.is_open(name, one)) for name, one in found.items()]
    return context.render("channels", rows=rows, message=flash_message(context.request))


@router.post("/channels/{name}/{verb}")
async def run_channel_action(context: CurrentPage, name: ChannelName, verb: str) -> Response:
    """Send a test message, or enable or disable the channel."""
    await context.read_form()
    try:
        if verb == "test":
            sent = await send_test(context.service.principal, context.dependencies, name)
            message = f"{name}: the test message was {'accepted' if sent.ok else 'not accepted'}"
            message += f" ({sent.detail})" if sent.detail else ""
        else:
            await apply_channel_changes(
                context.service.principal, context.dependencies, name, {"enabled": verb == "enable"}
            )
            message = f"{name} is {'on' if verb == 'enable' else 'off'}"
    except InputError as exc:
        message = str(exc)
    return redirect("/dashboard/channels", message=message)


@router.get("/owners")
async def list_owners(context: CurrentPage) -> Response:
    """Show the accounts and the credits used this month."""
    require_admin(context.service.principal)
    found = await context.dependencies.accounts.list_accounts()
    rows = [(OwnerOut.from_account(one), one.level) for one in found.accounts]
    return context.render(
        "owners", rows=rows, unreadable=found.unreadable, message=flash_message(context.request)
    )


@router.post("/owners")
async def set_owner(context: CurrentPage) -> Response:
    """Create an account, or change its credits."""
    require_admin(context.service.principal)
    typed = await context.read_form()
    name, text = typed.get("name", "").strip()[:100], typed.get("credits", "").strip()
    try:
        amount = float(text) if text else None
        plan = typed.get("plan", "").strip()[:100] or None
        await set_owner_plan(
            context.dependencies.accounts,
            context.dependencies.store,
            name,
            {"plan": plan, "monthly_credits": amount, "unlimited": amount is None},
            by=context.service.principal.name,
            now=context.dependencies.now(),
            new_id=context.dependencies.new_id,
        )
        message = f"{name} is set"
    except ValueError:
        message = "credits: must be a number, or empty for no limit"
    except SchedulerError as exc:
        message = str(exc)
    return redirect("/dashboard/owners", message=message)
