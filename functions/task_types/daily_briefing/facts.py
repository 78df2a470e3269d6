"""The facts of a briefing: pure functions that count runs and select tasks."""

import heapq
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from functions.domain.run import Run
from functions.domain.task import Task
from functions.domain.types import OutcomeKind, Status

MAX_SLOWEST = 3
_FAILED_OUTCOMES = frozenset({OutcomeKind.FAILED, OutcomeKind.TIMED_OUT, OutcomeKind.ABANDONED})
_UPCOMING_STATUSES = frozenset({Status.SCHEDULED, Status.RETRYING, Status.RUNNING})


@dataclass(frozen=True, slots=True)
class FailingTask:
    """A task whose last occurrence failed, or whose success is overdue. *since* is None when unknown."""

    task_id: str
    title: str
    failures: int
    since: datetime | None
    error: str


@dataclass(frozen=True, slots=True)
class PausedTask:
    """A task that does not run until a user acts; *by_user* when a user paused it."""

    title: str
    status: Status
    note: str
    by_user: bool


@dataclass(frozen=True, slots=True)
class NewItems:
    """New items that a task found: how many, and the titles that its runs hold."""

    title: str
    count: int
    headlines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BriefingFacts:
    """Everything in a briefing, about runs that finished from *since* until just before *now*.

    Attributes:
        succeeded: Occurrences, like failed and cancelled; attempts that were retried count as retries.
        skipped: Occurrences by reason, the most frequent first.
        recovered: Titles of tasks that failed in this period, or at the last briefing, and succeed now.
        slowest: Titles and durations in ms, each task's longest attempt, the slowest first.
        upcoming: The next instants and titles, soonest first.
    """

    since: datetime
    now: datetime
    succeeded: int
    failed: int
    cancelled: int
    retries: int
    skipped: tuple[tuple[str, int], ...]
    failing: tuple[FailingTask, ...]
    recovered: tuple[str, ...]
    paused: tuple[PausedTask, ...]
    new_items: tuple[NewItems, ...]
    slowest: tuple[tuple[str, int], ...]
    upcoming: tuple[tuple[datetime, str], ...]

    @property
    def runs(self) -> int:
        """Occurrences that were attempted and are over."""
        return self.succeeded + self.failed + self.cancelled


def collect_facts(
    tasks: Iterable[Task],
    runs: Iterable[Run],
    *,
    since: datetime,
    now: datetime,
    previously_failing: Collection[str] = (),
    max_next: int = 5,
) -> BriefingFacts:
    """Return the facts of *tasks* and *runs*.

    Args:
        previously_failing: Ids of the tasks that failed at the last briefing; some may have recovered.
        max_next: How many next runs to list.
    """
    known = {task.id: task for task in tasks}
    in_period = sorted((run for run in runs if since <= run.finished_at < now), key=_finish_order)
    attempts = [run for run in in_period if run.outcome is not OutcomeKind.SKIPPED]
    finished = Counter(run.outcome for run in attempts if run.final)
    failed_ids = {run.task_id for run in attempts if run.final and run.outcome in _FAILED_OUTCOMES}
    return BriefingFacts(
        since=since,
        now=now,
        succeeded=finished[OutcomeKind.SUCCEEDED],
        failed=sum(finished[kind] for kind in _FAILED_OUTCOMES),
        cancelled=finished[OutcomeKind.CANCELLED],
        retries=sum(not run.final for run in attempts),
        skipped=_count_skipped(in_period),
        failing=_find_failing(known.values(), since=since),
        recovered=_find_recovered(known, failed_ids | set(previously_failing)),
        paused=_find_paused(known.values()),
        new_items=_collect_new_items(attempts, known),
        slowest=_find_slowest(attempts, known),
        upcoming=_find_upcoming(known.values(), max_next),
    )


def _finish_order(run: Run) -> tuple[datetime, str]:
    return run.finished_at, run.task_id


