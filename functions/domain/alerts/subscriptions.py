"""Subscriptions: which rules of a task ask for a notification, and the channels they name."""

from collections.abc import Sequence

from functions.domain.alerts.model import NotificationTrigger
from functions.domain.task import NotifyRule, Task

DEFAULT_CHANNEL = "default"  # the default channels, where they are named beside others
NO_CHANNEL = "nobody"  # no channel: for a notification that must exist though no rule asks for it

_DEFAULT_RULES = (NotifyRule(on=("failure", "recovery", "news", "paused", "late", "silent")),)


def notify_rules(task: Task) -> tuple[NotifyRule, ...]:
    """The task's own rules, or those of a task that has none."""
    return _DEFAULT_RULES if task.notify is None else task.notify


def subscribed_to(task: Task, *triggers: NotificationTrigger) -> list[NotifyRule]:
    """The rules that ask for any of *triggers*."""
    return [rule for rule in notify_rules(task) if set(triggers) & set(rule.on)]


def has_reached_threshold(rule: NotifyRule, task: Task, failures: int) -> bool:
    """Whether *failures* in a row, going on or just over, were enough to notify by *rule*.

    A skip or a resumed pause resets the count while a recovery is still awaited, so the rules with the
    lowest threshold always count as notified.
    """
    lowest = min((other.after for other in subscribed_to(task, "failure")), default=1)
    return rule.after <= max(lowest, failures)


def channel_names(rules: Sequence[NotifyRule]) -> tuple[str, ...]:
    """The channels of several rules, each once, the default ones as DEFAULT_CHANNEL."""
    return tuple(dict.fromkeys(name for rule in rules for name in (rule.channels or (DEFAULT_CHANNEL,))))


def unknown_channels(rules: Sequence[NotifyRule], known: Sequence[str]) -> list[str]:
    """Return one sentence for each channel that *rules* name and that is not set up, with the nearest name.

    A notice for such a channel goes to the default channels instead.
    """
    names = [*known, DEFAULT_CHANNEL, NO_CHANNEL]
    return [
        f"no channel {name!r} is set up{_suggestion(name, names)}; its notices go to the default channels"
        for name in channel_names(rules)
        if name not in names
    ]


def _suggestion(name: str, known: Sequence[str]) -> str:
    from difflib import get_close_matches  # 3 ms, for a wrong name

    near = get_close_matches(name, known, n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def omit_default_channel(names: Sequence[str]) -> tuple[str, ...]:
    """*names* as a notification has them: empty when only the default ones are meant."""
    return () if tuple(names) == (DEFAULT_CHANNEL,) else tuple(names)
