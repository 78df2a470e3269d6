"""The owners' accounts of credits in the store: read, changed, repaired."""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from pydantic import ValidationError
from pydantic.alias_generators import to_camel

from functions.domain.access import Principal, audit_subject
from functions.domain.costs.credits import Account, PlanChange
from functions.domain.lifecycle.permissions import UNRESTRICTED, Capabilities
from functions.domain.storage import Document, WriteStatus
from functions.domain.types import NOT_A_NAME, is_owner_name
from functions.domain.validation import problems_of, validation_sentence
from functions.errors import (
    InputError,
    NotAllowedError,
    NotFoundError,
    StoreError,
    StoreUnavailableError,
    UnreadableError,
)
from functions.interfaces import DocumentStore
from functions.services.access.audit import record_change
from functions.services.compare_and_set import compare_and_set
from functions.services.paging import iter_documents

CACHE_SIZE = 1000  # accounts as this process wrote them last; saves a read while no other process writes
_PLAIN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,99}")

Update = Callable[[Account], Account]


class _UnreadableAccountError(StoreError):
    """The stored document is no account: to a tick a fault of the store, to a user what is to be repaired."""


@dataclass(frozen=True, slots=True)
class AccountList:
    """All accounts: those that can be read, and the owners' names of the others."""

    accounts: Sequence[Account]
    unreadable: Sequence[str]


