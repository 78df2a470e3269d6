"""`publish_event`: what is sent, that each try sends the same, and what is refused."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from functions.domain.task import Job
from functions.errors import InputError
from functions.task_types.registry import check_params, perform
from tests.unit.task_types.conftest import tools_with

PARAMS: dict[str, Any] = {"eventType": "order.paid", "data": {"total": 12, "lines": ["ü"]}, "to": "pack"}


async def test_the_event_goes_with_the_outcome(make_job: Callable[..., Job]) -> None:
    job = make_job("publish_event", PARAMS)

    outcome = await perform(job, tools_with())

    [event] = outcome.events
    assert "Sent order.paid to pack" == outcome.summary
    assert (job.idempotency_key, "order.paid", job.task_id) == (event.id, event.type, event.source)
    assert ({"total": 12, "lines": ["ü"]}, "pack") == (event.data, event.to)


async def test_a_further_try_sends_the_same_event(make_job: Callable[..., Job]) -> None:
    job = make_job("publish_event", PARAMS)

    first = await perform(job, tools_with())
    second = await perform(replace(job, attempt=2), tools_with())

    assert first.events[0].mark == second.events[0].mark


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"eventType": "cronfire.run.finished"}, "params.eventType: must not begin with cronfire."),
        ({"eventType": "Order paid"}, "params.eventType"),
        ({"data": {"x": "y" * 5000}}, "params.data: must be at most 4096 bytes as JSON"),
        ({"data": {"x": "{{secret:TOKEN}}"}}, "params.data"),
        ({"to": "No Task"}, "params.to"),
    ],
)
def test_what_cannot_be_sent_is_refused_by_name(changes: dict[str, Any], fault: str) -> None:
    with pytest.raises(InputError, match=fault):
        check_params("publish_event", PARAMS | changes)
