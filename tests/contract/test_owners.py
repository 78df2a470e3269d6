"""Owners' accounts in every store: guarded, counted once, whoever else writes at the same moment."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from functions.domain.credits import Account
from functions.domain.storage import Document
from functions.errors import InputError, NotFoundError, StoreError, StoreUnavailable
from functions.services.credits import Change, Owners, document_id
from tests.conftest import NOON
from tests.contract.places import FullStore


def owners(store: FullStore, now: datetime = NOON) -> Owners:
    return Owners(store, clock=lambda: now)


def using(credits: float) -> Change:
    return lambda account: account.model_copy(update={"used_credits": account.used_credits + credits})


def reserving(token: str, credits: float) -> Change:
    return lambda account: account.reserved(token, credits, until=NOON)


async def test_an_account_comes_back_as_it_was_set(store: FullStore) -> None:
    await owners(store).set("ann", plan="pro", monthly_credits=100.5)
    await owners(store).change({"ann": reserving("tick.1", 2.5)})

    account = await owners(store).read("ann")

    assert ("ann", "pro", 100.5, "2026-11") == (
        account.name,
        account.plan,
        account.monthly_credits,
        account.period,
    )
    assert 2.5 == account.reserved_credits
    assert [account] == await owners(store).all()


async def test_what_is_not_named_stays(store: FullStore) -> None:
    await owners(store).set("ann", plan="pro", monthly_credits=100)
    await owners(store).change({"ann": using(30)})

    account = await owners(store).set("ann", monthly_credits=200)

    assert ("pro", 200.0, 30.0) == (account.plan, account.monthly_credits, account.used_credits)


async def test_an_owner_without_an_account_is_told_how_to_get_one(store: FullStore) -> None:
    with pytest.raises(NotFoundError, match="scheduler owners set ann"):
        await owners(store).read("ann")
    with pytest.raises(InputError, match="owner"):
        await owners(store).set(" ")
    assert [] == await owners(store).all()


@pytest.mark.parametrize("name", ["Ann Lee", "安", "a/b", "x" * 100, "ann@example.com", "sha256-abc", ".."])
async def test_an_owner_may_have_any_name(store: FullStore, name: str) -> None:
    await owners(store).set(name, monthly_credits=7)
    await owners(store).set("ann", monthly_credits=8)

    assert 7.0 == (await owners(store).read(name)).monthly_credits
    assert {name, "ann"} == {account.name for account in await owners(store).all()}


async def test_all_accounts_are_listed_however_many(store: FullStore) -> None:
    names = [f"owner-{number:03}" for number in range(205)]
    await owners(store).change({name: using(1) for name in names})

    assert names == [account.name for account in await owners(store).all()]


async def test_nobody_overwrites_another(store: FullStore) -> None:
    """Six writers, each with a memory of its own that the others make stale."""
    writers = [owners(store) for _ in range(6)]
    for writer in writers:
        await writer.change({"ann": using(1)})

    answers = await asyncio.gather(*(writer.change({"ann": using(1)}, fresh=False) for writer in writers))

    assert all(isinstance(answer["ann"], Account) for answer in answers)
    assert 12.0 == (await owners(store).read("ann")).used_credits


async def test_a_new_month_begins_with_the_first_change_in_it(store: FullStore) -> None:
    await owners(store).set("ann", monthly_credits=100)
    await owners(store).change({"ann": using(90)})
    december = owners(store, NOON + timedelta(days=30))

    await december.change({"ann": using(5)})

    account = await december.read("ann")
    assert ("2026-12", 5.0, 100.0) == (account.period, account.used_credits, account.monthly_credits)


async def test_an_account_nobody_can_read_stops_no_other(store: FullStore) -> None:
    await store.put([Document("owners", "ann", {"usedCredits": "many"})])

    answers = await owners(store).change({"ann": using(1), "bob": using(1)})

    assert isinstance(answers["ann"], StoreError)
    assert "The account of ann cannot be read: usedCredits is wrong" == str(answers["ann"])
    assert isinstance(answers["bob"], Account)
    assert ["bob"] == [account.name for account in await owners(store).all()]


async def test_a_change_that_changes_nothing_writes_nothing(store: FullStore) -> None:
    one = owners(store)
    await one.set("ann", plan="pro")

    with store.metered() as operations:
        await one.change({"ann": lambda account: account}, fresh=False)

    assert (0, 0) == (operations.reads, operations.writes)


async def test_an_account_is_read_once_and_written_once(store: FullStore) -> None:
    one = owners(store)
    await one.set("ann", plan="pro")

    with store.metered() as operations:
        await one.change({"ann": using(1)})
        await one.change({"ann": using(1)}, fresh=False)

    assert (1, 2) == (operations.reads, operations.writes)


class Unanswered:
    """A shelf whose writes are done, and not answered; the first *lost* of them."""

    def __init__(self, store: FullStore, *, lost: int) -> None:
        self._store = store
        self.lost = lost

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    async def put(self, documents: list[Document]) -> object:
        answers = await self._store.put(documents)
        if self.lost:
            self.lost -= 1
            raise StoreUnavailable("no answer")
        return answers


async def test_a_write_that_was_not_answered_counts_once(store: FullStore) -> None:
    unanswered: Callable[[int], Owners] = lambda lost: Owners(  # noqa: E731  # two of them
        Unanswered(store, lost=lost),  # type: ignore[arg-type]  # the rest is the store's
        clock=lambda: NOON,
    )
    await unanswered(1).change({"ann": reserving("tick.1", 25)})

    def settled(account: Account) -> Account:
        return account.settled("tick.1", 8)

    await unanswered(1).change({"ann": settled})

    account = await owners(store).read("ann")
    assert (0.0, 8.0) == (account.reserved_credits, account.used_credits)


async def test_a_store_that_never_answers_is_told(store: FullStore) -> None:
    never = Owners(Unanswered(store, lost=99), clock=lambda: NOON)  # type: ignore[arg-type]  # as above

    answers = await never.change(
        {"ann": lambda account: account.model_copy(update={"plan": "x" + account.plan})}
    )

    assert isinstance(answers["ann"], StoreUnavailable)


@pytest.mark.parametrize("name", ["ann", "ann@example.com", "a.b-c_d"])
def test_a_plain_name_is_the_documents_own(name: str) -> None:
    assert name == document_id(name)
