"""Credits: what an attempt may cost and did cost, and whether a task may make one."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pydantic import ConfigDict, Field, computed_field

from functions.domain.alerts.model import Notice
from functions.domain.run import Outcome
from functions.domain.task import Task
from functions.domain.task_budget import Credits, exact, month_text, period_of
from functions.domain.types import Instant, Model, OutcomeKind

# An owner's account: the credits of a month, what is used of them, what is set aside for attempts.

LEVELS = (80, 100)  # percent of the month's credits at which people are told
KEPT_AFTER_CLAIM = timedelta(minutes=10)  # a reservation outlives its claim by this, then its tick has died
MOST_HELD = 3000  # reservations at once, so that the document stays far below its limit of 64 KB


class Held(Model):
    """Credits set aside by one tick.

    Attributes:
        until: When they are free again, should the tick not live to settle them.
        credits: By the number in the claim's token, `<tick id>.<number>`.
    """

    until: Instant
    credits: dict[str, float] = Field(default_factory=dict)


class Account(Model):
    """What an owner has. Everything is counted in the month `period`, in UTC.

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
    period: str = ""
    held: dict[str, Held] = Field(default_factory=dict)
    told: int = 0

    @computed_field  # type: ignore[prop-decorator]  # mypy knows no decorated property; pydantic does
    @property
    def reserved_credits(self) -> float:
        """What is set aside in all."""
        return exact(sum(sum(held.credits.values()) for held in self.held.values()))

    @property
    def left(self) -> float:
        """What is not used yet, reserved or not; infinite without a limit."""
        return math.inf if self.monthly_credits is None else exact(self.monthly_credits - self.used_credits)

    @property
    def level(self) -> int:
        """The highest of LEVELS that has been reached; 0 for none."""
        if self.monthly_credits is None:
            return 0
        reached = [level for level in LEVELS if self.used_credits * 100 >= self.monthly_credits * level]
        return max(reached, default=0)

    @property
    def is_full(self) -> bool:
        """Whether no more can be set aside at the same time."""
        return sum(len(held.credits) for held in self.held.values()) >= MOST_HELD

    def at(self, now: datetime) -> "Account":
        """The account as it stands *now*: of a new month, and without reservations whose tick has died."""
        held = {tick: one for tick, one in self.held.items() if one.until > now}
        changes: dict[str, Any] = {} if held == self.held else {"held": held}
        if self.period < period_of(now):
            changes |= {"period": period_of(now), "used_credits": 0.0, "told": 0}
        return self.model_copy(update=changes) if changes else self

    def reserved(self, token: str, credits: float, *, until: datetime) -> "Account":
        """Set *credits* aside for the attempt claimed with *token*, whose claim ends at *until*."""
        tick, _, number = token.rpartition(".")
        before = self.held.get(tick)
        until = max(until + KEPT_AFTER_CLAIM, before.until if before else until)
        credits_of = {**(before.credits if before else {}), number: credits}
        return self.model_copy(update={"held": {**self.held, tick: Held(until=until, credits=credits_of)}})

    def settled(self, token: str, credits: float) -> "Account":
        """Count what the attempt really used. A token that nothing is set aside for was settled before."""
        tick, _, number = token.rpartition(".")
        held = self.held.get(tick)
        if held is None or number not in held.credits:
            return self
        rest = {other: kept for other, kept in held.credits.items() if other != number}
        others = {name: one for name, one in self.held.items() if name != tick}
        after = {**others, tick: held.model_copy(update={"credits": rest})} if rest else others
        return self.model_copy(update={"held": after, "used_credits": exact(self.used_credits + credits)})

    def with_plan(self, *, plan: str | None, monthly_credits: float | None, unlimited: bool) -> "Account":
        """Change what is given. Credits raised above a level that was told may be told of again."""
        changes: dict[str, Any] = {} if plan is None else {"plan": plan}
        if unlimited or monthly_credits is not None:
            changes["monthly_credits"] = None if unlimited else monthly_credits
        after = self.model_copy(update=changes)
        return after.model_copy(update={"told": min(after.told, after.level)})


def level_notice(account: Account, level: int, task: Task, *, now: datetime) -> Notice:
    """Tell that *level* percent of an owner's credits are used; it travels with *task*, which crossed it."""
    whole = account.monthly_credits or 0
    month = month_text(account.period)
    if level >= max(LEVELS):
        summary = (
            f"The {whole:g} credits of {month} are used up ({account.used_credits:g} used): "
            "tasks that cost credits are skipped until there are new ones on the first of next month (UTC)"
        )
    else:
        summary = f"{account.used_credits:g} of the {whole:g} credits of {month} are used"
    at = task.occurrence or now
    return Notice(
        id=f"{notice_prefix(account)}{level}",
        kind="credits",
        task_id=task.id,
        title=account.name,
        type=task.type,
        schedule="",  # the task only carries it; its schedule says nothing of an account
        timezone=task.timezone,
        occurrence=at,
        at=now,
        summary=summary,
        priority=task.priority,
    )


def notice_prefix(account: Account) -> str:
    """What the ids of an account's notices of this month begin with."""
    return f"owner.{account.name}@{account.period}#credits"


TOKEN_TYPES = frozenset({"agent"})  # whose metrics tell tokens; no other type's are believed
RUN_TOKENS = 30_000  # what an attempt may use when its params do not say
LEAST_TOKENS = 500  # fewer are not worth an attempt


