"""The commands about owners: `owners list`, `show` and `set`."""

from collections.abc import Iterable
from typing import Any

from functions.commands.screen import Cell, Screen
from functions.commands.session import Session
from functions.errors import InputError
from functions.rules.accounts import Account
from functions.rules.budget import MOST_CREDITS


async def list_owners(session: Session) -> int:
    """Show all accounts, by name."""
    accounts = await session.wired.owners.all()
    none = ["No owner has an account yet: scheduler owners set ID --monthly-credits N makes one"]
    lines = _table(session.screen, accounts) if accounts else none
    session.screen.answer([owner_data(account) for account in accounts], lines)
    return 0


async def show_owner(session: Session, *, owner: str) -> int:
    """Show one account."""
    account = await session.wired.owners.read(owner)
    session.screen.answer(owner_data(account), _table(session.screen, [account]))
    return 0


async def set_owner(
    session: Session, *, owner: str, plan: str | None, monthly_credits: float | None, unlimited: bool
) -> int:
    """Give an owner a plan or credits a month; what is not named stays."""
    if plan is None and monthly_credits is None and not unlimited:
        raise InputError("owners set: say what to change: --plan, --monthly-credits or --unlimited")
    if monthly_credits is not None and not 0 <= monthly_credits <= MOST_CREDITS:
        raise InputError(f"--monthly-credits: must be a number from 0 to {MOST_CREDITS:.0f}")
    account = await session.wired.owners.set(
        owner, plan=plan, monthly_credits=monthly_credits, unlimited=unlimited
    )
    credits = (
        "no limit" if account.monthly_credits is None else f"{account.monthly_credits:g} credits a month"
    )
    of_plan = f" (plan {account.plan})" if account.plan else ""
    session.screen.answer(owner_data(account), [f"{owner} has {credits}{of_plan}"])
    return 0


def owner_data(account: Account) -> dict[str, Any]:
    """*account* as JSON values, without the list of what is set aside."""
    data = account.model_dump(mode="json", by_alias=True, exclude={"held", "told"})
    left = None if account.monthly_credits is None else max(0.0, account.left)
    return data | {"leftCredits": left}


def _table(screen: Screen, accounts: Iterable[Account]) -> list[str]:
    rows = [
        (
            one.name,
            one.plan or "-",
            one.period,
            Cell(f"{one.used_credits:g}", {0: "", 80: "yellow", 100: "red"}[one.level]),
            f"{one.reserved_credits:g}",
            "no limit" if one.monthly_credits is None else f"{one.monthly_credits:g}",
        )
        for one in accounts
    ]
    return screen.table(("OWNER", "PLAN", "MONTH", "USED", "SET ASIDE", "CREDITS"), rows)
