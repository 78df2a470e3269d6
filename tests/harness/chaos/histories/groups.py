"""Histories made by hand of tasks that share a group."""

from dataclasses import replace
from typing import Any

from tests.harness.chaos.checker.history import Call, Json, Op
from tests.harness.chaos.histories.hand_made import at, call, fault, history, run, stamp, task, text

NAMES = ("a", "b", "c", "d")


def _group(
    *seconds: float, length: float = 2.0, limits: Json | None = None, **changes: Any
) -> dict[str, Any]:
    """Tasks of one group that begin at 12:03 and so many *seconds*, and take *length*; two may at once."""
    named = tuple(zip(NAMES, seconds, strict=False))
    spec: Json = {"schedule": "* * * * *", "startAt": text(at(3)), "endAt": text(at(3)), "notify": []}
    spec["group"] = {"name": "pair"} | (limits or {"maxConcurrent": 2})
    calls = [
        replace(call(3, second, length=length, key=f"{name}@{text(at(3))}"), **changes)
        for name, second in named
    ]
    return {
        "ops": tuple(
            Op("create", name, stamp(0), stamp(0), spec=spec | {"id": name}, at=text(at(0)))
            for name, _ in named
        ),
        "calls": (*history().calls, *calls),
        "runs": (
            *history().runs,
            *(run(3, second, length) | {"taskId": name, "token": f"{name}.1"} for name, second in named),
        ),
        "tasks": (
            task(),
            *(task(id=name, status="ended", nextOccurrence=None, nextRunAt=None) for name, _ in named),
        ),
    }


def _noticed_late() -> dict[str, Any]:
    """The target noticed two seconds late that the first caller had gone, long after its record says so."""
    made = _group(5, 5, 7.1, answer="ok")
    calls: list[Call] = list(made["calls"])
    first = next(place for place, one in enumerate(calls) if one.task == "a")
    calls[first] = replace(calls[first], ended=stamp(3, 9))
    return made | {"calls": tuple(calls)}


CROWDED_WRONG: dict[str, tuple[set[str], dict[str, Any]]] = {
    "three of a group at once where two may": ({"over_limit"}, _group(5, 5, 6)),
    "three at once, though another process was frozen": (
        {"over_limit"},
        _group(5, 5, 6) | {"faults": (fault("freeze", 3, 5, 6, where="p1"),)},
    ),
    "three at once, after a process was killed: its slots are kept until its claims expire": (
        {"over_limit"},
        _group(5, 5, 6) | {"faults": (fault("kill", 3, 5.2, 5.9, where="p1"),)},
    ),
    "three in a minute where one may": ({"over_limit"}, _group(5, 15, 25, limits={"perMinute": 1})),
}
CROWDED_RIGHT: dict[str, dict[str, Any]] = {
    "two of a group at once, and a third after the first": _group(5, 6, 7.1),
    "a third of a group, as the target had not noticed yet that the first caller was gone": _noticed_late(),
    "three of a group at once, for one process slept beyond its claim": _group(5, 5, 6)
    | {"faults": (fault("freeze", 3, 5.1, 5.9),)},
    "three of a group at once, by a network that only the target was connected to": _group(5, 5, 6)
    | {"faults": (fault("network", 3, 5.5, 5.5, where=""),)},
    "two in sixty seconds that lie in two minutes of the clock": _group(5, 15, limits={"perMinute": 1}),
}
