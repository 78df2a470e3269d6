"""What one tick has to say about itself, in under 2 KB."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from functions.domain.run import Run
from functions.domain.storage import OperationCounts
from functions.domain.types import OutcomeKind, SkipReason


@dataclass(slots=True)
class TickReport:
    """The counts of one tick.

    Attributes:
        due: Tasks found due, unreadable ones included.
        started: Attempts started.
        succeeded: Attempts that succeeded.
        failed: Occurrences that ended in failure, a timeout, or with their process.
        retrying: Attempts that failed, or were cut short, and will be made again.
        skipped: Occurrences recorded as skipped.
        postponed: Due tasks left for the next tick, each once: for want of time, slots or parsers, or because
            their owner's account could not be read.
        without_room: Those of the skipped for which ticks had no room.
        unwritten: Results that the store did not take. They are in no other figure: the claims expire, and a
            later tick writes what was recorded of them, or repeats the attempts.
        unclaimed: Those of the lost claims that no other writer was faster with: the store did not take them.
        has_backlog: Whether there were more due tasks than were read; they count as nothing else.
        lost_claims: Tasks that another tick claimed, or a user changed, before this one could.
        handed_off: Messages to workers, about long tasks and about a backlog.
        lost_notices: Notifications that reached nobody and never will.
        publish_failures: Events that could not be published.
        unreadable: Documents that could not be read as tasks.
        oldest_due_at: The earliest moment at which one of the tasks was due; None when none was.
        operations: What the store was asked to do.
    """

    due: int = 0
    started: int = 0
    succeeded: int = 0
    failed: int = 0
    retrying: int = 0
    skipped: int = 0
    postponed: int = 0
    without_room: int = 0
    unwritten: int = 0
    unclaimed: int = 0
    has_backlog: bool = False
    lost_claims: int = 0
    unreadable: int = 0
    handed_off: int = 0
    lost_notices: int = 0
    publish_failures: int = 0
    oldest_due_at: datetime | None = None
    duration_ms: int = 0
    operations: OperationCounts = field(default_factory=OperationCounts)

    def count(self, run: Run) -> None:
        """Add one record to the figures."""
        if run.outcome is OutcomeKind.SKIPPED:
            self.skipped += run.count
            self.without_room += run.count if run.skip_reason is SkipReason.CAPACITY else 0
        elif run.outcome is OutcomeKind.SUCCEEDED:
            self.succeeded += 1
        elif not run.final:
            self.retrying += 1
        elif run.outcome is not OutcomeKind.CANCELLED:
            self.failed += 1

    def as_json(self) -> dict[str, Any]:
        """Return the report as the caller of the function gets it."""
        figures = {
            "status": "degraded" if self.unwritten or self.unclaimed else "ok",
            "due": self.due,
            "started": self.started,
            "succeeded": self.succeeded,
            "failed": self.failed,
            "retrying": self.retrying,
            "skipped": self.skipped,
            "postponed": self.postponed,
            "lostClaims": self.lost_claims,
            "durationMs": self.duration_ms,
            "reads": self.operations.reads,
            "writes": self.operations.writes,
        }
        rare = {
            "unreadable": self.unreadable,
            "unwritten": self.unwritten,
            "unclaimed": self.unclaimed,
            "handedOff": self.handed_off,
            "publishFailures": self.publish_failures,
            "lostNotices": self.lost_notices,
            "backlog": self.has_backlog,
        }
        return figures | {name: number for name, number in rare.items() if number}
