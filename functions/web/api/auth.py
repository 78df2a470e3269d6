"""Who calls the API: the key in the request becomes an actor, within its rate."""

import hmac
import math
from collections import OrderedDict
from collections.abc import Callable, Sequence

from functions.domain.access import ADMINISTRATOR, KEY_PREFIX, Principal, hash_token
from functions.domain.token_bucket import TokenBucket
from functions.services import access
from functions.web.api.dependencies import ApiDependencies
from functions.web.api.errors import ProblemError
from functions.web.auth import parse_bearer_token

# How often one key may ask: a bucket of tokens for each, in this process.

REQUESTS_PER_MINUTE = 240
BURST_SIZE = 60
MAX_BUCKETS = 10_000  # the longest unused is forgotten, which fills it


class RateLimiter:
    """Lets each caller ask *burst_size* times at once and *per_minute* times a minute for long.

    Every instance of the function counts for itself: it is a brake on a script gone wild, not an account.

    Args:
        clock: Seconds that never run backwards.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        per_minute: int = REQUESTS_PER_MINUTE,
        burst_size: int = BURST_SIZE,
    ) -> None:
        self._clock = clock
        self._per_minute = per_minute
        self._burst_size = burst_size
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def retry_after(self, caller: str) -> float:
        """Take a token of *caller*'s; 0 when there was one, else the seconds until there is."""
        now = self._clock()
        bucket = self._buckets.pop(caller, None) or TokenBucket.full(
            capacity=self._burst_size, per_minute=self._per_minute, now=now
        )
        wait_s = bucket.wait_s(now)
        self._buckets[caller] = bucket if wait_s else bucket.take(now)
        if len(self._buckets) > MAX_BUCKETS:
            self._buckets.popitem(last=False)
        return wait_s


ANONYMOUS = Principal("", "somebody unknown", frozenset())
CHALLENGE = {"WWW-Authenticate": 'Bearer realm="cronfire"'}


class ApiAuth:
    """Tells callers by their keys.

    Args:
        admin_key: The first administrator's key, from the settings; None when there is none.
        clock: Seconds that never run backwards.
    """

    def __init__(
        self, dependencies: ApiDependencies, *, admin_key: str | None, clock: Callable[[], float]
    ) -> None:
        self._dependencies = dependencies
        self._admin_key_hash = None if admin_key is None else hash_token(admin_key)
        self._rate_limiter = RateLimiter(clock=clock)

    async def from_headers(self, authorization: Sequence[str]) -> Principal:
        """Who sends these `Authorization` headers.

        Raises:
            ProblemError: 401, the same for a missing, a wrong and a revoked key; 429 beyond the rate.
        """
        token = parse_bearer_token(authorization)
        actor = None if token is None else await self.from_token(token)
        if actor is None:
            raise ProblemError(401, "Send a key as Authorization: Bearer cf_...", headers=CHALLENGE)
        self.limit(actor)
        return actor

    async def from_token(self, token: str) -> Principal | None:
        """Whose key *token* is; None when it opens nothing."""
        if self.is_admin_key(hash_token(token)):
            return ADMINISTRATOR
        if not token.startswith(KEY_PREFIX):
            return None  # nothing of ours, so nothing to ask the store for
        return await access.find_principal(self._dependencies.store, token, now=self._dependencies.now())

    def is_admin_key(self, token_hash: str) -> bool:
        """Whether this is the digest of the first administrator's key."""
        return self._admin_key_hash is not None and hmac.compare_digest(
            token_hash.encode("utf-8", "replace"), self._admin_key_hash.encode()
        )

    def limit_anonymous(self) -> None:
        """Count one guess of somebody unknown; all of them share one rate.

        Raises:
            ProblemError: 429: there are too many.
        """
        self.limit(ANONYMOUS)

    def limit(self, principal: Principal) -> None:
        """Count one request of *principal*'s.

        Raises:
            ProblemError: 429: he asks too often.
        """
        wait_s = self._rate_limiter.retry_after(principal.id)
        if wait_s:
            raise ProblemError(
                429, "This key asks too often; wait a little", headers={"Retry-After": str(math.ceil(wait_s))}
            )
