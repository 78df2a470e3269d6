"""Pages for administrators: channels with a test send, and owners with their credits."""

from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import Response

from functions.errors import InputError, SchedulerError
from functions.web.api.accounts import OwnerOut
from functions.web.api.channels import change, must_administer, send_test
from functions.web.dashboard.context import Visitor
from functions.web.dashboard.pages import away, said_in

router = APIRouter(prefix="/dashboard", include_in_schema=False)

Name = Annotated[str, Path(max_length=50)]


@router.get("/channels")
async def list_channels(visit: Visitor) -> Response:
    """The channels that are set up, and whether they are open."""
    must_administer(visit.desk.actor)
    found = await visit.parts.channels.all()
    rows = [(name, one, visit.parts.channels.is_open(name, one)) for name, one in found.items()]
    return visit.page("channels", rows=rows, said=said_in(visit.request))


@router.post("/channels/{name}/{verb}")
async def steer_channel(visit: Visitor, name: Name, verb: str) -> Response:
    """Send a test message, or switch the channel on or off."""
    await visit.form()
    try:
        if verb == "test":
            sent = await send_test(visit.desk.actor, visit.parts, name)
            said = f"{name}: {'the test message was taken' if sent.ok else 'not taken'}"
            said += f" ({sent.detail})" if sent.detail else ""
        else:
            await change(visit.desk.actor, visit.parts, name, {"enabled": verb == "enable"})
            said = f"{name} is {'on' if verb == 'enable' else 'off'}"
    except InputError as exc:
        said = str(exc)
    return away("/dashboard/channels", said=said)


@router.get("/owners")
async def list_owners(visit: Visitor) -> Response:
    """The accounts with what is used of the month's credits."""
    must_administer(visit.desk.actor)
    accounts = await visit.parts.owners.all()
    rows = [(OwnerOut.of(one), one.level) for one in accounts]
    return visit.page("owners", rows=rows, fault="", said=said_in(visit.request))


@router.post("/owners")
async def set_owner(visit: Visitor) -> Response:
    """Make an account, or change its credits."""
    must_administer(visit.desk.actor)
    typed = await visit.form()
    name, text = typed.get("name", "").strip()[:100], typed.get("credits", "").strip()
    try:
        amount = float(text) if text else None
        plan = typed.get("plan", "").strip()[:100] or None
        await visit.parts.owners.set(name, plan=plan, monthly_credits=amount, unlimited=amount is None)
        said = f"{name} is set"
    except ValueError:
        said = "credits: must be a number, or empty for no limit"
    except SchedulerError as exc:
        said = str(exc)
    return away("/dashboard/owners", said=said)
