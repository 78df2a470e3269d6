"""Credits: an owner's account, the price of an attempt, and whether a task may make one."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import ConfigDict, Field, StringConstraints, ValidationError, computed_field

from functions.domain.alerts.model import Notification
from functions.domain.costs.task_budget import (
    Credits,
    Month,
    UsedCredits,
    add_credits,
    format_month,
    month_of,
    round_credits,
)
from functions.domain.lifecycle.permissions import Capabilities
from functions.domain.run import Outcome
from functions.domain.task import Task
from functions.domain.types import Instant, Model, OutcomeKind

USAGE_LEVELS = (80, 100)  # percent of the month's credits that cause a notification
RESERVATION_GRACE = timedelta(minutes=10)  # a reservation outlives its claim by this; then its tick has died
MAX_RESERVATIONS = 3000  # at once, so that the document stays far below its limit of 64 KB


class Reservation(Model):
    """The credits that one tick has reserved.

    Attributes:
        expires_at: When they are free again, should the tick die before it charges them.
        credits: By the number in the claim's token, `<tick id>.<number>`.
    """

    expires_at: Instant
    credits: dict[str, Credits] = Field(default_factory=dict)


MaxTasks = Annotated[int, Field(ge=0, le=100_000)]
PlanName = Annotated[str, StringConstraints(max_length=100)]


class PlanChange(Model):
    """What an administrator changes of an account; None stays as it is. *unlimited* removes the limit.

    *capabilities* replaces them all; *reset_used* begins the month's count anew; *default_max_tasks* takes
    back the owner's own number of tasks.
    """

    plan: PlanName | None = None
    monthly_credits: Credits | None = None
    unlimited: bool = False
    capabilities: Capabilities | None = None
    max_tasks: MaxTasks | None = None
    default_max_tasks: bool = False
    reset_used: bool = False

    @property
    def sets_credits(self) -> bool:
        """Whether the account's limit is decided by this change alone."""
        return self.unlimited or self.monthly_credits is not None


