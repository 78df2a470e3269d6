"""Owners' accounts in every store: guarded, counted once, whoever else writes at the same moment."""

import asyncio
import math
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from functions.domain.costs.credits import Account
from functions.domain.storage import Document
from functions.errors import InputError, NotFoundError, StoreError, StoreUnavailableError
from functions.interfaces import Store
from functions.services.access.accounts import AccountStore, Update, account_document_id
from tests.conftest import NOON


def owners(store: Store, now: datetime = NOON) -> AccountStore:
    return AccountStore(store, clock=lambda: now)


def using(credits: float) -> Update:
    return lambda account: account.model_copy(update={"used_credits": account.used_credits + credits})


def reserving(token: str, credits: float) -> Update:
    return lambda account: account.reserve(token, credits, until=NOON)


async def test_an_account_comes_back_as_it_was_set(store: Store) -> None:
    await owners(store).set_plan("ann", plan="pro", monthly_credits=100.5)
    await owners(store).update({"ann": reserving("tick.1", 2.5)})

    account = await owners(store).get("ann")

    assert ("ann", "pro", 100.5, "2026-11") == (
        account.name,
        account.plan,
        account.monthly_credits,
        account.month,
    )
    assert 2.5 == account.reserved_credits
    assert [account] == (await owners(store).list_accounts()).accounts


async def test_what_is_not_named_stays(store: Store) -> None:
    await owners(store).set_plan("ann", plan="pro", monthly_credits=100)
    await owners(store).update({"ann": using(30)})

    account = await owners(store).set_plan("ann", monthly_credits=200)

    assert ("pro", 200.0, 30.0) == (account.plan, account.monthly_credits, account.used_credits)


async def test_an_owner_without_an_account_is_told_how_to_get_one(store: Store) -> None:
    with pytest.raises(NotFoundError, match="scheduler owners set ann"):
        await owners(store).get("ann")
    with pytest.raises(InputError, match="owner"):
        await owners(store).set_plan(" ")
    assert [] == (await owners(store).list_accounts()).accounts


@pytest.mark.parametrize("name", ["Ann Lee", "安", "a/b", "x" * 100, "ann@example.com", "sha256-abc", ".."])
async def test_an_owner_may_have_any_name(store: Store, name: str) -> None:
    await owners(store).set_plan(name, monthly_credits=7)
    await owners(store).set_plan("ann", monthly_credits=8)

    assert 7.0 == (await owners(store).get(name)).monthly_credits
    assert {name, "ann"} == {account.name for account in (await owners(store).list_accounts()).accounts}


async def test_all_accounts_are_listed_however_many(store: Store) -> None:
    names = [f"owner-{number:03}" for number in range(205)]
    await owners(store).update({name: using(1) for name in names})

    assert names == [account.name for account in (await owners(store).list_accounts()).accounts]


async def test_nobody_overwrites_another(store: Store) -> None:
    """Six writers, each with a memory of its own that the others make stale."""
    writers = [owners(store) for _ in range(6)]
    for writer in writers:
        await writer.update({"ann": using(1)})

    answers = await asyncio.gather(*(writer.update({"ann": using(1)}, fresh=False) for writer in writers))

    assert all(isinstance(answer["ann"], Account) for answer in answers)
    assert 12.0 == (await owners(store).get("ann")).used_credits


async def test_a_new_month_begins_with_the_first_change_in_it(store: Store) -> None:
    await owners(store).set_plan("ann", monthly_credits=100)
    await owners(store).update({"ann": using(90)})
    december = owners(store, NOON + timedelta(days=30))

    await december.update({"ann": using(5)})

    account = await december.get("ann")
    assert ("2026-12", 5.0, 100.0) == (account.month, account.used_credits, account.monthly_credits)


async def test_an_account_nobody_can_read_stops_no_other(store: Store) -> None:
    await store.put_documents([Document("owners", "ann", {"usedCredits": "many"})])

    answers = await owners(store).update({"ann": using(1), "bob": using(1)})

    assert isinstance(answers["ann"], StoreError)
    assert str(answers["ann"]).startswith("The account of ann cannot be read: usedCredits is wrong. Set its")
    assert isinstance(answers["bob"], Account)
    assert ["bob"] == [account.name for account in (await owners(store).list_accounts()).accounts]


