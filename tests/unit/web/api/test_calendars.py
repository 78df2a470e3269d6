"""Calendars over the API: kept, copied into tasks, refused with reasons, and each owner's own."""

import re
from datetime import datetime
from typing import Any

import pytest

from functions.app.application import App
from functions.domain.storage import Document
from tests.unit.web.api.conftest import HEALTH, Call

DAILY = HEALTH | {"id": "report", "schedule": "0 9 * * *", "timezone": "UTC"}
NEW_YEAR = {"entries": ["12-24..01-02"]}


async def next_days(api: Call, **query: Any) -> list[str]:
    path = "/api/schedule/preview?schedule=0+9+*+*+*&timezone=UTC&after=2026-12-22T12:00:00Z"
    found = await api("GET", path + "".join(f"&{name}={value}" for name, value in query.items()))
    assert found.status == 200, found.body
    return [one["utc"][:10] for one in found.json["next"]]


async def test_a_calendar_is_kept_listed_and_removed(api: Call) -> None:
    made = await api("PUT", "/api/calendars/company", {"entries": " 12-24..01-02 , Sat"})
    listed = await api("GET", "/api/calendars")
    removed = await api("DELETE", "/api/calendars/company")

    assert (200, 0, []) == (made.status, made.json["updated"], made.json["failed"])
    assert ["12-24..01-02", "sat"] == made.json["calendar"]["entries"]
    assert [made.json["calendar"]] == listed.json["calendars"]
    assert (True, "2026-11-20T12:00:00Z") == (
        listed.json["calendars"][0]["complete"],
        made.json["calendar"]["updatedAt"],
    )
    assert (204, 404) == (removed.status, (await api("GET", "/api/calendars/company")).status)


@pytest.mark.parametrize(
    ("name", "entries", "reason"),
    [
        ("company", ["2026-02-30"], "entries: "),
        ("company", [], "entries: company has none"),
        ("company", ["calendar:other"], "a calendar within a calendar"),
        ("company", ["holidays:XX"], "entries: .*there is"),
        ("company", ["sat"] * 501, "at most 500"),
        ("Company", ["sat"], "name: "),
        ("company", 7, "entries"),
    ],
)
async def test_a_wrong_calendar_is_refused(api: Call, name: str, entries: Any, reason: str) -> None:
    refused = await api("PUT", f"/api/calendars/{name}", {"entries": entries})

    assert refused.status == 422
    assert re.search(reason, refused.json["detail"]), refused.json


async def test_a_task_has_the_days_of_its_calendar_and_gets_new_ones(api: Call, wired: App) -> None:
    await api("PUT", "/api/calendars/company", {"entries": ["2026-11-21"]})
    made = await api("POST", "/api/tasks", DAILY | {"except": "calendar:company"})
    changed = await api("PUT", "/api/calendars/company", {"entries": ["2026-11-21..2026-11-23"]})
    same = await api("POST", "/api/calendars/company/refresh")
    read = await api("GET", "/api/tasks/report")

    assert "2026-11-22T09:00:00Z" == made.json["nextRunAt"]
    assert (1, 0) == (changed.json["updated"], same.json["updated"])
    assert "2026-11-24T09:00:00Z" == read.json["nextRunAt"]
    assert "Every day at 09:00, except on days of company" == read.json["scheduleText"]
    assert read.json["except"] == ["calendar:company"]


async def test_a_calendar_that_leaves_no_run_is_kept_from_its_tasks(api: Call) -> None:
    await api("PUT", "/api/calendars/company", {"entries": ["2026-11-21"]})
    await api("POST", "/api/tasks", DAILY | {"except": "calendar:company"})
    changed = await api("PUT", "/api/calendars/company", {"entries": ["01-01..12-31"]})
    whole = await api("POST", "/api/tasks", DAILY | {"id": "never", "except": "calendar:company"})

    assert (0, ["report"]) == (changed.json["updated"], [one["id"] for one in changed.json["failed"]])
    assert "next 20 years" in changed.json["failed"][0]["reason"]
    assert (422, True) == (whole.status, "next 20 years" in whole.json["detail"])
    assert "2026-11-22T09:00:00Z" == (await api("GET", "/api/tasks/report")).json["nextRunAt"]


