"""What was seen from outside during a run: the evidence that the checker judges."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

Json = dict[str, Any]
TARGET = "target"  # where the calls are logged: the process of the run itself


@dataclass(frozen=True, slots=True)
class Call:
    """One request as the target saw it. Times are seconds since the epoch.

    Attributes:
        process: Who sent it, `<name>/<pid>`.
        ended: When the answer was out, or the caller gone.
        answer: What it came to: `ok`, a status, `hang`, `reset`, `gone` (the caller left before the answer).
    """

    key: str
    attempt: int
    process: str
    arrived: float
    ended: float
    answer: str

    @property
    def task(self) -> str:
        return self.key.rpartition("@")[0]

    @property
    def occurrence(self) -> str:
        return self.key.rpartition("@")[2]


@dataclass(frozen=True, slots=True)
class Op:
    """What a person did to a task.

    Attributes:
        result: `done`, `refused` (it had no effect), or `unknown`.
        spec: The task as written, after a create or an edit.
        at: The instant a run by hand was asked for.
    """

    kind: str
    task: str
    invoked: float
    completed: float
    result: str = "done"
    spec: Json | None = None
    at: str = ""


@dataclass(frozen=True, slots=True)
class Fault:
    """What was done to the system.

    Attributes:
        kind: `kill`, `term`, `crash`, `freeze`, `clock`, `store` (nobody could write), `answers` (of the
            store were lost), `network`, `channel` (it was down), `pings` (nobody pinged); `late` is nobody's
            doing: the machine, or the store, was slow by itself.
        where: The name of the process, or empty for what all share (a `freeze` of the whole machine, say).
        size: Of a clock's step, in seconds.
        point: Where in the work a `crash` happened; what was `late`: `loop` or `store`.
    """

    kind: str
    started: float
    ended: float
    where: str = ""
    size: float = 0.0
    point: str = ""


@dataclass(frozen=True, slots=True)
class Ping:
    """One call of the tick; *status* is 0 when no answer came."""

    process: str
    sent: float
    answered: float
    status: int
    report: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class History:
    """A whole run.

    Attributes:
        told: Ids of the notices the sink took, with repeats.
        told_at: When it took each of them.
        quarantined: Ids of tasks that were seen quarantined at some time.
        long_words: When messages came that named some of their notices and only counted the rest.
        tasks: All tasks at the end, as JSON.
        runs: All records at the end, as JSON.
        healed: When the last fault was over; every occurrence up to then must have come to its end.
        read: When the final state was read.
        slots: How many attempts a process may make at once; 0 when that was not bounded.
    """

    healed: float
    read: float
    ops: tuple[Op, ...]
    calls: tuple[Call, ...] = ()
    faults: tuple[Fault, ...] = ()
    pings: tuple[Ping, ...] = ()
    told: tuple[str, ...] = ()
    told_at: tuple[float, ...] = ()
    long_words: tuple[float, ...] = ()
    quarantined: tuple[str, ...] = ()
    tasks: tuple[Json, ...] = ()
    runs: tuple[Json, ...] = ()
    slots: int = 0


def save(history: History, file: Path) -> None:
    """Write *history* as JSON."""
    file.write_text(json.dumps(asdict(history), default=str))


def load(file: Path) -> History:
    """Read what `save` wrote."""
    raw: dict[str, Any] = json.loads(file.read_text())
    kinds: dict[str, Any] = {"ops": Op, "calls": Call, "faults": Fault, "pings": Ping}
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in raw.items()
    }
    for name, kind in kinds.items():
        values[name] = tuple(kind(**one) for one in values[name])
    return History(**values)
