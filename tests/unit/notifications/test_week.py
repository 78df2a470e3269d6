"""A week of six people's tasks through the real engine: how many messages each gets."""

import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from functions.domain.run import Outcome, failed, succeeded
from functions.domain.storage import TaskFilter
from functions.domain.task import Job
from functions.domain.types import OutcomeKind
from tests.support.clock import Clock
from tests.unit.notifications.engine import Engine, Listener

DOC = Path(__file__).parents[3] / "docs" / "reference" / "notifications.md"
MONDAY = datetime(2026, 11, 16, tzinfo=UTC)
CANARY = "canary-5ecret"
HOST = [f"host-{number}" for number in range(40)]
PEOPLE = {
    "anna": "one flaky site, checked every quarter of an hour",
    "greta": "the same site, notified from the second consecutive failure (`after: 2`)",
    "ben": "a nightly job that breaks on Tuesday and is repaired on Friday",
    "chen": "a feed, quiet from 22:00 to 07:00 in Shanghai",
    "dora": "a task that runs every half hour and never recovers",
    "emil": "40 tasks on a host that is down for nine hours",
}


def at(day: int, hour: int, minute: int = 0) -> datetime:
    """A moment of the week; Monday is day 0."""
    return MONDAY + timedelta(days=day, hours=hour, minutes=minute)


def site(job: Job) -> Outcome:
    """Two bad mornings of blips, one outage of two hours, and a blip on Saturday."""
    now = job.scheduled_at
    blips = now.weekday() in (0, 2) and 8 <= now.hour < 11 and now.minute in (15, 45)
    outage = at(3, 14) <= now < at(3, 16)
    if blips or outage or now == at(5, 3, 30):
        return failed(f"Answered 503 to {CANARY}")
    return succeeded("Answered 200")


def nightly(job: Job) -> Outcome:
    if at(1, 0) <= job.scheduled_at < at(4, 0):
        return failed(f"The disk is full, password {CANARY}")
    return succeeded("12 GB saved")


def feed(job: Job) -> Outcome:
    now = job.scheduled_at
    if now.hour in (1, 5, 9, 16, 18) and now.weekday() < 5:
        return succeeded("1 new entry", has_news=True, items=({"title": f"Entry {CANARY}"},))
    if now == at(2, 17):
        return failed("No answer")  # in the night of Shanghai, over before anybody wakes
    return succeeded("Nothing new")


def hopeless(job: Job) -> Outcome:
    return succeeded("Fine") if job.scheduled_at < at(0, 9) else failed("Name not found")


def hosted(job: Job) -> Outcome:
    if at(2, 9) <= job.scheduled_at < at(2, 18):
        return failed("No answer from 10.0.0.7")
    return succeeded("Answered 200")


WORK = {"site": site, "same-site": site, "nightly": nightly, "feed": feed, "hopeless": hopeless}
OWNERS = {"site": "anna", "same-site": "greta", "nightly": "ben", "feed": "chen", "hopeless": "dora"}


def work(job: Job) -> Outcome:
    return WORK.get(job.task_id, hosted)(job)


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    clock = Clock()
    clock.now = MONDAY
    engine = Engine({name: Listener(name, clock) for name in PEOPLE}, clock, work=work, secrets=[CANARY])
    yield engine
    await engine.store.close()


def told_by(name: str, **rule: Any) -> list[dict[str, Any]]:
    return [{"on": ["failure", "recovery", "news", "late", "silent"], "channels": [name]} | rule]


async def a_week(engine: Engine) -> None:
    await engine.channels.update_settings("chen", _quiet_at_night)
    await engine.put(
        {"title": "Site", "notify": told_by("anna")},
        {"title": "Same site", "notify": told_by("greta", after=2)},
        {"title": "Nightly", "schedule": "0 2 * * *", "expectSeconds": 26 * 3600, "notify": told_by("ben")},
        {"title": "Feed", "schedule": "0 * * * *", "notify": told_by("chen")},
        {"title": "Hopeless", "schedule": "*/30 * * * *", "notify": told_by("dora")},
        *({"title": name, "schedule": "0 */3 * * *", "notify": told_by("emil")} for name in HOST),
    )
    await engine.live(MONDAY + timedelta(days=7))


def _quiet_at_night(settings: Any) -> Any:
    night = {"from": "22:00", "to": "07:00", "timezone": "Asia/Shanghai"}
    return type(settings).model_validate({"quiet": [night]})


def table(engine: Engine) -> str:
    """The table as it stands in the documentation."""
    lines = ["| who | one per run | one per failure | Cronfire | of which |", "|---|--:|--:|--:|---|"]
    for name, what in PEOPLE.items():
        jobs = [job for job in engine.runs if owner(job.task_id) == name]
        bad = sum(work(job).kind is not OutcomeKind.SUCCEEDED for job in jobs)
        kinds: dict[str, int] = {}
        for message in engine.listeners[name].kinds:
            label = message[0] if len(set(message)) == 1 else "mixed"
            label += f", {len(message)} in one" if len(message) > 1 else ""
            kinds[label] = kinds.get(label, 0) + 1
        told = "; ".join(f"{number} {kind}" for kind, number in kinds.items())
        lines.append(f"| {what} | {len(jobs):,} | {bad:,} | **{sum(kinds.values())}** | {told} |")
    return "\n".join(lines)


def owner(task_id: str) -> str:
    return OWNERS.get(task_id, "emil")


@pytest.mark.slow
async def test_a_week_is_a_handful_of_messages_for_each(
    engine: Engine, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG, "functions")

    await a_week(engine)

    with capsys.disabled():
        print("\n" + table(engine))  # noqa: T201  # whoever changes a rule wants to see what comes of it
    assert table(engine) in DOC.read_text(encoding="utf-8")
    stored = [
        one.task.model_dump_json() for one in (await engine.store.list_tasks(TaskFilter(), limit=500)).tasks
    ]
    said = [str(listener.messages) for listener in engine.listeners.values()]
    logged = [str(record.__dict__) for record in caplog.records if record.name.startswith("functions")]
    assert not [text for text in [*stored, *said, *logged] if CANARY in text]
