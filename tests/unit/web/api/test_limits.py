"""What one request may cost: records read, and the time that the loop is kept."""

import asyncio
import time
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from functions.app.application import App
from functions.domain.run import Run
from functions.domain.storage import RunBatch
from functions.web.api.runs import MAX_RUNS_READ
from functions.web.app import with_limits
from tests.conftest import NOON
from tests.unit.web.api.conftest import ADMIN, Call
from tests.unit.web.asgi import call as asgi_call

pytestmark = pytest.mark.slow  # many requests, or many files: seconds of a processor together

STALL_LIMIT_S = 0.25
ROOM = 5  # times the limit: other work shares the machine


def make_run(number: int, outcome: str) -> Run:
    """A run that finished *number* minutes before noon."""
    at = NOON - timedelta(minutes=number)
    return Run.model_validate(
        {
            "task_id": "water-plants",
            "occurrence": at,
            "attempt": 1,
            "token": "ab.1",
            "outcome": outcome,
            "started_at": at,
            "finished_at": at,
        }
    )


async def _fill(wired: App, *outcomes: str) -> None:
    runs = [make_run(number, outcome) for number, outcome in enumerate(outcomes)]
    for at in range(0, len(runs), 100):
        await wired.store.write_with_runs(RunBatch(f"tick.{at}", NOON, tuple(runs[at : at + 100])), [])