async def test_a_calendar_in_use_is_not_removed(api: Call) -> None:
    await api("PUT", "/api/calendars/company", NEW_YEAR)
    await api("POST", "/api/tasks", DAILY | {"except": ["sat", {"calendar": "company"}]})

    refused = await api("DELETE", "/api/calendars/company")
    await api("PATCH", "/api/tasks/report", {"except": ["sat"]})
    removed = await api("DELETE", "/api/calendars/company")

    assert (409, True) == (refused.status, "report" in refused.json["detail"])
    assert 204 == removed.status
    assert [] == (await api("GET", "/api/tasks/report")).json["calendars"]


async def test_an_unknown_calendar_is_refused_with_those_that_exist(api: Call) -> None:
    await api("PUT", "/api/calendars/company", NEW_YEAR)

    refused = await api("POST", "/api/tasks", DAILY | {"except": "calendar:compamy"})

    assert 422 == refused.status
    assert "there is company" in refused.json["detail"]


@pytest.mark.parametrize(
    ("fields", "field", "reason"),
    [
        ({"except": ["holidays:LX"]}, "except", "there is"),
        ({"except": ["holidays:US-ZZ"]}, "except", "no part of US"),
        ({"except": ["2026-13-01"]}, "except", "not in the calendar"),
        ({"onExcluded": "later"}, "onExcluded", "skip"),
        ({"schedule": "every 6h", "onExcluded": "next"}, "onExcluded", "an interval"),
        ({"schedule": "first business day of month"}, "schedule", "at 09:00"),
    ],
)
async def test_wrong_days_of_a_task_are_refused_with_their_field(
    api: Call, fields: dict[str, Any], field: str, reason: str
) -> None:
    refused = await api("POST", "/api/tasks", DAILY | fields)

    problems = {one["field"]: one["reason"] for one in refused.json["errors"]}
    assert (422, True) == (refused.status, reason in problems.get(field, "")), refused.json


async def test_a_preview_knows_days_and_calendars(api: Call) -> None:
    await api("PUT", "/api/calendars/company", NEW_YEAR)

    assert ["2026-12-23", "2026-12-28"] == (await next_days(api, **{"except": "weekends,12-24..12-26"}))[:2]
    assert ["2026-12-23", "2027-01-03"] == (await next_days(api, **{"except": "calendar:company"}))[:2]
    moved = await next_days(api, **{"except": "calendar:company", "onExcluded": "next", "count": "2"})
    assert ["2026-12-23", "2027-01-04"] == moved
    unknown = await api("GET", "/api/schedule/preview?schedule=daily&except=calendar:x")
    assert (422, True) == (unknown.status, "no calendar" in unknown.json["detail"])


async def test_a_copy_that_was_cut_off_goes_on(api: Call, wired: App) -> None:
    await api("PUT", "/api/calendars/company", {"entries": ["2026-11-21"]})
    await api("POST", "/api/tasks", DAILY | {"except": "calendar:company"})
    [document] = await wired.store.get_documents("calendars", ["company"])
    data = {**document.data, "entries": ["2026-11-21", "2026-11-22"], "behind": ""}
    await wired.store.put_documents([Document("calendars", "company", data, document.revision)])

    before = await api("GET", "/api/calendars/company")
    done = await api("POST", "/api/calendars/company/refresh")

    assert (False, 1, True) == (
        before.json["complete"],
        done.json["updated"],
        done.json["calendar"]["complete"],
    )
    read = await api("GET", "/api/tasks/report")
    assert datetime.fromisoformat(read.json["nextRunAt"]).day == 23
