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

from functions.domain.alerts.model import Notice
from functions.domain.credits import (
    LEVELS,
    Account,
    Grant,
    Later,
    Rates,
    Refusal,
    decide,
    level_notice,
    notice_prefix,
)
from functions.domain.run import Outcome
from functions.domain.storage import Document, Result, Stored
from functions.domain.task import Task
from functions.errors import InputError, NotFoundError, StoreError, StoreUnavailable
from functions.interfaces import Charged, Denied, Granted, Reserved, Shelf

TRIES = 8  # at a write that others get in the way of; each time on what they left
FIRST_WAIT_S = 0.02  # before the third try; doubled for each later one
PAGE = 100
REMEMBERED = 1000  # accounts known from the last write, which saves a read when nobody else writes
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,99}")

Change = Callable[[Account], Account]


class Owners:
    """The accounts. Safe to share between ticks; others may write to the same store."""

    def __init__(self, shelf: Shelf, *, clock: Callable[[], datetime]) -> None:
        self._shelf = shelf
        self._clock = clock
        self._known: dict[str, Document] = {}

    async def read(self, owner: str) -> Account:
        """Return the account as it stands now.

        Raises:
            NotFoundError: The owner has none.
            StoreError: It cannot be read.
        """
        found = await self._shelf.documents("owners", [document_id(owner)])
        if not found:
            raise NotFoundError(f"{owner} has no account: scheduler owners set {owner} makes one")
        return _account(owner, found[0]).at(self._clock())

    async def all(self) -> list[Account]:
        """Return all accounts by name; those that cannot be read are left out."""
        documents: list[Document] = []
        while True:
            after = documents[-1].id if documents else ""
            page = await self._shelf.shelf("owners", after=after, limit=PAGE)
            documents += page
            if len(page) < PAGE:
                break
        now = self._clock()
        accounts = [_readable(document) for document in documents]
        return sorted((one.at(now) for one in accounts if one is not None), key=lambda one: one.name)

    async def set(
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

        return _or_raise((await self.change({owner: change}))[owner])

    async def change(
        self, changes: Mapping[str, Change], *, fresh: bool = True
    ) -> dict[str, Account | StoreError]:
        """Apply each change to its owner's account; return the accounts as written, or why one is not.

        A change may be applied several times, to the account as others left it, and once more after a write
        that was not answered: it must come to the same when it has been applied already.

        Args:
            fresh: False to try first on what was written last from here.
        """
        done: dict[str, Account | StoreError] = {}
        if fresh:
            self._forget(changes)
        for round_ in range(TRIES):
            if round_ > 1:
                await asyncio.sleep(FIRST_WAIT_S * 2 ** (round_ - 2))
            left = [owner for owner in changes if owner not in done]
            if not left:
                break
            try:
                await self._one_round({owner: changes[owner] for owner in left}, done)
            except StoreUnavailable as exc:
                self._forget(left)
                if round_ == TRIES - 1:
                    return done | dict.fromkeys(left, exc)
        busy = StoreUnavailable("The accounts change too quickly; try again")
        return dict.fromkeys(changes, busy) | done

    async def _one_round(self, changes: Mapping[str, Change], done: dict[str, Account | StoreError]) -> None:
        now = self._clock()
        stored = await self._documents(list(changes))
        writes: dict[str, tuple[Account, Document]] = {}
        for owner, change in changes.items():
            document = stored[owner]
            try:
                before = _account(owner, document)
            except StoreError as exc:
                done[owner] = exc
                continue
            after = change(before.at(now))
            if after == before and document.revision is not None:
                done[owner] = after
            else:
                data = after.model_dump(mode="json", by_alias=True, exclude_defaults=True)
                writes[owner] = after, Document("owners", document.id, data, document.revision)
        written = await self._shelf.put([document for _, document in writes.values()]) if writes else []
        for (owner, (after, document)), answer in zip(writes.items(), written, strict=True):
            if answer.result is Result.APPLIED:
                done[owner] = after
                self._remember(owner, Document("owners", document.id, document.data, answer.revision))
            else:  # refused, or unknown: either way what is stored now is to be looked at
                self._forget([owner])

    async def _documents(self, owners: Sequence[str]) -> dict[str, Document]:
        """The document of each owner; an empty one, without a revision, of who has none."""
        unknown = [owner for owner in owners if owner not in self._known]
        ids = {document_id(owner): owner for owner in unknown}
        found = await self._shelf.documents("owners", list(ids)) if ids else []
        empty = {owner: Document("owners", id_, {}) for id_, owner in ids.items()}
        known = {owner: self._known[owner] for owner in owners if owner in self._known}
        return known | empty | {ids[document.id]: document for document in found}

    def _remember(self, owner: str, document: Document) -> None:
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        self._known[owner] = document

    def _forget(self, owners: Sequence[str] | Mapping[str, object]) -> None:
        for owner in owners:
            self._known.pop(owner, None)


def document_id(owner: str) -> str:
    """The name an account is kept under: the owner's own where a store can take it."""
    if _PLAIN.fullmatch(owner) and not owner.startswith("sha256-"):
        return owner
    return f"sha256-{hashlib.sha256(owner.encode('utf-8', 'replace')).hexdigest()[:40]}"


def _account(owner: str, document: Document) -> Account:
    try:
        return Account.model_validate({**document.data, "name": owner})
    except ValidationError as exc:
        place = ".".join(str(step) for step in exc.errors(include_input=False)[0]["loc"])
        raise StoreError(f"The account of {owner} cannot be read: {place} is wrong") from None


def _readable(document: Document) -> Account | None:
    try:
        return _account(str(document.data.get("name") or document.id), document)
    except StoreError:
        return None


def _or_raise(given: Account | StoreError) -> Account:
    if isinstance(given, StoreError):
        raise given
    return given


# Credits in a tick: set aside before attempts, counted after them, and people told when they run out.

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
