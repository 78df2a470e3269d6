"""Whom to tell of what: the decision that follows the last record of an occurrence, as pure rules.

A task's run of failures is told once: when it begins (or has lasted as long as a rule asks for), again
for each failure that looks different from those told, and at its end. A task that changes too often is
told of once, then no more until it is steady. The state for that is `Alert`.
"""

import hashlib
import re
from collections.abc import Sequence
from datetime import datetime
from itertools import groupby, pairwise

from functions.domain.alerts.model import AlertState, Notification, NotificationKind, NotificationTrigger
from functions.domain.alerts.outbox import append
from functions.domain.alerts.subscriptions import (
    NO_CHANNEL,
    channel_names,
    has_reached_threshold,
    omit_default_channel,
    subscribed_to,
)
from functions.domain.run import Run
from functions.domain.task import MAX_SUMMARY_CHARS, NotifyRule, Task
from functions.domain.types import OutcomeKind, SkipReason, format_instant, occurrence_id

# Tasks that change too often between success and failure: how often that is, and what is steady.

HISTORY_LENGTH = 20  # occurrences looked back upon
MAX_STATE_CHANGES = 5  # of state among those; people follow that many, and one more is flapping
STABLE_LENGTH = 5  # occurrences in a row with the same result end it

SUCCESS_SYMBOL, FAILURE_SYMBOL = ".", "!"


def append_outcome(history: str, *, succeeded: bool) -> str:
    """*course* with one more occurrence; empty while no failure is remembered: all was well before."""
    before = history or (SUCCESS_SYMBOL if not succeeded else "")
    after = (before + (SUCCESS_SYMBOL if succeeded else FAILURE_SYMBOL))[-HISTORY_LENGTH:]
    return after if FAILURE_SYMBOL in after else ""


def is_starting(history: str) -> bool:
    """Whether the last occurrence was one change too many."""
    return history[-1:] != history[-2:-1] and state_changes(history) > MAX_STATE_CHANGES


def is_stable(history: str) -> bool:
    """Whether the last occurrences all had the same result."""
    return len(history) < STABLE_LENGTH or len(set(history[-STABLE_LENGTH:])) == 1


def longest_failure(history: str) -> int:
    """The most failures in a row."""
    return max((len(list(run)) for state, run in groupby(history) if state == FAILURE_SYMBOL), default=0)


def state_changes(history: str) -> int:
    """How often the state changed."""
    return sum(one != other for one, other in pairwise(history))


# The signature of a failure: equal for two failures that a person would call the same.

FINGERPRINT_CHARS = 12  # of a hash: enough to tell a task's own failures apart

_HTTP_STATUS = re.compile(r"(?:http|status|code|answered|returned|error)\W{0,3}([1-5]\d\d)\b")
_VOLATILE = re.compile(
    r"""
      [0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}   # UUIDs
    | \w+://\S+                                                      # addresses
    | \d{4}-\d\d-\d\d(?:[t\ ][\d:.,+z-]+)?                           # timestamps
    | \b(?:[a-z0-9-]+\.)+[a-z]{2,}\b(?::\d+)?                        # hosts
    | \b0x[0-9a-f]+\b
    | \b(?=[a-z]*\d)[0-9a-f]{6,}\b                                   # hexadecimal ids; words have no digit
    | [0-9a-f:]*::[0-9a-f:]*                                         # IPv6
    | \d+(?:[.,:]\d+)*                                               # other numbers and IPv4
    """,
    re.VERBOSE,
)


def failure_fingerprint(run: Run, *, task_type: str) -> str:
    """Return a short hash of what failed, without what differs from one failure to the next.

    Digits, ids, hosts and moments do not count; an HTTP status does: 404 after 503 is another failure.
    """
    text = run.summary.lower()
    statuses = " ".join(_HTTP_STATUS.findall(text))
    words = " ".join(_VOLATILE.sub(" ", text).split())
    reason = run.skip_reason or ""
    whole = "|".join((task_type, run.outcome, reason, statuses, words))
    return hashlib.sha256(whole.encode()).hexdigest()[:FINGERPRINT_CHARS]


MAX_FINGERPRINTS = 8  # different failures remembered as told; an error that alternates is told once each

FAILURES = frozenset({OutcomeKind.FAILED, OutcomeKind.TIMED_OUT, OutcomeKind.ABANDONED})
NOTIFIED_SKIPS = frozenset({SkipReason.BUDGET, SkipReason.CONFIG})  # will not mend by themselves


