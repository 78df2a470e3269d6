"""A rehearsal says what the engine would have sent: both see the same outcomes, and must say the same."""

import random
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import cycle
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.domain.alerts.routing import ChannelPreferences, RoutingTable
from functions.domain.history.rehearsal import Rehearsal, rehearse
from functions.domain.lifecycle.edit import new_task
from functions.domain.run import Outcome, failed, succeeded
from functions.domain.storage import Document
from functions.domain.task import Job, Task, TaskSpec
from functions.services.channels import ChannelService
from functions.stores.sqlite.store import SqliteStore
from tests.conftest import NOON
from tests.harness.simulation.year import World
from tests.support.profile import examples

pytestmark = pytest.mark.slow  # many requests, or many files: seconds of a processor together

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
Sent = list[tuple[datetime, str, list[tuple[str, str, Any, int]]]]
OUTCOMES = {
    ".": succeeded("Answered 200"),
    "n": succeeded("Two new", has_news=True, items=({"title": "One"}, {"title": "Two"})),
    "x": failed("Answered 503"),
    "y": failed("The name does not resolve", permanent=True),
}
NIGHT = {"from": "22:00", "to": "07:00"}


def task_of(**changes: Any) -> TaskSpec:
    return TaskSpec.model_validate(
        {"id": "shop", "title": "Shop", "type": "http", "schedule": "*/20 * * * *"} | changes
    )


class Engine(World):
    """The real tick, with channels of which each message is recorded."""

    def __init__(
        self,
        outcomes: str,
        channels: Mapping[str, Any],
        *,
        days: float,
        away: Sequence[tuple[float, float]] = (),
    ) -> None:
        self._results: Iterator[str] = cycle(outcomes)
        self.preferences = {name: ChannelPreferences.model_validate(one) for name, one in channels.items()}
        store = SqliteStore(":memory:", auto_prune=False)
        hashes = dict.fromkeys(channels, "")
        super().__init__(
            NOON,
            NOON + days * DAY,
            self._work,
            away=[(NOON + first * HOUR, NOON + last * HOUR) for first, last in away],
            store=store,
            routing=ChannelService(store, hashes, clock=lambda: self.now) if channels else None,
        )

    async def _work(self, job: Job) -> Outcome:
        return OUTCOMES[next(self._results)]

    async def send_all(self, spec: TaskSpec) -> Sent:
        """Live, and return each message."""
        await self.store.put_documents(
            [
                Document(
                    "channels", name, one.model_dump(mode="json", by_alias=True, exclude_defaults=True), None
                )
                for name, one in self.preferences.items()
            ]
        )
        await self.create(spec)
        await self.live()
        found: dict[tuple[datetime, str], list[Any]] = {}
        for at, one in zip(self.told_at, self.told, strict=True):
            for name in one.channels or ("default",):
                found.setdefault((at, name), []).append((one.kind, one.summary, one.since, one.failures))
        return [(at, name, said) for (at, name), said in sorted(found.items())]

    async def rehearsed(self) -> tuple[Sent, Rehearsal]:
        [task] = (await self.tasks()).values()
        table = RoutingTable(self.preferences, dict.fromkeys(self.preferences, ""))
        result = rehearse(task, (await self.runs(task.id))[::-1], table, since=self.start, now=self.end)
        messages: Sent = [
            (one.at, one.channel, [(n.kind, n.summary, n.since, n.failures) for n in one.notifications])
            for one in result.messages
        ]
        return sorted(messages), result


async def compare(engine: Engine, spec: TaskSpec) -> Rehearsal:
    sent = await engine.send_all(spec)
    rehearsed, result = await engine.rehearsed()
    await engine.store.close()

    assert rehearsed == sent
    return result


RULES = st.lists(
    st.fixed_dictionaries(
        {
            "on": st.lists(
                st.sampled_from(
                    ["failure", "recovery", "success", "news", "paused", "flapping", "late", "silent"]
                ),
                min_size=1,
                max_size=4,
                unique=True,
            ),
            "channels": st.sampled_from([[], ["slack"], ["mail"], ["mail", "default"], ["nowhere"]]),
            "after": st.sampled_from([1, 1, 2, 3]),
            "remind": st.sampled_from(["auto", "never", 1800]),
        }
    ),
    min_size=1,
    max_size=3,
)
CHANNELS = st.sampled_from(
    [
        {},
        {"slack": {}},
        {"slack": {}, "mail": {"quiet": [NIGHT]}},
        {"slack": {"quiet": [NIGHT | {"days": ["fri", "sat"]}]}, "mail": {"enabled": False}},
        {
            "slack": {
                "maintenance": [
                    {"from": "2026-11-20T14:00:00Z", "to": "2026-11-20T18:30:00Z", "tasks": ["shop"]}
                ]
            },
            "mail": {"quiet": [NIGHT, {"from": "12:00", "to": "12:50"}]},
        },
    ]
)


