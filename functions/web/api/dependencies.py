"""What FastAPI passes to the routes: the caller within its rate, the services, and task bodies."""

import hmac
import math
from collections import Counter, OrderedDict
from collections.abc import Callable, Collection, Coroutine, Iterator, Sequence
from datetime import datetime
from itertools import islice
from json import JSONDecodeError
from typing import Annotated, Any, get_args, get_origin

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from functions.domain.access import (
    ADMINISTRATOR,
    Principal,
    hash_token,
    is_well_formed,
    parse_bearer_token,
)
from functions.domain.json_depth import GIVEN_TWICE, TOO_DEEP, RepeatedNames, check_values, parse_json
from functions.domain.lifecycle.upcoming import describe_trigger, next_run
from functions.domain.storage import VersionedTask
from functions.domain.task import TaskSpec
from functions.domain.token_bucket import TokenBucket
from functions.domain.validation import Problem, suggest
from functions.services.calendars.loading import load_holidays_for_text
from functions.services.tasks import TaskService
from functions.taskfiles.validation import check_task
from functions.web.api.addresses import client_address
from functions.web.api.errors import FieldProblem, ProblemError
from functions.web.api.scheduler import ApiDependencies
from functions.web.api.schemas import TaskOut

# Authentication by API key, and the rate limit of each key.

REQUESTS_PER_MINUTE = 240
BURST_SIZE = 60
KEYS_AT_FULL_RATE = 4  # of one owner: more keys bring no more requests, and one that is lost stops no other
MAX_BUCKETS = 10_000  # beyond it the least recently used bucket is dropped, which refills it
FAILURES_PER_MINUTE = 10  # of one address
FAILURE_BURST = 20
UNCERTAIN = "uncertain"  # the callers, together, whose address has failed too often
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
        bucket = self._bucket(caller, now)
        self._buckets.pop(caller, None)
        wait_s = bucket.wait_s(now)
        self._buckets[caller] = bucket if wait_s else bucket.take(now)
        if len(self._buckets) > MAX_BUCKETS:
            self._buckets.popitem(last=False)
        return wait_s

    def is_exhausted(self, caller: str) -> bool:
        """Whether there is no token of *caller* now; takes none."""
        now = self._clock()
        return self._bucket(caller, now).wait_s(now) > 0

    def _bucket(self, caller: str, now: float) -> TokenBucket:
        return self._buckets.get(caller) or TokenBucket.full(
            capacity=self._burst_size, per_minute=self._per_minute, now=now
        )


class ApiAuth:
    """Authenticates callers by API key and limits the rate of each.

    Args:
        admin_key: The first administrator's key, from the settings; None when there is none.
        clock: A monotonic clock, in seconds.

    Attributes:
        admin_key_hash: The digest of that key; None without one.
    """

    def __init__(
        self, dependencies: ApiDependencies, *, admin_key: str | None, clock: Callable[[], float]
    ) -> None:
        self._dependencies = dependencies
        self.admin_key_hash = None if admin_key is None else hash_token(admin_key)
        self._rate_limiter = RateLimiter(clock=clock)
        self._owners = RateLimiter(
            clock=clock,
            per_minute=KEYS_AT_FULL_RATE * REQUESTS_PER_MINUTE,
            burst_size=KEYS_AT_FULL_RATE * BURST_SIZE,
        )
        self._failures = RateLimiter(clock=clock, per_minute=FAILURES_PER_MINUTE, burst_size=FAILURE_BURST)

    async def from_request(self, request: Request) -> Principal:
        """Return the principal of the key in the headers of *request*.

        Raises:
            ProblemError: 401, the same for a missing, a wrong and a revoked key; 429 beyond the rate, or
                when the caller's address sends too many wrong keys.
        """
        token = parse_bearer_token(request.headers.getlist("authorization"))
        principal = None if token is None else await self.from_token(token, request)
        if principal is None:
            raise ProblemError(401, "Send a key as Authorization: Bearer cf_...", headers=CHALLENGE)
        self.limit(principal)
        return principal

    async def from_token(self, token: str, request: Request) -> Principal | None:
        """Return the principal of the key *token*, sent in *request*; None when it is no valid key.

        Only wrong keys are counted, by address, so that a right key passes whoever else guesses. The store
        is read for a key that is well-formed; for addresses that fail too often, at one rate for them all.

        Raises:
            ProblemError: 429: there are too many wrong keys from this address.
        """
        if self.is_admin_key(hash_token(token)):
            return ADMINISTRATOR
        address = client_address(request)
        if is_well_formed(token) and self._may_read(address):
            principal = await self._dependencies.keys.find(token)
            if principal is not None:
                return principal
        if wait_s := self._failures.retry_after(address):
            raise _too_many("There are too many wrong keys from this address; wait a little", wait_s)
        return None

    def _may_read(self, address: str) -> bool:
        return not self._failures.is_exhausted(address) or not self._rate_limiter.retry_after(UNCERTAIN)

    def is_admin_key(self, token_hash: str) -> bool:
        """Whether *token_hash* is the digest of the first administrator's key."""
        return self.admin_key_hash is not None and hmac.compare_digest(
            token_hash.encode("utf-8", "replace"), self.admin_key_hash.encode()
        )

    def limit(self, principal: Principal) -> None:
        """Count one request of *principal*.

        Raises:
            ProblemError: 429: the principal exceeds its rate, or the keys of its owner do together.
        """
        if wait_s := self._rate_limiter.retry_after(principal.id):
            raise _too_many("This key sends too many requests; wait a little", wait_s)
        if principal.owner and (wait_s := self._owners.retry_after(principal.owner)):
            raise _too_many("The keys of this owner send too many requests; wait a little", wait_s)