def decide_notifications(
    task: Task, run: Run, *, now: datetime
) -> tuple[AlertState, tuple[Notification, ...]]:
    """Return what people know and must be told after *run*, and the notices that are new in it.

    Args:
        task: As it was before *run* is counted: `consecutive_failures` are those before this one.
        run: The last record of an occurrence.
    """
    if run.outcome is OutcomeKind.SUCCEEDED:
        return _after_success(task, run, now=now)
    if run.outcome in FAILURES or run.skip_reason in NOTIFIED_SKIPS:
        return _after_failure(task, run, now=now)
    return task.alert, ()


def paused_notification(task: Task, note: str, *, now: datetime) -> Notification:
    """Tell that *task* stopped itself, or was stopped because it takes its process down.

    It goes to the rules that listen to pauses or to failures, for a stop is the last word of a failure.
    """
    told = subscribed_to(task, "paused", "failure")
    at = task.occurrence or task.next_occurrence or now
    return Notification(
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
        channels=omit_default_channel(channel_names(told)) if told else (NO_CHANNEL,),
        since=task.alert.failing_since,
        failures=task.consecutive_failures,
        priority=task.priority,
        tags=task.tags,
    )


def _after_failure(task: Task, run: Run, *, now: datetime) -> tuple[AlertState, tuple[Notification, ...]]:
    counted = run.outcome in FAILURES
    failures = task.consecutive_failures + counted
    alert = task.alert.model_copy(update={"failing_since": task.alert.failing_since or run.started_at})
    if counted and subscribed_to(task, "failure"):
        alert = alert.model_copy(
            update={"outcome_history": append_outcome(alert.outcome_history, succeeded=False)}
        )
        if rules := _rules_for_flapping(task, alert):
            return _notify_flapping(task, run, alert, rules, now=now)
        if alert.flapping and is_stable(alert.outcome_history):  # it is no longer unstable but broken: news
            alert = alert.model_copy(
                update={"flapping": (), "outcome_history": FAILURE_SYMBOL, "failure_fingerprints": ""}
            )
    looks = failure_fingerprint(run, task_type=task.type)
    seen = alert.failure_fingerprints.split()
    # A skip for want of budget or settings is no flicker to be waited out: it reaches every threshold.
    rules = _unmuted_rules(task, alert, "failure") if counted else subscribed_to(task, "failure")
    reached = [rule for rule in rules if not counted or failures >= rule.after]
    due = [rule for rule in reached if looks not in seen or (counted and failures == rule.after)]
    if not due:
        return alert, ()
    notice = _notification(
        task, run, "failure", channel_names(due), now=now, since=alert.failing_since, failures=failures
    )
    told = [other for other in seen if other != looks] + [looks]
    update = {"notified": True, "failure_fingerprints": " ".join(told[-MAX_FINGERPRINTS:])}
    alert = alert.model_copy(
        update=update | {"first_notified_at": alert.first_notified_at or now, "reminded_at": now}
    )
    return append(alert, notice), (notice,)


def _after_success(task: Task, run: Run, *, now: datetime) -> tuple[AlertState, tuple[Notification, ...]]:
    alert = _record_success(task, run)
    failing = alert.failing_since is not None or alert.notified
    if not failing and not run.has_news and task.notify is None and not alert.flapping:
        return alert, ()  # by far the most frequent case
    over = {
        "failing_since": None,
        "notified": False,
        "failure_fingerprints": "",
        "first_notified_at": None,
        "reminded_at": None,
    }
    if recovered := _rules_for_flapping(task, alert):  # who is told that it changes is told enough
        alert, notices = _notify_flapping(task, run, alert, recovered, now=now)
        alert = alert.model_copy(update=over)
    else:
        recovered = [
            rule
            for rule in _unmuted_rules(task, alert, "recovery")
            if alert.notified and has_reached_threshold(rule, task, task.consecutive_failures)
        ]
        alert, notices = _notify_recovery(task, run, alert, recovered, now=now)
        alert = alert.model_copy(update=over) if failing else alert
    return _notify_success(task, run, alert, notices, recovered, now=now)


def _record_success(task: Task, run: Run) -> AlertState:
    """The alert after a success that nobody needs to hear of."""
    alert = task.alert
    course = append_outcome(alert.outcome_history, succeeded=True)
    awaiting = run.finished_at if task.expect_seconds else None
    if (course, awaiting, False) == (
        alert.outcome_history,
        alert.awaiting_since,
        alert.missing_success_notified,
    ):
        return alert
    return alert.model_copy(
        update={"outcome_history": course, "awaiting_since": awaiting, "missing_success_notified": False}
    )


