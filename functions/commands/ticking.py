"""The command `tick`: one tick in this process, and how everything in it went."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from functions.commands.looking import run_table
from functions.commands.screen import Screen
from functions.commands.session import Session
from functions.rules.hours import Budget
from functions.rules.outcome import Run

NO_LIMIT = Budget(stop_starting=None, answer_by=None)  # nobody waits for the answer but the one who asked
SHOWN = 200
FIGURES = ("due", "started", "succeeded", "failed", "retrying", "skipped", "left", "taken", "broken")
FAULTY = ("failed", "retrying", "broken")


async def tick(session: Session) -> int:
    """Run what is due, once; 1 when an attempt failed or a task could not be read."""
    started_at = session.now()
    with session.screen.working("What is due is run"):
        report = await session.wired.tick(NO_LIMIT)
    runs = await session.store.runs(since=started_at, limit=SHOWN)
    session.screen.answer(report, _lines(session.screen, report, list(reversed(runs))))
    return 1 if any(report.get(name) for name in FAULTY) else 0


def sentence(report: Mapping[str, Any]) -> str:
    """A tick's report in one line: what is zero goes without saying, but for what is due."""
    figures = [f"{report[name]} {name}" for name in FIGURES if report.get(name) or name == "due"]
    return f"{', '.join(figures)}; {report.get('durationMs', 0) / 1000:.2f} s"


def _lines(screen: Screen, report: Mapping[str, Any], runs: Sequence[Run]) -> Iterator[str]:
    if runs:
        yield from run_table(screen, runs)
        yield ""
    yield f"Tick: {sentence(report)}"
