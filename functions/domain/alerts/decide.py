"""The notifications that follow the last record of an occurrence: which, and to which channels.

A run of failures is notified of when it begins (or has lasted as long as a rule asks for), again for each
failure that looks different, and at its end. A task that changes too often is notified of once as flapping,
then no more until it is stable. `AlertState` holds what that takes.
"""

import hashlib
import re
from collections.abc import Sequence
from datetime import datetime
from itertools import groupby, pairwise
from typing import Any

from functions.domain.alerts.model import AlertState, Notification, NotificationKind, NotificationTrigger
from functions.domain.alerts.outbox import append
from functions.domain.alerts.subscriptions import (
    DEFAULT_CHANNEL,
    NO_CHANNEL,
    channel_names,
    has_reached_threshold,
    notify_rules,
    omit_default_channel,
    subscribed_to,
)
from functions.domain.run import Run
from functions.domain.task import MAX_SUMMARY_CHARS, NotifyRule, Task
from functions.domain.types import OutcomeKind, OutcomeLine, SkipReason, parse_stored_instant

# Flapping: a task that changes too often between success and failure.

HISTORY_LENGTH = 20  # occurrences that count
MAX_STATE_CHANGES = 5  # among those; one more is flapping
STABLE_LENGTH = 5  # occurrences in a row with the same result end it

SUCCESS_SYMBOL, FAILURE_SYMBOL = ".", "!"


def append_outcome(history: str, *, succeeded: bool) -> str:
    """*history* with one more occurrence, e.g. `..!` and a success make `..!.`; empty while none failed."""
    before = history or (SUCCESS_SYMBOL if not succeeded else "")
    after = (before + (SUCCESS_SYMBOL if succeeded else FAILURE_SYMBOL))[-HISTORY_LENGTH:]
    return after if FAILURE_SYMBOL in after else ""


def is_starting(history: str) -> bool:
    """Whether the last occurrence changed the state, and that was one change too many."""
    return history[-1:] != history[-2:-1] and state_changes(history) > MAX_STATE_CHANGES


def is_stable(history: str) -> bool:
    """Whether the last STABLE_LENGTH occurrences had the same result, or there were fewer."""
    return len(history) < STABLE_LENGTH or len(set(history[-STABLE_LENGTH:])) == 1


def longest_failure(history: str) -> int:
    """The length of the longest run of failures in *history*."""
    return max((len(list(run)) for state, run in groupby(history) if state == FAILURE_SYMBOL), default=0)


def state_changes(history: str) -> int:
    """How often the state changed in *history*."""
    return sum(one != other for one, other in pairwise(history))


# The fingerprint of a failure: equal for two failures that a reader would call the same.

FINGERPRINT_CHARS = 12  # of a hash: enough to distinguish a task's own failures

