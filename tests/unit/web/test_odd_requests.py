"""Requests no sane client sends, to every route of the program: 4xx with a reason, and nothing is changed.

Routes and their parameters are taken from the program itself, so one that is added is in the sweep.
"""

import json
import re
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import pytest
from fastapi.routing import APIRoute

from functions.app.application import App
from functions.domain.storage import DocumentKind, TaskFilter
from tests.unit.web.api.conftest import HEALTH, Call, api, clock, make_key, wired
from tests.unit.web.dashboard.conftest import make_browser
from tests.unit.web.routes import all_routes

__all__ = ["api", "clock", "make_key", "wired"]

NO_TEXT = ("%00", "a%00b", "%ED%A0%80", "%FF%FE")  # NUL, half of a surrogate pair, no UTF-8
NO_NUMBER = ("9" * 19, "1" + "0" * 30, "9" * 400, "-1", "NaN", "Infinity", "1e309", "%D9%A1")
NO_INSTANT = ("9999-12-31", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "9" * 30)
NO_CURSOR = ("9" * 400, "99999999999999999999~0", "-1~0", "~", "9999-12-31")
PUBLIC = ("/docs/{name}", "/docs", "/docs/start.js", "/dashboard/icon.svg", "/dashboard/style.css")


def routes() -> list[APIRoute]:
    return [one for one in all_routes() if one.path not in PUBLIC]


def test_no_name_has_the_address_of_another_page() -> None:
    """A task whose id is `new` had no page: there was the form of a new one."""
    known = all_routes()
    hidden = [
        (fixed.path, named.path)
        for fixed in known
        for named in known
        if "{" not in fixed.path and "{" in named.path and named.path_regex.fullmatch(fixed.path)
        if set(fixed.methods or ()) & set(named.methods or ())
    ]

    assert {("/docs/start.js", "/docs/{name}")} == set(hidden), "ours, all of them"


def odd_queries(route: APIRoute) -> Iterator[tuple[str, bool]]:
    """Queries with one odd value each, and whether the value can be meant: then it may find nothing."""
    for param in route.dependant.query_params:
        kind = str(param.field_info.annotation)
        name = param.alias
        yield from ((f"{name}={text}", False) for text in NO_TEXT)
        yield from ((f"{name}={text}", True) for text in ("\\ud800", "-1", "9" * 400, "NaN", ""))
        if "int" in kind or "float" in kind:
            yield from ((f"{name}={text}", False) for text in NO_NUMBER)
        if "atetime" in kind:
            yield from ((f"{name}={text}", False) for text in NO_INSTANT)
        if name in ("cursor", "after", "limit"):
            yield from ((f"{name}={text}", route.path != "/api/runs") for text in NO_CURSOR)


def required(route: APIRoute, odd: str) -> list[str]:
    """The other parameters that a request needs, so that the odd one is what it is about."""
    known = {"schedule": "daily", "task": "front"}
    declared = {param.alias for param in route.dependant.query_params} - {odd.partition("=")[0]}
    return [f"{name}={value}" for name, value in known.items() if name in declared]


def filled(path: str, text: str) -> str:
    return re.sub(r"\{[^}]+\}", text, path)


async def everything(app: App) -> str:
    """All that is stored but runs, which only ticks write."""
    tasks = await app.store.list_tasks(TaskFilter(), limit=1000)
    kinds: Iterable[DocumentKind] = get_args(DocumentKind)
    documents = [
        (one.kind, one.id, str(one.revision), json.dumps(dict(one.data), sort_keys=True, default=str))
        for kind in kinds
        if kind != "meta"
        for one in await app.store.list_documents(kind, limit=1000)
    ]
    return json.dumps([[str(one.revision), one.task.model_dump_json()] for one in tasks.tasks] + documents)


@pytest.fixture
async def world(wired: App, api: Call) -> App:
    assert 201 == (await api("POST", "/api/tasks", HEALTH | {"id": "front"})).status
    return wired


class Asker:
    """Sends a request to a route as its user would: with a key, or signed in."""

    def __init__(self, app: App, api: Call) -> None:
        self._api = api
        self._browser = make_browser(app)()

    async def sign_in(self) -> None:
        await self._browser.sign_in()

    async def __call__(self, method: str, target: str, body: bytes | None = None, **typed: str) -> Any:
        if not target.startswith("/dashboard"):
            content = {"Content-Type": "application/json"} if body is not None else {}
            return await self._api(method, target, raw=body or b"", headers=content)
        return await (self._browser.get(target) if method == "GET" else self._browser.post(target, **typed))