def _count_skipped(runs: Iterable[Run]) -> tuple[tuple[str, int], ...]:
    counts: Counter[str] = Counter()
    for run in runs:
        if run.outcome is OutcomeKind.SKIPPED:
            counts[run.skip_reason or "unknown"] += run.count
    return tuple(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))


def _find_failing(tasks: Iterable[Task], *, since: datetime) -> tuple[FailingTask, ...]:
    """Return failing tasks, longest first; a task that has ended only in the period it ended in."""
    failing = (
        FailingTask(task.id, task.title, task.consecutive_failures, task.alert.failing_since, task.last_error)
        for task in tasks
        if task.is_failing
        and (
            task.status in _UPCOMING_STATUSES
            or (task.status is Status.ENDED and task.last_run_at is not None and task.last_run_at >= since)
        )
    )
    latest = datetime.max.replace(tzinfo=UTC)
    return tuple(sorted(failing, key=lambda one: (one.since or latest, one.title)))


def _find_recovered(known: dict[str, Task], previously_failing: Iterable[str]) -> tuple[str, ...]:
    tasks = (known[task_id] for task_id in previously_failing if task_id in known)
    return tuple(
        sorted(
            task.title for task in tasks if not task.is_failing and task.last_outcome is OutcomeKind.SUCCEEDED
        )
    )


def _find_paused(tasks: Iterable[Task]) -> tuple[PausedTask, ...]:
    """Return tasks that the scheduler stopped, then those that users paused."""
    paused = []
    for task in tasks:
        if task.status is Status.QUARANTINED:
            note = (task.pause.note if task.pause else "") or task.last_error
            paused.append(PausedTask(task.title, task.status, note, by_user=False))
        elif task.status is Status.PAUSED:
            note = task.pause.note if task.pause else ""
            by_user = task.pause is None or task.pause.by != "scheduler"
            paused.append(PausedTask(task.title, task.status, note, by_user=by_user))
    return tuple(sorted(paused, key=lambda one: (one.by_user, one.title)))


def _collect_new_items(attempts: Iterable[Run], known: dict[str, Task]) -> tuple[NewItems, ...]:
    counts: Counter[str] = Counter()
    headlines: defaultdict[str, list[str]] = defaultdict(list)
    for run in attempts:
        if run.has_news:
            new = run.metrics.get("new")
            counts[run.task_id] += new if isinstance(new, int) else max(1, len(run.items))
            headlines[run.task_id] += [item["title"] for item in run.items if item.get("title")]
    return tuple(
        NewItems(_title_of(task_id, known), count, tuple(headlines[task_id]))
        for task_id, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    )


def _find_slowest(attempts: Iterable[Run], known: dict[str, Task]) -> tuple[tuple[str, int], ...]:
    longest: dict[str, int] = {}
    for run in attempts:
        longest[run.task_id] = max(longest.get(run.task_id, 0), run.duration_ms)
    slowest = heapq.nsmallest(MAX_SLOWEST, longest.items(), key=lambda pair: (-pair[1], pair[0]))
    return tuple((_title_of(task_id, known), duration) for task_id, duration in slowest)


def _find_upcoming(tasks: Iterable[Task], limit: int) -> tuple[tuple[datetime, str], ...]:
    """Return the next runs, soonest first.

    `next_run_at` alone is not enough: it may be the expiry of a claim or a late notification.
    """
    upcoming: list[tuple[datetime, str]] = []
    for task in tasks:
        at = task.retry_at if task.status is Status.RETRYING else task.next_occurrence
        at = at or task.next_run_at
        if at is not None and task.status in _UPCOMING_STATUSES:
            upcoming.append((at, task.title))
    return tuple(heapq.nsmallest(limit, upcoming))


def _title_of(task_id: str, known: dict[str, Task]) -> str:
    return known[task_id].title if task_id in known else task_id  # the task was removed meanwhile