@pytest.fixture
def counted(wired: App, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many records each read of the store returned."""
    counts: list[int] = []
    read = wired.store.runs

    async def count(**limits: Any) -> list[Run]:
        found = await read(**limits)
        counts.append(len(found))
        return found

    monkeypatch.setattr(wired.store, "runs", count)
    return counts


async def test_rare_outcome_is_found_in_bounded_steps(api: Call, wired: App, counted: list[int]) -> None:
    await _fill(wired, *["succeeded"] * (2 * MAX_RUNS_READ + 10), "cancelled")
    found, target, requests = [], "/api/runs?outcome=cancelled&limit=1", 0
    cursor: str | None = ""

    while cursor is not None:
        counted.clear()
        page = (await api("GET", target + (f"&cursor={cursor}" if cursor else ""))).json
        found += page["runs"]
        cursor = page["next"]
        requests += 1
        assert sum(counted) <= MAX_RUNS_READ * 1.1  # the last moment of each read is read twice
        assert len(counted) <= 20

    assert ["cancelled"] == [run["outcome"] for run in found]
    assert 3 <= requests <= 4


async def test_no_record_is_lost_or_repeated_by_pages_of_a_filter(api: Call, wired: App) -> None:
    await _fill(wired, *["failed", "succeeded", "succeeded"] * 300)
    found: list[str] = []
    cursor: str | None = ""

    while cursor is not None:
        page = (await api("GET", "/api/runs?outcome=failed&limit=7" + (cursor and f"&cursor={cursor}"))).json
        found += [run["id"] for run in page["runs"]]
        cursor = page["next"]

    assert 300 == len(found) == len(set(found))


NEVER = "*/30 2 25-31 3 */7"  # in Berlin the clocks go forward in each of these hours


@pytest.mark.parametrize("expression", [NEVER, "0 0 29 2 */7", "0 0 * 2 1#5", "59 23 31 12 *", "* * * * *"])
@pytest.mark.parametrize("zone", ["Europe/Berlin", "Africa/Casablanca", "Australia/Lord_Howe"])
@pytest.mark.parametrize("after", ["1970-01-01T00:00:00Z", "2026-11-20T12:00:00Z", "8999-01-01T00:00:00Z"])
async def test_preview_of_a_rare_schedule_keeps_nobody_waiting(
    api: Call, expression: str, zone: str, after: str
) -> None:
    began = time.process_time()

    answer = await api(
        "GET",
        f"/api/schedule/preview?schedule={quote(expression)}&timezone={zone}&count=100&after={after}",
    )

    assert 200 == answer.status
    assert time.process_time() - began < ROOM * STALL_LIMIT_S


TASK = (
    '{"id": "odd", "title": "Odd", "type": "http", "schedule": "daily", "timezone": "UTC", '
    '"params": {"url": "https://example.com"}, %s}'
)
ODD_BODIES = (
    ("POST", "/api/tasks", TASK % '"description": "\\ud800"'),
    ("POST", "/api/tasks", TASK % '"description": "a\\u0000b"'),
    ("POST", "/api/tasks", TASK % '"tags": ["\\udfff"]'),
    ("POST", "/api/tasks", TASK % '"tags": ["a\\u0000"]'),
    ("POST", "/api/tasks", TASK % '"timeoutSeconds": NaN'),
    ("POST", "/api/tasks", TASK % '"timeoutSeconds": Infinity'),
    ("POST", "/api/tasks", TASK % '"timeoutSeconds": 1e400'),
    ("POST", "/api/tasks", TASK % '"maxRuns": 9999999999999999999'),
    ("POST", "/api/tasks", TASK % f'"maxRuns": {"9" * 5000}'),
    ("POST", "/api/tasks", TASK % '"jitterSeconds": -9999999999999999999'),
    ("POST", "/api/tasks", TASK % '"\\ud800": 1'),
    ("POST", "/api/tasks", TASK % '"owner": "\\ud800"'),
    ("POST", "/api/tasks", TASK % '"startAt": "9999-12-31T23:00:00Z"'),
    ("PUT", "/api/owners/odd", '{"monthlyCredits": NaN}'),
    ("PUT", "/api/owners/odd", '{"monthlyCredits": 9999999999999999999}'),
    ("PUT", "/api/owners/odd", '{"monthlyCredits": -5}'),
    ("PUT", "/api/owners/odd", '{"plan": "\\ud800"}'),
    ("POST", "/api/keys", '{"name": "\\ud800", "scopes": ["read"]}'),
    ("POST", "/api/keys", '{"name": "a\\u0000", "scopes": ["read"]}'),
    ("POST", "/api/events", '{"type": "\\ud800", "source": "x"}'),
    ("POST", "/api/events", '{"type": "a.b", "data": {"a": NaN}}'),
    ("POST", "/api/events", '{"type": "a.b", "data": {"\\ud800": "\\udc00"}}'),
    ("POST", "/api/events", '{"type": "a\\u0000b", "source": "x"}'),
    ("POST", "/api/tasks/pause", '{"tag": "\\ud800"}'),
    ("POST", "/api/tasks/pause", '{"tag": "a\\u0000"}'),
)


@pytest.mark.parametrize(("method", "path", "body"), ODD_BODIES)
async def test_odd_value_in_a_body_is_refused_and_changes_nothing(
    api: Call, method: str, path: str, body: str
) -> None:
    async def read_all() -> list[Any]:
        return [(await api("GET", f"/api/{each}")).json for each in ("tasks", "owners", "keys", "runs")]

    before = await read_all()
    answer = await api(method, path, raw=body.encode(), headers={"Content-Type": "application/json"})

    assert 400 <= answer.status < 500
    assert answer.status == answer.json["status"]
    assert before == await read_all()


@pytest.mark.parametrize("attribute", ["type", "id", "source", "subject"])
@pytest.mark.parametrize("value", ["a%00b", "%ED%A0%80%00"])
async def test_odd_attribute_of_an_event_in_a_header_is_refused(
    api: Call, attribute: str, value: str
) -> None:
    headers = {"ce-specversion": "1.0", "ce-type": "a.b", "ce-source": "x", "ce-id": "1"}

    answer = await api("POST", "/api/events", {}, headers=headers | {f"ce-{attribute}": value})

    assert 422 == answer.status


@pytest.mark.parametrize("name", ["Idempotency-Key", "If-Match", "Authorization", "X-Forwarded-For"])
@pytest.mark.parametrize("value", ["\x00", "\xff\xfe", "9" * 8000, '"-1"', '"99999999999999999999"'])
async def test_odd_header_is_never_an_error_of_ours(api: Call, name: str, value: str) -> None:
    for method, path in (("POST", "/api/tasks"), ("PATCH", "/api/tasks/none"), ("GET", "/api/tasks")):
        key = None if name == "Authorization" else ADMIN
        answer = await api(method, path, key=key, headers={name: value}, raw=b"{}")

        assert answer.status < 500


async def test_of_large_bodies_that_arrive_together_one_is_read_in_a_round_of_the_loop() -> None:
    """One takes up to 0.1 s: forty at once kept everybody waiting for all of them."""
    rounds, is_over = 0, False

    async def count_rounds() -> None:
        nonlocal rounds
        while not is_over:
            rounds += 1
            await asyncio.sleep(0)

    async def read_in(body: bytes) -> int:
        answer = await asgi_call(app, "POST", "/", body=body)
        return int(answer.body)

    async def answer_with_the_round(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["more_body"]:
            pass
        await PlainTextResponse(str(rounds))(scope, receive, send)

    app = with_limits(answer_with_the_round)
    counting = asyncio.create_task(count_rounds())
    small = await asyncio.gather(*(read_in(b"x") for _ in range(10)))
    large = await asyncio.gather(*(read_in(b"x" * 60_000) for _ in range(10)))
    is_over = True
    await counting

    assert (1, 10) == (len(set(small)), len(set(large)))


async def test_of_a_query_of_thousands_of_names_a_few_are_named(api: Call) -> None:
    """A suggestion for each took 0.7 s, and the answer was a hundred times the query."""
    names = "&".join(f"a{number}=1" for number in range(6000))

    answer = await api("GET", f"/api/schedule/preview?{names}")

    assert (422, 20) == (answer.status, len(answer.json["errors"]))
    assert len(answer.body) < 5000
