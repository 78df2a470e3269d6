"""What FastAPI passes to the routes: the caller within its rate, the services, and task bodies."""

import hmac
import json
import math
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Protocol

from fastapi import Depends, Request

from functions.domain.access import ADMINISTRATOR, KEY_PREFIX, Principal, hash_token, parse_bearer_token
from functions.domain.events import Event
from functions.domain.lifecycle.time_budget import TimeBudget
from functions.domain.schedule.describe import describe_trigger
from functions.domain.storage import VersionedTask
from functions.domain.task import TaskSpec
from functions.domain.token_bucket import TokenBucket
from functions.interfaces import Store
from functions.services import access
from functions.services.channels import ChannelService
from functions.services.credits import AccountStore
from functions.services.events import PublishResult
from functions.services.tasks import TaskService
from functions.taskfiles.validation import check_task
from functions.web.api.errors import FieldProblem, ProblemError
from functions.web.api.schemas import TaskOut

# The scheduler, as the API and the dashboard use it.


class SendResult(Protocol):
    """The vendor's response to a test message."""

    @property
    def ok(self) -> bool: ...

    @property
    def permanent(self) -> bool: ...

    @property
    def detail(self) -> str: ...


class ChannelTester(Protocol):
    """Sends test messages."""

    async def test(self, name: str, *, within: timedelta) -> SendResult:
        """Send a test message on the channel *name*."""
        ...


class ApiDependencies(Protocol):
    """The operations behind the API and the dashboard.

    Raises, from every method:
        StoreUnavailableError: The store could not be reached in time.
        StoreError: The store refused.
    """

    @property
    def store(self) -> Store: ...

    @property
    def channels(self) -> ChannelService: ...

    @property
    def accounts(self) -> AccountStore: ...

    @property
    def dispatcher(self) -> ChannelTester: ...

    @property
    def default_timezone(self) -> str:
        """The zone of a task that names none."""
        ...

    @property
    def now(self) -> Callable[[], datetime]:
        """The clock."""
        ...

    @property
    def new_id(self) -> Callable[[], str]:
        """Returns 64 random bits as lower-case letters and digits."""
        ...

    @property
    def new_secret(self) -> Callable[[], str]:
        """Returns 256 random bits as text that a header can carry."""
        ...

    async def run_tasks(self, ids: Collection[str], budget: TimeBudget) -> Mapping[str, object]:
        """Run those of the tasks that are due, now; return the report."""
        ...

    async def publish_event(self, event: Event, *, forward: bool = True) -> PublishResult:
        """Start the tasks that listen to *event*; with *forward*, publish it to the topic as well."""
        ...

    async def metrics(self) -> str:
        """Return the text of `GET /metrics`."""
        ...

    async def status(self) -> Mapping[str, object]:
        """Return the figures of `GET /status`."""
        ...


# Authentication by API key, and the rate limit of each key.

REQUESTS_PER_MINUTE = 240
BURST_SIZE = 60
MAX_BUCKETS = 10_000  # beyond it the least recently used bucket is dropped, which refills it
ANONYMOUS = Principal("", "anonymous", frozenset())
CHALLENGE = {"WWW-Authenticate": 'Bearer realm="cronfire"'}


