"""Routes about calendars: named lists of days that tasks exclude."""

from typing import Annotated, Any

from fastapi import Depends, Path, Query
from pydantic import Field, field_validator

from functions.domain.schedule.days.entries import MAX_ENTRIES, MAX_NAME_CHARS, split_entries
from functions.domain.types import Instant
from functions.services.calendars.book import Calendar
from functions.services.calendars.service import CalendarService, CalendarUpdate
from functions.web.api.dependencies import CurrentPrincipal, Dependencies, make_api_router
from functions.web.api.errors import error_responses
from functions.web.api.schemas import Schema

router = make_api_router("/api/calendars", "calendars")

CalendarName = Annotated[
    str, Path(alias="name", min_length=1, max_length=MAX_NAME_CHARS, examples=["company"])
]
OwnerQuery = Annotated[str, Query(max_length=100, description="whose calendar; for keys without an owner")]


class CalendarOut(Schema):
    """A calendar. *complete* is false while tasks may still have its former days: then ask for a refresh."""

    name: str
    owner: str
    entries: list[str]
    updated_at: Instant | None
    updated_by: str
    complete: bool

    @classmethod
    def of(cls, calendar: Calendar) -> "CalendarOut":
        """Return *calendar* in the API's shape."""
        return cls(
            name=calendar.name,
            owner=calendar.owner,
            entries=list(calendar.entries),
            updated_at=calendar.updated_at,
            updated_by=calendar.updated_by,
            complete=calendar.behind is None,
        )


class CalendarList(Schema):
    """The calendars that the caller may see."""

    calendars: list[CalendarOut]


class CalendarRequest(Schema):
    """All days of a calendar: dates, ranges, yearly dates, weekdays, weekends, holidays."""

    entries: Annotated[
        list[Annotated[str, Field(max_length=80)]],
        Field(max_length=MAX_ENTRIES, examples=[["12-24..01-02", "2027-05-03", "holidays:LV"]]),
    ]

    @field_validator("entries", mode="before")
    @classmethod
    def _split(cls, given: Any) -> Any:
        return split_entries(given)


class FailedTask(Schema):
    """A task that keeps the former days, and why."""

    id: str
    reason: str


class CalendarResult(Schema):
    """A changed calendar, and how many tasks have its days now that had others."""

    calendar: CalendarOut
    updated: int
    failed: list[FailedTask]

    @classmethod
    def of(cls, update: CalendarUpdate) -> "CalendarResult":
        """Return *update* in the API's shape."""
        failed = [FailedTask(id=task_id, reason=reason) for task_id, reason in update.failed]
        return cls(calendar=CalendarOut.of(update.calendar), updated=update.updated, failed=failed)


async def get_calendar_service(principal: CurrentPrincipal, dependencies: Dependencies) -> CalendarService:
    """Return the calendars with the caller's rights."""
    return CalendarService(dependencies.store, principal, clock=dependencies.now, new_id=dependencies.new_id)


Calendars = Annotated[CalendarService, Depends(get_calendar_service)]


@router.get("", responses=error_responses(), summary="List calendars")
async def list_calendars(
    calendars: Calendars,
    owner: Annotated[str | None, Query(max_length=100, description="all owners if not given")] = None,
) -> CalendarList:
    """Return the calendars that the caller may see, by owner and name."""
    found = await calendars.list_all(owner=owner)
    return CalendarList(calendars=[CalendarOut.of(one) for one in found])


@router.get("/{name}", responses=error_responses(404), summary="Read a calendar")
async def read_calendar(calendars: Calendars, name: CalendarName, owner: OwnerQuery = "") -> CalendarOut:
    """Return a calendar with its days."""
    return CalendarOut.of(await calendars.get(name, owner=owner))


@router.put("/{name}", responses=error_responses(404), summary="Create or replace a calendar")
async def put_calendar(
    calendars: Calendars, name: CalendarName, body: CalendarRequest, owner: OwnerQuery = ""
) -> CalendarResult:
    """Give a calendar these days, and copy them into the tasks that use it; a request looks at 5,000."""
    return CalendarResult.of(await calendars.save(name, body.entries, owner=owner))


@router.post("/{name}/refresh", responses=error_responses(404), summary="Copy a calendar into its tasks")
async def refresh_calendar(
    calendars: Calendars, name: CalendarName, owner: OwnerQuery = ""
) -> CalendarResult:
    """Go on copying the days into the tasks that use the calendar, until `complete` is true."""
    return CalendarResult.of(await calendars.refresh(name, owner=owner))


@router.delete("/{name}", status_code=204, responses=error_responses(404, 409), summary="Remove a calendar")
async def delete_calendar(calendars: Calendars, name: CalendarName, owner: OwnerQuery = "") -> None:
    """Remove a calendar; refused with their names while tasks use it."""
    await calendars.remove(name, owner=owner)
