"""The commands about owners: `owners list`, `owners show` and `owners set`."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from functions.cli.admin.keys import PRINCIPAL, allow
from functions.cli.console import Cell, Screen
from functions.cli.options import UsageError, format_count
from functions.cli.session import CliContext
from functions.domain.costs.credits import Account
from functions.domain.lifecycle.permissions import Capabilities
from functions.errors import NotFoundError
from functions.services.access.accounts import set_owner_plan


@dataclass(frozen=True, kw_only=True)
class OwnerChanges:
    """The options of `owners set` about an account; what was not given has its default.

    Attributes:
        monthly_credits: Credits for a calendar month, in UTC.
        unlimited: Whether the account loses its limit of credits.
        max_tasks: How many tasks the owner may have.
        default_max_tasks: Whether `MAX_TASKS_PER_OWNER` counts again.
        reset_used: Whether the credits used this month are counted anew.
    """

    plan: str | None = None
    monthly_credits: float | None = None
    unlimited: bool = False
    max_tasks: int | None = None
    default_max_tasks: bool = False
    reset_used: bool = False

    @property
    def concern_max_tasks(self) -> bool:
        """Whether the number of tasks changes."""
        return self.default_max_tasks or self.max_tasks is not None


async def list_owners(context: CliContext) -> int:
    """Show all accounts, by name."""
    found = await context.app.accounts.list_accounts()
    return show_owners(context, [account_to_json(one) for one in found.accounts], found.unreadable)


def show_owners(context: CliContext, accounts: Sequence[Mapping[str, Any]], unreadable: Sequence[str]) -> int:
    """Show *accounts*, as JSON values; return the exit code."""
    none = ["No owner has an account yet: scheduler owners set ID --monthly-credits N creates one"]
    lines = _format_accounts(context.screen, accounts) if accounts else none
    for name in unreadable:
        context.screen.warn(
            f"The account of {name} cannot be read: scheduler owners set ID --monthly-credits N repairs it"
        )
    context.screen.show(accounts, lines)
    context.show_store()
    return 0


async def show_owner(context: CliContext, *, owner: str) -> int:
    """Show one account."""
    return show_account(context, account_to_json(await context.app.accounts.get(owner)))


def show_account(context: CliContext, account: Mapping[str, Any]) -> int:
    """Show one account, as JSON values; return the exit code."""
    context.screen.show(account, _format_accounts(context.screen, [account]))
    return 0


async def set_owner(
    context: CliContext,
    *,
    owner: str,
    changes: OwnerChanges,
    allowed: Mapping[str, Any],
    close: bool,
) -> int:
    """Set what an owner has and may use; an option that is not given changes nothing.

    Args:
        allowed: Fields of `Capabilities` to replace.
        close: Whether all that was allowed before is taken back first.
    """
    check_changes(changes, allowed, close=close)
    capabilities = None
    if allowed or close:
        before = Capabilities() if close else await _capabilities_of(context, owner)
        capabilities = allow(before, allowed)
    account = await set_owner_plan(
        context.app.accounts,
        context.store,
        owner,
        asdict(changes) | {"capabilities": capabilities},
        by=PRINCIPAL,
        now=context.now(),
        new_id=context.new_id,
    )
    return show_changed_account(
        context,
        account_to_json(account),
        shows_capabilities=capabilities is not None,
        shows_max_tasks=changes.concern_max_tasks,
    )


def check_changes(changes: OwnerChanges, allowed: Mapping[str, Any], *, close: bool) -> None:
    """Raise UsageError when `owners set` is to change nothing."""
    if not allowed and not close and changes == OwnerChanges():
        raise UsageError(
            "owners set: nothing to change; give --plan, --monthly-credits, --unlimited, --max-tasks, "
            "--default-max-tasks, --reset-used, --allow-... or --close"
        )


def show_changed_account(
    context: CliContext, account: Mapping[str, Any], *, shows_capabilities: bool, shows_max_tasks: bool
) -> int:
    """Show what an account has now, as JSON values; return the exit code."""
    limit = account["monthlyCredits"]
    credits = "unlimited credits" if limit is None else f"{limit:g} credits a month"
    of_plan = f" (plan {account['plan']})" if account["plan"] else ""
    lines = [f"{account['name']} has {credits}{of_plan}"]
    if shows_capabilities:
        lines.append(f"Its tasks may use: {_capabilities(account).describe()}")
    if shows_max_tasks:
        limit = account["maxTasks"]
        lines.append(
            f"It may have {'the usual number of tasks' if limit is None else format_count(limit, 'task')}"
        )
    context.screen.show(account, lines)
    return 0


async def _capabilities_of(context: CliContext, owner: str) -> Capabilities:
    try:
        return (await context.app.accounts.get(owner)).capabilities
    except NotFoundError:
        return Capabilities()


def account_to_json(account: Account) -> dict[str, Any]:
    """Return *account* as JSON values, without its list of reservations."""
    data = account.model_dump(mode="json", by_alias=True, exclude={"reservations", "notified_level"})
    remaining = None if account.monthly_credits is None else max(0.0, account.remaining)
    return data | {"remainingCredits": remaining}


def _format_accounts(screen: Screen, accounts: Iterable[Mapping[str, Any]]) -> list[str]:
    rows = [
        (
            one["name"],
            one["plan"] or "-",
            one["month"],
            Cell(f"{one['usedCredits']:g}", _usage_colour(one["usedCredits"], one["monthlyCredits"])),
            f"{one['reservedCredits']:g}",
            "no limit" if one["monthlyCredits"] is None else f"{one['monthlyCredits']:g}",
            "usual" if one["maxTasks"] is None else str(one["maxTasks"]),
            _capabilities(one).describe(),
        )
        for one in accounts
    ]
    head = ("OWNER", "PLAN", "MONTH", "USED", "RESERVED", "CREDITS", "MAX TASKS", "ITS TASKS MAY USE")
    return screen.format_table(head, rows)


def _usage_colour(used: float, limit: float | None) -> str:
    level = Account(monthly_credits=limit, used_credits=used).level
    return {0: "", 80: "yellow", 100: "red"}[level]


def _capabilities(account: Mapping[str, Any]) -> Capabilities:
    return Capabilities.model_validate(account["capabilities"])