class RateLimiter:
    """Allows each caller *burst_size* requests at once and *per_minute* requests a minute in the long run.

    Every process counts for itself: the limit slows down a runaway script; it is no quota.

    Args:
        clock: A monotonic clock, in seconds.
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
        """Take a token of *caller*; return 0 when there was one, else the seconds until there is."""
        now = self._clock()
        bucket = self._buckets.pop(caller, None) or TokenBucket.full(
            capacity=self._burst_size, per_minute=self._per_minute, now=now
        )
        wait_s = bucket.wait_s(now)
        self._buckets[caller] = bucket if wait_s else bucket.take(now)
        if len(self._buckets) > MAX_BUCKETS:
            self._buckets.popitem(last=False)
        return wait_s


class ApiAuth:
    """Authenticates callers by API key and limits the rate of each.

    Args:
        admin_key: The first administrator's key, from the settings; None when there is none.
        clock: A monotonic clock, in seconds.
    """

    def __init__(
        self, dependencies: ApiDependencies, *, admin_key: str | None, clock: Callable[[], float]
    ) -> None:
        self._dependencies = dependencies
        self._admin_key_hash = None if admin_key is None else hash_token(admin_key)
        self._rate_limiter = RateLimiter(clock=clock)

    async def from_headers(self, authorization: Sequence[str]) -> Principal:
        """Return the principal of all *authorization* headers of a request.

        Raises:
            ProblemError: 401, the same for a missing, a wrong and a revoked key; 429 beyond the rate.
        """
        token = parse_bearer_token(authorization)
        principal = None if token is None else await self.from_token(token)
        if principal is None:
            raise ProblemError(401, "Send a key as Authorization: Bearer cf_...", headers=CHALLENGE)
        self.limit(principal)
        return principal

    async def from_token(self, token: str) -> Principal | None:
        """Return the principal of the key *token*; None when it is no valid key."""
        if self.is_admin_key(hash_token(token)):
            return ADMINISTRATOR
        if not token.startswith(KEY_PREFIX):
            return None  # no key of the store's, so no read
        return await access.find_principal(self._dependencies.store, token, now=self._dependencies.now())

    def is_admin_key(self, token_hash: str) -> bool:
        """Whether *token_hash* is the digest of the first administrator's key."""
        return self._admin_key_hash is not None and hmac.compare_digest(
            token_hash.encode("utf-8", "replace"), self._admin_key_hash.encode()
        )

    def limit_anonymous(self) -> None:
        """Count one sign-in attempt; all anonymous callers share one rate.

        Raises:
            ProblemError: 429: there are too many.
        """
        self.limit(ANONYMOUS)

    def limit(self, principal: Principal) -> None:
        """Count one request of *principal*.

        Raises:
            ProblemError: 429: the principal exceeds its rate.
        """
        wait_s = self._rate_limiter.retry_after(principal.id)
        if wait_s:
            raise ProblemError(
                429,
                "This key sends too many requests; wait a little",
                headers={"Retry-After": str(math.ceil(wait_s))},
            )


# FastAPI's dependencies. All are coroutines: FastAPI runs a plain function in a thread of its own pool.


async def get_principal(request: Request) -> Principal:
    """Return the caller."""
    auth: ApiAuth = request.app.state.auth
    return await auth.from_headers(request.headers.getlist("authorization"))


async def get_dependencies(request: Request) -> ApiDependencies:
    """Return the scheduler."""
    dependencies: ApiDependencies = request.app.state.dependencies
    return dependencies


Dependencies = Annotated[ApiDependencies, Depends(get_dependencies)]
CurrentPrincipal = Annotated[Principal, Depends(get_principal)]


async def get_task_service(principal: CurrentPrincipal, dependencies: Dependencies) -> TaskService:
    """Return the task service with the caller's rights."""
    return TaskService(dependencies.store, principal, clock=dependencies.now, new_id=dependencies.new_id)


TaskServiceDep = Annotated[TaskService, Depends(get_task_service)]


async def parse_task_body(request: Request) -> dict[str, Any]:
    """Return the JSON object in the body of *request*.

    Raises:
        ProblemError: The body is no JSON object.
        HTTPException: 413: the body is too large; raised by the limit on all bodies.
    """
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise ProblemError(415, "Send the task as application/json")
    try:
        fields = json.loads(await request.body())
    except (ValueError, RecursionError):
        raise ProblemError(400, "The body is not JSON") from None
    if not isinstance(fields, dict):
        raise ProblemError(422, "The body must be a JSON object: one task")
    return fields


TaskBody = Annotated[dict[str, Any], Depends(parse_task_body)]


def to_spec(fields: dict[str, Any], *, default_timezone: str) -> TaskSpec:
    """Return the task that *fields* describes.

    Raises:
        ProblemError: 422, with everything that is wrong with it.
    """
    spec = check_task(fields, default_timezone=default_timezone)
    if isinstance(spec, TaskSpec):
        return spec
    errors = [FieldProblem(field=one.field, reason=one.reason) for one in spec]
    raise ProblemError(422, _summarize_errors(errors), errors=errors)


def to_task_out(stored: VersionedTask) -> TaskOut:
    """Return *stored* in the API's shape."""
    task = stored.task
    fields = {name: getattr(task, name) for name in type(task).model_fields}
    return TaskOut.model_construct(**fields, etag=str(stored.revision), schedule_text=describe_trigger(task))


def _summarize_errors(errors: Sequence[FieldProblem]) -> str:
    first = errors[0]
    text = f"{first.field}: {first.reason}" if first.field else first.reason
    return text if len(errors) == 1 else f"{text} (and {len(errors) - 1} more)"
