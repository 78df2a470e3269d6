"""The command `next`: when a schedule's occurrences are. It needs no store."""

from collections.abc import Iterator
from datetime import datetime

from functions.commands.session import Session
from functions.commands.times import local
from functions.errors import InputError
from functions.rules.preview import AHEAD, following
from functions.rules.schedule import Schedule, read_schedule
from functions.rules.words import instant_text

MOST = 10_000


async def show_next(
    session: Session,
    *,
    expression: str,
    timezone: str | None,
    after: datetime | None,
    count: int,
    anchor: datetime | None,
    task_id: str,
) -> int:
    """Show the *count* occurrences strictly later than *after*.

    Args:
        timezone: None means `DEFAULT_TIMEZONE`.
        after: None means now.
        anchor: Where an interval counts from; None means *after*.
        task_id: What `H` is drawn from; empty when the expression has none.

    Raises:
        InputError: The expression, the zone or the count cannot be used.
    """
    if not 1 <= count <= MOST:
        raise InputError(f"--count: must be from 1 to {MOST}")
    zone = timezone or session.settings.default_timezone
    start = after or session.now().replace(microsecond=0)
    schedule = read_schedule(expression, timezone=zone, task_id=task_id, anchor=anchor or start)
    found = list(following(schedule, start, count))
    session.screen.answer(
        [instant_text(at) for at in found], _lines(session, schedule, found, start=start, zone=zone)
    )
    return 0


def _lines(
    session: Session, schedule: Schedule, found: list[datetime], *, start: datetime, zone: str
) -> Iterator[str]:
    if not found:
        yield f"There is no occurrence after {instant_text(start)}"
        return
    rows = [(local(at, zone), instant_text(at)) for at in found]
    yield from session.screen.table((zone.upper(), "UTC"), rows)
    for change in schedule.transitions(start, max(found[-1], start + AHEAD)):
        yield session.screen.paint(f"{local(change.instant, zone)}: {change.text}", "yellow")
