"""Credits: the owners' accounts in the store, and the ledger by which a tick reserves and charges."""

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
from functions.domain.validation import problems_of
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

CACHE_SIZE = 1000  # accounts as this process wrote them last; saves a read while no other process writes
_PLAIN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,99}")

Update = Callable[[Account], Account]


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
            StoreError: The account cannot be read.
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
        """Set the plan or the monthly credits; what is not named stays. Creates the account if there is none.

        Raises:
            InputError: *owner* is empty.
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


def account_document_id(owner: str) -> str:
    """Return the id of an account's document: the owner itself where a store accepts it, else its digest."""
    if _PLAIN_ID.fullmatch(owner) and not owner.startswith("sha256-"):
        return owner
    return f"sha256-{hashlib.sha256(owner.encode('utf-8', 'replace')).hexdigest()[:40]}"


def _parse_account(owner: str, document: Document) -> Account:
    try:
        return Account.model_validate({**document.data, "name": owner})
    except ValidationError as exc:
        raise StoreError(
            f"The account of {owner} cannot be read: {problems_of(exc)[0].field} is wrong"
        ) from None


def _parse_account_or_none(document: Document) -> Account | None:
    try:
        return _parse_account(str(document.data.get("name") or document.id), document)
    except StoreError:
        return None


def _or_raise(result: Account | StoreError) -> Account:
    if isinstance(result, StoreError):
        raise result
    return result


# The ledger of a tick: credits are reserved before attempts and charged after them, with usage notifications.

log = logging.getLogger(__name__)

ACCOUNTS_TIMEOUT_S = 5.0  # for a reservation or a charge; claims expire meanwhile
PENDING_FOR = timedelta(minutes=1)  # then a notification whose task was not written is made again

CreditDecision = Granted | Denied | Postponed


@dataclass(frozen=True, slots=True)
class _LevelReached:
    owner: str
    period: str
    level: int
    at: datetime
    is_recorded: bool = False  # in the account; stays pending for results charged before that


