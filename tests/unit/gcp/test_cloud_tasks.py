"""The hand-over to Cloud Tasks: what is sent, once and in time, and what follows when it is not taken."""

import asyncio
import json
import logging
from base64 import b64decode
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from functions.app.factories import google_api
from functions.domain.sharding import Share
from functions.domain.task import Task
from functions.gcp.api import GoogleApi, Token
from functions.gcp.cloud_tasks import MOST_LONG, Addressed, CloudTasksWorkers
from functions.http_client.trusted import VendorPost
from tests.conftest import NOON
from tests.fakes.cloud_tasks import FakeCloudTasks

MakeTask = Callable[..., Task]
QUEUE = "projects/p/locations/europe-west1/queues/work"
SECOND = timedelta(seconds=1)


@pytest.fixture
async def queue() -> AsyncIterator[FakeCloudTasks]:
    async with FakeCloudTasks(token="good", dispatches=False).serving() as fake:
        yield fake


@pytest.fixture
async def post() -> AsyncIterator[VendorPost]:
    one = VendorPost()
    yield one
    await one.close()


class Tokens:
    """Hands out what it was told to, and counts."""

    def __init__(self, *texts: str) -> None:
        self.texts = list(texts)
        self.asked = 0

    async def __call__(self) -> Token:
        self.asked += 1
        await asyncio.sleep(0)  # others get their turn, as they do while a real one is asked for
        return Token(self.texts[min(self.asked, len(self.texts)) - 1], NOON + 60 * SECOND)


def workers(
    queue: FakeCloudTasks,
    post: VendorPost,
    tokens: Tokens | None = None,
    *,
    clock: Any = lambda: NOON,
    **to: Any,
) -> CloudTasksWorkers:
    emulated = google_api("", queue.host, post, clock=clock)
    api = GoogleApi(queue.address, post=emulated._post, token=tokens or Tokens("good"), clock=clock)
    addressed = Addressed(QUEUE, "https://cronfire.example.com/work", **to)
    return CloudTasksWorkers(api, addressed, time=timedelta(seconds=280), shares=4)


async def take(
    to: CloudTasksWorkers, *tasks: Task, backlog: bool = False, now: datetime = NOON, within: float = 5
) -> int:
    return await to.take(tasks, backlog=backlog, now=now, within=timedelta(seconds=within))


def carried(queue: FakeCloudTasks) -> list[Any]:
    """What the messages say; they come in any order."""
    said = [json.loads(b64decode(task["httpRequest"]["body"])) for task in queue.waiting]
    return sorted(said, key=lambda one: str(sorted(one.items())))


async def test_a_long_task_is_a_message_of_its_own(
    queue: FakeCloudTasks, post: VendorPost, make_task: MakeTask
) -> None:
    sent = await take(workers(queue, post), make_task("backup"), make_task("report"))

    assert (2, [{"tasks": ["backup"]}, {"tasks": ["report"]}]) == (sent, carried(queue))


async def test_a_backlog_is_divided_among_the_workers(queue: FakeCloudTasks, post: VendorPost) -> None:
    await take(workers(queue, post), backlog=True)

    assert [{"shards": [first, first + 15]} for first in (0, 16, 32, 48)] == carried(queue)


async def test_a_message_says_who_sends_it_to_whom_and_how_long_to_wait(
    queue: FakeCloudTasks, post: VendorPost, make_task: MakeTask
) -> None:
    to = workers(queue, post, account="worker@p.iam.gserviceaccount.com", audience="cronfire")

    await take(to, make_task())

    [task] = queue.waiting
    request = task["httpRequest"]
    assert ("https://cronfire.example.com/work", "POST") == (request["url"], request["httpMethod"])
    assert {
        "serviceAccountEmail": "worker@p.iam.gserviceaccount.com",
        "audience": "cronfire",
    } == request["oidcToken"]
    assert "290s" == task["dispatchDeadline"]


async def test_asking_twice_is_asking_once(
    queue: FakeCloudTasks, post: VendorPost, make_task: MakeTask
) -> None:
    """Several pingers find the same backlog; the queue knows it by its name."""
    to = workers(queue, post)

    first = await take(to, make_task(), backlog=True)
    second = await take(to, make_task(), backlog=True, now=NOON + 59 * SECOND)

    assert (5, 5, 5, 5) == (first, second, len(queue.waiting), queue.collapsed)