class Account(Model):
    """An owner's plan and use of credits. Everything is counted in the month `month`, in UTC.

    The life of an attempt's credits, of 100 a month: `reserve("t1.0", 5)` leaves 100 remaining, 5 of them
    reserved; `charge("t1.0", 3)` leaves 97 remaining, none reserved. A second charge of the token changes
    nothing.

    Attributes:
        name: The owner as tasks name it.
        plan: A name for users and bills; it decides nothing here.
        monthly_credits: None means no limit.
        reservations: By tick id.
        notified_level: The highest of USAGE_LEVELS notified of in this month; 0 for none.
        capabilities: What the owner's tasks may use.
        max_tasks: How many tasks the owner may have; None means the default.
    """

    model_config = ConfigDict(extra="ignore")  # a newer version's field, and sums stored for readers

    name: str = ""
    plan: PlanName = ""
    monthly_credits: Credits | None = None
    used_credits: UsedCredits = 0.0
    month: Month = ""
    reservations: dict[str, Reservation] = Field(default_factory=dict)
    notified_level: int = 0
    capabilities: Capabilities = Capabilities()
    max_tasks: MaxTasks | None = None

    @computed_field  # type: ignore[prop-decorator]  # mypy knows no decorated property; pydantic does
    @property
    def reserved_credits(self) -> float:
        """The sum of all reservations."""
        return round_credits(sum(sum(held.credits.values()) for held in self.reservations.values()))

    @property
    def remaining(self) -> float:
        """The credits not used yet, reserved or not; infinite without a limit."""
        return (
            math.inf
            if self.monthly_credits is None
            else round_credits(self.monthly_credits - self.used_credits)
        )

    @property
    def level(self) -> int:
        """The highest of USAGE_LEVELS that has been reached; 0 for none."""
        if self.monthly_credits is None:
            return 0
        reached = [level for level in USAGE_LEVELS if self.used_credits * 100 >= self.monthly_credits * level]
        return max(reached, default=0)

    @property
    def has_too_many_reservations(self) -> bool:
        """Whether no more can be reserved at the same time."""
        return sum(len(held.credits) for held in self.reservations.values()) >= MAX_RESERVATIONS

    def as_of(self, now: datetime) -> "Account":
        """The account at *now*: in the month of that, and without expired reservations."""
        held = {tick: one for tick, one in self.reservations.items() if one.expires_at > now}
        changes: dict[str, Any] = {} if held == self.reservations else {"reservations": held}
        if self.month < month_of(now):
            changes |= {"month": month_of(now), "used_credits": 0.0, "notified_level": 0}
        return self.model_copy(update=changes) if changes else self

    def reserve(self, token: str, credits: float, *, until: datetime) -> "Account":
        """Reserve *credits* for the attempt claimed with *token*, whose claim ends at *until*."""
        tick, _, number = token.rpartition(".")
        before = self.reservations.get(tick)
        until = max(until + RESERVATION_GRACE, before.expires_at if before else until)
        credits_of = {**(before.credits if before else {}), number: credits}
        return self.model_copy(
            update={
                "reservations": {**self.reservations, tick: Reservation(expires_at=until, credits=credits_of)}
            }
        )

    def charge(self, token: str, credits: float) -> "Account":
        """Replace the reservation of *token* by what was used. Without one it was charged before."""
        tick, _, number = token.rpartition(".")
        held = self.reservations.get(tick)
        if held is None or number not in held.credits:
            return self
        rest = {other: kept for other, kept in held.credits.items() if other != number}
        others = {name: one for name, one in self.reservations.items() if name != tick}
        after = {**others, tick: held.model_copy(update={"credits": rest})} if rest else others
        return self.model_copy(
            update={"reservations": after, "used_credits": add_credits(self.used_credits, credits)}
        )

    def with_plan(self, change: PlanChange) -> "Account":
        """Change what is given. A level that a larger limit takes back may be notified of again."""
        changes: dict[str, Any] = {} if change.plan is None else {"plan": change.plan}
        if change.sets_credits:
            changes["monthly_credits"] = None if change.unlimited else change.monthly_credits
        if change.capabilities is not None:
            changes["capabilities"] = change.capabilities
        if change.default_max_tasks or change.max_tasks is not None:
            changes["max_tasks"] = None if change.default_max_tasks else change.max_tasks
        if change.reset_used:
            changes["used_credits"] = 0.0
        after = self.model_copy(update=changes)
        return after.model_copy(update={"notified_level": min(after.notified_level, after.level)})


def level_notification(account: Account, level: int, task: Task, *, now: datetime) -> Notification:
    """Notify that *level* percent of an owner's credits are used; *task*, which crossed it, carries it."""
    whole = account.monthly_credits or 0
    month = format_month(account.month)
    if level >= max(USAGE_LEVELS):
        summary = (
            f"The {whole:g} credits of {month} are used up ({account.used_credits:g} used): "
            "tasks that cost credits are skipped until there are new ones on the first of next month (UTC)"
        )
    else:
        summary = f"{account.used_credits:g} of the {whole:g} credits of {month} are used"
    return Notification.about(
        task,
        "credits",
        occurrence=task.occurrence or now,
        now=now,
        summary=summary,
        id=f"{notification_id_prefix(account)}{level}",
        title=account.name,
        schedule="",  # the account's, which has none; the task only carries the notification
        next_run_at=None,
        tags=(),
    )


def notification_id_prefix(account: Account) -> str:
    """What the ids of an account's notifications of this month begin with."""
    return f"owner.{account.name}@{account.month}#credits"


TOKEN_PRICED_TYPES = frozenset({"agent"})  # the types whose metrics count tokens; no others are trusted
DEFAULT_MAX_TOKENS = 30_000  # what an attempt may use when its params do not say
MIN_TOKENS, MAX_TOKENS = 500, 1_000_000  # fewer are not worth an attempt; no attempt may use more
MaxTokens = Annotated[int, Field(ge=MIN_TOKENS, le=MAX_TOKENS)]