@pytest.mark.slow
async def test_odd_values_in_queries_are_refused_and_change_nothing(
    world: App, api: Call, clock: Any
) -> None:
    ask, wrong = Asker(world, api), []
    await ask.sign_in()
    before = await everything(world)

    for route in routes():
        method = min(route.methods or ())
        for odd, may_mean in odd_queries(route):
            target = f"{filled(route.path, 'front')}?{'&'.join([odd, *required(route, odd)])}"
            clock.now += timedelta(seconds=1)  # within the rate of one caller
            answer = await ask(method, target, b"{}" if method in ("POST", "PUT", "PATCH") else None)
            if answer.status >= 500 or (answer.status < 400 and not may_mean):
                wrong.append((answer.status, method, target[:100]))
            elif answer.status >= 400 and "/api/" in target:
                assert answer.status == answer.json["status"]
                assert answer.json["detail"]

    assert [] == wrong
    assert before == await everything(world)


ODD_IDS = (*NO_TEXT, "9" * 400, "-1", "..%2F..", "%F0%9F%98%80", "owner.front", "%C3%A4", "%20", "'%22%3C")
BODIES: dict[str, Any] = {
    "PUT /api/tasks/{id}": HEALTH,
    "PATCH /api/tasks/{id}": {"title": "Changed"},
    "POST /api/tasks/{id}/backfill": {"from": "2026-11-20T00:00:00Z", "to": "2026-11-20T11:00:00Z"},
    "PUT /api/owners/{id:path}": {"monthlyCredits": -1},  # any other name may have an account
    "PATCH /api/channels/{name}": {"enabled": True},
}


@pytest.mark.slow
async def test_odd_ids_in_paths_are_refused_and_change_nothing(world: App, api: Call, clock: Any) -> None:
    ask, wrong = Asker(world, api), []
    await ask.sign_in()
    before = await everything(world)

    for route in routes():
        for method in route.methods or ():
            for odd in ODD_IDS if "{" in route.path else ():
                clock.now += timedelta(seconds=1)
                body = (
                    BODIES.get(f"{method} {route.path}", {}) if method in ("POST", "PUT", "PATCH") else None
                )
                sent = None if body is None else json.dumps(body).encode()
                answer = await ask(method, filled(route.path, odd), sent)
                if not 400 <= answer.status < 500 and not (route.path.startswith("/dashboard/channels")):
                    wrong.append((answer.status, method, filled(route.path, odd)[:100]))
                elif route.path.startswith("/api/"):
                    assert answer.status == answer.json["status"]

    assert [] == wrong
    assert before == await everything(world)


TEMPLATES = Path(__file__).parents[3] / "functions" / "web" / "dashboard" / "templates"
FIELDS = sorted(
    {
        name
        for page in TEMPLATES.glob("*.html")
        for name in re.findall(r'[ "]name="([A-Za-z_.]+)"', page.read_text(encoding="utf-8"))
    }
    - {"csrf_token", "viewport"}
)


@pytest.mark.slow
async def test_odd_texts_in_forms_are_refused_and_change_nothing(world: App, api: Call, clock: Any) -> None:
    ask, wrong = Asker(world, api), []
    await ask.sign_in()
    before = await everything(world)
    good = {"do": "save", "title": "New", "type": "health_check_url", "schedule": "@daily", "scope": "read"}
    good |= {"name": "new", "param.url": "https://example.com/"}
    posts = [
        route.path for route in routes() if "POST" in (route.methods or ()) and "/dashboard" in route.path
    ]

    for path in (one for one in posts if one not in ("/dashboard/sign-in", "/dashboard/sign-out")):
        for field in FIELDS:
            clock.now += timedelta(seconds=1)
            answer = await ask("POST", filled(path, "front"), **good | {field: "a\0b"})
            if not 400 <= answer.status < 500:
                wrong.append((answer.status, path, field))

    assert [] == wrong
    assert before == await everything(world)


async def test_an_unknown_method_is_told_all_that_an_address_has(api: Call) -> None:
    """RFC 9110, 15.5.6. Several routes share most addresses, and each knows its own methods alone."""
    wrong: list[str] = []
    all_of_them = routes()
    for path in sorted({route.path for route in all_of_them}):
        methods = {method for one in all_of_them if one.path == path for method in one.methods or ()}
        expected = methods | ({"HEAD"} if "GET" in methods else set())
        answer = await api("PROPFIND", filled(path, "1"))
        allowed = set(answer.headers.get("allow", "").split(", "))
        if answer.status != 405 or not expected <= allowed:
            wrong.append(f"{path}: {answer.status}, {sorted(allowed)} for {sorted(expected)}")

    assert [] == wrong
