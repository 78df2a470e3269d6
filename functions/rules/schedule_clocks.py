"""What people are told when a schedule meets a change of the clocks."""

from functions.rules.schedule_shape import Transition, instant_at
from functions.rules.schedule_zone import Era


def gap(zone: str, era: Era, *, first: int, last: int, count: int, fixed: bool) -> Transition:
    """The clocks go forward where *era* begins; *count* wall-clock times from *first* to *last* are missing.

    With *fixed* they run once, at the end of the gap; otherwise not at all.
    """
    left_out = "this run is left out" if count == 1 else f"these {count} runs are left out"
    fate = f"runs once, at {instant_at(era.start + era.offset):%H:%M}" if fixed else left_out
    text = f"{_times(first, last)} does not exist in {zone}: {fate}"
    return Transition(instant_at(era.start), "gap", text)


def repeat(zone: str, era: Era, *, first: int, last: int, fixed: bool) -> Transition:
    """The clocks go back where *era* begins; wall-clock times from *first* to *last* come twice.

    With *fixed* they run the first time only; otherwise both times.
    """
    fate = "runs once, the first time" if fixed else "runs both times"
    return Transition(
        instant_at(era.start), "repeat", f"{_times(first, last)} happens twice in {zone}: {fate}"
    )


def _times(first: int, last: int) -> str:
    text = f"{instant_at(first):%Y-%m-%d %H:%M}"
    if last == first:
        return text
    same_day = f"{instant_at(first):%Y-%m-%d}" == f"{instant_at(last):%Y-%m-%d}"
    return f"{text} to {instant_at(last):{'%H:%M' if same_day else '%Y-%m-%d %H:%M'}}"