class TokenParams(Model):
    """The param that decides what an attempt may cost, read as its type reads it: as `"1000000"` too."""

    model_config = ConfigDict(extra="ignore")

    max_tokens: MaxTokens = DEFAULT_MAX_TOKENS


@dataclass(frozen=True, slots=True)
class PriceList:
    """The price list.

    Attributes:
        per_run: Credits for each attempt, by task type; a type that is not named costs nothing.
        per_1k_tokens: Credits for a thousand tokens, prompts and answers alike.
    """

    per_run: Mapping[str, float] = field(default_factory=dict)
    per_1k_tokens: float = 0.0

    @property
    def has_prices(self) -> bool:
        """Whether anything costs anything at all."""
        return self.per_1k_tokens > 0 or any(price > 0 for price in self.per_run.values())

    def has_price(self, task_type: str) -> bool:
        """Whether attempts of the type cost anything at all."""
        return self.per_run.get(task_type, 0) > 0 or self._price_per_token(task_type) > 0

    def max_cost(self, task: Task) -> float:
        """The cost of an attempt of *task* that uses all the tokens it may."""
        return self._price(task.type, _max_tokens(task.params))

    def min_cost(self, task: Task) -> float:
        """The credits without which an attempt of *task* is not worth making."""
        return self._price(task.type, min(MIN_TOKENS, _max_tokens(task.params)))

    def token_allowance(self, task: Task, credits: float) -> int | None:
        """How many tokens an attempt of *task* may use for *credits*; None when tokens cost nothing."""
        per_token = self._price_per_token(task.type)
        if not per_token:
            return None
        if credits >= self.max_cost(task):
            return _max_tokens(task.params)
        return int(round_credits(credits - self.per_run.get(task.type, 0)) / per_token)

    def charge(self, task_type: str, outcome: Outcome, *, reserved: float) -> float:
        """The credits an attempt with *outcome* is charged: the first row that applies.

        abandoned (our process died)              nothing
        type without tokens                       the price of a run
        timed out or cancelled, tokens unknown    what was reserved for it
        not succeeded, no tokens used             nothing: the model was never reached
        otherwise                                 the price of a run and of its tokens
        """
        if outcome.kind is OutcomeKind.ABANDONED:
            return 0.0
        if task_type not in TOKEN_PRICED_TYPES:
            return round_credits(self.per_run.get(task_type, 0))
        tokens = _tokens_used(outcome.metrics)
        if tokens is None and outcome.kind in (OutcomeKind.TIMED_OUT, OutcomeKind.CANCELLED):
            return reserved
        if not tokens and outcome.kind is not OutcomeKind.SUCCEEDED:
            return 0.0
        return self._price(task_type, tokens or 0)

    def _price(self, task_type: str, tokens: int) -> float:
        return round_credits(self.per_run.get(task_type, 0) + tokens * self._price_per_token(task_type))

    def _price_per_token(self, task_type: str) -> float:
        return self.per_1k_tokens / 1000 if task_type in TOKEN_PRICED_TYPES else 0.0


@dataclass(frozen=True, slots=True)
class Granted:
    """The attempt may be made.

    Attributes:
        credits: To reserve for it.
        tokens: The most it may use, whatever its params say; None where tokens cost nothing.
    """

    credits: float
    tokens: int | None


@dataclass(frozen=True, slots=True)
class Denied:
    """The occurrence is skipped.

    Attributes:
        reason: One sentence for the task's owner.
        is_owner_exhausted: True when the owner's credits are used up, False for the task's budget.
    """

    reason: str
    is_owner_exhausted: bool = False


@dataclass(frozen=True, slots=True)
class Postponed:
    """The remaining credits are reserved for attempts in progress: a later tick may start it."""


