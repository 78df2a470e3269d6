"""Owners' accounts in the store: read, changed under a guard, changed again when somebody was faster."""

import asyncio
import hashlib
import logging
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from pydantic import ValidationError

from functions.domain.alerts.model import Notification
from functions.domain.credits import (
    USAGE_LEVELS,
    Account,
    Denied,
    Granted,
    Postponed,
    PriceList,
    decide_admission,
    level_notification,
    notification_id_prefix,
)
from functions.domain.run import Outcome
from functions.domain.storage import Document, VersionedTask, WriteStatus
from functions.domain.task import Task
from functions.errors import InputError, NotFoundError, StoreError, StoreUnavailableError
from functions.interfaces import (
    ChargedOutcome,
    DeniedAttempt,
    DocumentStore,
    GrantedAttempt,
    ReservationResult,
)
from functions.services.compare_and_set import compare_and_set
from functions.services.paging import iter_documents

CACHE_SIZE = 1000  # accounts known from the last write, which saves a read when nobody else writes
_PLAIN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,99}")

Update = Callable[[Account], Account]


class AccountStore:
    """The accounts. Safe to share between ticks; others may write to the same store."""

    def __init__(self, store: DocumentStore, *, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock
        self._cached: dict[str, Document] = {}

    async def get(self, owner: str) -> Account:
        """Return the account as it stands now.

        Raises:
            NotFoundError: The owner has none.
            StoreError: It cannot be read.
        """
        found = await self._store.get_documents("owners", [account_document_id(owner)])
        if not found:
            raise NotFoundError(f"{owner} has no account: scheduler owners set {owner} makes one")
        return _parse_account(owner, found[0]).as_of(self._clock())

    async def list_accounts(self) -> list[Account]:
        """Return all accounts by name; those that cannot be read are left out."""
        documents = [document async for document in iter_documents(self._store, "owners")]
        now = self._clock()
        accounts = [_parse_account_or_none(document) for document in documents]
        return sorted((one.as_of(now) for one in accounts if one is not None), key=lambda one: one.name)

    async def set_plan(
        self,
        owner: str,
        *,
        plan: str | None = None,
        monthly_credits: float | None = None,
        unlimited: bool = False,
    ) -> Account:
        """Give the owner a plan, or credits a month; what is not named stays. Makes the account if need be.

        Raises:
            InputError: The owner has no name.
            StoreError: The account cannot be read, or it is not known whether it was changed.
        """
        if not owner.strip():
            raise InputError("owner: must not be empty")

        def change(account: Account) -> Account:
            return account.with_plan(plan=plan, monthly_credits=monthly_credits, unlimited=unlimited)

        return _or_raise((await self.update({owner: change}))[owner])

    async def update(
        self, updates: Mapping[str, Update], *, fresh: bool = True
    ) -> dict[str, Account | StoreError]:
        """Apply each update to its owner's account; return the accounts as written, or why one is not.

        An update may be applied several times: to the account as another writer left it, and after a write
        without an answer. It must return an account that holds it already unchanged.

        Args:
            fresh: False to decide the first time on what this process wrote last.
        """
        done: dict[str, Account | StoreError] = {}
        unavailable: StoreUnavailableError | None = None
        if fresh:
            self._evict(updates)

        async def attempt() -> dict[str, Account | StoreError] | None:
            nonlocal unavailable
            remaining = {owner: update for owner, update in updates.items() if owner not in done}
            try:
                done.update(await self._try_once(remaining))
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

    async def _try_once(self, updates: Mapping[str, Update]) -> dict[str, Account | StoreError]:
        """Read, decide and write, all owners together; owners whose write was not applied are left out."""
        now = self._clock()
        stored = await self._load_documents(list(updates))
        done: dict[str, Account | StoreError] = {}
        writes: list[tuple[Account, Document]] = []
        for owner, update in updates.items():
            document = stored[owner]
            try:
                before = _parse_account(owner, document)
            except StoreError as exc:
                done[owner] = exc
                continue
            after = update(before.as_of(now))
            if after == before and document.revision is not None:
                done[owner] = after
            else:
                data = after.model_dump(mode="json", by_alias=True, exclude_defaults=True)
                writes.append((after, replace(document, data=data)))
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
        """The document of each owner; an empty one, without a revision, of who has none."""
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


def account_document_id(owner: str) -> str:
    """The name an account is kept under: the owner's own where a store can take it."""
    if _PLAIN_ID.fullmatch(owner) and not owner.startswith("sha256-"):
        return owner
    return f"sha256-{hashlib.sha256(owner.encode('utf-8', 'replace')).hexdigest()[:40]}"


def _parse_account(owner: str, document: Document) -> Account:
    try:
        return Account.model_validate({**document.data, "name": owner})
    except ValidationError as exc:
        place = ".".join(str(step) for step in exc.errors(include_input=False)[0]["loc"])
        raise StoreError(f"The account of {owner} cannot be read: {place} is wrong") from None


def _parse_account_or_none(document: Document) -> Account | None:
    try:
        return _parse_account(str(document.data.get("name") or document.id), document)
    except StoreError:
        return None


def _or_raise(result: Account | StoreError) -> Account:
    if isinstance(result, StoreError):
        raise result
    return result


# Credits in a tick: set aside before attempts, counted after them, and people told when they run out.

log = logging.getLogger(__name__)

ACCOUNTS_TIMEOUT_S = 5.0  # for the accounts' part in starting or settling: claims do not wait for ever

CARRIED_FOR = timedelta(minutes=1)  # a notice whose task is not written by then is carried by another one

CreditDecision = Granted | Denied | Postponed


@dataclass(frozen=True, slots=True)
class _LevelReached:
    owner: str
    period: str
    level: int
    at: datetime
    is_recorded: bool = False  # in the account; kept even so, for results that were counted before that


class StoredCreditLedger:
    """The accounts as a tick sees them; fulfils its `Spending`.

    A reservation is settled once: what was settled, or has expired, is not there to be settled again. What an
    attempt cost is counted before its result is written, so that a process that dies between the two has
    counted it; of one that dies earlier the reservation expires.
    """

    def __init__(self, accounts: AccountStore, prices: PriceList, *, clock: Callable[[], datetime]) -> None:
        self._accounts = accounts
        self._prices = prices
        self._clock = clock
        self._reserved: dict[str, float] = {}  # by token, for attempts under way in this process
        self._uncharged: dict[
            str, dict[str, float]
        ] = {}  # by owner and token: counts that could not be written
        self._pending_levels: dict[str, _LevelReached] = {}  # by the id of a notice that a task carries

    async def reserve(self, claimed: Sequence[VersionedTask]) -> ReservationResult:
        """Say which attempts may be made, and set aside what they may cost."""
        priced = [stored for stored in claimed if self._prices.has_price(stored.task.type)]
        if not priced:
            return ReservationResult([GrantedAttempt(stored) for stored in claimed])
        now = self._clock()
        answers: dict[str, CreditDecision] = {}
        waves: dict[str, list[Task]] = defaultdict(list)
        for stored in priced:
            if stored.task.owner:
                waves[stored.task.owner].append(stored.task)
            else:
                answers[stored.task.id] = decide_admission(stored.task, None, self._prices, now=now)
        changes = {owner: self._reserve_batch(tasks, answers, now=now) for owner, tasks in waves.items()}
        accounts = await self._update(changes, fresh=True)
        for owner, tasks in waves.items():
            if isinstance(fault := accounts[owner], StoreError):
                later = isinstance(fault, StoreUnavailableError)
                answers |= {task.id: Postponed() if later else Denied(str(fault)) for task in tasks}
        return self._partition(claimed, answers, accounts, now=now)

    async def charge(self, done: Sequence[tuple[VersionedTask, Outcome]]) -> list[ChargedOutcome]:
        """Count what attempts cost, and put it among their metrics."""
        costs: dict[str, float] = {}
        owed: dict[str, dict[str, float]] = {}
        for stored, outcome in done:
            task = stored.task
            if task.claim is None or not self._prices.has_price(task.type):
                continue
            token = task.claim.token
            reserved = self._reserved.pop(token, 0.0)
            costs[task.id] = self._prices.charge(task.type, outcome, reserved=reserved)
            if task.owner:
                owed.setdefault(task.owner, {})[token] = costs[task.id]
        if not costs:
            return [ChargedOutcome(outcome) for _, outcome in done]
        accounts = await self._charge_owed(owed) if owed else {}
        return [self._with_cost(stored.task, outcome, costs, accounts) for stored, outcome in done]

    async def mark_notified(self, notifications: Sequence[Notification]) -> None:
        """Note in the accounts which levels people will hear of."""
        words = {notice.id: self._pending_levels.get(notice.id) for notice in notifications}
        changes: dict[str, Update] = {}
        for id_, word in words.items():
            if word is not None and not word.is_recorded:
                self._pending_levels[id_] = replace(word, is_recorded=True)
                changes[word.owner] = _mark_notified(word)  # of two levels the higher one comes later
        await self._update(changes, fresh=False)

    # -- before ------------------------------------------------------------------------------------------

    def _reserve_batch(
        self, tasks: Sequence[Task], decisions: dict[str, CreditDecision], *, now: datetime
    ) -> Update:
        def change(account: Account) -> Account:
            for task in tasks:
                assert task.claim is not None  # only claimed tasks are about to be attempted
                answer = (
                    Postponed()
                    if account.has_too_many_reservations
                    else decide_admission(task, account, self._prices, now=now)
                )
                decisions[task.id] = answer
                if isinstance(answer, Granted):
                    until = task.claim.until
                    account = account.reserve(task.claim.token, answer.credits, until=until)
            return account

        return change

    def _partition(
        self,
        claimed: Sequence[VersionedTask],
        decisions: Mapping[str, CreditDecision],
        accounts: Mapping[str, Account | StoreError],
        *,
        now: datetime,
    ) -> ReservationResult:
        granted, denied, later = [], [], []
        for stored in claimed:
            match decisions.get(stored.task.id):
                case None:
                    granted.append(GrantedAttempt(stored))
                case Granted(credits, tokens):
                    assert stored.task.claim is not None  # as above
                    self._reserved[stored.task.claim.token] = credits
                    granted.append(GrantedAttempt(stored, tokens))
                case Denied(reason, owner_spent):
                    account = accounts.get(stored.task.owner)
                    spent = owner_spent and isinstance(account, Account)
                    notices = (
                        self._level_notification(account, max(USAGE_LEVELS), stored.task, now=now)
                        if spent
                        else ()
                    )
                    denied.append(DeniedAttempt(stored, reason, notices))
                case Postponed():
                    later.append(stored)
        return ReservationResult(granted, denied, later)

    # -- after -------------------------------------------------------------------------------------------

    async def _charge_owed(
        self, uncharged: Mapping[str, Mapping[str, float]]
    ) -> Mapping[str, Account | StoreError]:
        """Count *owed*, and with it what could not be counted before."""
        whole: dict[str, dict[str, float]] = {
            owner: {**self._uncharged.pop(owner, {}), **costs} for owner, costs in uncharged.items()
        }
        accounts = await self._update(
            {owner: _charge_costs(costs) for owner, costs in whole.items()}, fresh=False
        )
        for owner, costs in whole.items():
            if isinstance(accounts[owner], StoreError):
                self._uncharged[owner] = {**self._uncharged.get(owner, {}), **costs}
                log.error("credits_not_counted", extra={"owner": owner, "detail": str(accounts[owner])})
        return accounts

    def _with_cost(
        self,
        task: Task,
        outcome: Outcome,
        costs: Mapping[str, float],
        accounts: Mapping[str, Account | StoreError],
    ) -> ChargedOutcome:
        if task.id not in costs:
            return ChargedOutcome(outcome)
        metrics = {**outcome.metrics, "credits": costs[task.id]}
        account = accounts.get(task.owner)
        if not isinstance(account, Account):
            return ChargedOutcome(replace(outcome, metrics=metrics))
        metrics["ownerCreditsUsed"] = account.used_credits
        if account.monthly_credits is not None:
            metrics["ownerCreditsLeft"] = max(0.0, account.remaining)
        notices = self._level_notification(account, account.level, task, now=self._clock())
        return ChargedOutcome(replace(outcome, metrics=metrics), notices)

    # -- both --------------------------------------------------------------------------------------------

    def _level_notification(
        self, account: Account | StoreError | None, level: int, task: Task, *, now: datetime
    ) -> tuple[Notification, ...]:
        """The notice of a level that people have not heard of; none while another task carries it."""
        if not isinstance(account, Account) or level <= account.notified_level:
            return ()
        self._pending_levels = {
            id_: word for id_, word in self._pending_levels.items() if now - word.at < CARRIED_FOR
        }
        prefix = notification_id_prefix(account)
        carried = [word.level for id_, word in self._pending_levels.items() if id_.startswith(prefix)]
        if level <= max(carried, default=0):
            return ()
        notice = level_notification(account, level, task, now=now)
        self._pending_levels[notice.id] = _LevelReached(task.owner, account.month, level, now)
        return (notice,)

    async def _update(
        self, updates: Mapping[str, Update], *, fresh: bool
    ) -> Mapping[str, Account | StoreError]:
        if not updates:
            return {}
        try:
            async with asyncio.timeout(ACCOUNTS_TIMEOUT_S):
                return await self._accounts.update(updates, fresh=fresh)
        except TimeoutError:
            return dict.fromkeys(updates, StoreUnavailableError("The accounts did not answer in time"))
        except StoreError as exc:
            return dict.fromkeys(updates, exc)


def _charge_costs(costs: Mapping[str, float]) -> Update:
    def change(account: Account) -> Account:
        for token, credits in costs.items():
            account = account.charge(token, credits)
        return account

    return change


def _mark_notified(reached: _LevelReached) -> Update:
    def change(account: Account) -> Account:
        if account.month != reached.period:
            return account
        return account.model_copy(update={"notified_level": max(account.notified_level, reached.level)})

    return change
