"""The other pages: signing in and out, the agenda of a day, one run, keys."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from functions.domain.access import Entry, Scope
from functions.domain.schedule.describe import agenda
from functions.domain.storage import Filter
from functions.errors import InputError, NotAllowedError, SchedulerError
from functions.services import access
from functions.services.apply import all_tasks
from functions.web.api.admin import OwnerOut
from functions.web.api.channels import change, must_administer, send_test
from functions.web.api.dependencies import ApiParts
from functions.web.api.runs import find_run, run_id
from functions.web.dashboard.context import Visitor
from functions.web.dashboard.rendering import agenda_cells, agenda_rows, away, page, picture, said_in
from functions.web.dashboard.session import Sessions

router = APIRouter(prefix="/dashboard", include_in_schema=False)

HOME = "/dashboard"
SCOPES: tuple[Scope, ...] = ("read", "run", "write", "admin")


@router.get("/style.css")
async def style() -> Response:
    """How the pages look."""
    return picture("style.css", "text/css")


@router.get("/icon.svg")
async def icon() -> Response:
    """What a browser shows beside the title."""
    return picture("icon.svg", "image/svg+xml")


@router.get("/sign-in")
async def sign_in_form(request: Request, to: Annotated[str, Query(max_length=200)] = HOME) -> Response:
    """Where somebody shows a key."""
    return _sign_in(request, to)


@router.post("/sign-in")
async def sign_in(request: Request) -> Response:
    """Take a key and remember, in a cookie, that it was shown."""
    given = await request.form(max_files=0, max_fields=4)
    token, to = str(given.get("key", "")).strip(), str(given.get("to", HOME))
    request.app.state.identity.count_stranger()
    response = away(to if _is_ours(to) else HOME)
    sessions: Sessions = request.app.state.sessions
    if await sessions.begin(token, request, response):
        return response
    return _sign_in(request, to, fault="This key opens nothing: it is wrong, revoked, or over")


@router.post("/sign-out")
async def sign_out(visit: Visitor) -> Response:
    """Forget the session in this browser."""
    await visit.form()
    response = away("/dashboard/sign-in")
    Sessions.end(response)
    return response


@router.get("/agenda")
async def show_agenda(visit: Visitor) -> Response:
    """The next 24 hours by the minute. Reads a document a task."""
    owner = visit.desk.principal.owner or None
    tasks = [stored.task for stored in await all_tasks(visit.parts.store, Filter(owner=owner))]
    found = agenda(tasks, now=visit.parts.now())
    zone = visit.parts.default_timezone
    return visit.page(
        "agenda", agenda=found, zone=zone, rows=agenda_rows(found, zone), cells=agenda_cells(found)
    )


@router.get("/runs/{id}")
async def show_run(visit: Visitor, given: Annotated[str, Path(alias="id", max_length=500)]) -> Response:
    """One run: its attempts and what came out of it."""
    run = await find_run(visit.desk, given)
    stored = await visit.desk.get_task(run.task_id)
    near = await visit.desk.list_runs(run.task_id, since=run.occurrence, limit=100)
    attempts = [one for one in near if one.occurrence == run.occurrence]
    return visit.page(
        "run",
        run=run,
        task=stored.task,
        attempts=[(one, run_id(one)) for one in sorted(attempts, key=lambda one: one.attempt)],
        said=said_in(visit.request),
    )


@router.get("/keys")
async def list_keys(visit: Visitor) -> Response:
    """All keys, and a form for another one. For administrators."""
    return await _keys(visit)


@router.post("/keys")
async def make_key(visit: Visitor) -> Response:
    """Make a key and show it, this once."""
    typed = await visit.form()
    asked = typed.get("scope", "")
    scope = next((one for one in SCOPES if one == asked), SCOPES[0])
    try:
        key, token = await access.create_key(
            visit.parts.store,
            name=typed.get("name", "").strip()[:100] or "unnamed",
            scopes=(scope,),
            owner=typed.get("owner", "").strip()[:100],
            expires_at=None,
            by=visit.desk.principal,
            now=visit.parts.now(),
            new_id=visit.parts.new_id,
            new_secret=visit.parts.new_secret,
        )
    except SchedulerError as exc:
        return await _keys(visit, fault=str(exc))
    await _note(visit, "key issued", key.id, key.name)
    return await _keys(visit, token=token)


@router.post("/keys/{id}/revoke")
async def revoke_key(visit: Visitor, key_id: Annotated[str, Path(alias="id", max_length=32)]) -> Response:
    """End a key."""
    await visit.form()
    key = await access.revoke_key(visit.parts.store, key_id, by=visit.desk.principal, now=visit.parts.now())
    await _note(visit, "key revoked", key.id, key.name)
    return away("/dashboard/keys", said=f"{key.name} is revoked")


async def _keys(visit: Visitor, *, token: str = "", fault: str = "") -> Response:
    if not visit.desk.principal.may("admin"):
        raise NotAllowedError("Keys take the scope admin")
    found = await access.list_keys(visit.parts.store, by=visit.desk.principal)
    return visit.page(
        "keys", keys=found, token=token, fault=fault, scopes=SCOPES, said=said_in(visit.request)
    )


async def _note(visit: Visitor, verb: str, subject: str, note: str) -> None:
    entry = Entry.model_validate(
        {
            "at": visit.parts.now(),
            "verb": verb,
            "subject": subject,
            "by": visit.desk.principal.name,
            "note": note,
        }
    )
    await access.record_entry(visit.parts.store, entry, new_id=visit.parts.new_id)


def _sign_in(request: Request, to: str, *, fault: str = "") -> Response:
    parts: ApiParts = request.app.state.parts
    return page(
        "sign_in",
        now=parts.now(),
        session=None,
        status=401 if fault else 200,
        to=to if _is_ours(to) else HOME,
        fault=fault,
    )


def _is_ours(address: str) -> bool:
    """Whether *address* is a page of the dashboard, so that nobody is sent on to a stranger's."""
    return address == HOME or (address.startswith(f"{HOME}/") and "//" not in address and "\\" not in address)


