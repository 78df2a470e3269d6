"""Whom to tell of what: the decision that follows the last record of an occurrence, as pure rules.

A task's run of failures is told once: when it begins (or has lasted as long as a rule asks for), again
for each failure that looks different from those told, and at its end. The state for that is `Alert`.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from functions.rules.notice import Notice, NoticeKind
from functions.rules.outcome import Run
from functions.rules.pending import appended
from functions.rules.signature import signature
from functions.rules.task import Alert, NotifyRule, Task
from functions.rules.words import OutcomeKind, SkipReason, instant_text, occurrence_id

DEFAULT = "default"  # stands for the default channels where they must be named beside others
NOBODY = "nobody"  # a channel nobody reads: for a notice that must exist and no rule listens to
TOLD_SIGNATURES = 8  # different failures remembered as told; an error that alternates is told once each

FAILURES = frozenset({OutcomeKind.FAILED, OutcomeKind.TIMED_OUT, OutcomeKind.ABANDONED})
TOLD_SKIPS = frozenset({SkipReason.BUDGET, SkipReason.CONFIG})  # will not mend by themselves

_DEFAULT_RULES = (NotifyRule(on=("failure", "recovery", "news", "paused")),)
_GIVE_UP_AFTER = timedelta(hours=24)
_GIVE_UP_TRIES = 20
_RETRY_MINUTES = (1, 2, 4, 8, 16, 30, 60)


def decide(task: Task, run: Run, *, now: datetime) -> tuple[Alert, tuple[Notice, ...]]:
    """Return what people know and must be told after *run*, and the notices that are new in it.

    Args:
        task: As it was before *run* is counted: `consecutive_failures` are those before this one.
        run: The last record of an occurrence.
    """
    if run.outcome is OutcomeKind.SUCCEEDED:
        return _succeeded(task, run, now=now)
    if run.outcome in FAILURES or run.skip_reason in TOLD_SKIPS:
        return _failed(task, run, now=now)
    return task.alert, ()


def paused_notice(task: Task, note: str, *, now: datetime) -> Notice:
    """Tell that *task* stopped itself, or was stopped because it takes its process down.

    It goes to the rules that listen to pauses or to failures, for a stop is the last word of a failure.
    """
    listening = [rule for rule in _rules(task) if {"paused", "failure"} & set(rule.on)]
    at = task.occurrence or task.upcoming or now
    return Notice(
        id=f"{occurrence_id(task.id, at)}#paused",
        kind="paused",
        task_id=task.id,
        title=task.title,
        type=task.type,
        schedule=task.schedule,
        timezone=task.timezone,
        occurrence=at,
        at=now,
        summary=note,
        channels=_channels(listening) if listening else (NOBODY,),
        since=task.alert.failing_since,
        failures=task.consecutive_failures,
    )


def delivered(
    alert: Alert, remaining: Sequence[tuple[str, ...]], *, now: datetime
) -> tuple[Alert, tuple[Notice, ...]]:
    """Return *alert* after one try to deliver its pending notices, and the notices given up.

    A notice is given up when it is a day old; all are after 20 tries that brought no word of anything new.

    Args:
        remaining: For each pending notice the channels that could not be told; empty when done.
    """
    kept: list[Notice] = []
    given_up: list[Notice] = []
    for notice, channels in zip(alert.pending, remaining, strict=True):
        if not channels:
            continue
        hopeless = alert.tries + 1 >= _GIVE_UP_TRIES or now - notice.at >= _GIVE_UP_AFTER
        left = notice.model_copy(update={"channels": channels})
        (given_up if hopeless else kept).append(left)
    wait = timedelta(minutes=_RETRY_MINUTES[min(alert.tries, len(_RETRY_MINUTES) - 1)])
    after = alert.model_copy(
        update={
            "pending": tuple(kept),
            "tries": alert.tries + 1 if kept else 0,
            "retry_at": now + wait if kept else None,
        }
    )
    return after, tuple(given_up)


def _failed(task: Task, run: Run, *, now: datetime) -> tuple[Alert, tuple[Notice, ...]]:
    counted = run.outcome in FAILURES
    failures = task.consecutive_failures + counted
    looks = signature(run, task_type=task.type)
    seen = task.alert.signature.split()
    alert = task.alert.model_copy(update={"failing_since": task.alert.failing_since or run.started_at})
    # A skip for want of budget or settings is no flicker to be waited out: it reaches every threshold.
    reached = [rule for rule in _listening(task, "failure") if not counted or failures >= rule.after]
    due = [rule for rule in reached if looks not in seen or (counted and failures == rule.after)]
    if not due:
        return alert, ()
    notice = _notice(task, run, "failure", due, now=now, since=alert.failing_since, failures=failures)
    told = [other for other in seen if other != looks] + [looks]
    alert = alert.model_copy(update={"told": True, "signature": " ".join(told[-TOLD_SIGNATURES:])})
    return appended(alert, notice), (notice,)


def _succeeded(task: Task, run: Run, *, now: datetime) -> tuple[Alert, tuple[Notice, ...]]:
    alert = task.alert
    failing = alert.failing_since is not None or alert.told
    if not failing and not run.news and task.notify is None:
        return alert, ()  # by far the most frequent case
    notices: list[Notice] = []
    recovered = [rule for rule in _listening(task, "recovery") if alert.told and _heard(rule, task)]
    if recovered:
        since, failures = alert.failing_since, task.consecutive_failures
        notices.append(_notice(task, run, "recovery", recovered, now=now, since=since, failures=failures))
    if run.news:
        readers = [rule for rule in _rules(task) if {"news", "success"} & set(rule.on)]
        kind: NoticeKind = "news"
    else:  # who is told that the task is back need not be told that it succeeded
        readers = [rule for rule in _listening(task, "success") if rule not in recovered]
        kind = "success"
    if readers:
        notices.append(_notice(task, run, kind, readers, now=now))
    if failing:
        alert = alert.model_copy(update={"failing_since": None, "told": False, "signature": ""})
    return appended(alert, *notices), tuple(notices)


def _heard(rule: NotifyRule, task: Task) -> bool:
    """Whether the failures now over were told to *rule*: they lasted long enough for it.

    After a skip or a resumed pause the count starts anew while people still wait for the good news, so the
    rules told first are always taken to have heard.
    """
    soonest = min((other.after for other in _listening(task, "failure")), default=1)
    return rule.after <= max(soonest, task.consecutive_failures)


def _rules(task: Task) -> tuple[NotifyRule, ...]:
    return _DEFAULT_RULES if task.notify is None else task.notify


def _listening(task: Task, kind: NoticeKind) -> list[NotifyRule]:
    return [rule for rule in _rules(task) if kind in rule.on]


def _channels(rules: Sequence[NotifyRule]) -> tuple[str, ...]:
    """The channels of several rules, each once; empty when all of them mean the default ones."""
    names = [name for rule in rules for name in (rule.channels or (DEFAULT,))]
    unique = tuple(dict.fromkeys(names))
    return () if unique == (DEFAULT,) else unique


def _notice(
    task: Task,
    run: Run,
    kind: NoticeKind,
    rules: Sequence[NotifyRule],
    *,
    now: datetime,
    since: datetime | None = None,
    failures: int = 0,
) -> Notice:
    return Notice(
        id=f"{task.id}@{instant_text(run.occurrence)}#{kind}",
        kind=kind,
        task_id=task.id,
        title=task.title,
        type=task.type,
        schedule=task.schedule,
        timezone=task.timezone,
        occurrence=run.occurrence,
        at=now,
        summary=run.summary,
        channels=_channels(rules),
        since=since,
        failures=failures,
        attempt=run.attempt,
        duration_ms=run.duration_ms,
        next_run_at=task.upcoming if task.upcoming and task.upcoming > now else None,
        items=run.items if kind in ("news", "success") else (),
    )
