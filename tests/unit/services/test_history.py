"""History, whole: whatever pages it comes in, nothing is missing and nothing is there twice."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.domain.run import Run
from functions.domain.types import OutcomeKind
from functions.services.history import all_runs
from tests.conftest import NOON


def run_at(number: int, seconds: float) -> Run:
    """A record; all records of one second finished at the very same moment."""
    at = NOON + timedelta(seconds=seconds)
    return Run(
        task_id=f"t{number}",
        occurrence=NOON,
        attempt=1,
        token=f"a.{number}",
        outcome=OutcomeKind.SUCCEEDED,
        started_at=at,
        finished_at=at,
    )


class Ledger:
    """Gives pages as every store does."""

    def __init__(self, runs: list[Run]) -> None:
        self._runs = sorted(runs, key=lambda run: run.finished_at, reverse=True)

    async def runs(
        self,
        *,
        task_id: str | None = None,
        since: datetime | None = None,
        before: datetime | None = None,
        limit: int = 100,
    ) -> list[Run]:
        return [
            run
            for run in self._runs
            if (task_id is None or run.task_id == task_id)
            and (since is None or run.finished_at >= since)
            and (before is None or run.finished_at < before)
        ][:limit]


@given(st.lists(st.integers(0, 5), max_size=40), st.integers(1, 7))
async def test_every_record_comes_once_whatever_the_pages(seconds: list[int], page: int) -> None:
    runs = [run_at(number, second) for number, second in enumerate(seconds)]

    found = [run async for run in all_runs(Ledger(runs), page=page)]

    assert sorted(run.key for run in runs) == sorted(run.key for run in found)
    assert sorted((run.finished_at for run in runs), reverse=True) == [run.finished_at for run in found]


@pytest.mark.parametrize("many", [10, 25])
async def test_one_moment_may_fill_more_than_a_page(many: int) -> None:
    runs = [run_at(number, 3) for number in range(many)] + [run_at(99, 1)]

    found = [run async for run in all_runs(Ledger(runs), page=10)]

    assert many + 1 == len({run.key for run in found}) == len(found)


async def test_the_span_is_kept() -> None:
    runs = [run_at(number, number) for number in range(9)]
    bound: Callable[[int], datetime] = lambda second: NOON + timedelta(seconds=second)  # noqa: E731  # a name for it

    found = [run async for run in all_runs(Ledger(runs), since=bound(2), before=bound(6), page=2)]

    assert ["t5", "t4", "t3", "t2"] == [run.task_id for run in found]
