"""Credits in a tick: set aside before attempts, counted after them, and people told when they run out."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from functions.errors import StoreError, StoreUnavailable
from functions.owners import Change, Owners
from functions.rules.accounts import LEVELS, Account, level_notice, notice_prefix
from functions.rules.credits import Grant, Later, Rates, Refusal, decide
from functions.rules.notice import Notice
from functions.rules.outcome import Outcome
from functions.rules.storage import Stored
from functions.rules.task import Task
from functions.spending import Charged, Denied, Granted, Reserved

log = logging.getLogger(__name__)

AT_MOST_S = 5.0  # for the accounts' part in starting or settling: claims do not wait for ever

CARRIED = timedelta(minutes=1)  # a notice whose task is not written by then is carried by another one

Answer = Grant | Refusal | Later


@dataclass(frozen=True, slots=True)
class _Word:
    owner: str
    period: str
    level: int
    at: datetime
    noted: bool = False  # in the account; kept even so, for results that were counted before that


class Credits:
    """The accounts as a tick sees them; fulfils its `Spending`.

    A reservation is settled once: what was settled, or has expired, is not there to be settled again. What an
    attempt cost is counted before its result is written, so that a process that dies between the two has
    counted it; of one that dies earlier the reservation expires.
    """

    def __init__(self, owners: Owners, rates: Rates, *, clock: Callable[[], datetime]) -> None:
        self._owners = owners
        self._rates = rates
        self._clock = clock
        self._set_aside: dict[str, float] = {}  # by token, for attempts under way in this process
        self._owed: dict[str, dict[str, float]] = {}  # by owner and token: counts that could not be written
        self._telling: dict[str, _Word] = {}  # by the id of a notice that a task carries

    async def reserve(self, claimed: Sequence[Stored]) -> Reserved:
        """Say which attempts may be made, and set aside what they may cost."""
        priced = [stored for stored in claimed if self._rates.priced(stored.task.type)]
        if not priced:
            return Reserved([Granted(stored) for stored in claimed])
        now = self._clock()
        answers: dict[str, Answer] = {}
        waves: dict[str, list[Task]] = defaultdict(list)
        for stored in priced:
            if stored.task.owner:
                waves[stored.task.owner].append(stored.task)
            else:
                answers[stored.task.id] = decide(stored.task, None, self._rates, now=now)
        changes = {owner: self._wave(tasks, answers, now=now) for owner, tasks in waves.items()}
        accounts = await self._changed(changes, fresh=True)
        for owner, tasks in waves.items():
            if isinstance(fault := accounts[owner], StoreError):
                later = isinstance(fault, StoreUnavailable)
                answers |= {task.id: Later() if later else Refusal(str(fault)) for task in tasks}
        return self._sorted(claimed, answers, accounts, now=now)

    async def charge(self, done: Sequence[tuple[Stored, Outcome]]) -> list[Charged]:
        """Count what attempts cost, and put it among their metrics."""
        costs: dict[str, float] = {}
        owed: dict[str, dict[str, float]] = {}
        for stored, outcome in done:
            task = stored.task
            if task.claim is None or not self._rates.priced(task.type):
                continue
            token = task.claim.token
            reserved = self._set_aside.pop(token, 0.0)
            costs[task.id] = self._rates.cost(task.type, outcome, reserved=reserved)
            if task.owner:
                owed.setdefault(task.owner, {})[token] = costs[task.id]
        if not costs:
            return [Charged(outcome) for _, outcome in done]
        accounts = await self._settled(owed) if owed else {}
        return [self._charged(stored.task, outcome, costs, accounts) for stored, outcome in done]

    async def told(self, notices: Sequence[Notice]) -> None:
        """Note in the accounts which levels people will hear of."""
        words = {notice.id: self._telling.get(notice.id) for notice in notices}
        changes: dict[str, Change] = {}
        for id_, word in words.items():
            if word is not None and not word.noted:
                self._telling[id_] = replace(word, noted=True)
                changes[word.owner] = _heard(word)  # of two levels the higher one comes later
        await self._changed(changes, fresh=False)

    # -- before ------------------------------------------------------------------------------------------

    def _wave(self, tasks: Sequence[Task], answers: dict[str, Answer], *, now: datetime) -> Change:
        def change(account: Account) -> Account:
            for task in tasks:
                assert task.claim is not None  # only claimed tasks are about to be attempted
                answer = Later() if account.is_full else decide(task, account, self._rates, now=now)
                answers[task.id] = answer
                if isinstance(answer, Grant):
                    until = task.claim.until
                    account = account.reserved(task.claim.token, answer.credits, until=until)
            return account

        return change

    def _sorted(
        self,
        claimed: Sequence[Stored],
        answers: Mapping[str, Answer],
        accounts: Mapping[str, Account | StoreError],
        *,
        now: datetime,
    ) -> Reserved:
        granted, denied, later = [], [], []
        for stored in claimed:
            match answers.get(stored.task.id):
                case None:
                    granted.append(Granted(stored))
                case Grant(credits, tokens):
                    assert stored.task.claim is not None  # as above
                    self._set_aside[stored.task.claim.token] = credits
                    granted.append(Granted(stored, tokens))
                case Refusal(reason, owner_spent):
                    account = accounts.get(stored.task.owner)
                    spent = owner_spent and isinstance(account, Account)
                    notices = self._news(account, max(LEVELS), stored.task, now=now) if spent else ()
                    denied.append(Denied(stored, reason, notices))
                case Later():
                    later.append(stored)
        return Reserved(granted, denied, later)

    # -- after -------------------------------------------------------------------------------------------

    async def _settled(self, owed: Mapping[str, Mapping[str, float]]) -> Mapping[str, Account | StoreError]:
        """Count *owed*, and with it what could not be counted before."""
        whole: dict[str, dict[str, float]] = {
            owner: {**self._owed.pop(owner, {}), **costs} for owner, costs in owed.items()
        }
        accounts = await self._changed(
            {owner: _counting(costs) for owner, costs in whole.items()}, fresh=False
        )
        for owner, costs in whole.items():
            if isinstance(accounts[owner], StoreError):
                self._owed[owner] = {**self._owed.get(owner, {}), **costs}
                log.error("credits_not_counted", extra={"owner": owner, "detail": str(accounts[owner])})
        return accounts

    def _charged(
        self,
        task: Task,
        outcome: Outcome,
        costs: Mapping[str, float],
        accounts: Mapping[str, Account | StoreError],
    ) -> Charged:
        if task.id not in costs:
            return Charged(outcome)
        metrics = {**outcome.metrics, "credits": costs[task.id]}
        account = accounts.get(task.owner)
        if not isinstance(account, Account):
            return Charged(replace(outcome, metrics=metrics))
        metrics["ownerCreditsUsed"] = account.used_credits
        if account.monthly_credits is not None:
            metrics["ownerCreditsLeft"] = max(0.0, account.left)
        notices = self._news(account, account.level, task, now=self._clock())
        return Charged(replace(outcome, metrics=metrics), notices)

    # -- both --------------------------------------------------------------------------------------------

    def _news(
        self, account: Account | StoreError | None, level: int, task: Task, *, now: datetime
    ) -> tuple[Notice, ...]:
        """The notice of a level that people have not heard of; none while another task carries it."""
        if not isinstance(account, Account) or level <= account.told:
            return ()
        self._telling = {id_: word for id_, word in self._telling.items() if now - word.at < CARRIED}
        prefix = notice_prefix(account)
        carried = [word.level for id_, word in self._telling.items() if id_.startswith(prefix)]
        if level <= max(carried, default=0):
            return ()
        notice = level_notice(account, level, task, now=now)
        self._telling[notice.id] = _Word(task.owner, account.period, level, now)
        return (notice,)

    async def _changed(
        self, changes: Mapping[str, Change], *, fresh: bool
    ) -> Mapping[str, Account | StoreError]:
        if not changes:
            return {}
        try:
            async with asyncio.timeout(AT_MOST_S):
                return await self._owners.change(changes, fresh=fresh)
        except TimeoutError:
            return dict.fromkeys(changes, StoreUnavailable("The accounts did not answer in time"))
        except StoreError as exc:
            return dict.fromkeys(changes, exc)


def _counting(costs: Mapping[str, float]) -> Change:
    def change(account: Account) -> Account:
        for token, credits in costs.items():
            account = account.settled(token, credits)
        return account

    return change


def _heard(word: _Word) -> Change:
    def change(account: Account) -> Account:
        if account.period != word.period:
            return account
        return account.model_copy(update={"told": max(account.told, word.level)})

    return change