@pytest.mark.parametrize(
    ("stored", "used_credits"),
    [
        ({"name": "ann", "plan": "pro", "monthlyCredits": -5, "usedCredits": 3, "month": "2026-11"}, 3.0),
        (
            {"name": "ann", "plan": "pro", "monthlyCredits": 10, "usedCredits": "many", "month": "2026-11"},
            0.0,
        ),
        ({"name": "ann", "plan": "pro", "usedCredits": 3, "month": "never"}, 0.0),
        ({"name": "ann", "plan": "pro", "reservations": {"t": {"credits": {"0": -1}}}}, 0.0),
        ({"name": "ann", "plan": "pro", "usedCredits": 1e300, "notifiedLevel": []}, 0.0),
    ],
)
async def test_an_account_nobody_can_read_is_repaired_by_setting_its_credits(
    store: Store, stored: dict[str, Any], used_credits: float
) -> None:
    """What is wrong in it is left out; what an administrator does not set must not become "no limit"."""
    await store.put_documents([Document("owners", "ann", stored)])
    assert ["ann"] == (await owners(store).list_accounts()).unreadable

    with pytest.raises(InputError, match="cannot be read"):
        await owners(store).set_plan("ann", plan="pro")
    with pytest.raises(InputError, match="scheduler owners set ann --monthly-credits N"):
        await owners(store).get("ann")
    await owners(store).set_plan("ann", monthly_credits=100)

    account = await owners(store).get("ann")
    assert ("pro", 100.0, used_credits) == (account.plan, account.monthly_credits, account.used_credits)
    assert [] == (await owners(store).list_accounts()).unreadable


@pytest.mark.parametrize("amount", [-5, -0.001, math.nan, math.inf, -math.inf, 1e10])
async def test_an_amount_out_of_bounds_is_refused_and_nothing_is_written(store: Store, amount: float) -> None:
    with pytest.raises(InputError, match=r"monthlyCredits: must be at (least 0|most 1000000000)"):
        await owners(store).set_plan("ann", monthly_credits=amount)

    assert [] == await store.list_documents("owners", limit=9)


async def test_a_change_that_changes_nothing_writes_nothing(store: Store) -> None:
    one = owners(store)
    await one.set_plan("ann", plan="pro")

    with store.count_operations() as operations:
        await one.update({"ann": lambda account: account}, fresh=False)

    assert (0, 0) == (operations.reads, operations.writes)


async def test_an_account_is_read_once_and_written_once(store: Store) -> None:
    one = owners(store)
    await one.set_plan("ann", plan="pro")

    with store.count_operations() as operations:
        await one.update({"ann": using(1)})
        await one.update({"ann": using(1)}, fresh=False)

    assert (1, 2) == (operations.reads, operations.writes)


class Unanswered:
    """A shelf whose writes are done, and not answered; the first *lost* of them."""

    def __init__(self, store: Store, *, lost: int) -> None:
        self._store = store
        self.lost = lost

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    async def put_documents(self, documents: list[Document]) -> object:
        answers = await self._store.put_documents(documents)
        if self.lost:
            self.lost -= 1
            raise StoreUnavailableError("no answer")
        return answers


async def test_a_write_that_was_not_answered_counts_once(store: Store) -> None:
    unanswered: Callable[[int], AccountStore] = lambda lost: AccountStore(  # noqa: E731  # two of them
        Unanswered(store, lost=lost),  # type: ignore[arg-type]  # the rest is the store's
        clock=lambda: NOON,
    )
    await unanswered(1).update({"ann": reserving("tick.1", 25)})

    def settled(account: Account) -> Account:
        return account.charge("tick.1", 8)

    await unanswered(1).update({"ann": settled})

    account = await owners(store).get("ann")
    assert (0.0, 8.0) == (account.reserved_credits, account.used_credits)


@pytest.mark.usefixtures("retries_at_once")
async def test_a_store_that_never_answers_is_told(store: Store) -> None:
    never = AccountStore(Unanswered(store, lost=99), clock=lambda: NOON)  # type: ignore[arg-type]  # as above

    answers = await never.update(
        {"ann": lambda account: account.model_copy(update={"plan": "x" + account.plan})}
    )

    assert isinstance(answers["ann"], StoreUnavailableError)


@pytest.mark.parametrize("name", ["ann", "ann@example.com", "a.b-c_d"])
def test_a_plain_name_is_the_documents_own(name: str) -> None:
    assert name == account_document_id(name)
