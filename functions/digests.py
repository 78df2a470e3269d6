"""The daily digest of a channel: a briefing task that exists as long as the channel asks for one."""

from collections.abc import Callable
from datetime import datetime

from functions.applying import apply
from functions.following import LinkStore
from functions.rules.channels import DailyDigest
from functions.rules.policies import NotifyRule
from functions.rules.task import TaskSpec


async def keep_digest(
    store: LinkStore, name: str, wish: DailyDigest | None, *, now: datetime, new_id: Callable[[], str]
) -> None:
    """Make the task of channel *name*'s digest what is wished for; None removes it.

    It is a task like any other, so it costs an idle tick nothing, is made up for after an outage, and says
    "0 problems" when there are none.

    Raises:
        StoreUnavailable: It is not known whether the change was made.
    """
    specs = [] if wish is None else [_digest(name, wish)]
    await apply(store, specs, origin=f"digest.{name}", now=now, new_id=new_id)


def _digest(name: str, wish: DailyDigest) -> TaskSpec:
    hour, minute = wish.at.split(":")
    return TaskSpec(
        id=f"digest.{name}",
        title=f"Daily digest for {name}",
        type="daily_briefing",
        params={"title": "Daily digest"},
        schedule=f"{int(minute)} {int(hour)} * * *",
        timezone=wish.timezone,
        notify=(NotifyRule(on=("news", "failure", "recovery"), channels=(name,)),),
    )
