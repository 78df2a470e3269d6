"""A heartbeat's address over a real store: what calls write, what they cost, what strangers get."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest

from functions.app.application import App
from functions.config.settings import Settings
from functions.domain.capacity.time_budget import TimeBudget
from functions.domain.task import Task
from functions.web.factory import build_api_app
from tests.support.clock import Clock
from tests.unit.web.api.conftest import ADMIN, Call
from tests.unit.web.asgi import call

MINUTE = timedelta(minutes=1)
BACKUP = {
    "id": "backup",
    "title": "Nightly backup",
    "type": "heartbeat",
    "schedule": "0 13 * * *",
    "params": {"graceSeconds": 600},
}
BUDGET = TimeBudget(timedelta(seconds=5), timedelta(seconds=10))


@pytest.fixture
async def path(api: Call) -> str:
    """The path of the address of a new heartbeat."""
    made = await api("POST", "/api/tasks", BACKUP)
    assert made.status == 201, made.body
    return await address_path(api)


async def address_path(api: Call) -> str:
    given = (await api("GET", "/api/tasks/backup/heartbeat")).json
    assert given["address"].startswith("https://cronfire.example.com/ping/")
    return urlsplit(str(given["address"])).path


async def stored(wired: App) -> Task:
    return (await wired.store.get_tasks(["backup"])).tasks[0].task


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
async def test_a_call_costs_one_read_and_one_write(
    api: Call, path: str, wired: App, clock: Clock, method: str
) -> None:
    clock.now += 61 * MINUTE
    await api("GET", "/ping/warm.up", key=None)
    with wired.store.count_operations() as counted:
        called = await api(method, path, key=None)
    assert (called.status, called.body) == (200, b"" if method == "HEAD" else b"OK\n")
    assert (counted.reads, counted.writes) == (1, 1)
    assert (await stored(wired)).last_outcome == "succeeded"


async def test_guesses_cost_no_read(api: Call, path: str, wired: App) -> None:
    guesses = ["/ping/backup", "/ping/a.b", f"{path}0", path.upper(), f"{path}/stop", f"{path}/--1"]
    guesses += [
        f"{path}/{2**32}",
        f"{path}/-{2**31 + 1}",
        f"{path}/²",
        f"{path}//",
        "/ping/",
        f"/ping/{'x' * 500}",
        "/ping/%F0%9F%94%91.x",
        f"/ping/.{'0' * 32}",
    ]
    with wired.store.count_operations() as counted:
        found = [(await api("GET", guess, key=None)).status for guess in guesses]
    assert set(found) <= {404, 422}
    assert (counted.reads, counted.writes) == (0, 0)


@pytest.mark.parametrize("code", ["256", "-1", "3221225786"])
async def test_exit_codes_of_windows_have_32_bits(api: Call, path: str, code: str) -> None:
    called = await api("GET", f"{path}/{code}", key=None)

    [run] = (await api("GET", "/api/runs?task=backup")).json["runs"]
    assert (200, "failed") == (called.status, run["outcome"])
    assert f"Ended with exit code {code}" == run["summary"]


@pytest.mark.parametrize("what", ["/", "/start/", "/fail/"])
async def test_a_slash_at_the_end_loses_no_call(api: Call, path: str, what: str) -> None:
    assert 200 == (await api("POST", f"{path}{what}", key=None)).status


async def test_the_whole_of_a_run(api: Call, path: str, wired: App, clock: Clock) -> None:
    clock.now += 60 * MINUTE
    await api("POST", f"{path}/start?rid=n1", key=None, raw=b"begins")
    given = (await api("GET", "/api/tasks/backup/heartbeat")).json
    assert given["openRuns"] == [{"runId": "n1", "startedAt": "2026-11-20T13:00:00Z"}]
    assert given["missingAt"] == "2026-11-21T13:10:00Z"
    [current] = (await api("GET", "/api/runs?task=backup")).json["current"]
    assert (current["state"], current["trigger"]) == ("running", "ping")

    clock.now += 5 * MINUTE
    await api("POST", f"{path}/log?rid=n1", key=None, raw=b"half of it")
    await api("POST", f"{path}/3?rid=n1", key=None, raw=b"disk full\n")
    [run] = (await api("GET", "/api/runs?task=backup")).json["runs"]
    assert run["summary"] == "Ended with exit code 3: disk full"
    assert run["metrics"] == {"output": "begins\nhalf of it\ndisk full", "exitCode": 3}
    assert (run["duration"], run["outcome"]) == (300_000, "failed")


async def test_a_missing_call_is_found_by_a_tick_and_a_late_one_recovers(
    api: Call, path: str, wired: App, clock: Clock
) -> None:
    clock.now += 69 * MINUTE
    assert (await wired.tick(BUDGET))["due"] == 0
    clock.now += MINUTE
    report = await wired.tick(BUDGET)
    assert (report["due"], report["failed"]) == (1, 1)
    shown = (await api("GET", "/api/tasks/backup")).json
    assert shown["lastError"].startswith("No call at 2026-11-20 13:00 UTC")
    assert shown["consecutiveFailures"] == 1

    await api("GET", path, key=None)
    runs = (await api("GET", "/api/runs?task=backup")).json["runs"]
    assert [run["outcome"] for run in runs] == ["succeeded", "failed"]
    assert (await stored(wired)).consecutive_failures == 0


async def test_of_a_call_and_a_tick_at_once_one_counts(
    api: Call, path: str, wired: App, clock: Clock
) -> None:
    """The verdict of a tick that read the task before the call came is void."""
    clock.now += 70 * MINUTE
    store: Any = wired.store
    write = store.write_with_runs
    called: list[int] = []

    async def call_first(*args: Any) -> Any:
        store.write_with_runs = write
        called.append((await api("GET", path, key=None)).status)
        return await write(*args)

    store.write_with_runs = call_first
    await wired.tick(BUDGET)
    assert called == [200]
    assert (await api("GET", "/api/runs?task=backup")).json["runs"] == []
    task = await stored(wired)
    assert (task.last_outcome, task.consecutive_failures) == ("succeeded", 0)


async def test_an_address_that_was_revoked_is_nothing(api: Call, path: str, wired: App) -> None:
    renewed = await api("POST", "/api/tasks/backup/heartbeat")
    assert renewed.status == 200
    assert (await api("GET", path, key=None)).status == 404
    assert (await api("GET", await address_path(api), key=None)).status == 200
    trail = (await api("GET", "/api/tasks/backup/audit")).json["entries"]
    assert [one["note"] for one in trail if one["verb"] == "edited"] == ["another address to call"]


async def test_a_later_task_of_the_same_id_has_another_address(api: Call, path: str, clock: Clock) -> None:
    await api("DELETE", "/api/tasks/backup")
    clock.now += MINUTE
    await api("POST", "/api/tasks", BACKUP)
    assert (await api("GET", path, key=None)).status == 404
    await api("PATCH", "/api/tasks/backup", {"type": "http", "params": {"url": "https://example.com"}})
    assert (await api("GET", "/api/tasks/backup/heartbeat")).status == 409


async def test_reading_the_address_takes_the_scope_run(
    api: Call, path: str, make_key: Callable[..., Awaitable[str]]
) -> None:
    reader, runner = await make_key("read"), await make_key("read", "run")
    assert (await api("GET", "/api/tasks/backup/heartbeat", key=reader)).status == 403
    assert (await api("GET", "/api/tasks/backup/heartbeat", key=runner)).status == 200
    assert (await api("POST", "/api/tasks/backup/heartbeat", key=runner)).status == 403


@pytest.mark.slow
async def test_too_many_calls_are_refused_and_others_are_not(api: Call, path: str, clock: Clock) -> None:
    await api("POST", "/api/tasks", BACKUP | {"id": "other"})
    other = urlsplit((await api("GET", "/api/tasks/other/heartbeat")).json["address"]).path
    found = [(await api("GET", path, key=None)) for _ in range(32)]
    assert [one.status for one in found] == [200] * 30 + [429] * 2
    assert int(found[-1].headers["retry-after"]) >= 1
    assert (await api("GET", other, key=None)).status == 200
    clock.now += MINUTE
    assert (await api("GET", path, key=None)).status == 200


@pytest.mark.parametrize(
    "chunks",
    [
        [b"x" * 60_000] * 30 + [b"\nthe end"],  # more than is read
        [b"\xff\xfe\x00bytes \xf0\x9f", b"\x8d\x80"],
        ["界".encode() * 20_000],
        [b"a\r\nb\r\n"],
    ],
)
async def test_a_call_is_not_refused_for_its_body(
    api: Call, path: str, wired: App, clock: Clock, chunks: list[bytes]
) -> None:
    app = build_api_app(
        Settings.from_env({"API_KEY": ADMIN}, serves_http=False), wired, clock=lambda: clock.now.timestamp()
    )
    answer = await call(app, "POST", f"{path}/fail", chunks=chunks)
    assert answer.status == 200
    [run] = (await api("GET", "/api/runs?task=backup")).json["runs"]
    assert 0 < len(run["metrics"]["output"]) <= 8000


async def test_a_secret_in_the_output_is_masked(api: Call, path: str, wired: App) -> None:
    padding = "y" * 7_990
    await api("POST", f"{path}/fail", key=None, raw=f"key is {ADMIN}\n{padding}".encode())
    task = await stored(wired)
    [run] = await wired.store.runs(task_id="backup")
    assert ADMIN[-10:] not in f"{run.metrics} {run.summary} {task.last_error} {task.heartbeat}"


async def test_calls_of_a_paused_task_say_so(api: Call, path: str, wired: App) -> None:
    await api("POST", "/api/tasks/backup/pause")
    assert (await api("GET", path, key=None)).body == b"OK, but backup is paused\n"
    assert (await stored(wired)).recent == ""


async def test_bad_run_ids_are_refused_with_a_reason(api: Call, path: str) -> None:
    for run_id in ("x" * 65, "a b", "a%00"):
        assert (await api("GET", f"{path}?rid={run_id}".replace(" ", "%20"), key=None)).status in (400, 422)


async def test_run_now_is_refused(api: Call, path: str) -> None:
    refused = await api("POST", "/api/tasks/backup/run")
    assert refused.status == 409
    assert "its program calls its address" in refused.json["detail"]