@dataclass(frozen=True, slots=True)
class Rates:
    """The price list.

    Attributes:
        per_run: Credits for each attempt, by task type; a type that is not named costs nothing.
        per_1k_tokens: Credits for a thousand tokens, prompts and answers alike.
    """

    per_run: Mapping[str, float] = field(default_factory=dict)
    per_1k_tokens: float = 0.0

    def priced(self, task_type: str) -> bool:
        """Whether attempts of the type cost anything at all."""
        return self.per_run.get(task_type, 0) > 0 or self._per_token(task_type) > 0

    def most(self, task: Task) -> float:
        """What an attempt of *task* costs when it uses all the tokens it may."""
        return self._sum(task.type, _tokens_wanted(task.params))

    def least(self, task: Task) -> float:
        """What must be there for an attempt of *task* to be worth making."""
        return self._sum(task.type, min(LEAST_TOKENS, _tokens_wanted(task.params)))

    def tokens(self, task_type: str, credits: float) -> int | None:
        """How many tokens an attempt may use for *credits*; None when tokens cost nothing."""
        per_token = self._per_token(task_type)
        if not per_token:
            return None
        return int(exact(credits - self.per_run.get(task_type, 0)) / per_token)

    def cost(self, task_type: str, outcome: Outcome, *, reserved: float) -> float:
        """What the attempt that came to *outcome* is charged.

        What our own process broke off costs nothing, nor does a model that was never reached. Of an attempt
        that somebody else ended, nobody knows the tokens: it costs what was set aside for it.
        """
        if outcome.kind is OutcomeKind.ABANDONED:
            return 0.0
        if task_type not in TOKEN_TYPES:
            return exact(self.per_run.get(task_type, 0))
        tokens = _tokens_used(outcome.metrics)
        if tokens is None and outcome.kind in (OutcomeKind.TIMED_OUT, OutcomeKind.CANCELLED):
            return reserved
        if not tokens and outcome.kind is not OutcomeKind.SUCCEEDED:
            return 0.0
        return self._sum(task_type, tokens or 0)

    def _sum(self, task_type: str, tokens: int) -> float:
        return exact(self.per_run.get(task_type, 0) + tokens * self._per_token(task_type))

    def _per_token(self, task_type: str) -> float:
        return self.per_1k_tokens / 1000 if task_type in TOKEN_TYPES else 0.0


@dataclass(frozen=True, slots=True)
class Grant:
    """The attempt may be made.

    Attributes:
        credits: What is set aside for it.
        tokens: The most it may use; None means no limit.
    """

    credits: float
    tokens: int | None


@dataclass(frozen=True, slots=True)
class Refusal:
    """The occurrence is skipped.

    Attributes:
        reason: One sentence for the task's owner.
        owner_spent: True when it is the owner's credits that are used up, not the task's budget.
    """

    reason: str
    owner_spent: bool = False


@dataclass(frozen=True, slots=True)
class Later:
    """The credits there are have been set aside for attempts under way: a later tick may start it."""


def decide(task: Task, account: Account | None, rates: Rates, *, now: datetime) -> Grant | Refusal | Later:
    """Say whether the attempt that *task* was claimed for may be made.

    Args:
        account: The owner's, as it stands in the month of *now*; None when the task has no owner.
    """
    most, least = rates.most(task), rates.least(task)
    limits = [most]
    if task.budget is not None and task.budget.credits_per_run is not None:
        limits.append(task.budget.credits_per_run)
        if limits[-1] < least:
            return Refusal(
                f"A run takes {_credits(least)} or more, but budget.creditsPerRun is {limits[-1]:g}; raise it"
            )
    if task.budget is not None and task.budget.credits_per_month is not None:
        spent = task.spent.until(now)
        limits.append(exact(task.budget.credits_per_month - spent))
        if limits[-1] < least:
            whole = _credits(task.budget.credits_per_month)
            return Refusal(_used_up("This task", spent, whole, "budget.creditsPerMonth", least, now=now))
    if account is not None and account.monthly_credits is not None:
        limits.append(exact(account.left - account.reserved_credits))
        if account.left < least:
            whole = _credits(account.monthly_credits)
            who = account.name or "The owner"
            reason = _used_up(who, account.used_credits, whole, "the plan", least, now=now)
            return Refusal(reason, owner_spent=True)
        if limits[-1] < least:
            return Later()
    credits = max(0.0, min(limits))
    return Grant(credits, None if credits >= most else rates.tokens(task.type, credits))


def _used_up(who: str, used: float, whole: str, named: str, least: float, *, now: datetime) -> str:
    period = period_of(now)
    following = _following(period)
    return (
        f"{who} has used {used:g} of {whole} of {month_text(period)} ({named}); "
        f"a run takes {least:g} or more. There are new ones on 1 {month_text(following)} (UTC)"
    )


def _following(period: str) -> str:
    year, month = map(int, period.split("-"))
    return f"{year + month // 12}-{month % 12 + 1:02}"


def _credits(number: float) -> str:
    return "1 credit" if number == 1 else f"{number:g} credits"


def _tokens_wanted(params: Mapping[str, Any]) -> int:
    wanted = params.get("maxTokens")
    return wanted if isinstance(wanted, int) and wanted > 0 else RUN_TOKENS


def _tokens_used(metrics: Mapping[str, Any]) -> int | None:
    given = [metrics.get("promptTokens"), metrics.get("completionTokens")]
    counts = [one for one in given if isinstance(one, int) and one >= 0]
    return sum(counts) if counts else None
