"""Whichever call of the store fails, and however, nothing is lost, doubled, or left without an account."""

from pathlib import Path

import pytest

from tests.harness.chaos.checker.check import judge
from tests.harness.chaos.scenarios.nth_call import KINDS, READS, play

BEYOND = 5  # calls after those of a run without a fault: a fault makes further ones


@pytest.mark.parametrize("kind", KINDS)
def test_the_nth_call_fails(kind: str, tmp_path: Path) -> None:
    _, calls = play(tmp_path / "healthy.db", nth=0, kind=kind)
    by_call = {}
    for nth in range(1, len(calls) + BEYOND):
        history, made = play(tmp_path / f"{nth}.db", nth=nth, kind=kind)
        if violations := judge(history).violations:
            by_call[f"{nth} ({made[nth - 1]})"] = violations

    assert {} == by_call


@pytest.mark.parametrize("kind", ["cut", "lost", "dropped"])
def test_the_nth_call_fails_where_settlements_are_deferred(kind: str, tmp_path: Path) -> None:
    healthy, calls = play(tmp_path / "healthy.db", nth=0, kind=kind, defers=True)
    by_call = {}
    for nth in range(1, len(calls) + BEYOND):
        history, made = play(tmp_path / f"{nth}.db", nth=nth, kind=kind, defers=True)
        if violations := judge(history).violations:
            by_call[f"{nth} ({made[nth - 1]})"] = violations

    assert {} == by_call
    assert sum(run["deferred"] for run in healthy.runs) >= 2


def test_a_run_without_a_fault_makes_every_kind_of_call(tmp_path: Path) -> None:
    """Else failing "every call" would say little."""
    history, calls = play(tmp_path / "healthy.db", nth=0, kind="cut")

    assert (
        {"fetch_due", "write", "write_with_runs"}
        <= set(calls)
        <= {"fetch_due", "write", "write_with_runs", *READS}
    )
    assert [] == judge(history).violations
    assert {"well", "once", "ill-at-first", "ill", "each"} == {call.task for call in history.calls}
