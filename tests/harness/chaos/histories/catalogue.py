"""Histories made by hand: wrong ones, with the codes each must be given, and right ones."""

from dataclasses import replace
from typing import Any

from tests.harness.chaos.checker.history import Fault, Json, Op
from tests.harness.chaos.histories.delayed import DELAYED_RIGHT, DELAYED_WRONG
from tests.harness.chaos.histories.groups import CROWDED_RIGHT, CROWDED_WRONG
from tests.harness.chaos.histories.hand_made import (
    PROCESS,
    at,
    call,
    fault,
    history,
    ping,
    plus,
    run,
    skip,
    stamp,
    task,
    text,
    without,
)
from tests.harness.chaos.histories.together import CUT_BY_THE_END, DEADLY_SPEC, one_tick, slow_ones

EDIT = Op(
    "edit",
    "t",
    stamp(3, 20),
    stamp(3, 21),
    spec={"id": "t", "schedule": "*/2 * * * *", "timezone": "UTC"},
    at=text(at(3, 20)),
)
EARLY_EDIT = replace(EDIT, invoked=stamp(1, 20), completed=stamp(1, 21), at=text(at(1, 20)))
MANUAL = Op("run", "t", stamp(3, 30), stamp(3, 31), at=text(at(3, 30)))
BY_HAND: Json = {"occurrence": text(at(3, 30)), "trigger": "manual", "token": "hand.1"}
FAILED: Json = {"outcome": "failed", "token": "first.1", "final": False}
SECOND: Json = {"attempt": 2, "token": "second.1"}
GONE: Json = {"outcome": "abandoned", "token": "first.1", "final": False, "finishedAt": text(at(3, 29))}
EVERY_SECOND: Json = {
    "calls": tuple(call(m) for m in (1, 2, 3, 4)),
    "runs": tuple(run(m) for m in (1, 2, 3, 4)),
}
TOLD = ("t@2026-11-20T12:03:00Z#failure", "t@2026-11-20T12:04:00Z#recovery")


def _set_back(killed: str) -> dict[str, Any]:
    """An attempt at 12:03:30 by a process whose clock says 12:02:00, until *killed* is killed; made again."""
    given_up: Json = {"outcome": "abandoned", "final": False, "finishedAt": text(at(2, 35))}
    made = plus(
        3,
        calls=(call(3, 30, length=5, answer="gone"), call(3, 50, attempt=2)),
        runs=(run(3, **given_up, startedAt=text(at(2))), run(3, 50, attempt=2, token="second.1")),
    )
    return made | {"faults": (fault("kill", 3, 34.9, 40, where=killed),)}


FLAPPED: dict[str, Any] = {  # it fails three times, and works again when that is no news any more
    "calls": tuple(call(m, answer="500" if m < 4 else "ok") for m in range(1, 6)),
    "runs": tuple(run(m, outcome="failed" if m < 4 else "succeeded") for m in range(1, 6)),
    "told": (f"t@{text(at(1))}#failure",),
    "long_words": (stamp(1, 30),),
}

