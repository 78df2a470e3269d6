"""Events that start tasks: their shape, which tasks subscribe to which, and what waits for delivery."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, Field, JsonValue, StringConstraints

from functions.domain.cloud_events import CloudEvent
from functions.domain.types import Instant, Model, OutcomeKind, TaskId, short_name, text_form

RUN_FINISHED = "cronfire.run.finished"
TASK_PAUSED = "cronfire.task.paused"
RESERVED_PREFIX = "cronfire."  # types that begin so are the scheduler's own; users cannot send them
MAX_DATA_BYTES = 4096  # as JSON; an event travels inside the documents of tasks
MAX_HOPS = 20  # events that led to one another: a cycle ends there
MAX_SUBSCRIBERS = 100  # of one event and one owner, and of one task's end


def _check_size(data: dict[str, Any]) -> dict[str, Any]:
    size = len(json.dumps(data, ensure_ascii=False).encode("utf-8", "replace"))
    if size > MAX_DATA_BYTES:
        raise ValueError(f"must be at most {MAX_DATA_BYTES} bytes as JSON; it is {size}")
    return data


EventType = Annotated[str, short_name(100)]
_PRINTED_WORDS = "must be printable ASCII characters without spaces"
EventSource = Annotated[str, text_form(r"^[\x21-\x7e]*$", _PRINTED_WORDS, max_length=200)]
EventId = Annotated[str, text_form(r"^[\x21-\x7e]+$", f"{_PRINTED_WORDS}, at least one", max_length=200)]
EventData = Annotated[dict[str, JsonValue], AfterValidator(_check_size)]

EventReach = Literal["owner", "all"]
AfterCondition = Literal["success", "failure", "finished"]
_FAILURES = (OutcomeKind.FAILED, OutcomeKind.TIMED_OUT, OutcomeKind.ABANDONED)


class After(Model):
    """Another task whose end starts this one.

    Attributes:
        task: Its id.
        on: How it must end; `finished` is any outcome of its last attempt. A skip is not an end.
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


class Audience(NamedTuple):
    """Who receives an event that names no task: subscribers to its type, of one owner or of all."""

    type: str
    owner: str
    all_owners: bool = False


class Event(Model):
    """Something that happened, on its way to the tasks that start on it.

    Attributes:
        id: Unique within its source: the same event sent twice has the same one, and starts a task once.
        source: The sender: a task's id, an API key's name, or the name a program outside gives itself.
        subject: What it is about; of the end of a run the task's id.
        to: The one task that it is for; empty means all subscribers.
        owner: Whose event it is; empty for the operator's.
        reach: Tasks of the same owner receive it, or those of all; only the operator's may reach all.
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
    reach: EventReach = "owner"
    hops: int = 1

    def to_cloud_event(self) -> CloudEvent:
        """The event as CloudEvents has it, without whom it is for."""
        return CloudEvent(self.id, self.type, self.subject, self.time, self.data, self.source)

    @property
    def audience(self) -> Audience:
        """Who receives it, if it names no task."""
        return Audience(self.type, "", True) if self.reach == "all" else Audience(self.type, self.owner)

    def reaches(self, owner: str) -> bool:
        """Whether tasks of *owner* may receive it."""
        return self.reach == "all" or self.owner == owner

    @property
    def key(self) -> str:
        """What its receivers remember it by."""
        return f"{self.source} {self.id}"


class Dependent(Model):
    """A task that runs after this one; the other side of its `After`."""

    task: TaskId
    on: AfterCondition

    def accepts(self, outcome: OutcomeKind) -> bool:
        """Whether a run that came to *outcome* counts."""
        return After(task=self.task, on=self.on).accepts(outcome)


class Outbox(Model):
    """Events of a task that are not delivered yet; written together with the result they are about.

    Attributes:
        retry_at: When another tick delivers them, should the process that wrote them die before.
    """

    events: tuple[Event, ...] = ()
    retry_at: Instant | None = None


def find_cycle(after: Mapping[str, Iterable[str]]) -> Sequence[str]:
    """A cycle in *after*: ids in the order in which they would start one another; empty without one.

    `{"a": ["c"], "b": ["a"], "c": ["b"]}` has the cycle a, b, c, a.

    Args:
        after: For each task the ids of those that it runs after; ids that are no keys run after nothing.
    """
    done: set[str] = set()
    for first in sorted(after):
        path = {first: iter(sorted(after[first]))} if first not in done else {}  # with what is left of each
        while path:
            here, others = next(reversed(path.items()))
            following = next(others, None)
            if following is None:
                done.add(here)
                del path[here]
            elif following in path:
                ids = list(path)
                return [following, *reversed(ids[ids.index(following) + 1 :]), following]
            elif following in after and following not in done:
                path[following] = iter(sorted(after[following]))
    return []
