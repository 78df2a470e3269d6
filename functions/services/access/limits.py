"""What owners may use, and how many tasks they may have, as their accounts say."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from weakref import WeakValueDictionary

from functions.domain.access import Principal
from functions.domain.costs.credits import Account
from functions.domain.lifecycle.permissions import ALLOWED_BY, DEFAULT_MAX_TASKS, Capabilities
from functions.domain.storage import TaskFilter
from functions.domain.task import TaskFields, TaskSpec
from functions.errors import (
    InputError,
    LimitsUnknownError,
    NotAllowedError,
    NotFoundError,
    StoreUnavailableError,
)
from functions.interfaces import Store
from functions.services.access.accounts import AccountStore

CACHE_TTL = timedelta(seconds=30)  # how long a right that was taken away may still be used by a tick
MAX_CACHED = 1000
CLOSED = Account()  # of an owner without an account, or with one that cannot be read


class OwnerLimits:
    """The limits of owners: checked afresh where a task is saved, from a cache where it runs.

    Args:
        default_max_tasks: How many tasks an owner may have whose account says nothing else.
    """

    def __init__(
        self, store: Store, *, clock: Callable[[], datetime], default_max_tasks: int = DEFAULT_MAX_TASKS
    ) -> None:
        self._store = store
        self._accounts = AccountStore(store, clock=clock)
        self._clock = clock
        self._default_max_tasks = default_max_tasks
        self._cached: dict[str, tuple[datetime, Capabilities]] = {}
        self._reads: dict[str, asyncio.Task[Capabilities]] = {}
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def capabilities(self, owner: str) -> Capabilities:
        """Return what tasks of *owner* may use, for an attempt: one read in CACHE_TTL, however many run.

        Raises:
            LimitsUnknownError: The store could not be reached, or not in time.
            StoreError: The store refuses to say, and will again.
        """
        known = self._cached.get(owner)
        if known is not None and self._clock() - known[0] < CACHE_TTL:
            return known[1]
        read = self._reads.get(owner)
        if read is None:
            read = self._reads[owner] = asyncio.create_task(self._read_for_attempts(owner))
            read.add_done_callback(lambda done: self._forget_read(owner, done))
        return await asyncio.shield(read)  # the attempt that began the read may be cut off before the others

    async def _read_for_attempts(self, owner: str) -> Capabilities:
        try:
            found = (await self._read(owner)).capabilities
        except StoreUnavailableError as exc:
            raise LimitsUnknownError(str(exc)) from None
        if len(self._cached) >= MAX_CACHED:
            self._cached.clear()
        self._cached[owner] = (self._clock(), found)
        return found

    def _forget_read(self, owner: str, done: "asyncio.Task[Capabilities]") -> None:
        self._reads.pop(owner, None)
        if not done.cancelled():
            done.exception()  # nobody may be waiting any more

    async def problem(self, spec: TaskFields, principal: Principal | None = None) -> str:
        """Return why *principal* may not save *spec*, or its owner may not have it; empty when both may."""
        own = None if principal is None else principal.capabilities
        if own is not None and (found := own.problem(spec)):
            return f"{found} to this key"
        if spec.owner and (found := (await self._read(spec.owner)).capabilities.problem(spec)):
            return f"{found} to tasks of {spec.owner}; {ALLOWED_BY}"
        return ""

    async def check(self, spec: TaskFields, principal: Principal) -> None:
        """Check that *principal* may save *spec*.

        Raises:
            NotAllowedError: The key or the owner may not; the text says what.
        """
        if found := await self.problem(spec, principal):
            raise NotAllowedError(found)

    @asynccontextmanager
    async def one_more(self, owner: str) -> AsyncIterator[Callable[[], Awaitable[bool]]]:
        """Check that *owner* may have one more task, which the caller creates meanwhile.

        Yields what says, once the task is written, whether there are too many now: another process may have
        created one at the same moment, and then the caller removes its own. So never too many stay. Within a
        process one task of an owner is created after another.

        Raises:
            NotAllowedError: The owner has as many already.
        """
        if not owner:
            yield _never
            return
        async with self._locks.setdefault(owner, asyncio.Lock()):
            allowed = await self.max_tasks(owner)
            if await self._store.count_tasks(TaskFilter(owner=owner)) >= allowed:
                raise NotAllowedError(quota_problem(owner, allowed))

            async def is_exceeded() -> bool:
                return await self._store.count_tasks(TaskFilter(owner=owner)) > allowed

            yield is_exceeded

    async def plan_problems(
        self, specs: Sequence[TaskSpec], *, before: Mapping[str, str], after: Mapping[str, str]
    ) -> list[str]:
        """Return why *specs* may not be saved together.

        Args:
            before: The owner of each task that is stored.
            after: The owner of each task that will be.
        """
        owned = [spec for spec in specs if spec.owner]
        accounts = {owner: await self._read(owner) for owner in sorted({spec.owner for spec in owned})}
        found = [(spec, accounts[spec.owner].capabilities.problem(spec)) for spec in owned]
        problems = [
            f"{spec.id}: {text} to tasks of {spec.owner}; {ALLOWED_BY}" for spec, text in found if text
        ]
        counts, earlier = Counter(after.values()), Counter(before.values())
        for owner, account in accounts.items():
            allowed = self._allowed_tasks(account)
            if counts[owner] > max(allowed, earlier[owner]):
                problems.append(quota_problem(owner, allowed))
        return problems

    async def max_tasks(self, owner: str) -> int:
        """Return how many tasks *owner* may have."""
        return self._allowed_tasks(await self._read(owner))

    def _allowed_tasks(self, account: Account) -> int:
        return self._default_max_tasks if account.max_tasks is None else account.max_tasks

    async def _read(self, owner: str) -> Account:
        try:
            return await self._accounts.get(owner)
        except (NotFoundError, InputError):
            return CLOSED


async def _never() -> bool:
    return False


def quota_problem(owner: str, allowed: int) -> str:
    """The text for an owner who has *allowed* tasks already."""
    return (
        f"owner: {owner} may have {allowed} tasks; remove some, or an administrator allows more: "
        f"scheduler owners set {owner} --max-tasks N"
    )