def decide_admission(
    task: Task, account: Account | None, prices: PriceList, *, now: datetime
) -> Granted | Denied | Postponed:
    """Decide whether the attempt that *task* was claimed for may be made.

    Each limit denies when it leaves less than the least cost of an attempt; otherwise the smallest is
    granted. An agent costs 1 a run and 1 per 1,000 tokens, up to 30,000 tokens: from 1.5 to 31 credits.

        creditsPerRun   creditsPerMonth left   owner has left (reserved)   decision
        -               -                      100 (0)                     granted 31, 30,000 tokens
        11              -                      100 (0)                     granted 11, 10,000 tokens
        1               -                      100 (0)                     denied: raise creditsPerRun
        -               1                      100 (0)                     denied: new ones next month
        -               -                      1 (0)                       denied: the owner's are used up
        -               -                      100 (99)                    postponed

    Args:
        account: The owner's, at *now*; None when the task has no owner.
    """
    most, least = prices.max_cost(task), prices.min_cost(task)
    limits = [most]
    for limit in (
        _run_limit(task, least),
        _month_limit(task, least, now=now),
        _owner_limit(account, least, now=now),
    ):
        if isinstance(limit, Denied | Postponed):
            return limit
        limits.append(limit)
    credits = max(0.0, min(limits))
    return Granted(credits, prices.token_allowance(task, credits))


def _run_limit(task: Task, least: float) -> float | Denied:
    if task.budget is None or task.budget.credits_per_run is None:
        return math.inf
    limit = task.budget.credits_per_run
    if limit >= least:
        return limit
    return Denied(
        f"A run takes {_format_credits(least)} or more, but budget.creditsPerRun is {limit:g}; raise it"
    )


def _month_limit(task: Task, least: float, *, now: datetime) -> float | Denied:
    if task.budget is None or task.budget.credits_per_month is None:
        return math.inf
    spent = task.credits_spent.in_month_of(now)
    left = round_credits(task.budget.credits_per_month - spent)
    if left >= least:
        return left
    whole = _format_credits(task.budget.credits_per_month)
    return Denied(_exhausted_reason("This task", spent, whole, "budget.creditsPerMonth", least, now=now))


def _owner_limit(account: Account | None, least: float, *, now: datetime) -> float | Denied | Postponed:
    if account is None or account.monthly_credits is None:
        return math.inf
    if account.remaining < least:
        whole = _format_credits(account.monthly_credits)
        who = account.name or "The owner"
        reason = _exhausted_reason(who, account.used_credits, whole, "the plan", least, now=now)
        return Denied(reason, is_owner_exhausted=True)
    free = round_credits(account.remaining - account.reserved_credits)
    return Postponed() if free < least else free


def _exhausted_reason(
    who: str, used: float, limit: str, limit_name: str, min_cost: float, *, now: datetime
) -> str:
    period = month_of(now)
    following = _next_month(period)
    return (
        f"{who} has used {used:g} of {limit} of {format_month(period)} ({limit_name}); "
        f"a run takes {min_cost:g} or more. There are new ones on 1 {format_month(following)} (UTC)"
    )


def _next_month(period: str) -> str:
    year, month = map(int, period.split("-"))
    return f"{year + month // 12}-{month % 12 + 1:02}"


def _format_credits(number: float) -> str:
    return "1 credit" if number == 1 else f"{number:g} credits"


def _max_tokens(params: Mapping[str, Any]) -> int:
    """The tokens that *params* allow; the usual number where they name none, or an unknown secret."""
    try:
        return TokenParams.model_validate(params).max_tokens
    except ValidationError:
        return DEFAULT_MAX_TOKENS


def _tokens_used(metrics: Mapping[str, Any]) -> int | None:
    given = [metrics.get("promptTokens"), metrics.get("completionTokens")]
    counts = [one for one in given if isinstance(one, int) and one >= 0]
    return sum(counts) if counts else None
