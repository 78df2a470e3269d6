"""Points in time as they are typed: an instant, a time on a clock that the command knows, or a distance."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import typer

from functions.cli.options import UsageError, option_parser
from functions.domain.schedule.durations import parse_duration
from functions.domain.schedule.simple import parse_once
from functions.domain.schedule.timezones import load_zone
from functions.domain.types import check_instant
from functions.errors import InputError

EXAMPLES = "2026-12-01T09:00 (on the clock of the zone), 2026-12-01T09:00:00Z, 2h or 3d"


@dataclass(frozen=True, slots=True)
class Moment:
    """What was typed for a point in time; the instant depends on the command's clock and zone.

    Attributes:
        distance: How far from now; None for a time.
        time: With an offset an instant, without one a time on the clock of the zone; None for a distance.
    """

    text: str
    distance: timedelta | None = None
    time: datetime | None = None

    def resolve(self, now: datetime, timezone: str, *, is_past: bool = False) -> datetime:
        """Return the instant, in UTC.

        A clock that jumps is read as schedules read it: a time that does not exist is the first instant after
        the gap, one that occurs twice is the first of both.

        Args:
            is_past: Whether a distance leads back: `--since 3d` is three days ago, `--until 2h` in two hours.

        Raises:
            InputError: It is out of range, or *timezone* is none.
        """
        if self.distance is not None:
            at = now - self.distance if is_past else now + self.distance
        elif self.time is not None and self.time.tzinfo is not None:
            at = self.time
        else:
            assert self.time is not None
            return parse_once(f"at {self.time.isoformat(timespec='seconds')}", load_zone(timezone)).instant
        try:
            return check_instant(at)
        except ValueError as exc:
            raise UsageError(f"{self.text!r} {exc}") from None


def resolve_end(moment: Moment | None, now: datetime, timezone: str) -> datetime | None:
    """Return the instant of `--until`, None for none.

    Raises:
        UsageError: It is not in the future.
    """
    end = moment.resolve(now, timezone) if moment else None
    if end is not None and end <= now:
        raise UsageError("--until: must be in the future")
    return end


def resolve_span(first: Moment, last: Moment, now: datetime, timezone: str) -> tuple[datetime, datetime]:
    """Return the instants of `--from` and `--to`.

    Raises:
        UsageError: They are not one after the other, or not in the past.
    """
    start, end = (one.resolve(now, timezone, is_past=True) for one in (first, last))
    if end > now:
        raise UsageError("--to: must not be later than now: a backfill is of the past")
    if start > end:
        raise UsageError("--from: must not be later than --to")
    return start, end


def parse_moment(text: str) -> Moment:
    """Return the point in time *text* names.

    Raises:
        InputError: It names none.
    """
    written = text.strip()
    if written.lower() == "now":
        return Moment(text, distance=timedelta())
    if (distance := parse_duration(written)) is not None:
        return Moment(text, distance=distance)
    try:
        found = datetime.fromisoformat(written)
    except ValueError:
        raise InputError(f"{text!r} is neither a time nor a distance: write it like {EXAMPLES}") from None
    try:
        check_instant(found if found.tzinfo else found.replace(tzinfo=UTC))
    except ValueError as exc:
        raise InputError(f"{text!r} {exc}") from None
    return Moment(text, time=found)


def moment_option(*names: str, help: str) -> Any:
    """Return the option of a command that takes a time."""
    return typer.Option(
        *names, metavar="TIME", parser=option_parser(parse_moment), show_default=False, help=help
    )
