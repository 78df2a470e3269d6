"""Routes about owners: their plan, their credits of the month, and what is used of them."""

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import Field, StringConstraints

from functions.domain.access import Actor, Entry, Key
from functions.domain.credits import Account
from functions.domain.task_budget import MOST_CREDITS
from functions.errors import NotAllowedError, NotFoundError
from functions.services import access
from functions.web.api.channels import must_administer
from functions.web.api.dependencies import Caller, Parts
from functions.web.api.errors import responses
from functions.web.api.schemas import KeyList, KeyMade, KeyWish, Shape

owner_router = APIRouter(prefix="/api/owners", tags=["owners"])
key_router = APIRouter(prefix="/api/keys", tags=["keys"])

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


@owner_router.get("", responses=responses(), summary="List owners")
async def list_owners(caller: Caller, wired: Parts) -> OwnerList:
    """All accounts; for a key that is bound to an owner, its own."""
    _must_read(caller)
    accounts = [account for account in await wired.accounts.list_accounts() if caller.sees(account.name)]
    return OwnerList(owners=[OwnerOut.of(account) for account in accounts])


@owner_router.get("/{id}", responses=responses(404), summary="One owner")
async def read_owner(caller: Caller, wired: Parts, owner: OwnerName) -> OwnerOut:
    """One account."""
    _must_read(caller)
    if not caller.sees(owner):
        raise NotFoundError("There is no such account")
    return OwnerOut.of(await wired.accounts.get(owner))


@owner_router.put("/{id}", responses=responses(), summary="Set an owner's plan and credits")
async def set_owner(caller: Caller, wired: Parts, owner: OwnerName, wish: OwnerWish) -> OwnerOut:
    """Make the account or change it; what is used of the month stays used."""
    must_administer(caller)
    account = await wired.accounts.set_plan(
        owner, plan=wish.plan, monthly_credits=wish.monthly_credits, unlimited=wish.unlimited
    )
    entry = Entry(at=wired.now(), verb="owner changed", subject=f"owner.{owner}"[:200], by=caller.name)
    await access.record_entry(wired.store, entry, new_id=wired.new_id)
    return OwnerOut.of(account)


def _must_read(caller: Actor) -> None:
    if not caller.may("read"):
        raise NotAllowedError("This takes a key with the scope read")


# Routes about API keys: for administrators.


@key_router.get("", responses=responses(), summary="List keys")
async def list_keys(caller: Caller, wired: Parts) -> KeyList:
    """All keys, newest first; never the keys themselves, which nobody has but their holders."""
    return KeyList(keys=await access.list_keys(wired.store, by=caller))


@key_router.post("", status_code=201, responses=responses(), summary="Make a key")
async def make_key(caller: Caller, wired: Parts, wish: KeyWish) -> KeyMade:
    """Make a key. Its token is in this answer and nowhere else."""
    key, token = await access.create_key(
        wired.store,
        name=wish.name,
        scopes=wish.scopes,
        owner=wish.owner,
        expires_at=wish.expires_at,
        by=caller,
        now=wired.now(),
        new_id=wired.new_id,
        new_secret=wired.new_secret,
    )
    entry = Entry(at=wired.now(), verb="key issued", subject=key.id, by=caller.name, note=key.name)
    await access.record_entry(wired.store, entry, new_id=wired.new_id)
    return KeyMade(key=key, token=token)


@key_router.delete("/{id}", responses=responses(404, 409), summary="Revoke a key")
async def revoke_key(
    caller: Caller, wired: Parts, key_id: Annotated[str, Path(alias="id", min_length=1, max_length=32)]
) -> Key:
    """End a key for good, at once."""
    key = await access.revoke_key(wired.store, key_id, by=caller, now=wired.now())
    entry = Entry(at=wired.now(), verb="key revoked", subject=key.id, by=caller.name, note=key.name)
    await access.record_entry(wired.store, entry, new_id=wired.new_id)
    return key
