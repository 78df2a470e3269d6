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

from functions.domain.alerts.model import Alert, Notice, NoticeKind, NotificationTrigger
from functions.domain.alerts.outbox import appended
from functions.domain.alerts.subscriptions import NOBODY, channels, heard, listening, named
from functions.domain.run import Run
from functions.domain.task import SUMMARY_CHARS, NotifyRule, Task
from functions.domain.types import OutcomeKind, SkipReason, instant_text, occurrence_id

# Tasks that change too often between success and failure: how often that is, and what is steady.

REMEMBERED = 20  # occurrences looked back upon
CHANGES = 5  # of state among those; people follow that many, and one more is flapping
STEADY = 5  # occurrences in a row with the same result end it

GOOD, BAD = ".", "!"


def went_on(course: str, *, succeeded: bool) -> str:
    """*course* with one more occurrence; empty while no failure is remembered: all was well before."""
    before = course or (GOOD if not succeeded else "")
    after = (before + (GOOD if succeeded else BAD))[-REMEMBERED:]
    return after if BAD in after else ""


def begins(course: str) -> bool:
    """Whether the last occurrence was one change too many."""
    return course[-1:] != course[-2:-1] and changes(course) > CHANGES


def steady(course: str) -> bool:
    """Whether the last occurrences all had the same result."""
    return len(course) < STEADY or len(set(course[-STEADY:])) == 1


def longest_failure(course: str) -> int:
    """The most failures in a row."""
    return max((len(list(run)) for state, run in groupby(course) if state == BAD), default=0)


def changes(course: str) -> int:
    """How often the state changed."""
    return sum(one != other for one, other in pairwise(course))


# The signature of a failure: equal for two failures that a person would call the same.

SIGNATURE_CHARS = 12  # of a hash: enough to tell a task's own failures apart

_STATUS = re.compile(r"(?:http|status|code|answered|returned|error)\W{0,3}([1-5]\d\d)\b")
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


def signature(run: Run, *, task_type: str) -> str:
    """Return a short hash of what failed, without what differs from one failure to the next.

    Digits, ids, hosts and moments do not count; an HTTP status does: 404 after 503 is another failure.
    """
    text = run.summary.lower()
    statuses = " ".join(_STATUS.findall(text))
    words = " ".join(_VOLATILE.sub(" ", text).split())
    reason = run.skip_reason or ""
    whole = "|".join((task_type, run.outcome, reason, statuses, words))
    return hashlib.sha256(whole.encode()).hexdigest()[:SIGNATURE_CHARS]


TOLD_SIGNATURES = 8  # different failures remembered as told; an error that alternates is told once each

FAILURES = frozenset({OutcomeKind.FAILED, OutcomeKind.TIMED_OUT, OutcomeKind.ABANDONED})
TOLD_SKIPS = frozenset({SkipReason.BUDGET, SkipReason.CONFIG})  # will not mend by themselves


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
    told = listening(task, "paused", "failure")
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
        channels=channels(named(told)) if told else (NOBODY,),
        since=task.alert.failing_since,
        failures=task.consecutive_failures,
        priority=task.priority,
        tags=task.tags,
    )


def _failed(task: Task, run: Run, *, now: datetime) -> tuple[Alert, tuple[Notice, ...]]:
    counted = run.outcome in FAILURES
    failures = task.consecutive_failures + counted
    alert = task.alert.model_copy(update={"failing_since": task.alert.failing_since or run.started_at})
    if counted and listening(task, "failure"):
        alert = alert.model_copy(update={"course": went_on(alert.course, succeeded=False)})
        if rules := _that_flaps(task, alert):
            return _flapping(task, run, alert, rules, now=now)
        if alert.flapping and steady(alert.course):  # it is no longer unstable but broken: news
            alert = alert.model_copy(update={"flapping": (), "course": BAD, "signature": ""})
    looks = signature(run, task_type=task.type)
    seen = alert.signature.split()
    # A skip for want of budget or settings is no flicker to be waited out: it reaches every threshold.
    rules = _audible(task, alert, "failure") if counted else listening(task, "failure")
    reached = [rule for rule in rules if not counted or failures >= rule.after]
    due = [rule for rule in reached if looks not in seen or (counted and failures == rule.after)]
    if not due:
        return alert, ()
    notice = _notice(task, run, "failure", named(due), now=now, since=alert.failing_since, failures=failures)
    told = [other for other in seen if other != looks] + [looks]
    update = {"told": True, "signature": " ".join(told[-TOLD_SIGNATURES:])}
    alert = alert.model_copy(update=update | {"told_at": alert.told_at or now, "reminded_at": now})
    return appended(alert, notice), (notice,)


