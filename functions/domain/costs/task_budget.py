"""The credits one task may spend, and has spent this month: by calendar month in UTC."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from functions.domain.types import Model, text_form

MAX_CREDITS, MAX_USED = 1e9, 1e12
# Amounts of credits, whoever writes them: a limit or a plan, and a sum of what was used. Neither is negative,
# infinite or not a number.
Credits = Annotated[float, Field(ge=0, le=MAX_CREDITS)]
UsedCredits = Annotated[float, Field(ge=0, le=MAX_USED)]
Month = Annotated[str, text_form(r"^([0-9]{4}-(0[1-9]|1[0-2]))?$", "must be a month such as 2026-11")]


class CreditLimit(Model):
    """The most a task may spend, whatever its owner has.

    Attributes:
        credits_per_run: At most so many for one attempt; None means no limit.
        credits_per_month: At most so many in a calendar month of UTC; None means no limit.
    """

    credits_per_run: Credits | None = None
    credits_per_month: Credits | None = None

    @model_validator(mode="after")
    def _check_has_limit(self) -> Self:
        if self.credits_per_run is None and self.credits_per_month is None:
            raise ValueError("give creditsPerRun, creditsPerMonth or both")
        return self


class Spending(Model):
    """What a task has spent.

    Attributes:
        month: Such as `2026-11`; empty when nothing was spent yet.
        credits: Those spent in it.
    """

    month: Month = ""
    credits: UsedCredits = 0.0

    def in_month_of(self, now: datetime) -> float:
        """The credits spent in the month of *now*."""
        return self.credits if self.month >= month_of(now) else 0.0

    def add(self, credits: float, *, now: datetime) -> "Spending":
        """The spending with *credits* more. A clock that lags does not bring a past month back."""
        period = max(self.month, month_of(now))
        return Spending(month=period, credits=add_credits(self.in_month_of(now), credits))


def month_of(now: datetime) -> str:
    """The month that *now* falls into, in UTC."""
    return f"{now.astimezone(UTC):%Y-%m}"


def format_month(month: str) -> str:
    """*month* in words: `2026-11` is `November 2026`."""
    return f"{datetime.strptime(month, '%Y-%m').replace(tzinfo=UTC):%B %Y}"


def round_credits(credits: float) -> float:
    """*credits* to a thousandth, so that sums of many stay what they should be."""
    return round(credits, 3)


def add_credits(used: float, credits: float) -> float:
    """The sum, and at most what can be stored."""
    return min(round_credits(used + credits), MAX_USED)


def charged_credits(metrics: Mapping[str, Any]) -> float:
    """The credits in a run's metrics; 0 when they have none."""
    credits = metrics.get("credits")
    return float(credits) if isinstance(credits, int | float) and 0 < credits <= MAX_CREDITS else 0.0
