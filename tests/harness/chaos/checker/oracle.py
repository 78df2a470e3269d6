"""When a task's occurrences are, by CronSim: written apart from the product, for the checker alone."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from cronsim import CronSim

UNITS = {"m": 60, "h": 3600}


def instant(text: str) -> datetime:
    """Read an RFC 3339 instant."""
    return datetime.fromisoformat(text).astimezone(UTC)


def occurrences(
    spec: dict[str, Any], *, created: datetime, after: datetime, until: datetime
) -> list[datetime]:
    """The occurrences of *spec* later than *after*, up to *until* included; bounded by its start and end."""
    start = instant(spec["startAt"]) if spec.get("startAt") else None
    end = instant(spec["endAt"]) if spec.get("endAt") else None
    found = []
    for at in _all(spec, anchor=start or created, after=after):
        if at > until or (end and at > end):
            break
        if not start or at >= start:
            found.append(at)
    return found


def _all(spec: dict[str, Any], *, anchor: datetime, after: datetime) -> Iterator[datetime]:
    schedule: str = spec["schedule"]
    if schedule.startswith("every "):
        step = timedelta(seconds=int(schedule[6:-1]) * UNITS[schedule[-1]])
        first = anchor.replace(microsecond=0)
        number = max((after - first) // step + 1, 0)
        while True:
            yield first + number * step
            number += 1
    zone = ZoneInfo(spec.get("timezone") or "UTC")
    last = after
    for local in CronSim(schedule, after.astimezone(zone)):
        at = local.astimezone(UTC)
        if at > last:  # in a repeated hour CronSim may begin with the past
            yield at
            last = at
