"""A task that changes too often is told of once, then is quiet, and is told of when it is steady."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from functions.domain.alerts.decide import (
    append_outcome,
    decide_notifications,
    is_stable,
    is_starting,
    longest_failure,
)
from functions.domain.alerts.outbox import DeliveryAttempt, after_attempt
from functions.domain.run import Run
from functions.domain.task import Task

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)

MakeTask = Callable[..., Task]


def told(task: Task, course: str, **changes: Any) -> tuple[Task, str]:
    """Let *task* live through *course*; return the first letters of what was told, `-` for nothing."""
    letters = ""
    for number, state in enumerate(course):
        at = NOON + number * MINUTE
        run = Run(
            task_id=task.id,
            occurrence=at,
            attempt=1,
            outcome="succeeded" if state == "." else "failed",
            summary="Answered",
            started_at=at,
            finished_at=at,
            **changes,
        )
        alert, new = decide_notifications(task, run, now=at)
        letters += "+".join(notice.kind[:4] for notice in new).replace("reco", "R") or "-"
        alert, _ = after_attempt(alert, [DeliveryAttempt()] * len(alert.pending), now=at)
        failures = 0 if state == "." else task.consecutive_failures + 1
        task = task.model_copy(update={"alert": alert, "consecutive_failures": failures})
    return task, letters.replace("fail", "F").replace("flap", "X").replace("stab", "S").replace("news", "N")


@pytest.mark.parametrize(
    ("course", "expected"),
    [
        ("..!.!.!.!.!.", "--FRFRFX----"),  # the sixth change is the last one told
        ("!.!.!.....", "FRFRFX---S"),
        ("!.!.!.!!!!!.", "FRFRFX----FR"),  # steady in failing is a failure, told as one
        ("!.!.!......!.", "FRFRFX---S-FR"),  # what was before it was steady does not count
        ("!" * 30 + "." * 30, "F" + "-" * 29 + "R" + "-" * 29),
        ("!." + "." * 8 + "!.!.!", "FR" + "-" * 8 + "FRFX-"),
        ("!." + "." * 19 + "!.!.!", "FR" + "-" * 19 + "FRFRF"),  # the first change is forgotten by then
    ],
)
def test_one_word_too_many_changes_and_one_when_it_is_over(
    course: str, expected: str, make_task: MakeTask
) -> None:
    assert expected == told(make_task(), course)[1]


def test_news_is_told_while_a_task_flaps(make_task: MakeTask) -> None:
    task, _ = told(make_task(), "!.!.!.")

    assert "N" == told(task, ".", has_news=True)[1]


def test_rule_that_waits_for_longer_failures_is_not_told_of_short_ones(make_task: MakeTask) -> None:
    patient = make_task(notify=[{"on": ["failure", "recovery"], "after": 2}])

    assert "-" * 12 == told(patient, "!.!.!.!.!.!.")[1]
    assert "-FR-FR-FX" == told(patient, "!!.!!.!!.")[1]


def test_who_was_not_promised_quiet_hears_of_what_lasts(make_task: MakeTask) -> None:
    rules = [
        {"on": ["failure", "recovery"], "channels": ["chat"]},
        {"on": ["failure", "recovery"], "channels": ["pager"], "after": 3},
    ]
    task, _ = told(make_task(notify=rules), "!.!.!.")

    after, letters = told(task, "!!!")

    assert ("--F", ("chat",)) == (letters, after.alert.flapping)
    assert "R" == told(after, ".")[1]
    assert "-F" == told(after, "!!")[1]  # of what is broken for good all hear, as of something new


def test_task_that_flaps_forgets_nothing_when_its_settings_are_missing(make_task: MakeTask) -> None:
    """A skip that only a person can mend is told, whatever was promised."""
    task, _ = told(make_task(), "!.!.!.")
    skip = Run(
        task_id=task.id,
        occurrence=NOON,
        attempt=0,
        outcome="skipped",
        skip_reason="config",
        summary="No key",
        started_at=NOON,
        finished_at=NOON,
    )

    _, new = decide_notifications(task, skip, now=NOON)

    assert ["failure"] == [notice.kind for notice in new]


def test_quiet_is_for_those_who_were_told_and_ends_there(make_task: MakeTask) -> None:
    task, _ = told(make_task(), "!.!.!.")
    _, new = decide_notifications(task, _fine(), now=NOON)

    calm, letters = told(task, "....")

    assert (("default",), (), "---S") == (task.alert.flapping, calm.alert.flapping, letters)
    assert () == new


def _fine() -> Run:
    return Run(
        task_id="water-plants",
        occurrence=NOON,
        attempt=1,
        outcome="succeeded",
        started_at=NOON,
        finished_at=NOON,
    )


def test_course_is_remembered_only_while_it_holds_a_failure() -> None:
    course = append_outcome(append_outcome("", succeeded=True), succeeded=False)
    for _ in range(20):
        last, course = course, append_outcome(course, succeeded=True)

    assert (".!", "!" + "." * 19, "") == (append_outcome("", succeeded=False), last, course)


def test_figures_of_a_course() -> None:
    assert (True, False, False) == (is_starting(".!.!.!."), is_starting(".!.!.!.."), is_starting(".!.!.!"))
    assert (True, False) == (is_stable("!....."), is_stable("!...."[:5]))
    assert (3, 0) == (longest_failure(".!!!.!"), longest_failure("..."))
