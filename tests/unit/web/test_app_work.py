"""A worker at the endpoint: whose share it does, for whom, in what time, and what it answers."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from starlette.requests import Request

from functions.app.factories import build_google_api
from functions.domain.sharding import WorkerAssignment, parse_assignment, split
from functions.errors import StoreUnavailableError
from functions.gcp.cloud_tasks import CloudTasksWorkerPool, QueueTarget
from functions.http_client.trusted import TrustedHttpClient
from functions.web.app import MAX_BODY_BYTES, TriggerApp
from functions.web.auth import GoogleTokenVerifier
from tests.conftest import NOON
from tests.fakes.cloud_tasks import FakeCloudTasks
from tests.unit.web.asgi import Answer, call
from tests.unit.web.fakes import ACCOUNT, AUDIENCE, SECRET, FakeWired, id_token

MakeDoor = Callable[..., TriggerApp]
KEY = ("Authorization", f"Bearer {SECRET}")
QUEUE = "projects/p/locations/l/queues/work"


async def ask(
    door: TriggerApp, body: bytes = b"", *headers: tuple[str, str], to: str = "POST /work", **how: Any
) -> Answer:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await (await door(Request(scope, receive)))(scope, receive, send)

    method, path = to.split()
    return await call(app, method, path, *headers, body=body, **how)


@pytest.mark.parametrize(
    ("body", "share"),
    [
        (b"", WorkerAssignment()),
        (b"{}", WorkerAssignment()),
        (b'{"shards": [0, 3]}', WorkerAssignment((0, 3))),
        (b'{"shards": [16, 31], "part": 2}', WorkerAssignment((16, 31), part=2)),
        (b'{"tasks": ["backup", "report", "backup"]}', WorkerAssignment(tasks=("backup", "report"))),
    ],
)
async def test_a_worker_does_the_share_it_is_sent(
    make_door: MakeDoor, body: bytes, share: WorkerAssignment
) -> None:
    wired = FakeWired()

    answer = await ask(make_door(wired), body, KEY)

    assert (200, [share]) == (answer.status, wired.shares)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"[", "body"),
        (b"[" * 5000, "body"),
        (b"[]", "body"),
        (b'{"shard": [0, 3]}', "body"),
        (b'{"shards": [3, 0]}', "shards"),
        (b'{"shards": [0, 64]}', "shards"),
        (b'{"shards": [-1, 3]}', "shards"),
        (b'{"shards": [0.0, 3]}', "shards"),
        (b'{"shards": [false, true]}', "shards"),
        (b'{"shards": "03"}', "shards"),
        (b'{"tasks": []}', "tasks"),
        (b'{"tasks": "backup"}', "tasks"),
        (b'{"tasks": [7]}', "tasks"),
        (b'{"tasks": ["a"], "shards": [0, 3]}', "shards, tasks"),
        (b'{"part": -1}', "part"),
    ],
)
async def test_a_share_nobody_can_read_is_refused_with_its_field(
    make_door: MakeDoor, body: bytes, field: str
) -> None:
    wired = FakeWired()

    answer = await ask(make_door(wired), body, KEY)

    assert (422, []) == (answer.status, wired.shares)
    assert answer.json["detail"].startswith(f"{field}: ")


async def test_a_stranger_is_refused_before_his_share_is_read(make_door: MakeDoor) -> None:
    wired = FakeWired()

    answer = await ask(make_door(wired), b"[")

    assert (401, []) == (answer.status, wired.shares)


async def test_the_queue_gets_in_with_its_id_token(
    make_door: MakeDoor, id_tokens: GoogleTokenVerifier
) -> None:
    wired = FakeWired()

    answer = await ask(
        make_door(wired, id_tokens=id_tokens), b"{}", ("Authorization", f"Bearer {id_token()}")
    )

    assert (200, [WorkerAssignment()]) == (answer.status, wired.shares)


async def test_a_share_that_is_too_long_is_refused_announced_or_not(make_door: MakeDoor) -> None:
    announced = await ask(make_door(), b" " * (MAX_BODY_BYTES + 1), KEY)
    streamed = await ask(make_door(), b"", KEY, chunks=[b" " * MAX_BODY_BYTES, b" "])

    assert (413, 413) == (announced.status, streamed.status)


async def test_a_worker_has_more_time_than_a_tick(make_door: MakeDoor) -> None:
    wired = FakeWired()

    await ask(make_door(wired), b"", KEY)

    [budget] = wired.budgets
    assert budget.start_limit is not None
    assert budget.response_limit is not None
    assert timedelta(seconds=260) < budget.start_limit <= timedelta(seconds=270)
    assert timedelta(seconds=270) < budget.response_limit <= timedelta(seconds=280)


async def test_a_share_that_could_not_be_done_is_sent_again(make_door: MakeDoor) -> None:
    """Cloud Tasks tries again after any answer but 2xx, whoever it is let in as."""
    answer = await ask(make_door(FakeWired(StoreUnavailableError("down"))), b"", KEY)

    assert (503, "degraded") == (answer.status, answer.json["status"])


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 64, 100])
def test_shares_divide_everything_without_overlap(count: int) -> None:
    shares = split(count)

    covered = [shard for share in shares for shard in range(share.shards[0], share.shards[1] + 1)]
    sizes = {last - first for first, last in (share.shards for share in shares)}
    assert list(range(64)) == covered
    assert min(count, 64) == len(shares)
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize(
    "share", [WorkerAssignment(), WorkerAssignment((3, 9), part=4), WorkerAssignment(tasks=("a", "b"))]
)
def test_a_share_is_read_back_as_it_was_sent(share: WorkerAssignment) -> None:
    assert share == parse_assignment(json.dumps(share.to_json()).encode())


def test_shares_that_differ_have_names_that_differ() -> None:
    shares = [
        *split(4),
        *split(3),
        WorkerAssignment(),
        WorkerAssignment(part=1),
        WorkerAssignment(tasks=("a",)),
        WorkerAssignment(tasks=("b",)),
    ]

    names = {share.dedup_key(window=span) for share in shares for span in ("1", "2")}

    assert 2 * len(shares) == len(names)


async def test_figures_are_for_those_who_may_ask(make_door: MakeDoor) -> None:
    known = await ask(make_door(), b"", KEY, to="GET /metrics")
    stranger = await ask(make_door(), to="GET /metrics")
    guess = await ask(make_door(), b"", ("Authorization", "Bearer cf_guess"), to="GET /metrics")

    assert (200, b"cronfire_tasks_due 3\n") == (known.status, known.body)
    assert "text/plain; version=0.0.4; charset=utf-8" == known.headers["content-type"]
    assert (401, 401) == (stranger.status, guess.status)


async def test_what_the_queue_sends_on_gets_past_the_door(
    make_door: MakeDoor, id_tokens: GoogleTokenVerifier
) -> None:
    """From the hand-over to the share, with an ID token such as Google makes for the queue."""
    wired = FakeWired()
    door = make_door(wired, id_tokens=id_tokens)

    async def work(request: web.Request) -> web.Response:
        answer = await ask(door, await request.read(), ("Authorization", request.headers["Authorization"]))
        return web.Response(status=answer.status, body=answer.body)

    app = web.Application()
    app.router.add_post("/work", work)
    post = TrustedHttpClient()
    async with (
        FakeCloudTasks(
            sign=lambda account, audience: id_token(email=account, aud=audience)
        ).serving() as queue,
        TestServer(app) as function,
    ):
        to = QueueTarget(QUEUE, str(function.make_url("/work")), service_account=ACCOUNT, audience=AUDIENCE)
        api = build_google_api("", queue.host, post, clock=lambda: NOON)
        workers = CloudTasksWorkerPool(api, to, worker_timeout=timedelta(seconds=280), worker_count=2)

        sent = await workers.submit([], backlog=True, now=NOON, within=timedelta(seconds=5))
        await queue.drained()

    await post.close()
    assert (2, [200, 200]) == (sent, [status for status, _ in queue.answers])
    assert {WorkerAssignment((0, 31)), WorkerAssignment((32, 63))} == set(wired.shares)