@pytest.mark.parametrize("later", [timedelta(minutes=10), timedelta(hours=1)])
async def test_what_was_lost_on_the_way_is_asked_for_again(
    queue: FakeCloudTasks, post: VendorPost, make_task: MakeTask, later: timedelta
) -> None:
    to = workers(queue, post)

    await take(to, make_task(), backlog=True)
    await take(to, make_task(), backlog=True, now=NOON + later)

    assert (10, 0) == (len(queue.waiting), queue.collapsed)


async def test_the_next_occurrence_of_a_long_task_is_another_message(
    queue: FakeCloudTasks, post: VendorPost, make_task: MakeTask
) -> None:
    to = workers(queue, post)

    await take(to, make_task())
    await take(to, make_task(next_run_at=NOON + 60 * SECOND), now=NOON + 60 * SECOND)

    assert 2 == len(queue.waiting)


async def test_very_many_long_tasks_are_a_backlog(
    queue: FakeCloudTasks, post: VendorPost, make_task: MakeTask
) -> None:
    sent = await take(workers(queue, post), *(make_task(f"t{n}") for n in range(MOST_LONG + 30)))

    assert MOST_LONG + 4 == sent == len(queue.waiting)


async def test_a_worker_leaves_its_own_share_to_the_next_one(queue: FakeCloudTasks, post: VendorPost) -> None:
    to = workers(queue, post)

    await take(to.after(Share((16, 31))), backlog=True)
    await take(to.after(Share((16, 31), part=1)), backlog=True)

    assert [{"shards": [16, 31], "part": 1}, {"shards": [16, 31], "part": 2}] == carried(queue)


async def test_twenty_messages_take_one_token(
    queue: FakeCloudTasks, post: VendorPost, make_task: MakeTask
) -> None:
    tokens = Tokens("good")

    await take(workers(queue, post, tokens), *(make_task(f"t{n}") for n in range(MOST_LONG)))

    assert 1 == tokens.asked


async def test_an_old_token_is_replaced(queue: FakeCloudTasks, post: VendorPost) -> None:
    now = [NOON]
    tokens = Tokens("good")
    to = workers(queue, post, tokens, clock=lambda: now[0])

    await take(to.after(Share()), backlog=True)
    now[0] += 60 * SECOND
    await take(to.after(Share()), backlog=True, now=now[0] + timedelta(minutes=2))

    assert 2 == tokens.asked


async def test_a_token_that_was_taken_back_is_replaced(queue: FakeCloudTasks, post: VendorPost) -> None:
    to = workers(queue, post, Tokens("taken back", "good"))

    first = await take(to.after(Share()), backlog=True)
    second = await take(to.after(Share()), backlog=True)

    assert (0, 1) == (first, second)


@pytest.mark.parametrize("status", [401, 403, 429, 503])
async def test_a_queue_that_refuses_stops_nothing_and_is_in_the_log(
    queue: FakeCloudTasks,
    post: VendorPost,
    make_task: MakeTask,
    caplog: pytest.LogCaptureFixture,
    status: int,
) -> None:
    queue.refuses = status

    sent = await take(workers(queue, post), make_task(), backlog=True)

    [record] = [one for one in caplog.records if one.levelno == logging.ERROR]
    assert (0, "hand_over_failed", 5) == (sent, record.getMessage(), vars(record)["count"])
    assert f"HTTP {status}" in vars(record)["reason"]
    assert "a text that may hold" not in vars(record)["reason"]


async def test_a_queue_that_hangs_costs_no_more_than_its_time(
    queue: FakeCloudTasks, post: VendorPost, caplog: pytest.LogCaptureFixture
) -> None:
    queue.hangs = True
    started = asyncio.get_running_loop().time()

    sent = await take(workers(queue, post), backlog=True, within=0.1)

    assert (0, True) == (sent, asyncio.get_running_loop().time() - started < 3)
    assert ["hand_over_failed"] == [one.getMessage() for one in caplog.records]


async def test_without_a_token_nothing_is_sent(
    queue: FakeCloudTasks, post: VendorPost, caplog: pytest.LogCaptureFixture
) -> None:
    class Nobody(Tokens):
        async def __call__(self) -> Token:
            raise RuntimeError("canary-of-a-credential")

    sent = await take(workers(queue, post, Nobody()), backlog=True)

    assert (0, []) == (sent, queue.waiting)
    assert "canary" not in str([vars(one) for one in caplog.records])


async def test_nothing_to_hand_over_asks_for_nothing(queue: FakeCloudTasks, post: VendorPost) -> None:
    tokens = Tokens("good")

    sent = await take(workers(queue, post, tokens))

    assert (0, 0) == (sent, tokens.asked)
