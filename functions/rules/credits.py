"""Credits: what an attempt may cost and did cost, and whether a task may make one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from functions.rules.accounts import Account
from functions.rules.budget import exact, month_text, period_of
from functions.rules.outcome import Outcome
from functions.rules.task import Task
from functions.rules.words import OutcomeKind

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
