"""Who listens: the rules of a task about notices, and the channels they name."""

from collections.abc import Sequence

from functions.domain.alerts.model import NotificationTrigger
from functions.domain.task import NotifyRule, Task

DEFAULT_CHANNEL = "default"  # stands for the default channels where they must be named beside others
NO_CHANNEL = "nobody"  # a channel nobody reads: for a notice that must exist and no rule listens to

_DEFAULT_RULES = (NotifyRule(on=("failure", "recovery", "news", "paused", "late", "silent")),)


def notify_rules(task: Task) -> tuple[NotifyRule, ...]:
    """The task's own rules, or those of a task that has none."""
    return _DEFAULT_RULES if task.notify is None else task.notify


def subscribed_to(task: Task, *triggers: NotificationTrigger) -> list[NotifyRule]:
    """The rules that listen to any of *events*."""
    return [rule for rule in notify_rules(task) if set(triggers) & set(rule.on)]


def has_reached_threshold(rule: NotifyRule, task: Task, failures: int) -> bool:
    """Whether *failures* in a row, told of or just over, lasted long enough for *rule*.

    After a skip or a resumed pause the count starts anew while people still wait for the good news, so the
    rules told first are always taken to have heard.
    """
    soonest = min((other.after for other in subscribed_to(task, "failure")), default=1)
    return rule.after <= max(soonest, failures)


def channel_names(rules: Sequence[NotifyRule]) -> tuple[str, ...]:
    """The channels of several rules, each once, the default ones as DEFAULT."""
    return tuple(dict.fromkeys(name for rule in rules for name in (rule.channels or (DEFAULT_CHANNEL,))))


def omit_default_channel(names: Sequence[str]) -> tuple[str, ...]:
    """*names* as a notice has them: empty when only the default ones are meant."""
    return () if tuple(names) == (DEFAULT_CHANNEL,) else tuple(names)
