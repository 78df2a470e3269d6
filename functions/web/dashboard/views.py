"""The other pages: signing in and out, the agenda of a day, one run, keys."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from functions.domain.access import AuditEntry, Scope
from functions.domain.schedule.describe import build_agenda
from functions.domain.storage import TaskFilter
from functions.errors import InputError, NotAllowedError, SchedulerError
from functions.services import access
from functions.services.paging import all_tasks
from functions.web.api.admin import OwnerOut
from functions.web.api.channels import apply_channel_changes, require_admin, send_test
from functions.web.api.dependencies import ApiDependencies
from functions.web.api.runs import encode_run_id, find_run
from functions.web.dashboard.context import CurrentPage
from functions.web.dashboard.rendering import (
    agenda_cells,
    agenda_row_labels,
    asset_response,
    flash_message,
    redirect,
    render_page,
)
from functions.web.dashboard.session import Sessions

router = APIRouter(prefix="/dashboard", include_in_schema=False)

DASHBOARD_PATH = "/dashboard"
SCOPES: tuple[Scope, ...] = ("read", "run", "write", "admin")


@router.get("/style.css")
async def style() -> Response:
    """How the pages look."""
    return asset_response("style.css", "text/css")


@router.get("/icon.svg")
async def icon() -> Response:
    """What a browser shows beside the title."""
    return asset_response("icon.svg", "image/svg+xml")


@router.get("/sign-in")
async def sign_in_form(
    request: Request, to: Annotated[str, Query(max_length=200)] = DASHBOARD_PATH
) -> Response:
    """Where somebody shows a key."""
    return _render_sign_in(request, to)


@router.post("/sign-in")
async def sign_in(request: Request) -> Response:
    """Take a key and remember, in a cookie, that it was shown."""
    given = await request.form(max_files=0, max_fields=4)
    token, to = str(given.get("key", "")).strip(), str(given.get("to", DASHBOARD_PATH))
    request.app.state.auth.limit_anonymous()
    response = redirect(to if _is_dashboard_path(to) else DASHBOARD_PATH)
    sessions: Sessions = request.app.state.sessions
    if await sessions.create(token, request, response):
        return response
    return _render_sign_in(request, to, fault="This key opens nothing: it is wrong, revoked, or over")


@router.post("/sign-out")
async def sign_out(context: CurrentPage) -> Response:
    """Forget the session in this browser."""
    await context.read_form()
    response = redirect("/dashboard/sign-in")
    Sessions.destroy(response)
    return response


@router.get("/agenda")
async def show_agenda(context: CurrentPage) -> Response:
    """The next 24 hours by the minute. Reads a document a task."""
    owner = context.service.principal.owner or None
    tasks = [stored.task for stored in await all_tasks(context.dependencies.store, TaskFilter(owner=owner))]
    found = build_agenda(tasks, now=context.dependencies.now())
    zone = context.dependencies.default_timezone
    return context.render(
        "agenda", agenda=found, zone=zone, rows=agenda_row_labels(found, zone), cells=agenda_cells(found)
    )


@router.get("/runs/{id}")
async def show_run(
    context: CurrentPage, encoded_run_id: Annotated[str, Path(alias="id", max_length=500)]
) -> Response:
    """One run: its attempts and what came out of it."""
    run = await find_run(context.service, encoded_run_id)
    stored = await context.service.get_task(run.task_id)
    near = await context.service.list_runs(run.task_id, since=run.occurrence, limit=100)
    attempts = [one for one in near if one.occurrence == run.occurrence]
    return context.render(
        "run",
        run=run,
        task=stored.task,
        attempts=[(one, encode_run_id(one)) for one in sorted(attempts, key=lambda one: one.attempt)],
        message=flash_message(context.request),
    )


@router.get("/keys")
async def list_keys(context: CurrentPage) -> Response:
    """All keys, and a form for another one. For administrators."""
    return await _render_keys(context)


@router.post("/keys")
async def create_key(context: CurrentPage) -> Response:
    """Make a key and show it, this once."""
    typed = await context.read_form()
    asked = typed.get("scope", "")
    scope = next((one for one in SCOPES if one == asked), SCOPES[0])
    try:
        key, token = await access.create_key(
            context.dependencies.store,
            name=typed.get("name", "").strip()[:100] or "unnamed",
            scopes=(scope,),
            owner=typed.get("owner", "").strip()[:100],
            expires_at=None,
            by=context.service.principal,
            now=context.dependencies.now(),
            new_id=context.dependencies.new_id,
            new_secret=context.dependencies.new_secret,
        )
    except SchedulerError as exc:
        return await _render_keys(context, fault=str(exc))
    await _audit(context, "key issued", key.id, key.name)
    return await _render_keys(context, token=token)


@router.post("/keys/{id}/revoke")
async def revoke_key(
    context: CurrentPage, key_id: Annotated[str, Path(alias="id", max_length=32)]
) -> Response:
    """End a key."""
    await context.read_form()
    key = await access.revoke_key(
        context.dependencies.store, key_id, by=context.service.principal, now=context.dependencies.now()
    )
    await _audit(context, "key revoked", key.id, key.name)
    return redirect("/dashboard/keys", message=f"{key.name} is revoked")


async def _render_keys(context: CurrentPage, *, token: str = "", fault: str = "") -> Response:
    if not context.service.principal.has_scope("admin"):
        raise NotAllowedError("Keys take the scope admin")
    found = await access.list_keys(context.dependencies.store, by=context.service.principal)
    return context.render(
        "keys", keys=found, token=token, fault=fault, scopes=SCOPES, message=flash_message(context.request)
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
    parts: ApiDependencies = request.app.state.dependencies
    return render_page(
        "sign_in",
        now=parts.now(),
        session=None,
        status=401 if fault else 200,
        to=to if _is_dashboard_path(to) else DASHBOARD_PATH,
        fault=fault,
    )


def _is_dashboard_path(address: str) -> bool:
    """Whether *address* is a page of the dashboard, so that nobody is sent on to a stranger's."""
    return address == DASHBOARD_PATH or (
        address.startswith(f"{DASHBOARD_PATH}/") and "//" not in address and "\\" not in address
    )


