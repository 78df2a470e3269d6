"""A heartbeat's params, its state, and one call of its address, a ping.

The words are those of healthchecks.io, whose calls it understands: https://healthchecks.io/docs/http_api/
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from functions.domain.types import Instant, Model, text_form

HEARTBEAT = "heartbeat"  # the task type
MAX_OPEN_RUNS = 8  # runs that have begun and not ended; the oldest are forgotten
MAX_OUTPUT_CHARS = 8_000  # of a run that are kept, its end first

_RUN_ID = text_form(
    r"^[A-Za-z0-9._-]*$", "must be letters, digits, dots, hyphens and underscores", max_length=64
)
RunId = Annotated[str, _RUN_ID]


class HeartbeatParams(Model):
    """What is expected of the program that calls.

    Attributes:
        grace_seconds: How late a call may be, after the schedule's time or the longest run, before it counts
            as missing.
        max_seconds: How long a run may take between its start and its end; None means until the next call is
            missing.
    """

    grace_seconds: Annotated[int, Field(ge=0, le=2_592_000)] = 300
    max_seconds: Annotated[int, Field(ge=1, le=2_592_000)] | None = None


class OpenRun(Model):
    """A run that has begun and not ended; the id is empty when the program sends none."""

    run_id: RunId = ""
    started_at: Instant


class HeartbeatState(Model):
    """What is known of the program that calls.

    Attributes:
        last_at: Its last call that said anything about a run; intervals count from it. None before the first.
        open_runs: The runs that have begun and not ended, each of another id.
        output: What the open runs have sent so far.
        address: How many addresses of it were revoked.
    """

    last_at: Instant | None = None
    open_runs: tuple[OpenRun, ...] = ()
    output: str = ""
    address: Annotated[int, Field(ge=0)] = 0


PingKind = Literal["success", "start", "failure", "log"]


@dataclass(frozen=True, slots=True)
class Ping:
    """One call of a heartbeat's address.

    Attributes:
        exit_code: The program's, where the call says it; 0 is a success and any other a failure.
        output: The body of the call, secrets masked.
        run_id: Pairs the calls of one run; empty when none is sent.
    """

    kind: PingKind
    exit_code: int | None = None
    output: str = ""
    run_id: str = ""


def params_of(params: dict[str, Any]) -> HeartbeatParams:
    """The params of a stored heartbeat; the defaults where an edit by hand left what cannot be read."""
    try:
        return HeartbeatParams.model_validate(params)
    except ValidationError:
        return HeartbeatParams()


def grace_of(params: dict[str, Any]) -> timedelta:
    """How late a call may be."""
    return timedelta(seconds=params_of(params).grace_seconds)


def oldest_open_run(state: HeartbeatState | None) -> OpenRun | None:
    """The run that has been open the longest; None when none is open."""
    return min(state.open_runs, key=lambda run: run.started_at) if state and state.open_runs else None


def overrun_at(params: dict[str, Any], state: HeartbeatState | None) -> datetime | None:
    """When the oldest open run will have taken too long; None when none is open or may take any time."""
    oldest, limits = oldest_open_run(state), params_of(params)
    if oldest is None or limits.max_seconds is None:
        return None
    return oldest.started_at + timedelta(seconds=limits.max_seconds + limits.grace_seconds)
