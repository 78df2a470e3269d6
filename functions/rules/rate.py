"""A bound on how often something is done: a bucket that fills evenly and is emptied one by one."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Bucket:
    """What is left of *per_minute* at *at*; never more than a minute's worth."""

    per_minute: int
    left: float
    at: datetime

    @classmethod
    def full(cls, per_minute: int, *, now: datetime) -> "Bucket":
        """A bucket nobody has taken from."""
        return cls(per_minute, per_minute, now)

    def free_at(self, now: datetime) -> datetime:
        """When the next one may be taken; *now* when it may be now."""
        missing = 1 - self._filled(now)
        return now if missing <= 0 else now + timedelta(minutes=missing / self.per_minute)

    def taken(self, now: datetime) -> "Bucket":
        """The bucket after one was taken."""
        return Bucket(self.per_minute, self._filled(now) - 1, now)

    def _filled(self, now: datetime) -> float:
        minutes = max((now - self.at) / timedelta(minutes=1), 0)
        return min(self.left + minutes * self.per_minute, self.per_minute)
