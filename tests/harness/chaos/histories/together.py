"""Parts of histories made by hand in which several tasks have to do with one another."""

from typing import Any

from tests.harness.chaos.checker.history import Call, Json, Op
from tests.harness.chaos.histories.hand_made import at, call, history, run, stamp, task, text

CUT_BY_THE_END: Json = {
    "outcome": "abandoned",
    "token": "first.1",
    "final": False,
    "summary": "The tick's time was up while it ran",
}
DEADLY_SPEC: Json = {
    "id": "deadly",
    "schedule": "* * * * *",
    "startAt": text(at(59)),
    "endAt": text(at(59)),
    "params": {"url": "http://x/t/deadly"},
}


def one_tick(*, on_time_at: float, missed_at: float, last_at: float = 0.0) -> dict[str, Any]:
    """A tick at 12:03:02 that begins other tasks: three on time, one missed, perhaps a last one."""
    moments = {f"on-time{n}": on_time_at for n in range(3)} | {"missed": missed_at}
    moments |= {"last": last_at} if last_at else {}
    return beside(
        {
            name: (
                [call(3, second, key=f"{name}@{text(at(3))}")],
                [
                    run(3, second)
                    | {
                        "taskId": name,
                        "token": f"one.{number}",
                        "trigger": "schedule" if name.startswith("on-time") else "catch_up",
                    }
                ],
            )
            for number, (name, second) in enumerate(moments.items())
        }
    )


def slow_ones(count: int) -> dict[str, Any]:
    """So many tasks timed out at 12:02 and hang again at 12:03, all at once, of three slots."""
    timed_out = {"outcome": "timed_out"}
    found = {
        name: (
            [call(m, 5, length=3, key=f"{name}@{text(at(m))}", answer="gone") for m in (2, 3)],
            [run(m, 5, 3) | timed_out | {"taskId": name, "token": f"{name}.{m}"} for m in (2, 3)],
        )
        for name in (f"slow{number}" for number in range(count))
    }
    return beside(found, since=2) | {"slots": 3}


def beside(found: dict[str, tuple[list[Call], list[Json]]], since: int = 3) -> dict[str, Any]:
    """The usual history with other tasks that fall due at 12:0*since*, and end at 12:03."""
    others: list[Json] = [
        {
            "id": name,
            "schedule": "* * * * *",
            "startAt": text(at(since)),
            "endAt": text(at(3)),
            "notify": [],
        }
        for name in found
    ]
    return {
        "ops": tuple(Op("create", one["id"], stamp(0), stamp(0), spec=one, at=text(at(0))) for one in others),
        "calls": (*history().calls, *(one for calls, _ in found.values() for one in calls)),
        "runs": (*history().runs, *(one for _, runs in found.values() for one in runs)),
        "tasks": (
            task(),
            *(task(id=name, status="ended", nextOccurrence=None, nextRunAt=None) for name in found),
        ),
    }