class AccountStore:
    """The accounts. Safe to share between ticks, and between processes that use the same store."""

    def __init__(self, store: DocumentStore, *, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock
        self._cached: dict[str, Document] = {}

    async def get(self, owner: str) -> Account:
        """Return the account as of now.

        Raises:
            NotFoundError: The owner has no account.
            InputError: The account cannot be read.
        """
        found = await self._store.get_documents("owners", [account_document_id(owner)])
        if not found:
            raise NotFoundError(f"{owner} has no account: scheduler owners set {owner} makes one")
        try:
            return _parse_account(owner, found[0]).as_of(self._clock())
        except _UnreadableAccountError as exc:
            raise UnreadableError(str(exc)) from None

    async def list_accounts(self) -> AccountList:
        """Return all accounts by name, and the names of those that cannot be read."""
        now = self._clock()
        accounts, unreadable = [], []
        async for document in iter_documents(self._store, "owners"):
            name = str(document.data.get("name") or document.id)
            name = name if account_document_id(name) == document.id else document.id
            try:
                accounts.append(_parse_account(name, document).as_of(now))
            except _UnreadableAccountError:
                unreadable.append(name)
        return AccountList(sorted(accounts, key=lambda one: one.name), sorted(unreadable))

    async def set_plan(
        self,
        owner: str,
        *,
        plan: str | None = None,
        monthly_credits: float | None = None,
        unlimited: bool = False,
        capabilities: Capabilities | None = None,
        max_tasks: int | None = None,
        default_max_tasks: bool = False,
        reset_used: bool = False,
        within: Capabilities = UNRESTRICTED,
    ) -> Account:
        """Set what is named of the account; the rest stays. Creates the account if there is none.

        An account that cannot be read is repaired by a change that sets its credits: what is wrong in it is
        left out, the rest stays.

        Args:
            within: What who sets it may use, who allows no more than that.

        Raises:
            NotAllowedError: *capabilities* are beyond *within*.
            InputError: *owner* is no name of one, an amount is out of bounds or given with what excludes it,
                or the account cannot be read and the change does not repair it.
            StoreError: It is not known whether the account was changed.
        """
        if not owner.strip():
            raise InputError("owner: must not be empty")
        if not is_owner_name(owner):
            raise InputError(f"owner: {NOT_A_NAME}")
        try:
            change = PlanChange.model_validate(
                {
                    "plan": plan,
                    "monthlyCredits": monthly_credits,
                    "unlimited": unlimited,
                    "capabilities": capabilities,
                    "maxTasks": max_tasks,
                    "defaultMaxTasks": default_max_tasks,
                    "resetUsed": reset_used,
                }
            )
        except ValidationError as exc:
            raise InputError(validation_sentence(exc)) from None
        if change.unlimited and change.monthly_credits is not None:
            raise InputError("unlimited: excludes monthlyCredits; give one of the two")
        if change.default_max_tasks and change.max_tasks is not None:
            raise InputError("defaultMaxTasks: excludes maxTasks; give one of the two")
        if change.capabilities and (field := change.capabilities.excess_over(within)):
            raise NotAllowedError(f"capabilities.{field}: a key allows no owner more than it may use itself")
        updates: dict[str, Update] = {owner: lambda account: account.with_plan(change)}
        return _or_raise((await self.update(updates, repair=change.sets_credits))[owner])

    async def update(
        self, updates: Mapping[str, Update], *, fresh: bool = True, repair: bool = False
    ) -> dict[str, Account | StoreError]:
        """Apply each update to its owner's account; return the accounts as written, or why one is not.

        An update may be applied several times: to the account as another writer left it, and after a write
        without an answer. It must return an account that holds it already unchanged.

        Args:
            fresh: False to decide the first time on what this process wrote last.
            repair: Whether an account that cannot be read is replaced by what can be read of it.
        """
        done: dict[str, Account | StoreError] = {}
        unavailable: StoreUnavailableError | None = None
        if fresh:
            self._evict(updates)

        async def attempt() -> dict[str, Account | StoreError] | None:
            nonlocal unavailable
            remaining = {owner: update for owner, update in updates.items() if owner not in done}
            try:
                done.update(await self._try_once(remaining, repair=repair))
            except StoreUnavailableError as exc:
                self._evict(remaining)
                unavailable = exc
            else:
                unavailable = None
            return done if len(done) == len(updates) else None

        try:
            return await compare_and_set(attempt, subject="the accounts")
        except StoreUnavailableError as busy:
            return dict.fromkeys(updates, unavailable or busy) | done

    async def _try_once(
        self, updates: Mapping[str, Update], *, repair: bool
    ) -> dict[str, Account | StoreError]:
        """Read, decide and write, all owners together; owners whose write was not applied are left out."""
        now = self._clock()
        stored = await self._load_documents(list(updates))
        done: dict[str, Account | StoreError] = {}
        writes: list[tuple[Account, Document]] = []
        for owner, update in updates.items():
            document = stored[owner]
            try:
                before = _parse_account(owner, document)
            except _UnreadableAccountError as exc:
                if not repair:
                    done[owner] = exc
                    continue
                before = _parse_readable_fields(owner, document)
            after = update(before.as_of(now))
            if after == before and document.revision is not None and not repair:
                done[owner] = after
            else:
                data = after.model_dump(mode="json", by_alias=True, exclude_defaults=True)
                writes.append((after, replace(document, data=data, is_readable=True)))
        return done | await self._write_accounts(writes)

    async def _write_accounts(self, writes: Sequence[tuple[Account, Document]]) -> dict[str, Account]:
        """Write the accounts; return those that were applied, by owner."""
        if not writes:
            return {}
        written = await self._store.put_documents([document for _, document in writes])
        applied: dict[str, Account] = {}
        for (account, document), result in zip(writes, written, strict=True):
            if result.status is WriteStatus.APPLIED:
                applied[account.name] = account
                self._cache(account.name, replace(document, revision=result.revision))
            else:  # a conflict, or no answer: the cached document is not the stored one
                self._evict([account.name])
        return applied

    async def _load_documents(self, owners: Sequence[str]) -> dict[str, Document]:
        """Return the document of each owner; without an account an empty one that has no revision."""
        unknown = [owner for owner in owners if owner not in self._cached]
        ids = {account_document_id(owner): owner for owner in unknown}
        found = await self._store.get_documents("owners", list(ids)) if ids else []
        empty = {owner: Document("owners", id_, {}) for id_, owner in ids.items()}
        known = {owner: self._cached[owner] for owner in owners if owner in self._cached}
        return known | empty | {ids[document.id]: document for document in found}

    def _cache(self, owner: str, document: Document) -> None:
        if len(self._cached) >= CACHE_SIZE:
            self._cached.clear()
        self._cached[owner] = document

    def _evict(self, owners: Sequence[str] | Mapping[str, object]) -> None:
        for owner in owners:
            self._cached.pop(owner, None)


async def set_owner_plan(
    accounts: AccountStore,
    store: DocumentStore,
    owner: str,
    change: Mapping[str, Any],
    *,
    by: Principal,
    now: datetime,
    new_id: Callable[[], str],
) -> Account:
    """Set the plan or the credits of *owner* for the administrator *by*, and record it in the audit trail.

    Args:
        change: The arguments of `AccountStore.set_plan`.

    Raises:
        NotAllowedError, InputError, StoreError: As `AccountStore.set_plan`.
    """
    account = await accounts.set_plan(owner, **change, within=by.capabilities or UNRESTRICTED)
    given = [to_camel(name) for name, value in change.items() if value not in (None, False)]
    subject = audit_subject("owner", owner)
    await record_change(store, "owner changed", subject, by=by.author, at=now, new_id=new_id, fields=given)
    return account


def account_document_id(owner: str) -> str:
    """Return the id of an account's document: the owner itself where a store accepts it, else its digest."""
    if _PLAIN_ID.fullmatch(owner) and not owner.startswith("sha256-"):
        return owner
    return f"sha256-{hashlib.sha256(owner.encode('utf-8', 'replace')).hexdigest()[:40]}"


def _parse_account(owner: str, document: Document) -> Account:
    if not document.is_readable:
        raise _unreadable(owner, "it holds no JSON object")
    try:
        return Account.model_validate({**document.data, "name": owner})
    except ValidationError as exc:
        raise _unreadable(owner, f"{problems_of(exc)[0].field} is wrong") from None


def _unreadable(owner: str, fault: str) -> _UnreadableAccountError:
    return _UnreadableAccountError(
        f"The account of {owner} cannot be read: {fault}. "
        f"Set its credits to repair it: scheduler owners set {owner} --monthly-credits N"
    )


def _parse_readable_fields(owner: str, document: Document) -> Account:
    """Return the account without the fields that are wrong."""
    data = {**document.data, "name": owner}
    try:
        return Account.model_validate(data)
    except ValidationError as exc:
        wrong = {problem.path[0] for problem in problems_of(exc) if problem.path}
        return Account.model_validate({name: value for name, value in data.items() if name not in wrong})


def _or_raise(result: Account | StoreError) -> Account:
    if isinstance(result, _UnreadableAccountError):
        raise UnreadableError(str(result))
    if isinstance(result, StoreError):
        raise result
    return result