def _too_many(reason: str, wait_s: float) -> ProblemError:
    return ProblemError(429, reason, headers={"Retry-After": str(math.ceil(wait_s))})


# FastAPI's dependencies. All are coroutines: FastAPI runs a plain function in a thread of its own pool.


async def get_principal(request: Request) -> Principal:
    """Return the caller; authenticated once a request."""
    if not hasattr(request.state, "principal"):
        auth: ApiAuth = request.app.state.auth
        request.state.principal = await auth.from_request(request)
    principal: Principal = request.state.principal
    return principal


class ApiRoute(APIRoute):
    """A route for programs: its caller is authenticated first, its parameters known, its body storable.

    FastAPI reads the body of a route that declares one before it calls any dependency, and ignores parameters
    that no route declares: `/api/runs?taskId=a` was answered with the runs of all tasks. Pages, links and
    pushes have FastAPI's own class: whoever passes such an address on may add to it (`?utm_source=...`).
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler of requests."""
        handle = super().get_route_handler()
        dependants = list(_flatten(self.dependant))
        needs_key = get_principal in [one.call for one in dependants]
        parameters = [field for one in dependants for field in one.query_params]
        known = sorted(field.alias for field in parameters)
        lists = {field.alias for field in parameters if _is_list(field.field_info.annotation)}

        async def check_first(request: Request) -> Response:
            if needs_key:
                await get_principal(request)
            check_query([name for name, _ in request.query_params.multi_items()], known, lists=lists)
            if self.body_field is not None and (body := await request.body()):
                check_media_type(request)
                check_body(body)
            return await handle(request)

        return check_first


def make_api_router(prefix: str, tag: str, *, route_class: type[APIRoute] = ApiRoute) -> APIRouter:
    """Return a router of the API; what a generated client calls an operation is its function's name."""
    return APIRouter(
        prefix=prefix,
        tags=[tag],
        route_class=route_class,
        strict_content_type=False,  # a body without one is read as JSON, as `parse_task_body` reads it
        generate_unique_id_function=lambda route: route.name,
    )


def add_routes(app: FastAPI, *routers: APIRouter) -> None:
    """Add the routes of *routers* as they are.

    `include_router` analyses each of them anew for each application, which takes 30 ms in the first request;
    it is needed where an application adds a prefix or a dependency of its own.
    """
    for router in routers:
        app.router.routes += router.routes


def _flatten(dependant: Dependant) -> Iterator[Dependant]:
    """A route with all its dependencies."""
    yield dependant
    for one in dependant.dependencies:
        yield from _flatten(one)


MAX_UNKNOWN = 20  # parameters that are named; a suggestion takes time, and a query may hold thousands
OTHER_NAMES = {"taskId": "task", "id": "task", "task_id": "task", "after": "cursor", "page": "cursor"}


def _is_list(annotation: Any) -> bool:
    """Whether a parameter may be repeated: `list[str]`, or that or None."""
    return any(get_origin(one) is list for one in (annotation, *get_args(annotation)))


def check_query(given: Sequence[str], known: Sequence[str], *, lists: Collection[str] = ()) -> None:
    """Check the names of query parameters.

    Args:
        given: Each as often as it was sent.
        lists: Those of the *known* that may be repeated.

    Raises:
        ProblemError: 422: one of them is not among the *known*, and it says which was probably meant; or one
            is repeated, of which all but the last would be passed over.
    """
    unknown = sorted(set(given) - set(known))
    repeated = sorted(name for name, count in Counter(given).items() if count > 1 and name in known)
    errors = [
        FieldProblem(field=name, reason="is given more than once; give it once")
        for name in repeated
        if name not in lists
    ]
    for name in unknown[:MAX_UNKNOWN]:
        meant = OTHER_NAMES.get(name, "")
        hint = f"did you mean {meant}?" if meant in known else suggest(name, known)
        listed = f"known are {', '.join(known)}" if known else "this address takes none"
        errors.append(FieldProblem(field=name, reason=f"unknown parameter; {hint or listed}"))
    if errors:
        raise ProblemError(422, _summarize_errors(errors), errors=errors)


