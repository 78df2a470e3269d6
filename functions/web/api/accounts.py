"""Routes about owners: their plan, their credits of the month, and what is used of them."""

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import Field, StringConstraints

from functions import audit
from functions.errors import NotAllowedError, NotFoundError
from functions.rules.accounts import Account
from functions.rules.audit import Entry
from functions.rules.budget import MOST_CREDITS
from functions.rules.keys import Actor
from functions.web.api.channels import must_administer
from functions.web.api.context import Caller, Parts
from functions.web.api.problems import responses
from functions.web.api.shapes import Shape

router = APIRouter(prefix="/api/owners", tags=["owners"])

OwnerName = Annotated[str, Path(alias="id", min_length=1, max_length=100, examples=["alice"])]


class OwnerOut(Shape):
    """An owner's account in the month *period* (UTC). No limit is null."""

    name: str
    plan: str
    period: str = Field(examples=["2026-11"])
    monthly_credits: float | None
    used_credits: float
    reserved_credits: float = Field(description="set aside for runs under way")
    left_credits: float | None

    @classmethod
    def of(cls, account: Account) -> "OwnerOut":
        """*account* without the list of what is set aside."""
        return cls(
            name=account.name,
            plan=account.plan,
            period=account.period,
            monthly_credits=account.monthly_credits,
            used_credits=account.used_credits,
            reserved_credits=account.reserved_credits,
            left_credits=None if account.monthly_credits is None else max(0.0, account.left),
        )


class OwnerList(Shape):
    """All accounts, by name."""

    owners: list[OwnerOut]


class OwnerWish(Shape):
    """What is to be changed; what is left out stays. *unlimited* takes the limit away."""

    plan: Annotated[str, StringConstraints(max_length=100)] | None = None
    monthly_credits: Annotated[float, Field(ge=0, le=MOST_CREDITS)] | None = None
    unlimited: bool = False


@router.get("", responses=responses(), summary="List owners")
async def list_owners(caller: Caller, wired: Parts) -> OwnerList:
    """All accounts; for a key that is bound to an owner, its own."""
    _must_read(caller)
    accounts = [account for account in await wired.owners.all() if caller.sees(account.name)]
    return OwnerList(owners=[OwnerOut.of(account) for account in accounts])


@router.get("/{id}", responses=responses(404), summary="One owner")
async def read_owner(caller: Caller, wired: Parts, owner: OwnerName) -> OwnerOut:
    """One account."""
    _must_read(caller)
    if not caller.sees(owner):
        raise NotFoundError("There is no such account")
    return OwnerOut.of(await wired.owners.read(owner))


@router.put("/{id}", responses=responses(), summary="Set an owner's plan and credits")
async def set_owner(caller: Caller, wired: Parts, owner: OwnerName, wish: OwnerWish) -> OwnerOut:
    """Make the account or change it; what is used of the month stays used."""
    must_administer(caller)
    account = await wired.owners.set(
        owner, plan=wish.plan, monthly_credits=wish.monthly_credits, unlimited=wish.unlimited
    )
    entry = Entry(at=wired.now(), verb="owner changed", subject=f"owner.{owner}"[:200], by=caller.name)
    await audit.note(wired.store, entry, new_id=wired.new_id)
    return OwnerOut.of(account)


def _must_read(caller: Actor) -> None:
    if not caller.may("read"):
        raise NotAllowedError("This takes a key with the scope read")
