"""Credits: what an attempt may cost and did cost, and whether a task may make one."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pydantic import ConfigDict, Field, computed_field

from functions.domain.alerts.model import Notification
from functions.domain.run import Outcome
from functions.domain.task import Task
from functions.domain.task_budget import Credits, format_month, month_of, round_credits
from functions.domain.types import Instant, Model, OutcomeKind

# An owner's account: the credits of a month, what is used of them, what is set aside for attempts.

USAGE_LEVELS = (80, 100)  # percent of the month's credits at which people are told
RESERVATION_GRACE = timedelta(minutes=10)  # a reservation outlives its claim by this, then its tick has died
MAX_RESERVATIONS = 3000  # reservations at once, so that the document stays far below its limit of 64 KB


class Reservation(Model):
    """Credits set aside by one tick.

    Attributes:
        until: When they are free again, should the tick not live to settle them.
        credits: By the number in the claim's token, `<tick id>.<number>`.
    """

    expires_at: Instant
    credits: dict[str, float] = Field(default_factory=dict)


class Account(Model):
    """What an owner has. Everything is counted in the month `month`, in UTC.

    Attributes:
        name: The owner as tasks name it.
        plan: A word for people and bills; it decides nothing here.
        monthly_credits: None means no limit.
        held: What is set aside, by tick id.
        told: The highest of LEVELS that people were told of in this month; 0 for none.
    """

    model_config = ConfigDict(extra="ignore")  # a newer version's field, and sums that are kept for readers

    name: str = ""
    plan: str = ""
    monthly_credits: Credits | None = None
    used_credits: float = 0.0
    month: str = ""
    reservations: dict[str, Reservation] = Field(default_factory=dict)
    notified_level: int = 0

    @computed_field  # type: ignore[prop-decorator]  # mypy knows no decorated property; pydantic does
    @property
    def reserved_credits(self) -> float:
        """What is set aside in all."""
        return round_credits(sum(sum(held.credits.values()) for held in self.reservations.values()))

    @property
    def remaining(self) -> float:
        """What is not used yet, reserved or not; infinite without a limit."""
        return (
            math.inf
            if self.monthly_credits is None
            else round_credits(self.monthly_credits - self.used_credits)
        )

    @property
    def level(self) -> int:
        """The highest of LEVELS that has been reached; 0 for none."""
        if self.monthly_credits is None:
            return 0
        reached = [level for level in USAGE_LEVELS if self.used_credits * 100 >= self.monthly_credits * level]
        return max(reached, default=0)

    @property
    def has_too_many_reservations(self) -> bool:
        """Whether no more can be set aside at the same time."""
        return sum(len(held.credits) for held in self.reservations.values()) >= MAX_RESERVATIONS

    def as_of(self, now: datetime) -> "Account":
        """The account as it stands *now*: of a new month, and without reservations whose tick has died."""
        held = {tick: one for tick, one in self.reservations.items() if one.expires_at > now}
        changes: dict[str, Any] = {} if held == self.reservations else {"reservations": held}
        if self.month < month_of(now):
            changes |= {"month": month_of(now), "used_credits": 0.0, "notified_level": 0}
        return self.model_copy(update=changes) if changes else self

    def reserve(self, token: str, credits: float, *, until: datetime) -> "Account":
        """Set *credits* aside for the attempt claimed with *token*, whose claim ends at *until*."""
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
        """Count what the attempt really used. A token that nothing is set aside for was settled before."""
        tick, _, number = token.rpartition(".")
        held = self.reservations.get(tick)
        if held is None or number not in held.credits:
            return self
        rest = {other: kept for other, kept in held.credits.items() if other != number}
        others = {name: one for name, one in self.reservations.items() if name != tick}
        after = {**others, tick: held.model_copy(update={"credits": rest})} if rest else others
        return self.model_copy(
            update={"reservations": after, "used_credits": round_credits(self.used_credits + credits)}
        )

    def with_plan(self, *, plan: str | None, monthly_credits: float | None, unlimited: bool) -> "Account":
        """Change what is given. Credits raised above a level that was told may be told of again."""
        changes: dict[str, Any] = {} if plan is None else {"plan": plan}
        if unlimited or monthly_credits is not None:
            changes["monthly_credits"] = None if unlimited else monthly_credits
        after = self.model_copy(update=changes)
        return after.model_copy(update={"notified_level": min(after.notified_level, after.level)})


def level_notification(account: Account, level: int, task: Task, *, now: datetime) -> Notification:
    """Tell that *level* percent of an owner's credits are used; it travels with *task*, which crossed it."""
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
    """What the ids of an account's notices of this month begin with."""
    return f"owner.{account.name}@{account.month}#credits"


