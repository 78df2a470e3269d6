"""Events that tasks start on: what they are, who listens to which, and what waits to be passed on."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, JsonValue, StringConstraints

from functions.domain.types import Instant, Model, OutcomeKind, TaskId, format_instant

RUN_FINISHED = "cronfire.run.finished"
TASK_PAUSED = "cronfire.task.paused"
RESERVED_PREFIX = "cronfire."  # types that begin so are the scheduler's own; nobody else sends them
MAX_DATA_BYTES = 4096  # as JSON; an event travels inside the documents of tasks
MAX_HOPS = 20  # events that led to one another: a circle ends there
MAX_SUBSCRIBERS = 100  # of one event, and of one task's end


def _check_size(data: dict[str, Any]) -> dict[str, Any]:
    size = len(json.dumps(data, ensure_ascii=False).encode("utf-8", "replace"))
    if size > MAX_DATA_BYTES:
        raise ValueError(f"must be at most {MAX_DATA_BYTES} bytes as JSON; it is {size}")
    return data


EventType = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,99}$")]
EventSource = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]*$", max_length=200)]
EventId = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]+$", max_length=200)]
EventData = Annotated[dict[str, JsonValue], AfterValidator(_check_size)]

AfterCondition = Literal["success", "failure", "finished"]
_FAILURES = (OutcomeKind.FAILED, OutcomeKind.TIMED_OUT, OutcomeKind.ABANDONED)


class After(Model):
    """Another task whose end starts this one.

    Attributes:
        task: Its id.
        on: How it has to end; `finished` is any end of an attempt that is the last one. A skip is no end.
    """

    task: TaskId
    on: AfterCondition = "success"

    def accepts(self, outcome: OutcomeKind) -> bool:
        """Whether a run that came to *outcome* counts."""
        match self.on:
            case "success":
                return outcome is OutcomeKind.SUCCEEDED
            case "failure":
                return outcome in _FAILURES
            case _:
                return outcome is not OutcomeKind.SKIPPED


class OnEvent(Model):
    """Events that start a task.

    Attributes:
        source: Where they must come from; empty means anywhere.
    """

    type: EventType
    source: EventSource = ""


class Event(Model):
    """Something that happened, on its way to the tasks that start on it.

    Attributes:
        id: Unique within its source: the same event sent twice has the same one, and is heard once.
        source: Who sent it: a task's id, an API key's name, whatever a program outside calls itself.
        subject: What it is about; of the end of a run the task's id.
        to: The one task that it is for; empty means all that listen.
        owner: Whose it is: only tasks of the same owner hear it. Empty means everybody's.
        hops: How many events led to one another, this one included.
    """

    id: EventId
    type: EventType
    source: EventSource = ""
    subject: Annotated[str, StringConstraints(max_length=200)] = ""
    time: Instant
    data: EventData = Field(default_factory=dict)
    to: TaskId | Literal[""] = ""
    owner: str = ""
    hops: int = 1

    def attributes(self) -> dict[str, str]:
        """The context attributes of CloudEvents 1.0, as text."""
        given = {
            "specversion": "1.0",
            "id": self.id,
            "type": self.type,
            "source": self.source or "cronfire",
            "time": format_instant(self.time),
        }
        return given | ({"subject": self.subject} if self.subject else {})

    def to_structured_json(self) -> dict[str, Any]:
        """The whole event as CloudEvents writes it in JSON."""
        return {**self.attributes(), "datacontenttype": "application/json", "data": self.data}

    @property
    def key(self) -> str:
        """What it is known by to those who have heard it."""
        return f"{self.source} {self.id}"


class Dependent(Model):
    """A task that runs after this one; the other side of its `After`."""

    task: TaskId
    on: AfterCondition

    def accepts(self, outcome: OutcomeKind) -> bool:
        """Whether a run that came to *outcome* counts."""
        return After(task=self.task, on=self.on).accepts(outcome)


class Outbox(Model):
    """Events of a task that are still to be passed on; written together with the result they tell of.

    Attributes:
        retry_at: When somebody must look again, should the process at it not live to pass them on.
    """

    events: tuple[Event, ...] = ()
    retry_at: Instant | None = None


# Which tasks run after which, and whether that goes in a circle.


def find_cycle(after: Mapping[str, Iterable[str]]) -> Sequence[str]:
    """A circle in *after*: ids in the order in which they would start one another; empty when there is none.

    Args:
        after: For each task the ids of those that it runs after; ids that are no keys run after nothing.
    """
    done: set[str] = set()
    for first in sorted(after):
        path: list[str] = []
        waiting = [(first, iter(sorted(after[first])))] if first not in done else []
        while waiting:
            here, others = waiting[-1]
            if not path or path[-1] != here:
                path.append(here)
            following = next(others, None)
            if following is None:
                done.add(here)
                path.pop()
                waiting.pop()
            elif following in path:
                return [following, *reversed(path[path.index(following) + 1 :]), following]
            elif following in after and following not in done:
                waiting.append((following, iter(sorted(after[following]))))
    return []
