"""A token bucket: the bound on how often something is done, filled evenly and emptied token by token.

Keys of the API and channels are limited by it.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TokenBucket:
    """The state of a bucket at one instant. Instants are seconds on any one clock of the caller's.

    A bucket of 2 tokens that refills 2 a minute: both may be taken at 0 s, after which `wait_s(0)` is 30 and
    `wait_s(15)` is 15.

    Attributes:
        capacity: The most tokens it holds, which may all be taken at once.
        per_minute: Tokens that are added in a minute.
        tokens: Those there were at *updated_at*.
    """

    capacity: int
    per_minute: int
    tokens: float
    updated_at: float

    @classmethod
    def full(cls, *, capacity: int, per_minute: int, now: float) -> "TokenBucket":
        """A bucket from which nothing has been taken."""
        return cls(capacity, per_minute, capacity, now)

    def wait_s(self, now: float) -> float:
        """Seconds until a token may be taken; 0 when one may be taken at *now*."""
        return max(1 - self._tokens_at(now), 0) * 60 / self.per_minute

    def take(self, now: float) -> "TokenBucket":
        """The bucket after one token was taken, whether there was a whole one or not."""
        return TokenBucket(self.capacity, self.per_minute, self._tokens_at(now) - 1, now)

    def _tokens_at(self, now: float) -> float:
        elapsed = max(now - self.updated_at, 0)
        return min(self.tokens + elapsed * self.per_minute / 60, self.capacity)
