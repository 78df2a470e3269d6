"""What an address makes of a query parameter that it does not know: one rule for programs, one for links."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from fastapi.routing import APIRoute
from starlette.responses import PlainTextResponse

from functions.web.api.dependencies import ApiRoute
from functions.web.app import PAGES, TriggerApp
from functions.web.auth import Authenticator, SharedSecrets
from tests.unit.web.api.conftest import Call, api, clock, wired
from tests.unit.web.asgi import ask
from tests.unit.web.fakes import SECRET, FakeWired
from tests.unit.web.routes import all_routes

__all__ = ["api", "clock", "wired"]

MakeDoor = Callable[..., TriggerApp]
KEY = ("Authorization", f"Bearer {SECRET}")
PUSHED = ("/api/events", {"POST"})


def name(route: APIRoute) -> str:
    return f"{'/'.join(sorted(route.methods or ()))} {route.path}"


def test_every_address_for_programs_knows_its_parameters_and_no_page_refuses_any() -> None:
    routes = all_routes()

    strict = {name(route) for route in routes if isinstance(route, ApiRoute)}
    pages = {name(route) for route in routes if route.path.startswith(PAGES)}
    pushed = {name(route) for route in routes if (route.path, route.methods) == PUSHED}
    assert {name(route) for route in routes} - pages - pushed == strict
    assert 1 == len(pushed)


@pytest.mark.parametrize(
    "path", ["/openapi.json", "/status", "/metrics", "/mcp", "/api/types", "/api/tasks/front"]
)
async def test_an_address_of_the_api_names_the_parameter_that_it_does_not_know(api: Call, path: str) -> None:
    answer = await api("GET", f"{path}?onwer=ann")

    assert 422 == answer.status
    assert "onwer" == answer.json["errors"][0]["field"]
    assert "unknown parameter" in answer.json["errors"][0]["reason"]


@pytest.mark.parametrize(
    "path", ["/docs", "/docs/start.js", "/dashboard/sign-in", "/dashboard/icon.svg", "/task-file.schema.json"]
)
async def test_a_page_opens_with_what_a_mail_added_to_its_link(api: Call, path: str) -> None:
    answer = await api("GET", f"{path}?utm_source=mail&utm_campaign", key=None)

    assert 200 == answer.status


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/"), ("POST", "/tick"), ("POST", "/work"), ("GET", "/status"), ("HEAD", "/metrics")],
)
async def test_the_schedulers_own_addresses_refuse_a_parameter_and_do_nothing(
    make_door: MakeDoor, method: str, path: str
) -> None:
    """A tick with `?dryRun=true` ran all that was due."""
    wired = FakeWired()

    answer = await ask(make_door(wired), method, f"{path}?dryRun=true", KEY)

    assert (422, []) == (answer.status, wired.budgets)
    if method != "HEAD":
        assert "dryRun: unknown parameter; this address takes none" == answer.json["detail"]


async def test_a_probe_may_add_the_time_to_its_address(make_door: MakeDoor) -> None:
    assert 200 == (await ask(make_door(), "GET", "/healthz?_=1764450000")).status


async def test_a_browser_at_the_bare_address_is_led_on_whatever_its_link_has() -> None:
    door = TriggerApp(
        authenticator=Authenticator(SharedSecrets(SECRET)),
        build_app=FakeWired,
        response_limit=timedelta(seconds=24),
        build_api=lambda _: PlainTextResponse("the API"),
    )

    answer = await ask(door, "GET", "/?utm_source=mail", ("Accept", "text/html"))

    assert (302, "/dashboard") == (answer.status, answer.headers["location"])
