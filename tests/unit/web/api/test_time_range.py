"""One domain of time: years 1970 to 9000 at every entrance, refused by the field's name."""

import base64
from typing import Any

import pytest

from functions.app.application import App
from functions.domain.storage import TaskFilter
from tests.unit.web.api.conftest import HEALTH, Call, api, clock, make_key, wired

__all__ = ["api", "clock", "make_key", "wired"]

OUT_OF_RANGE = (
    "1969-12-31T23:59:59Z",
    "9001-01-01T00:00:00Z",
    "9999-12-31T23:00:00Z",
    "0001-01-01T00:00:00+14:00",
)
IN_RANGE = ("1970-01-01T00:00:00Z", "9000-12-30T23:00:00Z")
REFUSAL = "is out of range; use a year from 1970 to 9000"


def encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def bodies(at: str) -> dict[str, tuple[str, str, Any]]:
    """What is asked, by the field with the instant."""
    event = {"type": "shop.opened", "time": at}
    return {
        "startAt": ("POST", "/api/tasks", HEALTH | {"startAt": at}),
        "endAt": ("POST", "/api/tasks", HEALTH | {"endAt": at}),
        "until": ("POST", "/api/tasks/shop-front-answers/pause", {"until": at}),
        "from": (
            "POST",
            "/api/tasks/shop-front-answers/backfill",
            {"from": at, "to": "2026-11-20T12:00:00Z"},
        ),
        "to": ("POST", "/api/tasks/shop-front-answers/backfill", {"from": "2026-11-20T11:00:00Z", "to": at}),
        "expiresAt": ("POST", "/api/keys", {"name": "x", "scopes": ["read"], "expiresAt": at}),
        "time": ("POST", "/api/events", event),
        "since": ("GET", f"/api/runs?since={at.replace('+', '%2B')}", None),
        "after": ("GET", f"/api/schedule/preview?schedule=@daily&after={at.replace('+', '%2B')}", None),
    }


@pytest.mark.parametrize("at", OUT_OF_RANGE)
@pytest.mark.parametrize("field", bodies(""))
async def test_an_instant_out_of_range_is_refused_by_its_name(
    api: Call, wired: App, field: str, at: str
) -> None:
    await api("POST", "/api/tasks", HEALTH)

    answer = await api(*bodies(at)[field])

    assert 422 == answer.status, answer.body
    assert REFUSAL in answer.body.decode()
    assert field in answer.body.decode()
    assert 1 == len((await wired.store.list_tasks(TaskFilter(), limit=9)).tasks)


@pytest.mark.parametrize("offset", ["+02:00", "+0200", "%2B02:00"])
async def test_a_plus_in_an_address_is_the_plus_of_an_offset(api: Call, offset: str) -> None:
    """A form's query has it for a space, and curl and `isoformat()` send it as it is."""
    at = f"2027-03-01T08:30:00{offset}"
    previews = [
        await api("GET", f"/api/schedule/preview?schedule=@hourly&count=1&{name}={at}")
        for name in ("after", "startAt")
    ]
    runs = await api("GET", f"/api/runs?since={at}&before=2027-03-01T09:30:00{offset}")

    assert ["2027-03-01T07:00:00Z"] * 2 == [one.json["next"][0]["utc"] for one in previews]
    assert 200 == runs.status, runs.body


@pytest.mark.parametrize("at", IN_RANGE)
@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
async def test_the_first_and_the_last_are_shown_in_every_zone(api: Call, at: str, zone: str) -> None:
    made = await api(
        "POST", "/api/tasks", HEALTH | {"startAt": at, "timezone": zone, "expectSeconds": 31_536_000}
    )
    preview = await api("GET", f"/api/schedule/preview?schedule=@daily&after={at}&timezone={zone}")

    assert (201, 200) == (made.status, preview.status)
    assert [] == (await api("GET", "/api/tasks")).json["unreadable"]


@pytest.mark.parametrize("micros", ["-1", "9" * 18, "253402300799000000", "x", "²"])
async def test_a_cursor_out_of_range_is_refused(api: Call, micros: str) -> None:
    page = await api("GET", f"/api/runs?cursor={encoded(f'{micros} 1')}")
    run = await api("GET", f"/api/runs/{encoded(f'{micros} ping@2026-11-20T12:00:00Z#1')}")

    assert (422, 404) == (page.status, run.status)