def _notify_recovery(
    task: Task, run: Run, alert: AlertState, recovered: Sequence[NotifyRule], *, now: datetime
) -> tuple[AlertState, tuple[Notification, ...]]:
    """Tell of the end of failures, and of the end of flapping."""
    notices: list[Notification] = []
    if recovered:
        since, failures = alert.failing_since, task.consecutive_failures
        notices.append(
            _notification(
                task, run, "recovery", channel_names(recovered), now=now, since=since, failures=failures
            )
        )
    if alert.flapping and is_stable(alert.outcome_history):
        notices.append(_notification(task, run, "stable", alert.flapping, now=now))
        alert = alert.model_copy(update={"flapping": (), "outcome_history": ""})
    return append(alert, *notices), tuple(notices)


def _notify_success(
    task: Task,
    run: Run,
    alert: AlertState,
    notifications: tuple[Notification, ...],
    recovered: Sequence[NotifyRule],
    *,
    now: datetime,
) -> tuple[AlertState, tuple[Notification, ...]]:
    """Tell of the success itself, where it is news or somebody asked for it."""
    if run.has_news:
        readers = subscribed_to(task, "news", "success")
        kind: NotificationKind = "news"
    else:  # who is told that the task is back need not be told that it succeeded
        readers = [rule for rule in subscribed_to(task, "success") if rule not in recovered]
        kind = "success"
    if not readers:
        return alert, notifications
    notice = _notification(task, run, kind, channel_names(readers), now=now)
    return append(alert, notice), (*notifications, notice)


def _rules_for_flapping(task: Task, alert: AlertState) -> list[NotifyRule]:
    """Whom to tell that the task changes too often; nobody when it does not, or is known to.

    A rule that waits for longer failures than there were never heard of any, and need not hear of this.
    """
    if alert.flapping or not is_starting(alert.outcome_history):
        return []
    streak = longest_failure(alert.outcome_history)
    return [rule for rule in subscribed_to(task, "failure", "flapping") if rule.after <= streak]


def _notify_flapping(
    task: Task, run: Run, alert: AlertState, rules: Sequence[NotifyRule], *, now: datetime
) -> tuple[AlertState, tuple[Notification, ...]]:
    """Tell of one change too many, in place of it."""
    told = channel_names(rules)
    history = alert.outcome_history
    summary = f"Changed {state_changes(history)} times in {len(history)} runs; last: {run.summary}"
    run = run.model_copy(update={"summary": summary[:MAX_SUMMARY_CHARS]})
    notice = _notification(task, run, "flapping", told, now=now)
    quiet = {
        "flapping": told,
        "notified": False,
        "failure_fingerprints": "",
        "first_notified_at": None,
        "reminded_at": None,
    }
    return append(alert.model_copy(update=quiet), notice), (notice,)


def _unmuted_rules(task: Task, alert: AlertState, event: NotificationTrigger) -> list[NotifyRule]:
    """The rules that listen to *event* and were not promised quiet until the task is steady."""
    return [
        rule for rule in subscribed_to(task, event) if not set(channel_names([rule])) <= set(alert.flapping)
    ]


def _notification(
    task: Task,
    run: Run,
    kind: NotificationKind,
    names: Sequence[str],
    *,
    now: datetime,
    since: datetime | None = None,
    failures: int = 0,
) -> Notification:
    return Notification(
        id=f"{task.id}@{format_instant(run.occurrence)}#{kind}",
        kind=kind,
        task_id=task.id,
        title=task.title,
        type=task.type,
        schedule=task.schedule,
        timezone=task.timezone,
        occurrence=run.occurrence,
        at=now,
        summary=run.summary,
        channels=omit_default_channel(names),
        since=since,
        failures=failures,
        last_success_at=_last_success_at(task),
        attempt=run.attempt,
        duration_ms=run.duration_ms,
        next_run_at=task.next_occurrence if task.next_occurrence and task.next_occurrence > now else None,
        items=run.items if kind in ("news", "success") else (),
        priority=task.priority,
        tags=task.tags,
    )


def _last_success_at(task: Task) -> datetime | None:
    """When *task* last succeeded, by what it keeps of its last outcomes."""
    for compact in reversed(task.recent):
        outcome, _, rest = compact.partition(" ")
        if outcome == OutcomeKind.SUCCEEDED:
            return datetime.fromisoformat(rest.partition(" ")[2])
    return None
