"""`rehearse`, and its lines in `plan`: what alert rules would have sent."""

import pytest

from tests.unit.cli.conftest import Scheduler, WriteTasks


def fail_once(scheduler: Scheduler, write_tasks: WriteTasks) -> None:
    """A task whose only run, against a port where nobody listens, has failed."""
    assert scheduler("apply", write_tasks({"id": "shop", "retry": {"maxAttempts": 1}})).code == 0
    assert scheduler("run", "shop", "--wait").code == 1


@pytest.mark.slow
def test_it_says_what_would_have_been_sent(scheduler: Scheduler, write_tasks: WriteTasks) -> None:
    fail_once(scheduler, write_tasks)

    said = scheduler("rehearse", "shop")
    patient = scheduler("rehearse", "shop", "--notify", '{"on": ["failure"], "after": 2}', "--json")
    all_day = scheduler("rehearse", "shop", "--quiet", "00:00-00:00", "--json")

    assert said.code == 0, said.err
    assert "you would have had 1 message; with the rules as they are 1 (1 run record read)" in said.out
    assert "“shop” failed: " in said.out
    assert (patient.data["messages"], patient.data["present"]) == ([], 1)
    assert (all_day.data["messages"], len(all_day.data["held"])) == ([], 1)


def test_what_is_wrong_is_said(scheduler: Scheduler, write_tasks: WriteTasks) -> None:
    fail_once(scheduler, write_tasks)

    for words, reason in {
        ("rehearse", "shop", "--notify", "{"): "--notify: must be JSON",
        ("rehearse", "shop", "--notify", '[{"on": ["never"]}]'): "notify[0].on[0]",
        ("rehearse", "shop", "--quiet", "night"): "--quiet: must be hours",
        ("rehearse", "shop", "--quiet", "25:00-07:00"): "quiet[0].from",
        ("rehearse", "nothing"): "there is no task 'nothing'",
    }.items():
        refused = scheduler(*words)
        code = 1 if "no task" in reason else 2
        assert (refused.code, reason in refused.err) == (code, True), refused.err


@pytest.mark.slow
def test_a_plan_rehearses_rules_that_change(scheduler: Scheduler, write_tasks: WriteTasks) -> None:
    fail_once(scheduler, write_tasks)
    patient = write_tasks(
        {"id": "shop", "retry": {"maxAttempts": 1}, "notify": [{"on": ["failure"], "after": 3}]}
    )

    planned = scheduler("plan", patient)
    data = scheduler("plan", patient, "--json").data
    other = scheduler("plan", write_tasks({"id": "shop", "retry": {"maxAttempts": 1}, "title": "Other"}))

    assert "shop: In the last day you would have had 0 messages; with the rules as they are 1" in planned.out
    assert data["rehearsals"]["shop"]["present"] == 1
    assert "you would have had" not in other.out
