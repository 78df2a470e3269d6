"""Slots of a group: how many, who first, and what a process that died leaves."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from functions.domain.capacity.flow_control import (
    GroupState,
    SlotRequest,
    exchange_slots,
    group_id,
    why_waiting,
)
from functions.domain.task import Group, Task
from tests.conftest import NOON

MakeTask = Callable[..., Task]

EMPTY = GroupState({})
TWO = Group(name="shop-api", max_concurrent=2)
THIRTY = Group(name="shop-api", per_minute=30)


def request(token: str, *, limits: Group = TWO, age_s: float = 0, lease_s: float = 35) -> SlotRequest:
    return SlotRequest(token, NOON + timedelta(seconds=lease_s), NOON - timedelta(seconds=age_s), limits)


def test_the_oldest_goes_first() -> None:
    wanted = [request("new"), request("oldest", age_s=9), request("old", age_s=5)]

    state, refused = exchange_slots(EMPTY, wanted, now=NOON)

    assert {"oldest", "old"} == set(state.holders)
    assert {"new": "It waits for the group shop-api: 2 of 2 run"} == refused


def test_a_younger_one_with_wider_limits_does_not_overtake() -> None:
    """Each slot that an older one waits for would go to it."""
    wide = Group(name="shop-api", max_concurrent=9)
    full, _ = exchange_slots(EMPTY, [request("a"), request("b")], now=NOON)

    state, refused = exchange_slots(full, [request("old", age_s=5), request("young", limits=wide)], now=NOON)

    assert ({"a", "b"}, {"old", "young"}) == (set(state.holders), set(refused))


def test_ended_slots_are_free_in_the_same_exchange() -> None:
    full, _ = exchange_slots(EMPTY, [request("a"), request("b")], now=NOON)

    state, refused = exchange_slots(full, [request("c")], ended=["a"], now=NOON)

    assert ({"b", "c"}, {}) == (set(state.holders), refused)


def test_the_slot_of_a_process_that_died_is_free_when_its_claim_expires() -> None:
    full, _ = exchange_slots(EMPTY, [request("a"), request("b", lease_s=60)], now=NOON)

    _, before = exchange_slots(full, [request("c", lease_s=99)], now=NOON + timedelta(seconds=34))
    after, refused = exchange_slots(full, [request("c", lease_s=99)], now=NOON + timedelta(seconds=35))

    assert (["c"], {}) == (list(before), refused)
    assert {"b", "c"} == set(after.holders)


def test_a_write_without_an_answer_counts_once() -> None:
    once, _ = exchange_slots(EMPTY, [request("a", limits=THIRTY)], now=NOON)

    again, refused = exchange_slots(once, [request("a", limits=THIRTY)], now=NOON)

    assert (once, {}) == (again, refused)


def test_starts_are_counted_by_the_calendar_minute() -> None:
    at = NOON + timedelta(seconds=59)
    many = [request(f"t{n}", limits=THIRTY) for n in range(31)]

    state, refused = exchange_slots(EMPTY, many, now=at)
    ended, _ = exchange_slots(state, [], ended=list(state.holders), now=at)
    _, same = exchange_slots(ended, [request("x", limits=THIRTY)], now=at)
    _, following = exchange_slots(ended, [request("x", limits=THIRTY)], now=at + timedelta(seconds=1))

    assert ["It waits for the group shop-api: 30 of 30 started this minute"] == list(refused.values())
    assert (["x"], []) == (list(same), list(following))


def test_an_attempt_that_never_began_gives_its_start_back() -> None:
    limits = Group(name="shop-api", per_minute=1)
    state, _ = exchange_slots(EMPTY, [request("a", limits=limits)], now=NOON)

    state, refused = exchange_slots(state, [request("b", limits=limits)], unused=["a"], now=NOON)

    assert ({"b"}, 1, {}) == (set(state.holders), state.started, refused)


@pytest.mark.parametrize("data", [{}, {"holders": 3}, {"holders": {"a": "?"}, "started": "x", "minute": 7}])
def test_a_document_that_cannot_be_read_is_an_empty_one(data: dict[str, object]) -> None:
    assert EMPTY == GroupState.from_data(data)


@pytest.mark.slow
@given(
    st.lists(
        st.tuples(
            st.lists(st.tuples(st.integers(0, 30), st.integers(1, 90)), max_size=5),
            st.integers(0, 40),
            st.integers(0, 3),
        ),
        max_size=12,
    )
)
def test_no_more_than_the_limits_ever_run_or_start(
    steps: list[tuple[list[tuple[int, int]], int, int]],
) -> None:
    """Whatever comes, ends or expires: what is stored comes back, and the limits hold."""
    limits = Group(name="g", max_concurrent=3, per_minute=5)
    state, now, number = EMPTY, NOON, 0
    starts: dict[datetime, int] = {}
    for wanted, later, ends in steps:
        now += timedelta(seconds=later)
        requests = []
        for age, lease in wanted:
            number += 1
            due_at = now - timedelta(seconds=age)
            requests.append(SlotRequest(f"t.{number}", now + timedelta(seconds=lease), due_at, limits))
        ended = list(state.holders)[:ends]
        state, refused = exchange_slots(state, requests, ended=ended, now=now)
        admitted = [one for one in requests if one.token not in refused]
        minute = now.replace(second=0, microsecond=0)
        starts[minute] = starts.get(minute, 0) + len(admitted)

        assert state == GroupState.from_data(state.to_data())
        assert (len(state.holders) <= 3, starts[minute] <= 5) == (True, True)
        held_back = [one.due_at for one in requests if one.token in refused]
        assert all(one.due_at <= due_at for one in admitted for due_at in held_back)


def test_each_owner_has_groups_of_its_own(make_task: MakeTask) -> None:
    ids = {group_id(make_task(owner=owner, group=TWO)) for owner in ("", "alice", "bob", "all")}

    assert 4 == len(ids)
    assert "all.shop-api" in ids


def test_a_group_needs_a_limit() -> None:
    with pytest.raises(ValidationError, match="a group needs maxConcurrent, perMinute or both"):
        Group(name="shop-api")


def test_a_name_alone_is_of_task_files(make_task: MakeTask) -> None:
    """The API, and a JSON store that has `groups:` beside its tasks, say what to write."""
    with pytest.raises(ValidationError, match="must be its limits, such as"):
        make_task(group="shop-api")


def test_the_reason_is_said_of_what_is_due_alone(make_task: MakeTask) -> None:
    full, _ = exchange_slots(EMPTY, [request("a"), request("b")], now=NOON)
    due: Task = make_task(group=TWO, next_run_at=NOON)

    assert "It waits for the group shop-api: 2 of 2 run" == str(why_waiting(due, full, now=NOON))
    assert why_waiting(due.model_copy(update={"next_run_at": NOON + timedelta(1)}), full, now=NOON) is None
    assert why_waiting(due, full, now=NOON + timedelta(minutes=2)) is None
    assert why_waiting(due, replace(full, holders={}), now=NOON) is None