WRONG: dict[str, tuple[set[str], dict[str, Any]]] = {
    "an occurrence without run, skip or place": ({"lost"}, without(3)),
    "the last one before the end": ({"lost"}, without(5)),
    "a skip that covers others only": (
        {"lost", "accounted_twice"},
        plus(3, runs=(skip(4, 4),)) | {"calls": without(3)["calls"]},
    ),
    "two results of one occurrence": (
        {"accounted_twice", "repeated"},
        plus(3, calls=(call(3), call(3, 30)), runs=(run(3), run(3, 30, token="other.1"))),
    ),
    "a run and a skip of the same": (
        {"accounted_twice"},
        plus(3, calls=(call(3),), runs=(run(3), skip(3, 3))),
    ),
    "a run, and the occurrence waits all the same": (
        {"accounted_twice", "stuck"},
        {"tasks": (task(backlog=[{"at": text(at(4)), "trigger": "queued"}]),)},
    ),
    "two skips of one occurrence": (
        {"accounted_twice"},
        {
            "calls": tuple(call(m) for m in (1, 4, 5)),
            "runs": (run(1), skip(2, 2), skip(2, 3), run(4), run(5)),
        },
    ),
    "two attempts at the same time": (
        {"doubled", "accounted_twice"},
        plus(3, calls=(call(3, length=5), call(3, 7)), runs=(run(3), run(3, 7, token="other.1"))),
    ),
    "two attempts at the same time, the first cut short by nothing": (
        {"doubled", "false_record"},
        plus(
            3, calls=(call(3, length=9), call(3, 7, attempt=2)), runs=(run(3, **FAILED), run(3, 7, **SECOND))
        ),
    ),
    "two occurrences of one task at the same time": (
        {"doubled"},
        plus(3, calls=(call(3, length=70),), runs=(run(3, length=70),)),
    ),
    "a second try after a success": (
        {"repeated"},
        plus(3, calls=(call(3), call(3, 30, attempt=2)), runs=(run(3, final=False), run(3, 30, **SECOND))),
    ),
    "a second try of what was given up by a clock that had been set back, as another process was killed": (
        {"repeated", "abandoned_without_cause"},
        _set_back("p1/12"),
    ),
    "a second try of what was given up for nothing": (
        {"repeated", "abandoned_without_cause"},
        plus(3, calls=(call(3), call(3, 30, attempt=2)), runs=(run(3, **GONE), run(3, 30, **SECOND))),
    ),
    "a repeat although the result was on record when the process died": (
        {"repeated", "accounted_twice"},
        plus(3, calls=(call(3), call(3, 30, attempt=2)), runs=(run(3), run(3, 30, **SECOND)))
        | {"faults": (fault("kill", 3, 6, 8),)},
    ),
    "a second try where one at most was asked for": (
        {"at_most_once", "false_record"},
        plus(3, calls=(call(3), call(3, 30, attempt=2)), runs=(run(3, **FAILED), run(3, 30, **SECOND)))
        | {"spec": {"delivery": "at_most_once"}},
    ),
    "that, after a crash": (
        {"at_most_once"},
        plus(3, calls=(call(3), call(3, 30, attempt=2)), runs=(run(3, **GONE), run(3, 30, **SECOND)))
        | {"spec": {"delivery": "at_most_once"}, "faults": (fault("kill", 3, 5, 8),)},
    ),
    "a request that is not on record": ({"unrecorded"}, plus(3, calls=(call(3),), runs=(skip(3, 3),))),
    "a success nobody asked for": ({"false_record"}, plus(3, runs=(run(3),))),
    "a success that was a failure": (
        {"false_record"},
        plus(3, calls=(call(3, answer="500"),), runs=(run(3),)),
    ),
    "a failure on record of what the target had answered well": (
        {"false_record"},
        plus(3, calls=(call(3),), runs=(run(3, outcome="failed"),)) | {"spec": {"notify": []}},
    ),
    "a failure on record of what its own process had given up": (
        {"false_record"},
        plus(3, calls=(call(3, answer="gone"),), runs=(run(3, outcome="failed"),))
        | {"spec": {"notify": []}, "faults": (fault("term", 3, 5, 9),)},
    ),
    "quarantined beside one that kills its process": ({"punished"}, {"quarantined": ("t",)}),
    "at rest, and nobody has paused it": ({"punished"}, {"tasks": (task(status="paused", nextRunAt=None),)}),
    "skipped as missed, though a tick came that saw to everything": (
        {"skipped_without_cause"},
        plus(3, runs=(skip(3, 3, startedAt=text(at(3, 50)), finishedAt=text(at(3, 50))),))
        | {"pings": (ping(3, 20),)},
    ),
    "skipped for want of room, though no tick came": (
        {"skipped_without_cause"},
        plus(3, runs=(skip(3, 3, "capacity"),)),
    ),
    "skipped for a pause, though nobody paused it": (
        {"skipped_without_cause"},
        plus(3, runs=(skip(3, 3, "paused"),)),
    ),
    "skipped for a cause that these runs do not have": (
        {"skipped_without_cause"},
        plus(3, runs=(skip(3, 3, "budget"),)),
    ),
    "an instant nobody asked for": (
        {"phantom"},
        {
            "calls": (*history().calls, call(3, 30, key=f"t@{text(at(3, 30))}")),
            "runs": (*history().runs, run(3, 30, **BY_HAND)),
        },
    ),
    "a record of an instant nobody asked for": (
        {"phantom"},
        {"runs": (*history().runs, run(3, 30, **BY_HAND, outcome="failed")), "spec": {"notify": []}},
    ),
    "an instant of the schedule before": ({"phantom"}, {"ops": (EARLY_EDIT,)}),
    "an attempt before its time": ({"early"}, plus(3, calls=(call(3, -5),), runs=(run(3, -5),))),
    "early by more than the clock was fast": (
        {"early"},
        plus(3, calls=(call(3, -20),), runs=(run(3, -20),))
        | {"faults": (fault("clock", 2, 0, 59, size=5.0),)},
    ),
    "left alone by a healthy tick": (
        {"passed_over"},
        plus(3, calls=(call(3, 40),), runs=(run(3, 40),)) | {"pings": (ping(3, 10),)},
    ),
    "left alone by a healthy tick, long after another was done with it": (
        {"passed_over"},
        plus(3, calls=(call(3, 40),), runs=(run(3, 40),))
        | {"pings": (ping(3, 20),), "faults": (fault("late", 3, 11, 12, where="", point="loop"),)},
    ),
    "skipped for an overlap that was none": (
        {"skipped_without_cause"},
        plus(3, runs=(skip(3, 3, "overlap"),)),
    ),
    "given up without a reason": (
        {"abandoned_without_cause", "given_up"},
        plus(3, calls=(call(3),), runs=(run(3, outcome="abandoned"),)) | {"spec": {"notify": []}},
    ),
    "a wrong count of what was skipped": (
        {"miscounted"},
        {"calls": tuple(call(m) for m in (1, 5)), "runs": (run(1), skip(2, 4, count=2), run(5))},
    ),
    "a claim that has expired": (
        {"stuck", "accounted_twice"},
        {
            "tasks": (
                task(
                    status="running",
                    occurrence=text(at(5)),
                    claim={"token": "x.1", "until": text(at(5, 30)), "startedAt": text(at(5, 5))},
                ),
            )
        },
    ),
    "an occurrence still in line at the end": (
        {"stuck", "wrong_next"},
        without(5) | {"tasks": (task(nextOccurrence=text(at(5)), nextRunAt=None),)},
    ),
    "notices that nothing will deliver": (
        {"stuck"},
        {"tasks": (task(alert={"pending": [{"id": "x"}], "retryAt": None}),)},
    ),
    "the next look is too late": ({"wrong_next"}, {"tasks": (task(nextRunAt=text(at(9))),)}),
    "there is no next look": ({"wrong_next"}, {"tasks": (task(nextRunAt=None),)}),
    "the next occurrence is none": (
        {"wrong_next"},
        {"tasks": (task(nextOccurrence=text(at(6, 30)), nextRunAt=text(at(6, 30))),)},
    ),
    "a failure nobody was told of": (
        {"not_told"},
        plus(3, calls=(call(3, answer="500"),), runs=(run(3, outcome="failed"),)) | {"told": TOLD[1:]},
    ),
    "a recovery nobody was told of": (
        {"not_told"},
        plus(3, calls=(call(3, answer="500"),), runs=(run(3, outcome="failed"),)) | {"told": TOLD[:1]},
    ),
    "a recovery nobody was told of, an hour after a message that counted some": (
        {"not_told"},
        plus(3, calls=(call(3, answer="500"),), runs=(run(3, outcome="failed"),))
        | {"told": TOLD[:1], "long_words": (stamp(4) - 3600,)},
    ),
    "a recovery nobody was told of, longer before such a message than a channel that is up takes": (
        {"not_told"},
        plus(3, calls=(call(3, answer="500"),), runs=(run(3, outcome="failed"),))
        | {"told": TOLD[:1], "long_words": (stamp(4) + 345,)},
    ),
    "a recovery nobody was told of, long after a message that counted some": ({"not_told"}, FLAPPED),
    "a task that is gone": ({"vanished"}, {"tasks": ()}),
    "skipped as missed, though a tick came that had no room": (
        {"skipped_without_cause"},
        plus(3, runs=(skip(3, 3, startedAt=text(at(3, 50)), finishedAt=text(at(3, 50))),))
        | {"pings": (ping(3, 20, postponed=40),)},
    ),
    "postponed by a tick that ended early": (
        {"passed_over"},
        plus(3, calls=(call(3, 40),), runs=(run(3, 40),)) | {"pings": (ping(3, 10, postponed=40),)},
    ),
    "missed work before what was on time": ({"out_of_turn"}, one_tick(missed_at=3, on_time_at=9)),
    "missed work before what was on time, though nobody had pinged for a while": (
        {"out_of_turn"},
        one_tick(missed_at=3, on_time_at=9) | {"faults": (Fault("pings", stamp(1, 50), stamp(2, 59)),)},
    ),
    "missed work for half a tick": ({"out_of_turn"}, one_tick(on_time_at=3, missed_at=4, last_at=14)),
    "all slots held by what timed out the last time": ({"crowded_out"}, slow_ones(4)),
    "given up for good, although the tick's end had cut it": (
        {"given_up"},
        plus(3, calls=(call(3, answer="gone"),), runs=(run(3, **CUT_BY_THE_END | {"final": True}),))
        | {"spec": {"notify": []}},
    ),
    "one that kills its process for ever": (
        {"unstopped"},
        {
            "ops": (Op("create", "deadly", stamp(0), stamp(0), spec=DEADLY_SPEC, at=text(at(0))),),
            "tasks": (task(), task(id="deadly", status="ended", nextOccurrence=None, nextRunAt=None)),
            "faults": tuple(fault("crash", 50, n, n, point="deadly") for n in range(9)),
        },
    ),
    "a notice that was sent again": (
        {"told_again"},
        plus(3, calls=(call(3, answer="500"),), runs=(run(3, outcome="failed"),))
        | {"told": (TOLD[0], *TOLD), "told_at": (stamp(3, 6), stamp(3, 20), stamp(4, 6))},
    ),
    "more successes in reports than on record": (
        {"false_report"},
        {"pings": tuple(ping(minute, 4, succeeded=2) for minute in (1, 2, 3))},
    ),
    "results that were not written, in a tick that was well": (
        {"false_report"},
        {"pings": (ping(3, 4, unwritten=3),)},
    ),
}

