"""The other pages: signing in and out, the agenda of a day, one run, keys."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from functions import audit, keys
from functions.applying import everything
from functions.errors import NotAllowedError, SchedulerError
from functions.rules.agenda import agenda
from functions.rules.audit import Entry
from functions.rules.keys import Scope
from functions.rules.storage import Filter
from functions.web.api.cursors import run_id
from functions.web.api.parts import ApiParts
from functions.web.api.runs import find_run
from functions.web.dashboard.context import Visitor
from functions.web.dashboard.looks import agenda_cells, agenda_rows
from functions.web.dashboard.pages import away, page, picture, said_in
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
    owner = visit.desk.actor.owner or None
    tasks = [stored.task for stored in await everything(visit.parts.store, Filter(owner=owner))]
    found = agenda(tasks, now=visit.parts.now())
    zone = visit.parts.default_timezone
    return visit.page(
        "agenda", agenda=found, zone=zone, rows=agenda_rows(found, zone), cells=agenda_cells(found)
    )


@router.get("/runs/{id}")
async def show_run(visit: Visitor, given: Annotated[str, Path(alias="id", max_length=500)]) -> Response:
    """One run: its attempts and what came out of it."""
    run = await find_run(visit.desk, given)
    stored = await visit.desk.task(run.task_id)
    near = await visit.desk.runs(run.task_id, since=run.occurrence, limit=100)
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
        key, token = await keys.issue(
            visit.parts.store,
            name=typed.get("name", "").strip()[:100] or "unnamed",
            scopes=(scope,),
            owner=typed.get("owner", "").strip()[:100],
            expires_at=None,
            by=visit.desk.actor,
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
    key = await keys.revoke(visit.parts.store, key_id, by=visit.desk.actor, now=visit.parts.now())
    await _note(visit, "key revoked", key.id, key.name)
    return away("/dashboard/keys", said=f"{key.name} is revoked")


async def _keys(visit: Visitor, *, token: str = "", fault: str = "") -> Response:
    if not visit.desk.actor.may("admin"):
        raise NotAllowedError("Keys take the scope admin")
    found = await keys.everybodys(visit.parts.store, by=visit.desk.actor)
    return visit.page(
        "keys", keys=found, token=token, fault=fault, scopes=SCOPES, said=said_in(visit.request)
    )


async def _note(visit: Visitor, verb: str, subject: str, note: str) -> None:
    entry = Entry.model_validate(
        {"at": visit.parts.now(), "verb": verb, "subject": subject, "by": visit.desk.actor.name, "note": note}
    )
    await audit.note(visit.parts.store, entry, new_id=visit.parts.new_id)


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
