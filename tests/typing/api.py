"""The library's types, as a program that uses it sees them. Checked by mypy, never run."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from functions import (
    Job,
    Outcome,
    Params,
    Run,
    Scheduler,
    StoredTask,
    Task,
    Tools,
    failed,
    succeeded,
    testing,
)


class Own(Params):
    """Params of a type of one's own."""

    depth: int = 1


async def perform(job: Job, params: Own, tools: Tools) -> Outcome:
    """A type of one's own."""
    if params.depth > job.attempt:
        return failed("Too deep", permanent=True)
    return succeeded("Done", metrics={"depth": params.depth})


async def program() -> None:
    """All methods, with what they take and give."""
    async with Scheduler("sqlite://:memory:", settings={"MAX_CONCURRENCY": "5"}, types=["own"]) as scheduler:
        task = Task(id="a", title="A", type="own", schedule="* * * * *", params={"depth": 1})
        for change in await scheduler.apply([task], prune=True):
            action: str = change.action
            print(action)  # noqa: T201  # it is never run
        stored: StoredTask = await scheduler.task("a")
        upcoming: datetime | None = stored.next_occurrence
        all_tasks: Sequence[StoredTask] = await scheduler.tasks(tag="shop")
        report: Mapping[str, Any] = await scheduler.tick(within=timedelta(seconds=30))
        run: Run | None = await scheduler.run("a")
        runs: list[Run] = await scheduler.runs("a", since=upcoming)
        await scheduler.pause("a", note="Holiday", until=upcoming)
        await scheduler.resume("a", catch_up=True)
        await scheduler.cancel("a")
        started: tuple[str, ...] = (await scheduler.publish("door.bell", {"n": 1}, event_id="7")).started
        await scheduler.remove("a")
        print(all_tasks, report, run, runs, started)  # noqa: T201  # it is never run
        await scheduler.run_forever(every=timedelta(seconds=30))


async def own_types_test() -> None:
    """The test doubles, as the test of a type of one's own uses them."""
    http = testing.mock_http(lambda request: testing.httpx.Response(200, json={"url": str(request.url)}))
    clock = testing.FixedClock()
    later: datetime = clock.advance(timedelta(hours=1))
    async with testing.InMemoryStore() as store:
        await store.add_tasks(Task(id="a", title="A", type="own", schedule="@daily"), now=later)
        tools: Tools = testing.make_tools(http, store, secrets={"KEY": "x"})
        outcome: Outcome = await testing.run("shop.own", {"depth": 1}, tools=tools, clock=clock)
        job: Job = testing.make_job("own", {"depth": 1}, clock=clock, memory=outcome.memory, attempt=2)
        again: Outcome = await testing.run_job(job, tools)
    response: testing.httpx.Response = await tools.http.get("https://example.com/", timeout=5)
    print(again, response.json())  # noqa: T201  # it is never run
