"""Thousands of late tasks after an outage, and what is on time beside them: real HTTP, all defaults."""

from datetime import timedelta

import pytest

from tests.integration.engine.conftest import Installation

LATE = timedelta(minutes=30)


@pytest.mark.parametrize("many", [6_000, pytest.param(50_000, marks=pytest.mark.slow)])
async def test_late_work_does_not_hide_urgent_work_and_is_reported(
    installation: Installation, many: int
) -> None:
    """Each tick used to take the same 1,000 late tasks, and to stop there: the urgent ones had to wait."""
    due = installation.now().replace(second=0, microsecond=0) - LATE
    late = {"next_occurrence": due, "next_run_at": due}
    names = [f"late{n:05}" for n in range(many)]
    for start in range(0, many, 1000):
        some = names[start : start + 1000]
        await installation.put_all(some, path="late/0.2", schedule="@yearly", state=late)
    await installation.put_all([f"urgent{n}" for n in range(5)], path="urgent/0.01", priority="urgent")
    if many < 8_000:  # as many as a tick looks at
        await installation.put_all([f"z{n}" for n in range(5)], path="as-late/0.01", state=late)

    reports = [await installation.tick()]
    installation.pass_time(timedelta(minutes=1))
    reports.append(await installation.tick())

    assert 10 == installation.calls["/urgent/0.01"]
    assert many >= 8_000 or 10 == installation.calls["/as-late/0.01"]  # of every minute, since the outage
    # What is left for the next tick is said; a fast machine leaves nothing for a third.
    assert reports[0].get("backlog") or reports[0]["postponed"] > 1000
    assert all(report["due"] == report["started"] + report["postponed"] for report in reports)
    assert all(report["succeeded"] > 50 for report in reports)  # how fast is for the bench to say
    assert all(report["reads"] < 12_000 for report in reports)
