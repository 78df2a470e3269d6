"""A worker's share of the tasks, as it is written into a message and read from it."""

import json
from typing import Any

import pytest

from functions.domain.sharding import MAX_TASKS, SHARDS, WorkerAssignment, parse_assignment, split
from functions.errors import InputError

LAST = SHARDS - 1


@pytest.mark.parametrize(
    "assignment",
    [
        WorkerAssignment(),
        WorkerAssignment((0, 0)),
        WorkerAssignment((5, LAST), part=3),
        WorkerAssignment(tasks=("a", "b")),
        WorkerAssignment(tasks=tuple(f"t{n}" for n in range(MAX_TASKS)), part=1),
    ],
)
def test_an_assignment_is_read_as_it_was_written(assignment: WorkerAssignment) -> None:
    assert assignment == parse_assignment(json.dumps(assignment.to_json()).encode())


@pytest.mark.parametrize("body", [b"", b" ", b"{}"])
def test_without_a_share_it_is_all_tasks(body: bytes) -> None:
    assert parse_assignment(body).is_unrestricted


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ([], "body"),
        ({"shard": [0, 1]}, "body"),
        ({"shards": [0, 1], "tasks": ["a"]}, "shards, tasks"),
        *(
            ({"shards": one}, "shards")
            for one in ([], [0], [0, 1, 2], [-1, 1], [2, 1], [0, SHARDS], [0, True])
        ),
        *(({"tasks": one}, "tasks") for one in ([], "a", [1], ["a", None], ["a"] * (MAX_TASKS + 1))),
        *(({"part": one}, "part") for one in (-1, 1.0, True, "1", 1_000_000)),
    ],
)
def test_what_is_no_assignment_is_refused_by_its_field(given: Any, field: str) -> None:
    with pytest.raises(InputError, match=f"^{field}: "):
        parse_assignment(json.dumps(given).encode())


@pytest.mark.parametrize("count", [1, 3, SHARDS, SHARDS + 9])
def test_shares_cover_each_shard_once(count: int) -> None:
    shares = [range(one.shards[0], one.shards[1] + 1) for one in split(count)]

    assert list(range(SHARDS)) == [shard for share in shares for shard in share]
    assert min(count, SHARDS) == len(shares)
