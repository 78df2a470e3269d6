"""The schedule of a task that has none: only events, the end of other tasks, and people start it."""

from datetime import datetime, timedelta

from functions.rules.schedule_shape import Schedule, Span, Transition


class _Never:
    @property
    def canonical(self) -> str:
        return ""

    def next_after(self, instant: datetime) -> datetime | None:
        return None

    def span(self, first: datetime, until: datetime) -> Span | None:
        return None

    def tail(self, first: datetime, until: datetime, limit: int) -> list[datetime]:
        return []

    def period(self, around: datetime) -> timedelta | None:
        return None

    def transitions(self, after: datetime, until: datetime) -> list[Transition]:
        return []


NEVER: Schedule = _Never()