# Pages for administrators: channels with a test send, and owners with their credits.

Name = Annotated[str, Path(max_length=50)]


@router.get("/channels")
async def list_channels(visit: Visitor) -> Response:
    """The channels that are set up, and whether they are open."""
    must_administer(visit.desk.principal)
    found = await visit.parts.channels.settings()
    rows = [(name, one, visit.parts.channels.is_open(name, one)) for name, one in found.items()]
    return visit.page("channels", rows=rows, said=said_in(visit.request))


@router.post("/channels/{name}/{verb}")
async def steer_channel(visit: Visitor, name: Name, verb: str) -> Response:
    """Send a test message, or switch the channel on or off."""
    await visit.form()
    try:
        if verb == "test":
            sent = await send_test(visit.desk.principal, visit.parts, name)
            said = f"{name}: {'the test message was taken' if sent.ok else 'not taken'}"
            said += f" ({sent.detail})" if sent.detail else ""
        else:
            await change(visit.desk.principal, visit.parts, name, {"enabled": verb == "enable"})
            said = f"{name} is {'on' if verb == 'enable' else 'off'}"
    except InputError as exc:
        said = str(exc)
    return away("/dashboard/channels", said=said)


@router.get("/owners")
async def list_owners(visit: Visitor) -> Response:
    """The accounts with what is used of the month's credits."""
    must_administer(visit.desk.principal)
    accounts = await visit.parts.accounts.list_accounts()
    rows = [(OwnerOut.of(one), one.level) for one in accounts]
    return visit.page("owners", rows=rows, fault="", said=said_in(visit.request))


@router.post("/owners")
async def set_owner(visit: Visitor) -> Response:
    """Make an account, or change its credits."""
    must_administer(visit.desk.principal)
    typed = await visit.form()
    name, text = typed.get("name", "").strip()[:100], typed.get("credits", "").strip()
    try:
        amount = float(text) if text else None
        plan = typed.get("plan", "").strip()[:100] or None
        await visit.parts.accounts.set_plan(name, plan=plan, monthly_credits=amount, unlimited=amount is None)
        said = f"{name} is set"
    except ValueError:
        said = "credits: must be a number, or empty for no limit"
    except SchedulerError as exc:
        said = str(exc)
    return away("/dashboard/owners", said=said)