def _succeeded(task: Task, run: Run, *, now: datetime) -> tuple[Alert, tuple[Notice, ...]]:
    alert = _noted_success(task, run)
    failing = alert.failing_since is not None or alert.told
    if not failing and not run.news and task.notify is None and not alert.flapping:
        return alert, ()  # by far the most frequent case
    over = {"failing_since": None, "told": False, "signature": "", "told_at": None, "reminded_at": None}
    if recovered := _that_flaps(task, alert):  # who is told that it changes is told enough
        alert, notices = _flapping(task, run, alert, recovered, now=now)
        alert = alert.model_copy(update=over)
    else:
        recovered = [
            rule
            for rule in _audible(task, alert, "recovery")
            if alert.told and heard(rule, task, task.consecutive_failures)
        ]
        alert, notices = _well_again(task, run, alert, recovered, now=now)
        alert = alert.model_copy(update=over) if failing else alert
    return _content(task, run, alert, notices, recovered, now=now)


def _noted_success(task: Task, run: Run) -> Alert:
    """The alert after a success that nobody needs to hear of."""
    alert = task.alert
    course = went_on(alert.course, succeeded=True)
    awaiting = run.finished_at if task.expect_seconds else None
    if (course, awaiting, False) == (alert.course, alert.awaiting_since, alert.silent):
        return alert
    return alert.model_copy(update={"course": course, "awaiting_since": awaiting, "silent": False})


def _well_again(
    task: Task, run: Run, alert: Alert, recovered: Sequence[NotifyRule], *, now: datetime
) -> tuple[Alert, tuple[Notice, ...]]:
    """Tell of the end of failures, and of the end of flapping."""
    notices: list[Notice] = []
    if recovered:
        since, failures = alert.failing_since, task.consecutive_failures
        notices.append(
            _notice(task, run, "recovery", named(recovered), now=now, since=since, failures=failures)
        )
    if alert.flapping and steady(alert.course):
        notices.append(_notice(task, run, "stable", alert.flapping, now=now))
        alert = alert.model_copy(update={"flapping": (), "course": ""})
    return appended(alert, *notices), tuple(notices)


def _content(
    task: Task,
    run: Run,
    alert: Alert,
    notices: tuple[Notice, ...],
    recovered: Sequence[NotifyRule],
    *,
    now: datetime,
) -> tuple[Alert, tuple[Notice, ...]]:
    """Tell of the success itself, where it is news or somebody asked for it."""
    if run.news:
        readers = listening(task, "news", "success")
        kind: NoticeKind = "news"
    else:  # who is told that the task is back need not be told that it succeeded
        readers = [rule for rule in listening(task, "success") if rule not in recovered]
        kind = "success"
    if not readers:
        return alert, notices
    notice = _notice(task, run, kind, named(readers), now=now)
    return appended(alert, notice), (*notices, notice)


def _that_flaps(task: Task, alert: Alert) -> list[NotifyRule]:
    """Whom to tell that the task changes too often; nobody when it does not, or is known to.

    A rule that waits for longer failures than there were never heard of any, and need not hear of this.
    """
    if alert.flapping or not begins(alert.course):
        return []
    streak = longest_failure(alert.course)
    return [rule for rule in listening(task, "failure", "flapping") if rule.after <= streak]


def _flapping(
    task: Task, run: Run, alert: Alert, rules: Sequence[NotifyRule], *, now: datetime
) -> tuple[Alert, tuple[Notice, ...]]:
    """Tell of one change too many, in place of it."""
    told = named(rules)
    summary = f"Changed {changes(alert.course)} times in {len(alert.course)} runs; last: {run.summary}"
    run = run.model_copy(update={"summary": summary[:SUMMARY_CHARS]})
    notice = _notice(task, run, "flapping", told, now=now)
    quiet = {"flapping": told, "told": False, "signature": "", "told_at": None, "reminded_at": None}
    return appended(alert.model_copy(update=quiet), notice), (notice,)


def _audible(task: Task, alert: Alert, event: NotificationTrigger) -> list[NotifyRule]:
    """The rules that listen to *event* and were not promised quiet until the task is steady."""
    return [rule for rule in listening(task, event) if not set(named([rule])) <= set(alert.flapping)]


def _notice(
    task: Task,
    run: Run,
    kind: NoticeKind,
    names: Sequence[str],
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
        channels=channels(names),
        since=since,
        failures=failures,
        last_good=_last_good(task),
        attempt=run.attempt,
        duration_ms=run.duration_ms,
        next_run_at=task.upcoming if task.upcoming and task.upcoming > now else None,
        items=run.items if kind in ("news", "success") else (),
        priority=task.priority,
        tags=task.tags,
    )


def _last_good(task: Task) -> datetime | None:
    """When *task* last succeeded, by what it keeps of its last outcomes."""
    for compact in reversed(task.recent):
        outcome, _, rest = compact.partition(" ")
        if outcome == OutcomeKind.SUCCEEDED:
            return datetime.fromisoformat(rest.partition(" ")[2])
    return None
