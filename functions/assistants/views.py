"""Tasks, runs and incidents as an assistant sees them: JSON values, with what others wrote under one name."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol

from functions.assistants.results import MAX_SHOWN_CHARS, UNTRUSTED, BoundedList, bound
from functions.domain.lifecycle.edit import spec_hash
from functions.domain.lifecycle.upcoming import describe_trigger, next_run, preview_task
from functions.domain.run import Run
from functions.domain.schedule.describe import SchedulePreview
from functions.domain.storage import VersionedTask
from functions.domain.task import Task, TaskSpec
from functions.domain.types import format_instant
from functions.interfaces import Store
from functions.services.access.limits import OwnerLimits
from functions.services.rehearsals import RehearsalDependencies, RehearsalReport

NEXT_RUNS = 5
OWN_TEXTS = ("title", "description", "tags", "params", "notify")  # of a task, as its users wrote them


class Dependencies(RehearsalDependencies, Protocol):
    """What the tools need of the scheduler."""

    @property
    def store(self) -> Store: ...

    @property
    def owner_limits(self) -> OwnerLimits: ...

    @property
    def default_timezone(self) -> str: ...

    @property
    def new_id(self) -> Callable[[], str]: ...

    @property
    def redact(self) -> Callable[[str], str]: ...

    async def find_warnings(self, task: Task) -> list[str]: ...


class Views:
    """The views of one scheduler."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._dependencies = dependencies

    def schedule_of(self, task: Task) -> dict[str, Any]:
        """Return what starts *task*, with its next runs."""
        if not task.schedule:
            return {"starts": describe_trigger(task), "nextRuns": []}
        found = preview_task(task, now=self._dependencies.now(), count=NEXT_RUNS)
        return preview_to_json(found)

    def task_in_brief(self, task: Task) -> dict[str, Any]:
        """Return *task* for a list."""
        return {
            "id": task.id,
            "type": task.type,
            "status": task.status,
            "starts": describe_trigger(task),
            "nextRun": instant(next_run(task, now=self._dependencies.now())),
            "lastOutcome": task.last_outcome,
            "lastRunAt": instant(task.last_run_at),
            UNTRUSTED: self._shown(
                {"title": task.title, "tags": task.tags, "lastResult": task.last_result_summary}
            ),
        }

    async def task_in_full(self, stored: VersionedTask) -> dict[str, Any]:
        """Return a task with its definition, revision, next runs and warnings."""
        task = stored.task
        whole = task.model_dump(mode="json", by_alias=True, include=set(TaskSpec.model_fields))
        results = {"lastResult": task.last_result_summary, "lastError": task.last_error}
        pause = task.pause.model_dump(mode="json", by_alias=True) if task.pause else None
        return {
            "id": task.id,
            "revision": spec_hash(task),
            "status": task.status,
            "definition": {name: value for name, value in whole.items() if name not in OWN_TEXTS},
            **self.schedule_of(task),
            "lastOutcome": task.last_outcome,
            "lastRunAt": instant(task.last_run_at),
            "consecutiveFailures": task.consecutive_failures,
            "warnings": await self._dependencies.find_warnings(task),
            UNTRUSTED: self._shown({name: whole[name] for name in OWN_TEXTS} | results | {"pause": pause}),
        }

    def differences(self, before: Task, after: Task) -> list[dict[str, Any]]:
        """Return what differs of what users decide, before and after."""
        old, new = (
            one.model_dump(mode="json", by_alias=True, include=set(TaskSpec.model_fields))
            for one in (before, after)
        )
        changed = [name for name, value in new.items() if value != old[name]]
        share = MAX_SHOWN_CHARS // (2 * len(changed) or 1)
        return [
            {
                "field": name,
                "before": self._shown(old[name], max_chars=share),
                "after": self._shown(new[name], max_chars=share),
            }
            for name in changed
        ]

    def run(self, run: Run) -> dict[str, Any]:
        """Return the record of a run."""
        return {
            "task": run.task_id,
            "occurrence": instant(run.occurrence),
            "finishedAt": instant(run.finished_at),
            "outcome": run.outcome,
            "isFinal": run.final,
            "attempt": run.attempt,
            "trigger": run.trigger,
            UNTRUSTED: self._shown(
                {"summary": run.summary, "metrics": run.metrics, "items": list(run.items)}
            ),
        }

    def open_incident(self, task: Task) -> dict[str, Any]:
        """Return since when *task* fails, and why."""
        return {
            "task": task.id,
            "since": instant(task.alert.failing_since or task.last_run_at),
            "failures": task.consecutive_failures,
            UNTRUSTED: self._shown({"title": task.title, "error": task.last_error}),
        }

    def rehearsal(self, report: RehearsalReport) -> dict[str, Any]:
        """Return what alert rules would have sent, oldest first, as far as it fits."""
        kept = BoundedList()
        for one in report.messages:
            message = {"at": instant(one.at), "channel": one.channel, "kinds": list(one.kinds)}
            if not kept.add(message | {UNTRUSTED: self._shown({"text": one.text})}):
                break
        left = len(report.messages) - len(kept.items)
        return {
            "simulated": True,
            "summary": report.summary(),
            "since": instant(report.since),
            "records": report.records,
            "messages": kept.items,
            "present": report.present,
            "stillHeld": len(report.held),
            "notes": [*report.notes, *([f"{left} messages more do not fit here"] if left else [])],
        }

    def _shown(self, value: Any, *, max_chars: int = MAX_SHOWN_CHARS) -> Any:
        """Return *value*, which others wrote, as an assistant may see it."""
        return bound(value, self._dependencies.redact, max_chars=max_chars)


def preview_to_json(found: SchedulePreview) -> dict[str, Any]:
    """Return a schedule in words, with its next runs and the changes of the clocks."""
    return {
        "starts": found.description,
        "timezone": found.timezone,
        "nextRuns": [{"utc": instant(at), "local": local.isoformat()} for at, local in found.next_runs],
        "clockChanges": [f"{instant(one.instant)}: {one.text}" for one in found.clock_changes],
    }


def instant(at: datetime | None) -> str | None:
    """Return *at* as text in UTC; None for None."""
    return None if at is None else format_instant(at)
