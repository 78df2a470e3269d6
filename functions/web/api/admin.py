"""Routes for administration: owners with their plan, credits and capabilities, and API keys."""

from typing import Annotated

from fastapi import Path
from pydantic import Field

from functions.domain.access import ApiKey
from functions.domain.costs.credits import Account, PlanChange
from functions.domain.lifecycle.permissions import Capabilities
from functions.errors import NotFoundError
from functions.services.access.accounts import set_owner_plan
from functions.web.api.channels import require_admin
from functions.web.api.dependencies import CurrentPrincipal, Dependencies, make_api_router
from functions.web.api.errors import error_responses
from functions.web.api.schemas import KeyCreated, KeyList, KeyRequest, Schema

owner_router = make_api_router("/api/owners", "owners")
key_router = make_api_router("/api/keys", "keys")

# A name is any text; a slash in it comes as `%2F`.
OwnerName = Annotated[str, Path(alias="id", min_length=1, max_length=100, examples=["alice"])]


class OwnerOut(Schema):
    """An owner's account in one *month* (UTC). Null means no limit."""

    name: str
    plan: str
    month: str = Field(examples=["2026-11"])
    monthly_credits: float | None
    used_credits: float
    reserved_credits: float = Field(description="reserved for current runs")
    remaining_credits: float | None
    capabilities: Capabilities
    max_tasks: int | None = Field(description="how many tasks the owner may have; null means the default")

    @classmethod
    def from_account(cls, account: Account) -> "OwnerOut":
        """Return *account* without its list of reservations."""
        return cls(
            name=account.name,
            plan=account.plan,
            month=account.month,
            monthly_credits=account.monthly_credits,
            used_credits=account.used_credits,
            reserved_credits=account.reserved_credits,
            remaining_credits=None if account.monthly_credits is None else max(0.0, account.remaining),
            capabilities=account.capabilities,
            max_tasks=account.max_tasks,
        )


class OwnerList(Schema):
    """All accounts, by name."""

    owners: list[OwnerOut]
    unreadable: list[str] = Field(
        default_factory=list,
        description="owners whose account cannot be read; a PUT that sets credits repairs it",
    )


class OwnerRequest(PlanChange, Schema):
    """The values to change; an absent one stays. *unlimited* removes the limit."""


@owner_router.get("", responses=error_responses(), summary="List owners")
async def list_owners(principal: CurrentPrincipal, dependencies: Dependencies) -> OwnerList:
    """Return all accounts; for a key that is bound to an owner, its own."""
    principal.require_scope("read")
    found = await dependencies.accounts.list_accounts()
    return OwnerList(
        owners=[OwnerOut.from_account(one) for one in found.accounts if principal.can_see(one.name)],
        unreadable=[name for name in found.unreadable if principal.can_see(name)],
    )


@owner_router.get("/{id:path}", responses=error_responses(404, 409), summary="Read an owner")
async def read_owner(principal: CurrentPrincipal, dependencies: Dependencies, owner: OwnerName) -> OwnerOut:
    """Return an account."""
    principal.require_scope("read")
    if not principal.can_see(owner):
        raise NotFoundError("There is no such account")
    return OwnerOut.from_account(await dependencies.accounts.get(owner))


@owner_router.put(
    "/{id:path}", responses=error_responses(404, 409), summary="Set an owner's plan and credits"
)
async def set_owner(
    principal: CurrentPrincipal, dependencies: Dependencies, owner: OwnerName, body: OwnerRequest
) -> OwnerOut:
    """Create or change the account; the credits used this month stay. Repairs one that cannot be read."""
    require_admin(principal)
    account = await set_owner_plan(
        dependencies.accounts,
        dependencies.store,
        owner,
        {name: getattr(body, name) for name in PlanChange.model_fields},
        by=principal,
        now=dependencies.now(),
        new_id=dependencies.new_id,
    )
    return OwnerOut.from_account(account)


# API keys.


@key_router.get("", responses=error_responses(), summary="List keys")
async def list_keys(principal: CurrentPrincipal, dependencies: Dependencies) -> KeyList:
    """Return all keys, newest first, without their tokens, which are not stored."""
    found = await dependencies.keys.list_keys(by=principal)
    return KeyList(keys=list(found.keys), unreadable=list(found.unreadable))


@key_router.post("", status_code=201, responses=error_responses(), summary="Create a key")
async def create_key(principal: CurrentPrincipal, dependencies: Dependencies, body: KeyRequest) -> KeyCreated:
    """Create a key. Its token is in this response only."""
    key, token = await dependencies.keys.create(
        name=body.name,
        scopes=body.scopes,
        owner=body.owner,
        expires_at=body.expires_at,
        capabilities=body.capabilities,
        by=principal,
    )
    return KeyCreated(key=key, token=token)


@key_router.delete("/{id}", responses=error_responses(404, 409), summary="Revoke a key")
async def revoke_key(
    principal: CurrentPrincipal,
    dependencies: Dependencies,
    key_id: Annotated[str, Path(alias="id", min_length=1, max_length=32)],
) -> ApiKey:
    """Revoke a key permanently, effective at once."""
    return await dependencies.keys.revoke(key_id, by=principal)