@settings(max_examples=examples(14), deadline=None)
@given(
    outcomes=st.text("...xxxyn", min_size=1, max_size=25),
    notify=RULES | st.none(),
    channels=CHANNELS,
    away=st.sampled_from([(), ((3.32, 5.6),), ((1.32, 1.9), (19.99, 31))]),
    attempts=st.sampled_from([1, 1, 3]),
    expects=st.sampled_from([None, None, 5400]),
    misfire=st.sampled_from(["run_once", "skip"]),
    priority=st.sampled_from(["medium", "urgent"]),
)
async def test_it_says_what_the_engine_has_sent(
    outcomes: str,
    notify: Any,
    channels: Any,
    away: Any,
    attempts: int,
    expects: int | None,
    misfire: str,
    priority: str,
) -> None:
    spec = task_of(
        notify=notify,
        retry={"maxAttempts": attempts},
        expectSeconds=expects,
        misfire={"policy": misfire},
        priority=priority,
    )
    await compare(Engine(outcomes, channels, days=1.4, away=away), spec)


async def test_a_month_of_the_engine_is_told_message_by_message() -> None:
    chance = random.Random(31)
    outcomes = "".join(chance.choices(".xyn", weights=[90, 6, 2, 2], k=400))
    outcomes = outcomes[:200] + "x" * 60 + outcomes[200:]  # an outage of days, with reminders
    engine = Engine(outcomes, {"slack": {"quiet": [NIGHT]}, "mail": {}}, days=30, away=[(100, 104)])
    spec = task_of(
        schedule="30 */2 * * *",
        notify=[
            {"on": ["failure", "recovery", "flapping"], "channels": ["mail"], "after": 2},
            {"on": ["failure", "recovery", "news", "late"], "channels": ["slack"]},
        ],
    )

    result = await compare(engine, spec)

    kinds = {notice.kind for message in result.messages for notice in message.notifications}
    assert kinds >= {"failure", "recovery", "news", "reminder", "late"}
    assert len(result.messages) > 20


@pytest.fixture
async def week() -> tuple[Task, list[Any]]:
    """A week of an hourly task that failed three times in a row at night, once by day, and then twice."""
    pattern = "." * 12 + "xxx" + "." * 10 + "x" + "." * 30 + "xx" + "." * 200
    engine = Engine(pattern, {}, days=7)
    await engine.send_all(task_of(schedule="@hourly", retry={"maxAttempts": 1}))
    [task] = (await engine.tasks()).values()
    runs = await engine.runs(task.id)
    await engine.store.close()
    return task, runs


def told(task: Task, runs: Sequence[Any], channels: Mapping[str, Any], **changes: Any) -> list[str]:
    table = RoutingTable(
        {name: ChannelPreferences.model_validate(one) for name, one in channels.items()},
        dict.fromkeys(channels, ""),
    )
    proposed = Task.model_validate(task.model_dump(by_alias=True) | changes)
    found = rehearse(proposed, runs, table, since=NOON, now=NOON + 7 * DAY)
    return [
        f"{one.at:%a %H} {one.channel} {'+'.join(notice.kind for notice in one.notifications)}"
        for one in found.messages
    ]


async def test_other_rules_say_other_things_of_the_same_outcomes(week: tuple[Task, list[Any]]) -> None:
    task, runs = week
    rule = {"on": ["failure", "recovery"], "channels": ["slack"]}

    all_of_them = told(task, runs, {"slack": {}}, notify=[rule])
    after_two = told(task, runs, {"slack": {}}, notify=[rule | {"after": 2}])
    at_day = told(task, runs, {"slack": {"quiet": [NIGHT]}}, notify=[rule])

    assert all_of_them == [
        "Sat 01 slack failure",
        "Sat 02 slack reminder",
        "Sat 04 slack recovery",
        "Sat 14 slack failure",
        "Sat 15 slack recovery",
        "Sun 21 slack failure",
        "Sun 22 slack reminder",
        "Sun 23 slack recovery",
    ]
    assert after_two == [
        "Sat 02 slack failure",
        "Sat 03 slack reminder",
        "Sat 04 slack recovery",
        "Sun 22 slack failure",
        "Sun 23 slack recovery",
    ]
    assert at_day == ["Sat 07 slack recovery", *all_of_them[3:6], "Mon 07 slack recovery"]
    assert told(task, runs, {"slack": {}}, notify=[]) == []


async def test_what_is_still_held_and_how_often_it_would_pause(week: tuple[Task, list[Any]]) -> None:
    task, runs = week
    table = RoutingTable(
        {
            "slack": ChannelPreferences.model_validate(
                {"maintenance": [{"from": "2026-11-22T12:00:00Z", "to": "2026-12-22T12:00:00Z"}]}
            )
        },
        {},
    )
    proposed = task.model_copy(update={"pause_after_failures": 2})

    found = rehearse(proposed, runs, table, since=NOON, now=NOON + 7 * DAY)

    assert found.pauses == 2
    assert [notice.kind for notice in found.held] == ["paused", "recovery"]


def test_without_records_nothing_would_have_been_sent() -> None:
    task = new_task(task_of(), now=NOON, origin="test")

    assert rehearse(task, [], RoutingTable({}, {}), since=NOON, now=NOON + DAY) == Rehearsal((), (), 0)
