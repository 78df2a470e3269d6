"""The function as it is deployed: a real server process, a real store, real tasks over HTTP."""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from functions.domain.storage import ConditionalWrite, VersionedTask
from functions.domain.task import TaskSpec
from functions.interfaces import Store
from functions.services.apply import apply_plan
from functions.stores import create_store
from tests.support.firestore_emulator import emulator_host, fresh_project
from tests.support.serving import ROOT, answered, serving

SECRET = "a-secret-of-the-tests-with-32-characters"
DUE = 200
HOURLY = "every 1h"  # counted from its creation: no test meets the next one, whatever the clock says
CREATED = timedelta(minutes=70)  # ago: due ten minutes ago, and again in fifty


@pytest.fixture(params=["sqlite", pytest.param("firestore", marks=pytest.mark.emulator)])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/e2e.db"
    emulator_host()
    return f"firestore://{fresh_project()}"


@pytest.fixture
async def calls() -> AsyncIterator[tuple[str, Counter[str]]]:
    """A server on loopback that counts how often each path was asked for."""
    counted: Counter[str] = Counter()

    async def answer(request: web.Request) -> web.Response:
        counted[request.path] += 1
        await asyncio.sleep(0.02)
        return web.Response(status=503 if request.path == "/broken" else 200)

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    yield f"http://127.0.0.1:{port}", counted
    await runner.cleanup()


@asynccontextmanager
async def _serving(store_url: str, folder: Path) -> AsyncIterator[str]:
    """The function over *store_url*, ready to be pinged; its address."""
    variables = {"CRON_SECRET": SECRET, "STORE_URL": store_url, "ALLOW_PRIVATE_NETWORKS": "1"}
    emulator = os.environ.get("FIRESTORE_EMULATOR_HOST")
    if emulator:
        variables["FIRESTORE_EMULATOR_HOST"] = emulator
    with serving(ROOT / "main.py", folder, **variables) as address:
        async with aiohttp.ClientSession() as session:
            await answered(session, address)
        yield address


def _opened(store_url: str) -> Store:
    return create_store(store_url, emulator=os.environ.get("FIRESTORE_EMULATOR_HOST"))


async def _ping(address: str) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {SECRET}"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{address}/tick", headers=headers) as response,
    ):
        assert 200 == response.status
        report: dict[str, Any] = await response.json()
        return report


async def _ping_until_done(address: str, count: int) -> Counter[str]:
    """Ping until *count* tasks have ended, as a slow store makes a tick postpone work; sum the counts."""
    total: Counter[str] = Counter()
    async with asyncio.timeout(60):
        while total["succeeded"] + total["failed"] < count:
            report = await _ping(address)
            total.update({name: report[name] for name in ("started", "succeeded", "failed", "retrying")})
    return total


def _check(name: str, target: str) -> TaskSpec:
    return TaskSpec(
        id=f"check-{name}",
        title=f"Check {name}",
        type="health_check_url",
        params={"url": f"{target}/{name}"},
        schedule=HOURLY,
    )


async def _make_due(store_url: str, specs: list[TaskSpec]) -> None:
    """Apply *specs* of an hour's period as of a while ago, so that each is owed once."""
    store = _opened(store_url)
    await apply_plan(store, specs, origin="file", now=datetime.now(UTC) - CREATED, new_id=lambda: "e2e")
    await store.close()


async def _stored(store_url: str, ids: list[str]) -> list[VersionedTask]:
    store = _opened(store_url)
    found = await store.get_tasks(ids)
    await store.close()
    return list(found.tasks)


async def test_two_hundred_due_tasks_run_once_each_and_move_on(
    store_url: str, calls: tuple[str, Counter[str]], tmp_path: Path
) -> None:
    target, counted = calls
    specs = [_check(str(n), target) for n in range(DUE)]
    await _make_due(store_url, specs)

    async with _serving(store_url, tmp_path) as address:
        first = await _ping_until_done(address, DUE)
        pinged_at = datetime.now(UTC)
        second = await _ping(address)

    assert (DUE, DUE) == (first["started"], first["succeeded"])
    assert {f"/{n}": 1 for n in range(DUE)} == dict(counted)
    tasks = [stored.task for stored in await _stored(store_url, [spec.id for spec in specs])]
    assert all(task.next_run_at is not None and task.next_run_at > pinged_at for task in tasks)
    assert 0 == second["started"]


async def test_several_pings_at_once_run_nothing_twice(
    store_url: str, calls: tuple[str, Counter[str]], tmp_path: Path
) -> None:
    target, counted = calls
    await _make_due(store_url, [_check(str(n), target) for n in range(60)])

    async with _serving(store_url, tmp_path) as address:
        reports = await asyncio.gather(*(_ping(address) for _ in range(4)))

    assert {f"/{n}": 1 for n in range(60)} == dict(counted)
    assert 60 == sum(report["succeeded"] for report in reports)


async def test_one_ping_sees_success_failure_and_refusal_side_by_side(
    store_url: str, calls: tuple[str, Counter[str]], tmp_path: Path
) -> None:
    target, _ = calls
    common = {"type": "health_check_url", "schedule": HOURLY, "retry": {"maxAttempts": 1}}
    specs = [
        TaskSpec.model_validate({"title": "Fine", "params": {"url": f"{target}/fine"}, **common}),
        TaskSpec.model_validate({"title": "Broken", "params": {"url": f"{target}/broken"}, **common}),
        TaskSpec.model_validate(
            {"title": "Metadata", "params": {"url": "http://169.254.169.254/computeMetadata/v1/"}, **common}
        ),
    ]
    await _make_due(store_url, specs)

    async with _serving(store_url, tmp_path) as address:
        report = await _ping_until_done(address, 3)

    assert (1, 2) == (report["succeeded"], report["failed"])
    by_id = {
        stored.task.id: stored.task for stored in await _stored(store_url, ["fine", "broken", "metadata"])
    }
    assert "Answered 503, expected 200" == by_id["broken"].last_error
    assert "169.254" not in by_id["metadata"].last_error


async def test_a_second_process_takes_over_what_a_killed_one_had_claimed(
    tmp_path: Path, calls: tuple[str, Counter[str]]
) -> None:
    target, counted = calls
    url = f"sqlite:///{tmp_path}/dead.db"
    await _make_due(url, [_check("x", target)])
    store = _opened(url)
    now = datetime.now(UTC)
    [stored] = (await store.get_tasks(["check-x"])).tasks
    dead = {
        "status": "running",
        "occurrence": stored.task.next_occurrence,
        "attempt": 1,
        "claim": {"token": "dead.1", "until": now, "started_at": now - timedelta(minutes=1)},
        "next_run_at": now,
        "next_occurrence": now + timedelta(hours=1),
    }
    claimed = type(stored.task).model_validate(stored.task.model_dump() | dead)
    await store.write([ConditionalWrite(claimed, stored.revision)])
    await store.close()

    async with _serving(url, tmp_path) as address:
        report = await _ping(address)

    assert (1, {"/x": 1}) == (report["succeeded"], dict(counted))
