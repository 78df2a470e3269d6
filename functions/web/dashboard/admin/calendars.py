"""The pages of calendars: named lists of days that tasks exclude."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from functions.domain.schedule.days.entries import split_entries
from functions.errors import ConflictError, InputError, NotAllowedError, NotFoundError
from functions.services.calendars.book import Calendar
from functions.services.calendars.service import CalendarService, CalendarUpdate
from functions.web.dashboard.context import CurrentPage, PageContext
from functions.web.dashboard.forms.fields import SEEN, version_of
from functions.web.dashboard.forms.shown import conflict_text
from functions.web.dashboard.rendering import redirect

router = APIRouter(prefix="/dashboard", include_in_schema=False)

CALENDARS = "/dashboard/calendars"
QueryText = Annotated[str, Query(max_length=100)]


@router.get("/calendars")
async def show_calendars(context: CurrentPage, name: QueryText = "", owner: QueryText = "") -> Response:
    """Show the calendars, and the form of the one called *name*, or of a new one."""
    found = await _service(context).list_all()
    chosen = next((one for one in found if (one.name, one.owner) == (name, owner)), None)
    return _render(context, found, {}, chosen=chosen)


@router.post("/calendars")
async def save_calendar(context: CurrentPage) -> Response:
    """Create, replace or remove a calendar, or go on with its tasks: what the button says."""
    typed = await context.read_form()
    service = _service(context)
    name, owner = typed.get("name", "").strip(), typed.get("owner", "").strip()
    try:
        if typed.get("do") == "remove":
            await service.remove(name, owner=owner)
            return redirect(CALENDARS, message=f"{name} is removed")
        if typed.get("do") == "refresh":
            update = await service.refresh(name, owner=owner)
        elif typed.get("do") != "save":
            return _render(context, await service.list_all(), typed)
        else:
            entries = split_entries(typed.get("entries", ""))
            assert isinstance(entries, list)
            stored = await _stored_entries(service, name, owner)
            seen, typed[SEEN] = typed.get(SEEN), version_of(stored)
            if seen not in (None, "", typed[SEEN]) and entries != stored:
                fault = conflict_text([context.words("Days")], is_new=seen == version_of([]))
                return _render(context, await service.list_all(), typed, fault=fault)
            update = await service.save(name, entries, owner=owner)
    except NotFoundError:
        raise
    except (InputError, ConflictError, NotAllowedError) as exc:
        return _render(context, await service.list_all(), typed, fault=str(exc))
    return redirect(CALENDARS, message=_result(update))


async def _stored_entries(service: CalendarService, name: str, owner: str) -> list[str]:
    try:
        return list((await service.get(name, owner=owner)).entries)
    except NotFoundError:
        return []


def _result(update: CalendarUpdate) -> str:
    name = update.calendar.name
    if update.failed:
        ids = ", ".join(task_id for task_id, _ in update.failed[:5])
        return f"{name} is set; these tasks would never run and keep the former days: {ids}"
    if not update.is_complete:
        return f"{name} is set; {update.updated} tasks have its days so far, go on with the others"
    return f"{name} is set; tasks that have new days: {update.updated}"


def _render(
    context: PageContext,
    found: list[Calendar],
    typed: Mapping[str, str],
    *,
    chosen: Calendar | None = None,
    fault: str = "",
) -> Response:
    principal = context.service.principal
    if chosen is not None:
        typed = {"name": chosen.name, "owner": chosen.owner, "entries": "\n".join(chosen.entries)}
    return context.render(
        "calendars",
        seen=typed.get(SEEN) or version_of(list(chosen.entries) if chosen else []),
        status=422 if fault else 200,
        calendars=found,
        typed=typed,
        chosen=chosen,
        fault=fault,
        may_write=principal.has_scope("write"),
        may_set_owner=not principal.owner,
    )


def _service(context: PageContext) -> CalendarService:
    dependencies = context.dependencies
    return CalendarService(
        dependencies.store, context.service.principal, clock=dependencies.now, new_id=dependencies.new_id
    )
