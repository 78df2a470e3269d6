"""`groups:` of a task file: limits that are written once, and what is wrong with them."""

import json
from pathlib import Path

import pytest

from functions.domain.task import Group
from functions.taskfiles.loader import read_task_files

TASK = '{id: a, type: http, schedule: hourly, params: {url: "https://example.com/"}, group: %s}'


def write(folder: Path, groups: str, group: str) -> Path:
    file = folder / "tasks.yaml"
    file.write_text(f"{groups}\ntasks:\n  - {TASK % group}\n")
    return file


@pytest.mark.parametrize(
    ("groups", "group"),
    [
        ("groups:\n  shop: {maxConcurrent: 2, perMinute: 30}", "shop"),
        ("", "{name: shop, maxConcurrent: 2, perMinute: 30}"),
    ],
)
def test_limits_stand_once_or_in_the_task(tmp_path: Path, groups: str, group: str) -> None:
    found = read_task_files([write(tmp_path, groups, group)])

    assert ((), Group(name="shop", max_concurrent=2, per_minute=30)) == (found.problems, found.specs[0].group)


def test_json_has_groups_as_well(tmp_path: Path) -> None:
    task = {"id": "a", "type": "daily_briefing", "schedule": "hourly", "group": "shop"}
    file = tmp_path / "tasks.json"
    file.write_text(json.dumps({"groups": {"shop": {"perMinute": 3}}, "tasks": [task]}))

    assert Group(name="shop", per_minute=3) == read_task_files([file]).specs[0].group


@pytest.mark.parametrize(
    ("groups", "group", "field", "says"),
    [
        (
            "groups: {shop: {maxConcurrent: 2}}",
            "shoop",
            "group",
            "a group needs maxConcurrent, perMinute or both",
        ),
        (
            "groups: {shop: {maxConcurent: 2}}",
            "shop",
            "groups.shop.maxConcurent",
            "did you mean maxConcurrent?",
        ),
        ("groups: {shop: {maxConcurrent: 0}}", "shop", "groups.shop.maxConcurrent", "1"),
        ("groups: {Shop: {maxConcurrent: 2}}", "Shop", "groups.Shop.name", ""),
        ("groups: {shop: 2}", "shop", "groups.shop", "must be limits, such as {maxConcurrent: 2"),
        ("groups: [shop]", "shop", "groups", "must be a mapping of names to limits"),
    ],
)
def test_what_is_wrong_with_groups_is_named(
    tmp_path: Path, groups: str, group: str, field: str, says: str
) -> None:
    found = read_task_files([write(tmp_path, groups, group)])

    problems = {one.field: one for one in found.problems}
    assert field in problems, found.problems
    assert says in problems[field].reason
    assert problems[field].line is not None
