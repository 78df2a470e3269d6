"""The counters of one process, summed from the reports of its ticks and workers.

Apart from `exposition`, whose library no tick loads.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

CONTENT_TYPE = "text/plain; version=0.0.4"  # of the text that `exposition` makes of them


@dataclass(slots=True)
class Metrics:
    """The counters of one process.

    Attributes:
        report_totals: The sums of all reports, by field.
        invocations: Finished ticks and workers.
        unfinished: Ticks and workers ended by a store error or a timeout.
        heartbeats_missed: Failed requests to the outside monitor.
        last_tick_at: When the last tick or worker ended.
    """

    report_totals: Counter[str] = field(default_factory=Counter)
    invocations: Counter[str] = field(default_factory=Counter)
    unfinished: int = 0
    heartbeats_missed: int = 0
    last_tick_at: datetime | None = None

    def add_report(self, kind: str, report: Mapping[str, object], *, at: datetime) -> None:
        """Add the *report* of a `tick` or a `work` that ended *at*."""
        self.invocations[kind] += 1
        self.report_totals.update({name: value for name, value in report.items() if isinstance(value, int)})
        self.last_tick_at = at