RIGHT: dict[str, dict[str, Any]] = {
    "nothing special": {},
    "killed during its call, on record by a clock that had been set back": _set_back(PROCESS),
    "a run by hand that paused the task, with an older occurrence in line": {
        "calls": (*(call(m) for m in (1, 2)), call(3, 30, key=f"t@{text(at(3, 30))}", answer="500")),
        "runs": (*(run(m) for m in (1, 2)), run(3, 30, **BY_HAND, outcome="failed")),
        "ops": (MANUAL,),
        "tasks": (task(status="paused", nextOccurrence=text(at(3)), nextRunAt=None),),
        "spec": {"notify": [], "pauseAfterFailures": 1},
    },
    "a failure and its recovery, told": plus(
        3, calls=(call(3, answer="500"),), runs=(run(3, outcome="failed"),)
    )
    | {"told": TOLD},
    "a recovery among those that a long message only counted": plus(
        3, calls=(call(3, answer="500"),), runs=(run(3, outcome="failed"),)
    )
    | {"told": TOLD[:1], "long_words": (stamp(4, 30),)},
    "a task that changes too often, which a long message only counted": FLAPPED
    | {"tasks": (task(alert={"pending": [], "retryAt": None, "flapping": ["default"]}),)},
    "a recovery counted in a long message that had waited for its channel": plus(
        3, calls=(call(3, answer="500"),), runs=(run(3, outcome="failed"),)
    )
    | {
        "told": TOLD[:1],
        "faults": (fault("channel", 4, 20, 59),),
        "long_words": (stamp(4) + 345,),
    },
    "a failure the target did not see, dated after its recovery by a clock that others of its tick betray": {
        "calls": tuple(call(m) for m in (1, 2, 4, 5)),
        "runs": (
            run(1),
            run(2, token="fast.1", startedAt=text(at(3, 34)), finishedAt=text(at(3, 35))),
            run(3, token="fast.2", startedAt=text(at(4, 34)), finishedAt=text(at(4, 35)), outcome="failed"),
            run(4),
            run(5),
        ),
        "faults": (fault("clock", 2, 0, 100, size=90.0),),
        "told": TOLD,
    },
    "a failure the target did not see, dated after its recovery by a clock that nothing betrays": plus(
        3,
        calls=(),
        runs=(run(3, startedAt=text(at(4, 34)), finishedAt=text(at(4, 35)), outcome="failed"),),
    )
    | {"faults": (fault("clock", 3, 0, 20, size=90.0),), "told": TOLD},
    "a failure the target did not see, dated before the last success by such a clock": plus(
        3,
        calls=(),
        runs=(run(3, startedAt=text(at(1, 34)), finishedAt=text(at(1, 35)), outcome="failed"),),
    )
    | {"faults": (fault("clock", 3, 0, 20, size=-90.0),), "told": TOLD},
    "a retry after a failure": plus(
        3,
        calls=(call(3, answer="500"), call(3, 30, attempt=2)),
        runs=(run(3, **FAILED), run(3, 30, **SECOND)),
    ),
    "skipped by misfire": {
        "calls": tuple(call(m) for m in (1, 5)),
        "runs": (run(1), skip(2, 4), run(5)),
    },
    "skipped for an overlap that was one": {
        "calls": (call(1), call(2, length=70), call(4), call(5)),
        "runs": (run(1), run(2, length=70), skip(3, 3, "overlap"), run(4), run(5)),
    },
    "repeated after the process was killed in the middle": plus(
        3,
        calls=(call(3, answer="gone"), call(3, 30, attempt=2)),
        runs=(run(3, **GONE), run(3, 30, **SECOND)),
    )
    | {"faults": (fault("kill", 3, 5.5, 8),)},
    "killed before anything was sent": plus(
        3, calls=(call(3, 30, attempt=2),), runs=(run(3, **GONE), run(3, 30, **SECOND))
    )
    | {"faults": (fault("kill", 3, 5.5, 8),)},
    "given up after a crash, where one try at most was asked for": plus(
        3, calls=(call(3),), runs=(run(3, outcome="abandoned", finishedAt=text(at(3, 40))),)
    )
    | {"spec": {"delivery": "at_most_once", "notify": []}, "faults": (fault("kill", 3, 5.5, 8),)},
    "a process overslept its claim and reported late": plus(
        3,
        calls=(call(3), call(3, 30, attempt=2, process="p1/12")),
        runs=(run(3, 5, length=40), run(3, **(GONE | {"token": "g.1"})), run(3, 30, **SECOND)),
    )
    | {"faults": (fault("freeze", 3, 5.2, 45),)},
    "an occurrence by hand": {
        "ops": (MANUAL,),
        "calls": (*history().calls, call(3, 33, key=f"t@{text(at(3, 30))}")),
        "runs": (*history().runs, run(3, 33, **BY_HAND)),
    },
    "a schedule that was changed": EVERY_SECOND | {"ops": (EDIT,), "tasks": (task(schedule="*/2 * * * *"),)},
    "a deleted task": EVERY_SECOND | {"ops": (Op("delete", "t", stamp(4, 30), stamp(4, 31)),), "tasks": ()},
    "early by what the clock was fast": plus(3, calls=(call(3, -20),), runs=(run(3, -20),))
    | {"faults": (fault("clock", 2, 0, 59, size=30.0),)},
    "a recovery that a wrong clock dates before its failure": plus(
        3,
        calls=(call(3, answer="500"),),
        runs=(run(3, finishedAt=text(at(4, 35)), startedAt=text(at(4, 34)), outcome="failed"),),
    )
    | {"faults": (fault("clock", 3, 0, 20, size=90.0),), "told": TOLD},
    "early because another's fast clock had put it in line": plus(
        3, calls=(call(3, -20, process="p1/12"),), runs=(run(3, -20),)
    )
    | {"faults": (fault("clock", 1, 30, 40, size=90.0),)},
    "skipped twice, for the first to do so died before it could move on": {
        "calls": tuple(call(m) for m in (1, 4, 5)),
        "runs": (run(1), skip(2, 2), skip(2, 3), run(4), run(5)),
        "faults": (fault("kill", 2, 5, 8),),
    },
    "left alone by a tick beside the one that held it for an older occurrence": {
        "calls": (call(1), call(2, 62, length=20), call(3, 40), call(4), call(5)),
        "runs": (run(1), run(2, 62, 20), run(3, 40), run(4), run(5)),
        "pings": (ping(3, 10),),
    },
    "left alone by a tick that says it did not get to everything": plus(
        3, calls=(call(3, 40),), runs=(run(3, 40),)
    )
    | {"pings": (replace(ping(3, 10, backlog=True), answered=stamp(3, 30)),)},
    "due at once, as it was written after its time": {
        "tasks": (task(nextRunAt=text(at(6, 10))),),
        "read": stamp(6, 20),
    },
    "skipped for want of room, as a tick was busy since it was due": plus(3, runs=(skip(3, 3, "capacity"),))
    | {"pings": (ping(3, 1, postponed=40),)},
    "skipped for a pause that somebody asked for": plus(3, runs=(skip(3, 3, "paused"),))
    | {"ops": (Op("pause", "t", stamp(2, 30), stamp(2, 31)), Op("resume", "t", stamp(3, 2), stamp(3, 3)))},
    "one that kills its process is quarantined": {
        "spec": {"params": {"url": "http://x/t/deadly"}},
        "quarantined": ("t",),
    },
    "a failure, as the network was cut": plus(
        3, calls=(call(3, answer="gone"),), runs=(run(3, outcome="failed"),)
    )
    | {"spec": {"notify": []}, "faults": (fault("network", 3, 5, 5, where=""),)},
    "postponed by a tick that had used its time": plus(3, calls=(call(3, 40),), runs=(run(3, 40),))
    | {"pings": (replace(ping(3, 10, postponed=40), answered=stamp(3, 30)),)},
    "postponed by a short tick, as it needs longer than that had left": {
        "calls": (call(1, length=4), call(2), call(3, 40), call(4), call(5)),
        "runs": (run(1, 5, 4), run(2), run(3, 40), run(4), run(5)),
        "pings": (ping(3, 10, postponed=40),),
    },
    "missed work after what was on time, for a while": one_tick(on_time_at=3, missed_at=4, last_at=6),
    "what timed out the last time, within its share": slow_ones(3),
    "cut by the tick's end, and made again": plus(
        3,
        calls=(call(3, answer="gone"), call(3, 30, attempt=2)),
        runs=(run(3, **CUT_BY_THE_END), run(3, 30, **SECOND)),
    ),
    "cut for the third time, and over": plus(
        3,
        calls=tuple(call(3, 5 + 10 * n, attempt=n, answer="gone") for n in (1, 2, 3)),
        runs=tuple(
            run(3, 5 + 10 * n, **CUT_BY_THE_END | {"attempt": n, "token": f"n{n}.1", "final": n == 3})
            for n in (1, 2, 3)
        ),
    )
    | {"spec": {"notify": []}},
    "a notice that was sent again, for the process died": plus(
        3, calls=(call(3, answer="500"),), runs=(run(3, outcome="failed"),)
    )
    | {
        "told": (TOLD[0], *TOLD),
        "told_at": (stamp(3, 6), stamp(3, 20), stamp(4, 6)),
        "faults": (fault("kill", 3, 7, 8),),
    },
    "reports of what is on record": {"pings": tuple(ping(m, 4, succeeded=1) for m in (1, 2, 3))},
    "skipped as missed by a clock that was fast, before the tick that came": plus(
        3, runs=(skip(3, 3, startedAt=text(at(3, 50)), finishedAt=text(at(3, 50))),)
    )
    | {"pings": (ping(3, 20),), "faults": (fault("clock", 1, 0, 62, size=90.0),)},
    "skipped for an overlap with an attempt whose claim the store granted late": {
        "calls": (call(1), call(2, 62, length=1), call(4), call(5)),
        "runs": (run(1), run(2, 62, 1), skip(3, 3, "overlap"), run(4), run(5)),
        "faults": (fault("late", 2, 58, 62, where=PROCESS, point="store"),),
    },
    "late because nobody pinged": plus(3, calls=(call(3, 40),), runs=(run(3, 40),))
    | {"faults": (Fault("pings", stamp(3), stamp(3, 30)),), "pings": (ping(3, 31),)},
}

WRONG.update(DELAYED_WRONG | CROWDED_WRONG)
RIGHT.update(DELAYED_RIGHT | CROWDED_RIGHT)
