"""Histories made by hand in which a process was measured to be held up: what that explains, and what not."""

from dataclasses import replace
from typing import Any

from tests.harness.chaos.checker.history import Json
from tests.harness.chaos.histories.hand_made import PROCESS, at, call, fault, plus, run, skip, stamp, text

OTHER = "p1/12"
SECOND: Json = {"attempt": 2, "token": "second.1"}
GONE: Json = {"outcome": "abandoned", "token": "first.1", "final": False, "finishedAt": text(at(3, 35))}
TIMED_OUT: Json = {"outcome": "timed_out"}
CUT_LATE: Json = GONE | {"summary": "Its claim was late and left it 2.5 s", "finishedAt": text(at(3, 22.5))}
CLAIM = fault("late", 3, 6, 19.9, where=PROCESS, point="store")  # granted 13.9 s late
STORE = fault("late", 3, 5.5, 9, where=PROCESS, point="store")


def _cut(**first: Any) -> dict[str, Any]:
    """An attempt of a timeout of four seconds that was cut after two and a half, and made again."""
    made = call(3, 20.1, length=2.7)
    found = plus(
        3,
        calls=(replace(made, **first), call(3, 40, attempt=2)),
        runs=(run(3, 20, **CUT_LATE), run(3, 40, **SECOND)),
    )
    return found | {"spec": {"timeoutSeconds": 4, "notify": []}, "faults": (CLAIM,)}


def _hung_before() -> dict[str, Any]:
    """The same, after an attempt that had timed out: it is to have its whole timeout, or not to begin."""
    found = _cut()
    calls = [
        call(2, length=4, answer="gone") if one.occurrence == text(at(2)) else one for one in found["calls"]
    ]
    runs = [run(2, 5, 4, **TIMED_OUT) if one["occurrence"] == text(at(2)) else one for one in found["runs"]]
    return found | {"calls": tuple(calls), "runs": tuple(runs)}


def _twice(*faults: Any) -> dict[str, Any]:
    """A skip at 12:03:05.5, and all the same an attempt at 12:03:30."""
    return {
        "calls": (*(call(m) for m in (1, 2)), call(3, 30), *(call(m) for m in (4, 5))),
        "runs": (run(1), run(2), skip(3, 3), run(3, 30), run(4), run(5)),
        "faults": faults,
    }


def _not_released(*faults: Any, **changes: Any) -> dict[str, Any]:
    """A claim that nobody made an attempt of, by a tick that ran *changes* as well, if anything."""
    found = plus(3, calls=(call(3, 40, attempt=2),), runs=(run(3, **GONE), run(3, 40, **SECOND)))
    return found | {"faults": faults} | changes


def _beside(process: str) -> dict[str, Any]:
    """What the tick of the lost claim ran before: the attempt at 12:02, by *process*."""
    mine = _not_released()
    calls = [replace(one, process=process) if one.occurrence == text(at(2)) else one for one in mine["calls"]]
    runs = [one | {"token": "first.2"} if one["occurrence"] == text(at(2)) else one for one in mine["runs"]]
    return {"calls": tuple(calls), "runs": tuple(runs)}


GIVEN_UP = {"abandoned_without_cause", "repeated"}

DELAYED_WRONG: dict[str, tuple[set[str], dict[str, Any]]] = {
    "cut for a late claim, with nothing that had held that up": (GIVEN_UP, _cut() | {"faults": ()}),
    "cut for a late claim, but it was another process that was held up": (
        GIVEN_UP,
        _cut() | {"faults": (replace(CLAIM, where=OTHER),)},
    ),
    "cut for a claim that was later than what was measured": (
        GIVEN_UP,
        _cut() | {"faults": (replace(CLAIM, started=stamp(3, 12)),)},
    ),
    "cut for a late claim, but the answer had been there for long": (
        GIVEN_UP,
        _cut(ended=stamp(3, 20.6)),
    ),
    "cut for a late claim, but the target and a third process were held up as the answer came": (
        GIVEN_UP,
        _cut(ended=stamp(3, 20.6))
        | {"faults": (CLAIM, fault("late", 3, 20.6, 22.4, where=OTHER, point="loop"))},
    ),
    "begun with less than its whole timeout, although it had timed out": ({"begun_too_late"}, _hung_before()),
    "begun with less than its whole timeout, although the store was away": (
        {"begun_too_late"},
        _hung_before() | {"faults": (fault("store", 3, 0, 20, where=""),)},
    ),
    "begun with less than its whole timeout, although it is made once": (
        {"begun_too_late"},
        plus(3, calls=(call(3, 20.1, length=2.7),), runs=(run(3, 20, **CUT_LATE | {"final": True}),))
        | {"spec": {"timeoutSeconds": 4, "notify": [], "delivery": "at_most_once"}, "faults": (CLAIM,)},
    ),
    "recorded twice, with a delay that was over when the first record was written": (
        {"accounted_twice"},
        _twice(fault("late", 3, 1, 5.2, where=PROCESS, point="store")),
    ),
    "recorded twice, with two delays of two processes, neither of which is long enough": (
        {"accounted_twice"},
        _twice(replace(STORE, ended=stamp(3, 7.5)), replace(STORE, ended=stamp(3, 7.5), where=OTHER)),
    ),
    "recorded twice, with a delay long after the tick that was first": (
        {"accounted_twice"},
        _twice(fault("late", 3, 31, 40, where=PROCESS, point="store")),
    ),
    "two results, and a store that was slow: the first was on record": (
        {"accounted_twice", "repeated"},
        plus(3, calls=(call(3), call(3, 30)), runs=(run(3), run(3, 30, token="other.1")))
        | {"faults": (STORE,)},
    ),
    "a claim without an attempt, with delays of two processes, neither of which is long enough": (
        {"abandoned_without_cause"},
        _not_released(replace(STORE, ended=stamp(3, 7.5)), replace(STORE, ended=stamp(3, 7.5), where=OTHER)),
    ),
    "a claim without an attempt, of a process that was not held up": (
        {"abandoned_without_cause"},
        _not_released(STORE, **_beside(OTHER)),
    ),
    "a claim without an attempt, with a delay after all that its tick could do": (
        {"abandoned_without_cause"},
        _not_released(fault("late", 3, 30, 34, where=PROCESS, point="store")),
    ),
}

DELAYED_RIGHT: dict[str, dict[str, Any]] = {
    "cut because the store took so long to grant the claim": _cut(),
    "cut for a late claim, while the answer lay at a target that was held up": _cut(ended=stamp(3, 20.6))
    | {"faults": (CLAIM, fault("late", 3, 20.6, 22.4, where="target", point="loop"))},
    "recorded twice, for a slow store took the first settlement too late": _twice(STORE),
    "a claim without an attempt, for a slow store took no release": _not_released(STORE),
    "a claim without an attempt, of the process that was held up": _not_released(STORE, **_beside(PROCESS)),
}
