"""An owner's account: the credits of a month, what is used of them, what is set aside for attempts."""

import math
from datetime import datetime, timedelta
from typing import Any

from pydantic import ConfigDict, Field, computed_field

from functions.rules.budget import Credits, exact, month_text, period_of
from functions.rules.notice import Notice
from functions.rules.task import Task
from functions.rules.words import Instant, Model

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