class StoredCreditLedger:
    """The `CreditLedger` over the accounts of a store.

    A reservation is charged once: a charge removes it, and so does its expiry. The charge is written before
    the attempt's result, so that a process that dies between the two has charged it; if a process dies
    earlier, the reservation expires.

        before                                   usedCredits 10
        reserve 5 for the claim with token t.1   usedCredits 10, reservations {t: {1: 5}}
        charge 3, which the attempt cost         usedCredits 13
    """

    def __init__(self, accounts: AccountStore, prices: PriceList, *, clock: Callable[[], datetime]) -> None:
        self._accounts = accounts
        self._prices = prices
        self._clock = clock
        self._reserved: dict[str, float] = {}  # by token, for running attempts of this process
        self._uncharged: dict[str, dict[str, float]] = {}  # by owner and token: charges not written yet
        self._pending_levels: dict[str, _LevelReached] = {}  # by the id of the notification

    async def reserve(self, claimed: Sequence[VersionedTask]) -> ReservationResult:
        """Decide which attempts may be made, and reserve what they may cost."""
        priced = [stored for stored in claimed if self._prices.has_price(stored.task.type)]
        if not priced:
            return ReservationResult([GrantedAttempt(stored) for stored in claimed])
        now = self._clock()
        decisions: dict[str, CreditDecision] = {}
        by_owner: dict[str, list[Task]] = defaultdict(list)
        for stored in priced:
            if stored.task.owner:
                by_owner[stored.task.owner].append(stored.task)
            else:
                decisions[stored.task.id] = decide_admission(stored.task, None, self._prices, now=now)
        updates = {owner: self._reserve_batch(tasks, decisions, now=now) for owner, tasks in by_owner.items()}
        accounts = await self._update(updates, fresh=True)
        for owner, tasks in by_owner.items():
            if isinstance(error := accounts[owner], StoreError):
                decisions |= dict.fromkeys((task.id for task in tasks), _without_account(error))
        return self._partition(claimed, decisions, accounts, now=now)

    async def charge(self, done: Sequence[tuple[VersionedTask, Outcome]]) -> list[ChargedOutcome]:
        """Charge what attempts cost, and add it to their metrics."""
        costs: dict[str, float] = {}  # by task
        uncharged: dict[str, dict[str, float]] = {}  # by owner and token
        for stored, outcome in done:
            task = stored.task
            if task.claim is None or not self._prices.has_price(task.type):
                continue
            token = task.claim.token
            reserved = self._reserved.pop(token, 0.0)
            costs[task.id] = self._prices.charge(task.type, outcome, reserved=reserved)
            if task.owner:
                uncharged.setdefault(task.owner, {})[token] = costs[task.id]
        if not costs:
            return [ChargedOutcome(outcome) for _, outcome in done]
        accounts = await self._charge_owners(uncharged) if uncharged else {}
        return [self._with_cost(stored.task, outcome, costs, accounts) for stored, outcome in done]

    async def mark_notified(self, notifications: Sequence[Notification]) -> None:
        """Write to the accounts which usage levels these notifications announce."""
        reached = {one.id: self._pending_levels.get(one.id) for one in notifications}
        changes: dict[str, Update] = {}
        for id_, level in reached.items():
            if level is not None and not level.is_recorded:
                self._pending_levels[id_] = replace(level, is_recorded=True)
                changes[level.owner] = _mark_notified(level)  # of two levels the higher one comes later
        await self._update(changes, fresh=False)

    # -- reserving ---------------------------------------------------------------------------------------

    def _reserve_batch(
        self, tasks: Sequence[Task], decisions: dict[str, CreditDecision], *, now: datetime
    ) -> Update:
        def reserve(account: Account) -> Account:
            for task in tasks:
                assert task.claim is not None  # only claimed tasks are about to be attempted
                decision: CreditDecision = Postponed()
                if not account.has_too_many_reservations:
                    decision = decide_admission(task, account, self._prices, now=now)
                decisions[task.id] = decision
                if isinstance(decision, Granted):
                    account = account.reserve(task.claim.token, decision.credits, until=task.claim.until)
            return account

        return reserve

    def _partition(
        self,
        claimed: Sequence[VersionedTask],
        decisions: Mapping[str, CreditDecision],
        accounts: Mapping[str, Account | StoreError],
        *,
        now: datetime,
    ) -> ReservationResult:
        granted, denied, postponed = [], [], []
        for stored in claimed:
            match decisions.get(stored.task.id):
                case None:  # it has no price
                    granted.append(GrantedAttempt(stored))
                case Granted(credits, tokens):
                    assert stored.task.claim is not None  # as above
                    self._reserved[stored.task.claim.token] = credits
                    granted.append(GrantedAttempt(stored, tokens))
                case Denied(reason, owner_spent):
                    account = accounts.get(stored.task.owner) if owner_spent else None
                    notifications = self._level_notification(account, max(USAGE_LEVELS), stored.task, now=now)
                    denied.append(DeniedAttempt(stored, reason, notifications))
                case Postponed():
                    postponed.append(stored)
        return ReservationResult(granted, denied, postponed)

    # -- charging ----------------------------------------------------------------------------------------

    async def _charge_owners(
        self, uncharged: Mapping[str, Mapping[str, float]]
    ) -> Mapping[str, Account | StoreError]:
        """Charge *uncharged*, and with it the charges that could not be written before."""
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

    # -- common ------------------------------------------------------------------------------------------

    def _level_notification(
        self, account: Account | StoreError | None, level: int, task: Task, *, now: datetime
    ) -> tuple[Notification, ...]:
        """Return the notification of a new usage level; none while one for it is pending."""
        if not isinstance(account, Account) or level <= account.notified_level:
            return ()
        self._pending_levels = {
            id_: pending for id_, pending in self._pending_levels.items() if now - pending.at < PENDING_FOR
        }
        prefix = notification_id_prefix(account)
        pending = [one.level for id_, one in self._pending_levels.items() if id_.startswith(prefix)]
        if level <= max(pending, default=0):
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


def _without_account(error: StoreError) -> CreditDecision:
    """Decide on attempts whose account was not written: a later tick tries again if the store may recover."""
    return Postponed() if isinstance(error, StoreUnavailableError) else Denied(str(error))


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
