"""The ledger of a tick: credits are reserved before attempts and charged after them, with notifications."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from functions.domain.alerts.model import Notification
from functions.domain.costs.credits import (
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
from functions.domain.storage import VersionedTask
from functions.domain.task import Task
from functions.errors import StoreError, StoreUnavailableError
from functions.interfaces import ChargedOutcome, DeniedAttempt, GrantedAttempt, ReservationResult
from functions.services.access.accounts import AccountStore, Update

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
