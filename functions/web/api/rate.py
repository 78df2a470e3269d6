"""How often one key may ask: a bucket of tokens for each, in this process."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

PER_MINUTE = 240
AT_ONCE = 60
BUCKETS = 10_000  # the longest unused is forgotten, which fills it


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class Rate:
    """Lets each caller ask *at_once* times at once and *per_minute* times a minute for long.

    Every instance of the function counts for itself: it is a brake on a script gone wild, not an account.

    Args:
        clock: Seconds that never run backwards.
    """

    def __init__(
        self, *, clock: Callable[[], float], per_minute: int = PER_MINUTE, at_once: int = AT_ONCE
    ) -> None:
        self._clock = clock
        self._a_second = per_minute / 60
        self._at_once = float(at_once)
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def wait(self, caller: str) -> float:
        """Take a token of *caller*'s; 0 when there was one, else the seconds until there is."""
        now = self._clock()
        bucket = self._buckets.setdefault(caller, _Bucket(self._at_once, now))
        self._buckets.move_to_end(caller)
        if len(self._buckets) > BUCKETS:
            self._buckets.popitem(last=False)
        bucket.tokens = min(self._at_once, bucket.tokens + (now - bucket.at) * self._a_second)
        bucket.at = now
        if bucket.tokens >= 1:
            bucket.tokens -= 1
            return 0.0
        return (1 - bucket.tokens) / self._a_second
