"""What became of somebody's older tasks: a sentence about each field, and what could not be read."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from functions.rules.task import TaskSpec
from functions.taskfiles import Fault

Did = Literal["mapped", "changed", "left out"]


@dataclass(frozen=True, slots=True)
class Terms:
    """What a reader must know beside the text.

    Attributes:
        now: A moment after which nothing has happened yet.
        timezone: The zone of whatever names none.
        timeout_s: How long an attempt may take where nothing says so; None means the usual limit.
    """

    now: datetime
    timezone: str = "UTC"
    timeout_s: float | None = None

    @property
    def limit(self) -> str:
        """A sentence about attempts whose length nobody bounded."""
        most = TaskSpec.model_fields["timeout_seconds"].default if self.timeout_s is None else self.timeout_s
        more = "give one that needs longer timeoutSeconds, and the tick as much (TICK_BUDGET_SECONDS)"
        return f"there was no limit of time; an attempt may take {most:g} s here: {more}"


@dataclass(frozen=True, slots=True)
class Note:
    """What became of one field, or of a whole entry.

    Attributes:
        task: The id it has here, or the name it had there; empty for the file itself.
        field: As the file writes it; empty for the whole entry.
        why: One sentence; never a value that may be a secret.
    """

    task: str
    field: str
    did: Did
    why: str
    line: int | None = None

    def __str__(self) -> str:
        where = "" if self.line is None else f"line {self.line}: "
        about = ": ".join(part for part in (self.task, self.field) if part)
        return f"{where}{about}: {self.did}: {self.why}" if about else f"{where}{self.did}: {self.why}"


@dataclass(frozen=True, slots=True)
class Moved:
    """A task as it comes here.

    Attributes:
        last_run_at: When the other scheduler last ran it; None when that is not known.
        next_run_at: When the other scheduler would have looked at it next; None when that is not known.
    """

    spec: TaskSpec
    last_run_at: datetime | None = None
    next_run_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Older:
    """What files of one shape hold: all that could be read, and every fault of the rest."""

    shape: str
    moved: tuple[Moved, ...] = ()
    notes: tuple[Note, ...] = ()
    faults: tuple[Fault, ...] = ()
