"""Who calls the API: the key in the request becomes an actor, within its rate."""

import hmac
import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from functions.domain.access import ADMINISTRATOR, PREFIX, Actor, digest_of
from functions.services import access
from functions.web.api.dependencies import ApiParts
from functions.web.api.errors import ProblemError
from functions.web.auth import bearer_token

# How often one key may ask: a bucket of tokens for each, in this process.

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


STRANGER = Actor("", "somebody unknown", frozenset())
CHALLENGE = {"WWW-Authenticate": 'Bearer realm="cronfire"'}


class Identity:
    """Tells callers by their keys.

    Args:
        administrator: The first administrator's key, from the settings; None when there is none.
        clock: Seconds that never run backwards.
    """

    def __init__(self, parts: ApiParts, *, administrator: str | None, clock: Callable[[], float]) -> None:
        self._parts = parts
        self._administrator = None if administrator is None else digest_of(administrator)
        self._rate = Rate(clock=clock)

    async def of_headers(self, authorization: Sequence[str]) -> Actor:
        """Who sends these `Authorization` headers.

        Raises:
            ProblemError: 401, the same for a missing, a wrong and a revoked key; 429 beyond the rate.
        """
        token = bearer_token(authorization)
        actor = None if token is None else await self.of_token(token)
        if actor is None:
            raise ProblemError(401, "Send a key as Authorization: Bearer cf_...", headers=CHALLENGE)
        self.count(actor)
        return actor

    async def of_token(self, token: str) -> Actor | None:
        """Whose key *token* is; None when it opens nothing."""
        if self.is_administrator(digest_of(token)):
            return ADMINISTRATOR
        if not token.startswith(PREFIX):
            return None  # nothing of ours, so nothing to ask the store for
        return await access.find_principal(self._parts.store, token, now=self._parts.now())

    def is_administrator(self, digest: str) -> bool:
        """Whether this is the digest of the first administrator's key."""
        return self._administrator is not None and hmac.compare_digest(
            digest.encode("utf-8", "replace"), self._administrator.encode()
        )

    def count_stranger(self) -> None:
        """Count one guess of somebody unknown; all of them share one rate.

        Raises:
            ProblemError: 429: there are too many.
        """
        self.count(STRANGER)

    def count(self, actor: Actor) -> None:
        """Count one request of *actor*'s.

        Raises:
            ProblemError: 429: he asks too often.
        """
        wait_s = self._rate.wait(actor.id)
        if wait_s:
            raise ProblemError(
                429, "This key asks too often; wait a little", headers={"Retry-After": str(math.ceil(wait_s))}
            )