_HTTP_STATUS = re.compile(r"(?:http|status|code|answered|returned|error)\W{0,3}([1-5]\d\d)\b")
_VOLATILE = re.compile(
    r"""
      ,\ found\ "(?:[^"\\]|\\.)*"?                                    # what an expectation found
    | [0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}   # UUIDs
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

    Digits, ids, hosts and instants do not count, so `GET /a7 timed out after 3 s` equals `GET /b9 timed out
    after 5 s`; an HTTP status does: 404 after 503 is another failure.
    """
    text = run.summary.lower()
    statuses = " ".join(_HTTP_STATUS.findall(text))
    words = " ".join(_VOLATILE.sub(" ", text).split())
    reason = run.skip_reason or ""
    whole = "|".join((task_type, run.outcome, reason, statuses, words))
    return hashlib.sha256(whole.encode()).hexdigest()[:FINGERPRINT_CHARS]


MAX_FINGERPRINTS = 8  # different failures remembered; of errors that alternate each is notified once

FAILURES = frozenset({OutcomeKind.FAILED, OutcomeKind.TIMED_OUT, OutcomeKind.ABANDONED})
NOTIFIED_SKIPS = frozenset({SkipReason.BUDGET, SkipReason.CONFIG})  # need a change of plan or settings

_NOTHING_NOTIFIED: dict[str, Any] = {
    "notified": False,
    "failure_fingerprints": "",
    "first_notified_at": None,
    "reminded_at": None,
    "acknowledged_by": "",
}


def decide_notifications(
    task: Task, run: Run, *, now: datetime
) -> tuple[AlertState, tuple[Notification, ...]]:
    """Return the task's alert after *run*, and the notifications that are new in it.

    Args:
        task: As it was before *run* is counted: `consecutive_failures` are those before this one.
        run: The last record of an occurrence.
    """
    if run.outcome is OutcomeKind.SUCCEEDED:
        return _after_success(task, run, now=now)
    if run.outcome in FAILURES or run.skip_reason in NOTIFIED_SKIPS:
        return _after_failure(task, run, now=now)
    return task.alert, ()


def notify_of_pause(task: Task, alert: AlertState, note: str, *, now: datetime) -> AlertState:
    """Notify that the scheduler paused *task*, or quarantined it because it takes its process down.

    It goes to the rules for pauses and for failures: a pause is the last news of a run of failures. Like one
    of a failure, it is over with a recovery.
    """
    rules = subscribed_to(task, "paused", "failure")
    notice = Notification.about(
        task,
        "paused",
        occurrence=task.occurrence or task.next_occurrence or now,
        now=now,
        summary=note,
        channels=omit_default_channel(channel_names(rules)) if rules else (NO_CHANNEL,),
        since=task.alert.failing_since,
        failures=task.consecutive_failures,
        next_run_at=None,
    )
    return append(alert.model_copy(update={"notified": alert.notified or bool(rules)}), notice)


def _after_failure(task: Task, run: Run, *, now: datetime) -> tuple[AlertState, tuple[Notification, ...]]:
    """The state and the notification after a failure, or after a skip that needs a remedy.

    One "flapping" notification when the task changes too often, otherwise one "failure" notification to the
    channels of all rules that are due. With rule A (`after: 1`), rule B (`after: 3`) and the errors x and y:

        failure        1 (x)   2 (x)   3 (x)   4 (y)   5 (x)
        rules due      A       -       B       A, B    -
        because        new     known   3rd     new     known
    """
    is_failure = run.outcome in FAILURES
    alert = task.alert.failing(run.started_at)
    if is_failure and subscribed_to(task, "failure"):
        alert = _record_failure(alert)
        if rules := _rules_for_flapping(task, alert):
            return _notify_flapping(task, run, alert, rules, now=now)
        alert = _end_flapping_if_broken(alert)
    known = alert.failure_fingerprints.split()
    fingerprint = failure_fingerprint(run, task_type=task.type)
    find_due = _rules_due_on_failure if is_failure else _rules_due_on_skip
    due = find_due(task, alert, is_new=fingerprint not in known)
    if not due:
        return alert, ()
    failures = task.consecutive_failures + is_failure
    notice = _notification(
        task, run, "failure", channel_names(due), now=now, since=alert.failing_since, failures=failures
    )
    known = [*(other for other in known if other != fingerprint), fingerprint]
    update = {
        "notified": True,
        "failure_fingerprints": " ".join(known[-MAX_FINGERPRINTS:]),
        "first_notified_at": alert.first_notified_at or now,
        "reminded_at": now,
    }
    return append(alert.model_copy(update=update), notice), (notice,)


def _record_failure(alert: AlertState) -> AlertState:
    history = append_outcome(alert.outcome_history, succeeded=False)
    return alert.model_copy(update={"outcome_history": history})


def _end_flapping_if_broken(alert: AlertState) -> AlertState:
    """A flapping task that now fails each time is no longer unstable but broken, and that is news."""
    if not alert.flapping or not is_stable(alert.outcome_history):
        return alert
    update = {"flapping": (), "outcome_history": FAILURE_SYMBOL, "failure_fingerprints": ""}
    return alert.model_copy(update=update)


def _rules_due_on_failure(task: Task, alert: AlertState, *, is_new: bool) -> list[NotifyRule]:
    """The rules whose threshold is reached by just this failure, or was before and the error is new."""
    failures = task.consecutive_failures + 1
    return [
        rule
        for rule in _unmuted_rules(task, alert, "failure")
        if failures == rule.after or (is_new and failures > rule.after)
    ]


def _rules_due_on_skip(task: Task, _: AlertState, *, is_new: bool) -> list[NotifyRule]:
    """All rules for failures: want of credits or settings does not pass by itself, so no threshold counts."""
    return subscribed_to(task, "failure") if is_new else []


def _after_success(task: Task, run: Run, *, now: datetime) -> tuple[AlertState, tuple[Notification, ...]]:
    alert = _record_success(task, run)
    failing = alert.failing_since is not None or alert.notified
    if not failing and not run.has_news and task.notify is None and not alert.flapping:
        return alert, ()  # by far the most frequent case
    over = {"failing_since": None} | _NOTHING_NOTIFIED
    if recovered := _rules_for_flapping(task, alert):  # that notification stands for the recovery, too
        alert, notices = _notify_flapping(task, run, alert, recovered, now=now)
        alert = alert.model_copy(update=over)
    else:
        recovered = _rules_for_recovery(task, alert)
        alert, notices = _notify_recovery(task, run, alert, recovered, now=now)
        alert = alert.model_copy(update=over) if failing else alert
    return _notify_success(task, run, alert, notices, recovered, now=now)


def _record_success(task: Task, run: Run) -> AlertState:
    """The alert after a success, before any notification of it."""
    alert = task.alert
    history = append_outcome(alert.outcome_history, succeeded=True)
    awaiting = run.finished_at if task.expect_seconds else None
    if (history, awaiting, False) == (
        alert.outcome_history,
        alert.awaiting_since,
        alert.missing_success_notified,
    ):
        return alert
    return alert.model_copy(
        update={"outcome_history": history, "awaiting_since": awaiting, "missing_success_notified": False}
    )


def _notify_recovery(
    task: Task, run: Run, alert: AlertState, recovered: Sequence[NotifyRule], *, now: datetime
) -> tuple[AlertState, tuple[Notification, ...]]:
    """Notify of the end of failures, and of the end of flapping."""
    notices: list[Notification] = []
    if names := _recovery_channels(task, alert, recovered):
        since, failures = alert.failing_since, task.consecutive_failures
        notices.append(_notification(task, run, "recovery", names, now=now, since=since, failures=failures))
    if alert.flapping and is_stable(alert.outcome_history):
        notices.append(_notification(task, run, "stable", alert.flapping, now=now))
        alert = alert.model_copy(update={"flapping": (), "outcome_history": ""})
    return append(alert, *notices), tuple(notices)


def ending_channels(task: Task) -> tuple[str, ...]:
    """The channels that await the end of what *task* is in: of its failures, or of its flapping."""
    alert = task.alert
    names = _recovery_channels(task, alert, _rules_for_recovery(task, alert))
    return tuple(dict.fromkeys((*names, *alert.flapping)))


def _rules_for_recovery(task: Task, alert: AlertState) -> list[NotifyRule]:
    return [
        rule
        for rule in _unmuted_rules(task, alert, "recovery")
        if alert.notified and has_reached_threshold(rule, task, task.consecutive_failures)
    ]


def _recovery_channels(task: Task, alert: AlertState, recovered: Sequence[NotifyRule]) -> tuple[str, ...]:
    """The channels of the rules *recovered*, and all others that have the failures and want the end.

    Of a channel that has them, the rules of today need not know: they are edited, and the end of a pause
    resets the count that `after` is compared with.
    """
    names = channel_names(recovered)
    if not alert.notified or DEFAULT_CHANNEL in (*names, *alert.flapping):
        return names
    named, wanted = channel_names(notify_rules(task)), channel_names(subscribed_to(task, "recovery"))
    others = [
        name
        for name in alert.notified_channels
        if name not in alert.flapping
        and (not {name, DEFAULT_CHANNEL}.isdisjoint(wanted) or {name, DEFAULT_CHANNEL}.isdisjoint(named))
    ]
    return tuple(dict.fromkeys((*names, *others)))


def _notify_success(
    task: Task,
    run: Run,
    alert: AlertState,
    notifications: tuple[Notification, ...],
    recovered: Sequence[NotifyRule],
    *,
    now: datetime,
) -> tuple[AlertState, tuple[Notification, ...]]:
    """Notify of the success itself, where it is news or a rule asks for it."""
    if run.has_news:
        rules = subscribed_to(task, "news", "success")
        kind: NotificationKind = "news"
    else:  # the recovery already says that the task succeeded
        rules = [rule for rule in subscribed_to(task, "success") if rule not in recovered]
        kind = "success"
    if not rules:
        return alert, notifications
    notice = _notification(task, run, kind, channel_names(rules), now=now)
    return append(alert, notice), (*notifications, notice)


def _rules_for_flapping(task: Task, alert: AlertState) -> list[NotifyRule]:
    """The rules to notify that the task begins to flap; none when it does not, or did before.

    A rule with a threshold above the longest run of failures was notified of none, nor is it of this.
    """
    if alert.flapping or not is_starting(alert.outcome_history):
        return []
    streak = longest_failure(alert.outcome_history)
    return [rule for rule in subscribed_to(task, "failure", "flapping") if rule.after <= streak]


def _notify_flapping(
    task: Task, run: Run, alert: AlertState, rules: Sequence[NotifyRule], *, now: datetime
) -> tuple[AlertState, tuple[Notification, ...]]:
    """Notify of the flapping instead of the failure or the success that completed it."""
    names = channel_names(rules)
    history = alert.outcome_history
    summary = f"Changed {state_changes(history)} times in {len(history)} runs; last: {run.summary}"
    run = run.model_copy(update={"summary": summary[:MAX_SUMMARY_CHARS]})
    notice = _notification(task, run, "flapping", names, now=now)
    update = {"flapping": names} | _NOTHING_NOTIFIED
    return append(alert.model_copy(update=update), notice), (notice,)


def _unmuted_rules(task: Task, alert: AlertState, trigger: NotificationTrigger) -> list[NotifyRule]:
    """The rules for *trigger*, without those whose channels are silent until the task is stable."""
    return [
        rule for rule in subscribed_to(task, trigger) if not set(channel_names([rule])) <= set(alert.flapping)
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
    return Notification.about(
        task,
        kind,
        occurrence=run.occurrence,
        now=now,
        summary=run.summary,
        channels=omit_default_channel(names),
        since=since,
        failures=failures,
        last_success_at=_last_success_at(task),
        attempt=run.attempt,
        duration_ms=run.duration_ms,
        items=run.items if kind in ("news", "success") else (),
    )


def _last_success_at(task: Task) -> datetime | None:
    """When *task* last succeeded, by `Task.recent`."""
    for line in reversed(task.recent.splitlines()):
        attempt = OutcomeLine.parse(line)
        if attempt.outcome == OutcomeKind.SUCCEEDED:
            return parse_stored_instant(attempt.started_at)
    return None
