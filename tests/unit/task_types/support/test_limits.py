"""Limits: whatever a type hands back, the outcome is one that every store can keep."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from functions.domain.run import Outcome, failed, succeeded
from functions.domain.types import OutcomeKind
from functions.task_types.support.limits import MAX_MEMORY_BYTES, clamp_outcome


def limited(given: object) -> Outcome:
    return clamp_outcome(given, task_type="odd")


@pytest.mark.parametrize("given", [None, True, "done", {"summary": "done"}, Outcome("done", "x")])  # type: ignore[arg-type]  # on purpose
def test_what_is_no_outcome_is_a_failure(given: object) -> None:
    outcome = limited(given)

    assert (OutcomeKind.FAILED, True) == (outcome.kind, outcome.permanent)
    assert outcome.summary.startswith("The task type odd returned ")


@pytest.mark.parametrize("kind", [OutcomeKind.SKIPPED, OutcomeKind.ABANDONED, OutcomeKind.CANCELLED])
def test_what_a_tick_alone_makes_of_an_attempt_is_a_failure(kind: OutcomeKind) -> None:
    assert (OutcomeKind.FAILED, True) == (
        limited(Outcome(kind, "x")).kind,
        limited(Outcome(kind, "x")).permanent,
    )


def test_what_is_true_is_stored_as_true() -> None:
    """A run record refuses any other value, and with it the tick would end."""
    given = Outcome(OutcomeKind.FAILED, "x", permanent="never", has_news=5)  # type: ignore[arg-type]  # on purpose

    assert (True, True) == (limited(given).permanent, limited(given).has_news)


def test_an_ordinary_outcome_is_left_as_it_is() -> None:
    given = succeeded(
        "Answered 200",
        metrics={"latencyMs": 4, "ok": True, "share": 0.5, "word": "x", "none": None},
        items=({"title": "A", "url": "https://a.example/", "text": "t"},),
        memory={"seen": ["a"], "n": {"m": 1}},
        has_news=True,
    )

    assert given == limited(given)


def test_long_texts_are_cut() -> None:
    item = {"title": "t" * 999, "url": "https://a.example/", "text": "x" * 999, "extra": "no"}

    outcome = limited(succeeded("s" * 999, items=(item,), metrics={"word": "w" * 999}))

    assert 400 == len(outcome.summary)
    assert outcome.summary.endswith("…")
    assert (200, 500) == (len(outcome.items[0]["title"]), len(outcome.items[0]["text"]))
    assert {"title", "url", "text"} == outcome.items[0].keys()
    assert 300 == len(outcome.metrics["word"])


def test_items_and_metrics_are_counted() -> None:
    items = tuple({"title": str(number)} for number in range(50))

    outcome = limited(succeeded("ok", items=items, metrics={str(number): number for number in range(50)}))

    assert (20, 20) == (len(outcome.items), len(outcome.metrics))


def test_half_a_link_is_no_link() -> None:
    outcome = limited(succeeded("ok", items=({"title": "A", "url": "https://a.example/" + "x" * 2048},)))

    assert ({"title": "A"},) == outcome.items


@pytest.mark.parametrize("value", [[1], {"a": 1}, object(), float("nan"), float("inf"), 2**63, b"x"])
def test_a_metric_that_is_no_small_scalar_is_left_out(value: object) -> None:
    assert {"kept": 1} == limited(succeeded("ok", metrics={"odd": value, "kept": 1})).metrics


@pytest.mark.parametrize("items", ["text", 7, (7, None, {}, {"other": "x"})])
def test_items_that_are_none_are_left_out(items: Any) -> None:
    assert () == limited(succeeded("ok", items=items)).items


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (timedelta(seconds=5), timedelta(seconds=5)),
        (timedelta.max, timedelta(days=366)),
        (5, timedelta(seconds=5)),
        (0.5, timedelta(seconds=0.5)),
        (-5, timedelta()),
        (float("inf"), timedelta(days=366)),
        (10**400, timedelta(days=366)),
    ],
)
def test_a_wait_is_a_span_or_seconds(given: Any, kept: timedelta) -> None:
    outcome = limited(failed("no", retry_after=given))

    assert (kept, "no") == (outcome.retry_after, outcome.summary)


@pytest.mark.parametrize("given", ["5", True, float("nan"), datetime(2026, 11, 20, tzinfo=UTC)])
def test_a_wait_that_is_none_is_named(given: Any) -> None:
    outcome = limited(failed("no", retry_after=given))

    assert outcome.retry_after is None
    assert f"no (its retry_after is no timedelta but a {type(given).__name__})" == outcome.summary


@pytest.mark.parametrize(
    ("memory", "reason"),
    [
        ({"big": "x" * MAX_MEMORY_BYTES}, "it has 65547 bytes"),
        ({"big": "é" * (MAX_MEMORY_BYTES // 2)}, "it has 65547 bytes"),
        ({"odd": object()}, "Object of type object is not"),
        ({"odd": float("nan")}, "Out of range float values"),
        ({"odd": {1, 2}}, "Object of type set is not"),
        ({"odd": "\ud800"}, "a text has half of a character"),
        ({"deep": json.loads("[" * 100 + "]" * 100)}, "is nested more than 100 levels"),
        (["not", "an", "object"], "it is a list"),
    ],
)
def test_memory_no_store_can_keep_is_a_failure(memory: Any, reason: str) -> None:
    """Going on from stale notes in silence would be worse."""
    outcome = limited(succeeded("ok", memory=memory, metrics={"latencyMs": 4}, has_news=True))

    assert (OutcomeKind.FAILED, True, None) == (outcome.kind, outcome.permanent, outcome.memory)
    assert {"latencyMs": 4} == outcome.metrics
    assert "memory" in outcome.summary
    assert f"was not kept: {reason}" in outcome.summary


def test_memory_is_kept_as_it_will_be_read_back() -> None:
    assert {"1": [1, 2]} == limited(succeeded("ok", memory={1: (1, 2)})).memory  # type: ignore[dict-item]  # on purpose


def test_texts_are_always_utf8() -> None:
    outcome = limited(
        succeeded("half \ud800", items=({"title": "half \udfff"},), metrics={"word": "half \ud800"})
    )

    assert ["half ?"] * 3 == [outcome.summary, outcome.items[0]["title"], outcome.metrics["word"]]