async def get_dependencies(request: Request) -> ApiDependencies:
    """Return the scheduler."""
    dependencies: ApiDependencies = request.app.state.dependencies
    return dependencies


Dependencies = Annotated[ApiDependencies, Depends(get_dependencies)]
CurrentPrincipal = Annotated[Principal, Depends(get_principal)]


async def get_task_service(principal: CurrentPrincipal, dependencies: Dependencies) -> TaskService:
    """Return the task service with the caller's rights."""
    return TaskService(
        dependencies.store,
        principal,
        clock=dependencies.now,
        new_id=dependencies.new_id,
        limits=dependencies.owner_limits,
    )


TaskServiceDep = Annotated[TaskService, Depends(get_task_service)]


def check_media_type(request: Request) -> None:
    """Check that the body of *request* is said to be JSON; one that says nothing is taken for it.

    Raises:
        ProblemError: 415: it says something else, as curl does of what `-d` sends.
    """
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if not kind.startswith("application/") or not kind.endswith(("/json", "+json")):
        raise ProblemError(415, "Send the body as JSON, with Content-Type: application/json")


async def parse_task_body(request: Request) -> dict[str, Any]:
    """Return the JSON object in the body of *request*.

    Raises:
        ProblemError: The body is no JSON object.
        HTTPException: 413: the body is too large; raised by the limit on all bodies.
    """
    check_media_type(request)
    fields = check_body(await request.body())
    if not isinstance(fields, dict):
        raise ProblemError(422, "The body must be a JSON object")
    await load_holidays_for_text(fields.get("except"))
    return fields


def check_body(body: bytes) -> Any:
    """Return the value of *body*; None when it is empty.

    Raises:
        ProblemError: 400: it is not JSON, nested too deep, or no UTF-8, being compressed or in another
            encoding; 422: it holds a text or a number that no store can hold, or a name stands twice in an
            object.
    """
    repeated = RepeatedNames()
    try:
        value = parse_json(body, hook=repeated) if body else None
    except UnicodeDecodeError:
        raise ProblemError(400, "The body is not text in UTF-8; send it in UTF-8, not compressed") from None
    except JSONDecodeError as exc:
        place = f"line {exc.lineno}, column {exc.colno}"
        detail = f"The body is not JSON near {place}; look for a missing quote, comma or bracket"
        raise ProblemError(400, detail) from None
    except ValueError as exc:
        reason = TOO_DEEP if str(exc) == TOO_DEEP else "holds a number with too many digits"
        raise ProblemError(400, f"The body {reason}") from None
    require_storable(value)
    if paths := list(islice(repeated.paths_in(value), MAX_UNKNOWN)):
        errors = [FieldProblem(field=Problem(path, "").field, reason=GIVEN_TWICE) for path in paths]
        raise ProblemError(422, _summarize_errors(errors), errors=errors)
    return value


def require_storable(value: Any) -> None:
    """Check that every store can hold *value*; in params and data everything that JSON can say.

    Raises:
        ProblemError: 422, with the field.
    """
    fields = value if isinstance(value, dict) else {"": value}
    try:
        for name, one in fields.items():
            check_values(one, name, any_json=name in ("params", "data"))
    except ValueError as exc:
        field, _, reason = str(exc).rpartition(": ")
        errors = [FieldProblem(field=field, reason=reason)]
        raise ProblemError(422, str(exc), errors=errors) from None


TaskBody = Annotated[dict[str, Any], Depends(parse_task_body)]


def to_spec(fields: dict[str, Any], *, default_timezone: str, runs_when_asked: bool = False) -> TaskSpec:
    """Return the task that *fields* describes.

    Args:
        runs_when_asked: See `check_task`.

    Raises:
        ProblemError: 422, with everything that is wrong with it.
    """
    spec = check_task(fields, default_timezone=default_timezone, runs_when_asked=runs_when_asked)
    if isinstance(spec, TaskSpec):
        return spec
    errors = [FieldProblem(field=one.field, reason=one.reason) for one in spec]
    raise ProblemError(422, _summarize_errors(errors), errors=errors)


def to_task_out(stored: VersionedTask, *, now: datetime, warnings: Sequence[str] = ()) -> TaskOut:
    """Return *stored* in the API's shape, as it is *now*."""
    task = stored.task
    fields = {name: getattr(task, name) for name in type(task).model_fields}
    fields["recent"] = tuple(task.recent.splitlines())
    return TaskOut.model_construct(
        **fields,
        etag=str(stored.revision),
        schedule_text=describe_trigger(task),
        next_run=next_run(task, now=now),
        warnings=tuple(warnings),
    )


def _summarize_errors(errors: Sequence[FieldProblem]) -> str:
    first = errors[0]
    text = f"{first.field}: {first.reason}" if first.field else first.reason
    return text if len(errors) == 1 else f"{text} (and {len(errors) - 1} more)"
