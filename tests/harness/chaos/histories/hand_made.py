"""A history made by hand in which all went well, for tests to spoil."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.harness.chaos.checker.history import Call, Fault, History, Json, Op, Ping

MADE = datetime(2026, 11, 20, 12, 0, 10, tzinfo=UTC)
MINUTES = (1, 2, 3, 4, 5)  # the occurrences: 12:01 to 12:05
HEALED = MADE.replace(minute=5, second=40)
READ = MADE.replace(minute=5, second=55)
PROCESS = "p0/11"
SPEC: Json = {"id": "t", "schedule": "* * * * *", "timezone": "UTC", "jitterSeconds": 0}

Change = Callable[[Json], Json]


def at(minute: int, second: float = 0.0) -> datetime:
    """A moment of that hour."""
    return datetime(2026, 11, 20, 12, minute, tzinfo=UTC) + timedelta(seconds=second)


def stamp(minute: int, second: float = 0.0) -> float:
    """The same, in seconds since the epoch."""
    return at(minute, second).timestamp()


def text(moment: datetime) -> str:
    """As the product writes it."""
    return moment.isoformat().replace("+00:00", "Z")


def call(minute: int, second: float = 5.0, *, length: float = 0.5, **changes: Any) -> Call:
    """A request for the occurrence of *minute*, *second* after it."""
    began = stamp(minute, second)
    made = Call(f"t@{text(at(minute))}", 1, PROCESS, began, began + length, "ok")
    return replace(made, **changes)


def run(minute: int, second: float = 5.0, /, length: float = 0.5, **changes: Any) -> Json:
    """The record of an attempt at the occurrence of *minute*."""
    return {
        "taskId": "t",
        "occurrence": text(at(minute)),
        "trigger": "schedule",
        "attempt": 1,
        "token": f"tick{minute}.1",
        "outcome": "succeeded",
        "skipReason": None,
        "final": True,
        "startedAt": text(at(minute, second)),
        "finishedAt": text(at(minute, second + length)),
        "last": None,
        "count": 1,
    } | changes


def skip(first: int, last: int, reason: str = "misfire", **changes: Any) -> Json:
    """The record of occurrences nobody attempted."""
    skipped = {
        "attempt": 0,
        "token": "",
        "outcome": "skipped",
        "skipReason": reason,
        "count": last - first + 1,
        "last": text(at(last)) if last > first else None,
        "startedAt": text(at(last, 5.5)),
        "finishedAt": text(at(last, 5.5)),
    }
    return run(first) | skipped | changes


def task(**changes: Any) -> Json:
    """The task at the end: it waits for 12:06."""
    return {
        "id": "t",
        "schedule": "* * * * *",
        "jitterSeconds": 0,
        "status": "scheduled",
        "nextOccurrence": text(at(6)),
        "nextRunAt": text(at(6)),
        "occurrence": None,
        "claim": None,
        "backlog": [],
        "alert": {"pending": [], "retryAt": None},
    } | changes


def history(**changes: Any) -> History:
    """All went well, but for *changes*."""
    spec = SPEC | changes.pop("spec", {})
    create = Op("create", "t", MADE.timestamp() - 1, MADE.timestamp(), spec=spec, at=text(MADE))
    values: dict[str, Any] = {
        "healed": HEALED.timestamp(),
        "read": READ.timestamp(),
        "ops": (create, *changes.pop("ops", ())),
        "calls": tuple(call(minute) for minute in MINUTES),
        "runs": tuple(run(minute) for minute in MINUTES),
        "tasks": (task(),),
    }
    return History(**(values | changes))


def without(minute: int) -> dict[str, Any]:
    """The calls and records of all occurrences but one."""
    others = [other for other in MINUTES if other != minute]
    return {"calls": tuple(call(m) for m in others), "runs": tuple(run(m) for m in others)}


def plus(minute: int, *, calls: tuple[Call, ...] = (), runs: tuple[Json, ...] = ()) -> dict[str, Any]:
    """All as it should be, but for the occurrence of *minute*, of which there is this instead."""
    others = without(minute)
    return {"calls": (*others["calls"], *calls), "runs": (*others["runs"], *runs)}


def fault(kind: str, minute: int, first: float, last: float, **changes: Any) -> Fault:
    """A fault, by default one of the process that does everything."""
    return replace(Fault(kind, stamp(minute, first), stamp(minute, last), "p0"), **changes)


def ping(minute: int, second: float, **reported: Any) -> Ping:
    """A ping whose tick saw to all that was due, unless it *reported* otherwise."""
    sent = stamp(minute, second)
    report = {"status": "ok", "postponed": 0, "lostClaims": 0} | reported
    return Ping("p0", sent, sent + 1, 200, report)
