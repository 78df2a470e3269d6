"""Filters and sorts of the local Bitable: the vendor's operators, with the traps its guide tells of."""

import json
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.fakes.bitable import FakeBitable, Limits, Table
from tests.fakes.bitable_client import Client
from tests.support.clock import Clock

SHANGHAI = ZoneInfo("Asia/Shanghai")
EVENING = datetime(2026, 11, 20, 20, 0, tzinfo=SHANGHAI)  # noon, in UTC


def where(field: str, operator: str, *value: str) -> dict[str, Any]:
    """A filter of one condition."""
    return {"conjunction": "and", "conditions": [condition(field, operator, *value)]}


def condition(field: str, operator: str, *value: str) -> dict[str, Any]:
    return {"field_name": field, "operator": operator, "value": list(value)}


@pytest.mark.parametrize(
    ("operator", "value", "found"),
    [
        ("is", ["5"], ["five"]),
        ("is", ["5.0"], ["five"]),
        ("isNot", ["5"], ["four", "six", "none"]),
        ("isGreater", ["5"], ["six"]),
        ("isGreaterEqual", ["5"], ["five", "six"]),
        ("isLess", ["5"], ["four"]),
        ("isLessEqual", ["5"], ["four", "five"]),
        ("isEmpty", [], ["none"]),
        ("isNotEmpty", [], ["four", "five", "six"]),
    ],
)
async def test_numbers_are_compared(
    table: Table, client: Client, operator: str, value: list[str], found: list[str]
) -> None:
    """What is due is asked of a number; a row without one is never due."""
    for name, number in (("four", 4), ("five", 5), ("six", 6)):
        table.add_row({"Task": name, "Next": number})
    table.add_row({"Task": "none"})

    assert found == await client.found(table, "Task", filter=where("Next", operator, *value))


@pytest.mark.parametrize(
    ("field", "operator", "value", "found"),
    [
        ("Task", "is", ["ab"], ["ab"]),
        ("Task", "isNot", ["ab"], ["xaby", ""]),
        ("Task", "contains", ["AB"], ["ab", "xaby"]),
        ("Task", "doesNotContain", ["ab"], [""]),
        ("State", "is", ["waits"], ["ab"]),
        ("State", "isNot", ["waits"], ["xaby", ""]),
        ("State", "contains", ["waits", "runs"], ["ab", "xaby"]),
        ("State", "isEmpty", [], [""]),
        ("Tags", "contains", ["x"], ["ab", "xaby"]),
        ("Tags", "is", ["x"], ["xaby"]),
        ("Who", "contains", ["ou_1"], ["ab"]),
        ("Page", "contains", ["a.example"], ["ab"]),
        ("On", "is", ["true"], ["ab"]),
        ("On", "is", ["false"], ["xaby", ""]),
    ],
)
async def test_words_options_and_boxes_are_compared(
    table: Table, client: Client, field: str, operator: str, value: list[str], found: list[str]
) -> None:
    page = "https://a.example"
    table.add_row(
        {"Task": "ab", "State": "waits", "Tags": ["x", "y"], "Who": "ou_1", "Page": page, "On": True}
    )
    table.add_row({"Task": "xaby", "State": "runs", "Tags": ["x"], "On": False})
    table.add_row()

    assert found == await client.found(table, "Task", filter=where(field, operator, *value))


@pytest.mark.parametrize(
    ("operator", "found"),
    [("is", ["midnight", "evening"]), ("isGreater", ["evening", "next"]), ("isLess", ["before"])],
)
async def test_a_date_is_compared_with_midnight_of_the_day_that_was_named(
    table: Table, client: Client, operator: str, found: list[str]
) -> None:
    """The trap: asked for what is before eight in the evening, it gives what is before that day."""
    midnight = EVENING.replace(hour=0)
    times = {"before": midnight - timedelta(minutes=1), "midnight": midnight, "evening": EVENING}
    for name, at in {**times, "next": midnight + timedelta(days=1)}.items():
        table.add_row({"Task": name, "When": at})
    table.add_row({"Task": "none"})

    moment = str(round((EVENING + timedelta(hours=1)).timestamp() * 1000))
    wanted = where("When", operator, "ExactDate", moment)

    assert found == await client.found(table, "Task", filter=wanted)


async def test_the_day_is_that_of_the_documents_zone(feishu: FakeBitable, client: Client) -> None:
    table = feishu.add_base(zone="Pacific/Auckland").add_table("Tasks", {"Task": 1, "When": 5})
    table.add_row({"Task": "late", "When": datetime(2026, 11, 21, 1, 0, tzinfo=ZoneInfo("Pacific/Auckland"))})
    moment = str(round(EVENING.timestamp() * 1000))  # one in the morning of the 21st, there

    assert ["late"] == await client.found(table, "Task", filter=where("When", "is", "ExactDate", moment))


@pytest.mark.parametrize(("name", "days"), [("Yesterday", -1), ("Today", 0), ("Tomorrow", 1)])
async def test_days_have_names(table: Table, client: Client, clock: Clock, name: str, days: int) -> None:
    for day in (-1, 0, 1):
        table.add_row({"Task": str(day), "When": (clock() + timedelta(days=day))})

    assert [str(days)] == await client.found(table, "Task", filter=where("When", "is", name))