# Pages for administrators: channels with a test send, and owners with their credits.

ChannelName = Annotated[str, Path(max_length=50)]


@router.get("/channels")
async def list_channels(context: CurrentPage) -> Response:
    """The channels that are set up, and whether they are open."""
    require_admin(context.service.principal)
    found = await context.dependencies.channels.settings()
    rows = [(name, one, context.dependencies.channels.is_open(name, one)) for name, one in found.items()]
    return context.render("channels", rows=rows, message=flash_message(context.request))


@router.post("/channels/{name}/{verb}")
async def run_channel_action(context: CurrentPage, name: ChannelName, verb: str) -> Response:
    """Send a test message, or switch the channel on or off."""
    await context.read_form()
    try:
        if verb == "test":
            sent = await send_test(context.service.principal, context.dependencies, name)
            said = f"{name}: {'the test message was taken' if sent.ok else 'not taken'}"
            said += f" ({sent.detail})" if sent.detail else ""
        else:
            await apply_channel_changes(
                context.service.principal, context.dependencies, name, {"enabled": verb == "enable"}
            )
            said = f"{name} is {'on' if verb == 'enable' else 'off'}"
    except InputError as exc:
        said = str(exc)
    return redirect("/dashboard/channels", message=said)


@router.get("/owners")
async def list_owners(context: CurrentPage) -> Response:
    """The accounts with what is used of the month's credits."""
    require_admin(context.service.principal)
    accounts = await context.dependencies.accounts.list_accounts()
    rows = [(OwnerOut.from_account(one), one.level) for one in accounts]
    return context.render("owners", rows=rows, fault="", message=flash_message(context.request))


@router.post("/owners")
async def set_owner(context: CurrentPage) -> Response:
    """Make an account, or change its credits."""
    require_admin(context.service.principal)
    typed = await context.read_form()
    name, text = typed.get("name", "").strip()[:100], typed.get("credits", "").strip()
    try:
        amount = float(text) if text else None
        plan = typed.get("plan", "").strip()[:100] or None
        await context.dependencies.accounts.set_plan(
            name, plan=plan, monthly_credits=amount, unlimited=amount is None
        )
        said = f"{name} is set"
    except ValueError:
        said = "credits: must be a number, or empty for no limit"
    except SchedulerError as exc:
        said = str(exc)
    return redirect("/dashboard/owners", message=said)