TOKEN_PRICED_TYPES = frozenset({"agent"})  # whose metrics tell tokens; no other type's are believed
DEFAULT_MAX_TOKENS = 30_000  # what an attempt may use when its params do not say
MIN_TOKENS = 500  # fewer are not worth an attempt


@dataclass(frozen=True, slots=True)
class PriceList:
    """The price list.

    Attributes:
        per_run: Credits for each attempt, by task type; a type that is not named costs nothing.
        per_1k_tokens: Credits for a thousand tokens, prompts and answers alike.
    """

    per_run: Mapping[str, float] = field(default_factory=dict)
    per_1k_tokens: float = 0.0

    def has_price(self, task_type: str) -> bool:
        """Whether attempts of the type cost anything at all."""
        return self.per_run.get(task_type, 0) > 0 or self._price_per_token(task_type) > 0

    def max_cost(self, task: Task) -> float:
        """What an attempt of *task* costs when it uses all the tokens it may."""
        return self._price(task.type, _max_tokens(task.params))

    def min_cost(self, task: Task) -> float:
        """What must be there for an attempt of *task* to be worth making."""
        return self._price(task.type, min(MIN_TOKENS, _max_tokens(task.params)))

    def token_allowance(self, task_type: str, credits: float) -> int | None:
        """How many tokens an attempt may use for *credits*; None when tokens cost nothing."""
        per_token = self._price_per_token(task_type)
        if not per_token:
            return None
        return int(round_credits(credits - self.per_run.get(task_type, 0)) / per_token)

    def charge(self, task_type: str, outcome: Outcome, *, reserved: float) -> float:
        """What the attempt that came to *outcome* is charged.

        What our own process broke off costs nothing, nor does a model that was never reached. Of an attempt
        that somebody else ended, nobody knows the tokens: it costs what was set aside for it.
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
        credits: What is set aside for it.
        tokens: The most it may use; None means no limit.
    """

    credits: float
    tokens: int | None


@dataclass(frozen=True, slots=True)
class Denied:
    """The occurrence is skipped.

    Attributes:
        reason: One sentence for the task's owner.
        owner_spent: True when it is the owner's credits that are used up, not the task's budget.
    """

    reason: str
    is_owner_exhausted: bool = False


@dataclass(frozen=True, slots=True)
class Postponed:
    """The credits there are have been set aside for attempts under way: a later tick may start it."""


def decide_admission(
    task: Task, account: Account | None, prices: PriceList, *, now: datetime
) -> Granted | Denied | Postponed:
    """Say whether the attempt that *task* was claimed for may be made.

    Args:
        account: The owner's, as it stands in the month of *now*; None when the task has no owner.
    """
    most, least = prices.max_cost(task), prices.min_cost(task)
    limits = [most]
    if task.budget is not None and task.budget.credits_per_run is not None:
        limits.append(task.budget.credits_per_run)
        if limits[-1] < least:
            return Denied(
                f"A run takes {_format_credits(least)} or more, "
                f"but budget.creditsPerRun is {limits[-1]:g}; raise it"
            )
    if task.budget is not None and task.budget.credits_per_month is not None:
        spent = task.credits_spent.in_month_of(now)
        limits.append(round_credits(task.budget.credits_per_month - spent))
        if limits[-1] < least:
            whole = _format_credits(task.budget.credits_per_month)
            return Denied(
                _exhausted_reason("This task", spent, whole, "budget.creditsPerMonth", least, now=now)
            )
    if account is not None and account.monthly_credits is not None:
        limits.append(round_credits(account.remaining - account.reserved_credits))
        if account.remaining < least:
            whole = _format_credits(account.monthly_credits)
            who = account.name or "The owner"
            reason = _exhausted_reason(who, account.used_credits, whole, "the plan", least, now=now)
            return Denied(reason, is_owner_exhausted=True)
        if limits[-1] < least:
            return Postponed()
    credits = max(0.0, min(limits))
    return Granted(credits, None if credits >= most else prices.token_allowance(task.type, credits))


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
    wanted = params.get("maxTokens")
    return wanted if isinstance(wanted, int) and wanted > 0 else DEFAULT_MAX_TOKENS


def _tokens_used(metrics: Mapping[str, Any]) -> int | None:
    given = [metrics.get("promptTokens"), metrics.get("completionTokens")]
    counts = [one for one in given if isinstance(one, int) and one >= 0]
    return sum(counts) if counts else None