async def test_conditions_are_joined_by_and_or_or(table: Table, client: Client) -> None:
    for name, number in (("a", 1), ("b", 2), ("c", 2)):
        table.add_row({"Task": name, "Next": number})
    two = [condition("Next", "is", "2"), condition("Task", "is", "b")]

    assert ["b"] == await client.found(table, "Task", filter={"conjunction": "and", "conditions": two})
    assert ["b", "c"] == await client.found(table, "Task", filter={"conjunction": "or", "conditions": two})


async def test_groups_of_conditions_are_joined_too(table: Table, client: Client) -> None:
    for name, number in (("a", 1), ("b", 2), ("c", 3)):
        table.add_row({"Task": name, "Next": number})
    names = {"conjunction": "or", "conditions": [condition("Task", "is", name) for name in ("a", "b")]}
    wanted = {"conjunction": "and", "conditions": [condition("Next", "isGreater", "1")], "children": [names]}

    assert ["b"] == await client.found(table, "Task", filter=wanted)


WRONG: list[Any] = [
    {"conditions": [condition("Next", "is", "5")]},
    {"conjunction": "xor", "conditions": [condition("Next", "is", "5")]},
    {"conjunction": "and", "conditions": []},
    {"conjunction": "and", "children": [{"conjunction": "or", "children": [where("Next", "is", "5")]}]},
    {"conjunction": "and", "conditions": [{"field_name": "Next", "operator": "isEmpty"}]},
    {"conjunction": "and", "conditions": [{"field_name": "Next", "operator": "is", "value": [5]}]},
    {"conjunction": "and", "conditions": [{"field_name": "Next", "operator": "is", "value": "5"}]},
    where("Next", "isEmpty", ""),
    where("Next", "is", "five"),
    where("Next", "is"),
    where("Next", "is", "5", "6"),
    where("Next", "contains", "5"),
    where("Next", "in", "5", "6"),
    where("Task", "like", "a"),
    where("Task", "isGreater", "a"),
    where("State", "is", "a", "b"),
    where("On", "isEmpty"),
    where("When", "isLessEqual", "ExactDate", "1795176000000"),
    where("When", "isGreaterEqual", "ExactDate", "1795176000000"),
    where("When", "isNot", "ExactDate", "1795176000000"),
    where("When", "is", "1795176000000"),
    where("When", "is", "ExactDate", "2026-11-20"),
    where("Changed", "isLessEqual", "ExactDate", "1795176000000"),
    where("Sum", "is", "5"),
    where("Renamed", "is", "5"),
    ["Next", "is", "5"],
]


@pytest.mark.parametrize("wrong", WRONG, ids=json.dumps)
async def test_a_wrong_filter_is_refused(table: Table, client: Client, wrong: Any) -> None:
    """Not read as something else: the guide of the vendor allows none of these."""
    assert 1254018 == await client.code(table, "search", filter=wrong)


async def test_a_filter_has_at_most_fifty_conditions(clock: Clock) -> None:
    """Those of its groups count as well."""
    one = condition("Next", "is", "1")

    def of(times: int) -> dict[str, Any]:
        group = {"conjunction": "or", "conditions": [one] * (times - 1)}
        return {"conjunction": "or", "conditions": [one], "children": [group]}

    async with FakeBitable(clock, limits=Limits(filter_characters=10_000)).serving() as feishu:
        table = feishu.add_base().add_table("Tasks", {"Task": 1, "Next": 2})
        async with Client.signed_in(feishu) as client:
            assert 0 == await client.code(table, "search", filter=of(50))
            assert 1254018 == await client.code(table, "search", filter=of(51))


async def test_a_filter_has_at_most_two_thousand_characters(table: Table, client: Client) -> None:
    """A filter that names each of many tasks does not fit."""
    base = len(json.dumps(where("Task", "is", "")))

    assert 0 == await client.code(table, "search", filter=where("Task", "is", "x" * (2000 - base)))
    assert 1254107 == await client.code(table, "search", filter=where("Task", "is", "x" * (2001 - base)))


async def test_rows_are_sorted_by_several_columns(table: Table, client: Client) -> None:
    for name, number in (("b", 1), ("a", 2), ("a", 1), ("c", None)):
        table.add_row({"Task": name, "Next": number})

    async def found(*order: tuple[str, bool]) -> list[str]:
        sort = [{"field_name": name, "desc": desc} for name, desc in order]
        return await client.found(table, "Task", sort=sort)

    assert ["b", "a", "a", "c"] == await found(("Next", False))
    assert ["a", "b", "a", "c"] == await found(("Next", True))
    assert ["a", "b", "a", "c"] == await found(("Next", False), ("Task", False))
    assert 1254016 == await client.code(table, "search", sort=[{"field_name": "Renamed"}])


async def test_a_sorted_search_has_pages(table: Table, client: Client) -> None:
    for number in (3, 1, 2):
        table.add_row({"Next": number})
    body: Any = {"sort": [{"field_name": "Next", "desc": False}], "field_names": ["Next"]}
    first = await client.data(table, "search", query={"page_size": "2"}, **body)
    query = {"page_size": "2", "page_token": first["page_token"]}
    second = await client.data(table, "search", query=query, **body)

    assert [1, 2, 3] == [item["fields"]["Next"] for item in [*first["items"], *second["items"]]]
    assert (True, False) == (first["has_more"], second["has_more"])
