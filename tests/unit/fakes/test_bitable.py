"""The local Bitable answers as Feishu does: what a client passes here it would pass there."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from tests.conftest import NOON
from tests.fakes.bitable import FakeBitable, FieldType, Limits, Table
from tests.fakes.bitable_client import Client, path_of
from tests.support.clock import Clock

NOON_MS = round(NOON.timestamp() * 1000)
TOKEN = {"client_token": "fe599b60-450f-46ff-b2ef-9f6675625b97"}


async def test_what_is_created_is_found_with_text_in_pieces(table: Table, client: Client) -> None:
    """Text is written as a string and read as a list: who compares the two finds all changed."""
    created = await client.data(table, "batch_create", records=[{"fields": {"Task": "Water", "Next": 5}}])
    found = await client.data(table, "search", field_names=["Task", "Next"])

    [record] = created["records"]
    fields = {"Task": [{"type": "text", "text": "Water"}], "Next": 5}
    assert {"Task": "Water", "Next": 5} == record["fields"]
    assert [{"record_id": record["record_id"], "fields": fields}] == found["items"]


@pytest.mark.parametrize(
    ("name", "written", "read"),
    [
        ("Task", "Water", [{"type": "text", "text": "Water"}]),
        ("Next", 1_795_176_000, 1_795_176_000),
        ("Next", 0.25, 0.25),
        ("State", "waits", "waits"),
        ("Tags", ["a", "b"], ["a", "b"]),
        ("When", NOON_MS, NOON_MS),
        ("On", True, True),
        ("On", False, False),
        ("Who", [{"id": "ou_1"}], [{"id": "ou_1", "name": "ou_1", "en_name": "ou_1", "email": ""}]),
        (
            "Page",
            {"text": "Shop", "link": "https://a.example"},
            {"text": "Shop", "link": "https://a.example"},
        ),
        ("Phone", "+37120000000", "+37120000000"),
    ],
)
async def test_each_type_is_read_in_its_own_form(
    table: Table, client: Client, name: str, written: Any, read: Any
) -> None:
    """A client that reads one form for all types reads none of them right."""
    await client.data(table, "batch_create", records=[{"fields": {name: written}}])

    [item] = (await client.data(table, "search", field_names=[name]))["items"]

    assert {name: read} == item["fields"]


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("Task", [{"type": "text", "text": "Water"}], 1254060),
        ("Task", 5, 1254060),
        ("Task", "x" * 100_001, 1254130),
        ("Next", "5", 1254061),
        ("Next", True, 1254061),
        ("State", ["waits"], 1254062),
        ("Tags", "a", 1254063),
        ("When", "2026-11-20", 1254064),
        ("When", 1.5, 1254064),
        ("When", True, 1254064),
        ("On", 1, 1254065),
        ("Who", "ou_1", 1254066),
        ("Who", ["ou_1"], 1254066),
        ("Page", "https://a.example", 1254068),
        ("Phone", "by heart", 1254072),
        ("Sum", 5, 1254015),
        ("Changed", NOON_MS, 1254015),
        ("Missing", 5, 1254045),
    ],
)
async def test_a_value_of_another_type_fails_the_whole_batch(
    table: Table, client: Client, name: str, value: Any, code: int
) -> None:
    """All or nothing: a client never has to find out which half was written."""
    good = {"fields": {"Task": "Good", "State": "new option"}}

    assert code == await client.code(table, "batch_create", records=[good, {"fields": {name: value}}])
    assert () == table.rows
    assert [] == table.field("State").options


async def test_empty_cells_are_left_out_and_null_empties_one(table: Table, client: Client) -> None:
    """What nobody filled in is not there; reading it as an empty text would be an invention."""
    row = table.add_row({"Task": "Water", "Next": 5})

    await client.data(table, "batch_update", records=[{"record_id": row.record_id, "fields": {"Next": None}}])
    [item] = (await client.data(table, "search"))["items"]

    assert {"Task", "Made", "Changed"} == set(item["fields"])


async def test_an_unknown_option_is_made(table: Table, client: Client) -> None:
    """A typing error in a status makes a new status, without a word."""
    await client.data(table, "batch_create", records=[{"fields": {"State": "watis", "Tags": ["x", "y"]}}])
    _, answer = await client.call("GET", f"{path_of(table)}/fields")

    fields = {one["field_name"]: one for one in answer["data"]["items"]}
    assert ["watis"] == [one["name"] for one in fields["State"]["property"]["options"]]
    assert ["x", "y"] == [one["name"] for one in fields["Tags"]["property"]["options"]]


async def test_an_update_changes_what_it_names(table: Table, client: Client, clock: Clock) -> None:
    row = table.add_row({"Task": "Water", "Next": 5})
    clock.move(minutes=1)

    await client.data(table, "batch_update", records=[{"record_id": row.record_id, "fields": {"Next": 6}}])
    [item] = (await client.data(table, "search", automatic_fields=True))["items"]

    assert ("Water", 6) == (row.text("Task"), item["fields"]["Next"])
    assert (NOON_MS, NOON_MS + 60_000) == (item["created_time"], item["last_modified_time"])
    assert (NOON_MS, NOON_MS + 60_000) == (item["fields"]["Made"], item["fields"]["Changed"])


@pytest.mark.parametrize("call", ["batch_update", "batch_delete"])
async def test_one_absent_record_fails_the_whole_batch(table: Table, client: Client, call: str) -> None:
    """A row that somebody removed in the meantime must not take its neighbours' writes apart."""
    row = table.add_row({"Task": "Water"})
    ids = [row.record_id, "recgone"]
    update = [{"record_id": one, "fields": {"Task": "Changed"}} for one in ids]

    assert 1254043 == await client.code(table, call, records=update if call == "batch_update" else ids)
    assert ["Water"] == [one.text("Task") for one in table.rows]


@pytest.mark.parametrize("call", ["batch_update", "batch_delete"])
async def test_a_batch_names_a_record_once(table: Table, client: Client, call: str) -> None:
    ids = [table.add_row({"Task": "Water"}).record_id] * 2
    update = [{"record_id": one, "fields": {"Task": "Changed"}} for one in ids]

    assert 1254001 == await client.code(table, call, records=update if call == "batch_update" else ids)
    assert ["Water"] == [one.text("Task") for one in table.rows]


async def test_a_text_may_have_a_hundred_thousand_letters(table: Table, client: Client) -> None:
    assert 0 == await client.code(table, "batch_create", records=[{"fields": {"Task": "x" * 100_000}}])


async def test_batch_get_names_the_absent(table: Table, client: Client) -> None:
    row = table.add_row({"Task": "Water"})

    data = await client.data(table, "batch_get", record_ids=[row.record_id, "recgone", row.record_id])

    assert [row.record_id] == [record["record_id"] for record in data["records"]]
    assert ["recgone"] == data["absent_record_ids"]


async def test_batch_delete_removes(table: Table, client: Client) -> None:
    gone, stays = table.add_row({"Task": "Gone"}), table.add_row({"Task": "Stays"})

    data = await client.data(table, "batch_delete", records=[gone.record_id])

    assert [{"deleted": True, "record_id": gone.record_id}] == data["records"]
    assert (stays,) == table.rows


@pytest.mark.parametrize("call", ["batch_create", "batch_update", "batch_delete"])
async def test_a_batch_has_a_limit(table: Table, client: Client, call: str) -> None:
    rows = [table.add_row() for _ in range(201)]
    records: dict[str, list[Any]] = {
        "batch_create": [{"fields": {}} for _ in rows],
        "batch_update": [{"record_id": row.record_id, "fields": {"Next": 1}} for row in rows],
        "batch_delete": [row.record_id for row in rows],
    }

    assert 1254104 == await client.code(table, call, records=records[call])
    assert 201 == len(table.rows)
    assert 0 == await client.code(table, call, records=records[call][:200])


async def test_batch_get_has_a_limit(table: Table, client: Client) -> None:
    ids = [table.add_row().record_id for _ in range(101)]

    assert 99992402 == await client.code(table, "batch_get", record_ids=ids)
    assert 0 == await client.code(table, "batch_get", record_ids=ids[:100])


async def test_a_table_has_a_limit(clock: Clock) -> None:
    """Of 20,000 records; here of three."""
    async with FakeBitable(clock, limits=Limits(records=3)).serving() as feishu:
        table = feishu.add_base().add_table("Tasks", {"Task": 1}, blank_rows=2)
        async with Client.signed_in(feishu) as client:
            assert 1254103 == await client.code(table, "batch_create", records=[{"fields": {}}] * 2)
            assert 0 == await client.code(table, "batch_create", records=[{"fields": {}}])
    assert 20_000 == Limits().records


@pytest.mark.parametrize("records", [[], None, "rec1", ["rec1"], [{"record_id": "rec1"}]])
async def test_a_body_of_another_shape_is_refused(table: Table, client: Client, records: Any) -> None:
    assert 1254001 == await client.code(table, "batch_create", records=records)


async def test_the_same_client_token_writes_once(table: Table, client: Client) -> None:
    """A creation whose answer was lost is sent again, and leaves one row."""
    records = [{"fields": {"Task": "Water"}}]

    first = await client.data(table, "batch_create", query=TOKEN, records=records)
    again = await client.data(table, "batch_create", query=TOKEN, records=records)

    assert first == again
    assert 1 == len(table.rows)


async def test_the_same_client_token_does_not_undo_a_later_edit(table: Table, client: Client) -> None:
    row = table.add_row({"Task": "Water"})
    records = [{"record_id": row.record_id, "fields": {"Task": "Changed"}}]
    await client.data(table, "batch_update", query=TOKEN, records=records)
    row.set("Task", "By hand")

    await client.data(table, "batch_update", query=TOKEN, records=records)

    assert "By hand" == row.text("Task")


async def test_a_client_token_of_another_request_is_a_conflict(table: Table, client: Client) -> None:
    await client.data(table, "batch_create", query=TOKEN, records=[{"fields": {"Task": "Water"}}])

    records = [{"fields": {"Task": "Other"}}]
    assert 1255006 == await client.code(table, "batch_create", query=TOKEN, records=records)


async def test_a_client_token_may_be_refused_the_second_time(
    feishu: FakeBitable, table: Table, client: Client
) -> None:
    """The vendor's pages name this answer as well: the row is there all the same."""
    feishu.repeat_code = 1254608
    records = [{"fields": {"Task": "Water"}}]
    await client.data(table, "batch_create", query=TOKEN, records=records)

    assert 1254608 == await client.code(table, "batch_create", query=TOKEN, records=records)
    assert 1 == len(table.rows)


async def test_a_failed_write_does_not_use_its_client_token_up(table: Table, client: Client) -> None:
    bad, good = [{"fields": {"Next": "5"}}], [{"fields": {"Next": 5}}]

    assert 1254061 == await client.code(table, "batch_create", query=TOKEN, records=bad)
    assert 0 == await client.code(table, "batch_create", query=TOKEN, records=good)


@pytest.mark.parametrize(
    "token", ["run-1", "6d25a684-9558-11e9-aa94-efccd7a0659b", "fe599b60450f46ffb2ef9f6675625b97"]
)
async def test_a_client_token_is_a_uuid_of_the_fourth_kind(table: Table, client: Client, token: str) -> None:
    query = {"client_token": token}

    assert 1254037 == await client.code(table, "batch_create", query=query, records=[{"fields": {}}])


async def test_batch_delete_knows_no_client_token(table: Table, client: Client) -> None:
    """A deletion that is sent again meets rows that are not there."""
    row = table.add_row()
    await client.data(table, "batch_delete", query=TOKEN, records=[row.record_id])

    assert 1254043 == await client.code(table, "batch_delete", query=TOKEN, records=[row.record_id])


@pytest.mark.parametrize("count", [5, 6])
async def test_search_gives_pages(table: Table, client: Client, count: int) -> None:
    """The last page has a token as well: only `has_more` ends the reading."""
    rows = [table.add_row({"Task": str(number)}) for number in range(count)]
    seen, query, more = [], {"page_size": "2"}, True
    while more:
        data = await client.data(table, "search", query=query)
        seen.append([item["record_id"] for item in data["items"]])
        query["page_token"], more = data["page_token"], data["has_more"]

    ids = [row.record_id for row in rows]
    assert [ids[:2], ids[2:4], ids[4:]] == seen
    assert [] == (await client.data(table, "search", query=query))["items"]


async def test_a_page_begins_after_the_last_row_even_if_that_is_gone(table: Table, client: Client) -> None:
    rows = [table.add_row() for _ in range(4)]
    first = await client.data(table, "search", query={"page_size": "2"})
    rows[0].delete()
    rows[1].delete()
    new = table.add_row()

    query = {"page_size": "9", "page_token": first["page_token"]}
    data = await client.data(table, "search", query=query)

    assert [rows[2], rows[3], new] == [table.records[item["record_id"]] for item in data["items"]]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"page_size": "501"}, 99992402),
        ({"page_size": "0"}, 1254011),
        ({"page_size": "many"}, 99992402),
        ({"page_token": "of-another-table"}, 1254030),
    ],
)
async def test_pages_have_bounds(table: Table, client: Client, query: dict[str, str], code: int) -> None:
    assert code == await client.code(table, "search", query=query)
    assert 0 == await client.code(table, "search", query={"page_size": "500"})


async def test_a_page_token_is_good_in_its_own_table(table: Table, client: Client) -> None:
    other = table.base.add_table("Other", {"Task": 1}, blank_rows=3)
    token = (await client.data(other, "search", query={"page_size": "1"}))["page_token"]

    assert 1254030 == await client.code(table, "search", query={"page_token": token})


async def test_search_gives_twenty_rows_if_not_told(feishu: FakeBitable, client: Client) -> None:
    """Who forgets the size reads twenty-five times as often."""
    table = feishu.add_base().add_table("Tasks", {"Task": 1}, blank_rows=30)

    data = await client.data(table, "search")

    assert (20, True, 30) == (len(data["items"]), data["has_more"], data["total"])


async def test_search_names_no_field_that_is_not_there(table: Table, client: Client) -> None:
    assert 1254024 == await client.code(table, "search", field_names=["Task", "Renamed"])


async def test_what_is_not_there_is_told_by_a_code(feishu: FakeBitable, table: Table, client: Client) -> None:
    """With HTTP 200 on one call and 404 on another: who looks at the status is misled."""
    base, other = table.base, feishu.add_base()
    path = "/open-apis/bitable/v1/apps/{}/tables/{}/records/{}"

    async def asked(app_token: str, table_id: str, call: str) -> tuple[int, int]:
        status, answer = await client.call("POST", path.format(app_token, table_id, call), body={})
        return status, answer["code"]

    assert (200, 1254040) == await asked("bascnwrong", table.table_id, "search")
    assert (200, 1254041) == await asked(base.app_token, "tblwrong", "search")
    assert (404, 1254041) == await asked(base.app_token, "tblwrong", "batch_get")
    assert (200, 1254041) == await asked(other.app_token, table.table_id, "search")


async def test_a_base_opens_to_collaborators(table: Table, client: Client) -> None:
    table.base.collaborator = False

    status, answer = await client.records(table, "search")

    assert (403, 91403) == (status, answer["code"])


async def test_advanced_permissions_make_reading_succeed_with_nothing(table: Table, client: Client) -> None:
    """The dangerous one: all is as it should be, but that there seem to be no tasks."""
    row = table.add_row({"Task": "Water"})
    table.base.advanced_permissions = True

    found = await client.data(table, "search")
    got = await client.data(table, "batch_get", record_ids=[row.record_id])
    _, fields = await client.call("GET", f"{path_of(table)}/fields")

    assert ([], 0, False) == (found["items"], found["total"], found["has_more"])
    assert ([], [row.record_id], []) == tuple(got.values())
    assert len(table.columns) == len(fields["data"]["items"])
    assert 1254302 == await client.code(table, "batch_delete", records=[row.record_id])
    assert (row,) == table.rows


async def test_a_new_base_has_a_table_with_blank_rows(feishu: FakeBitable, client: Client) -> None:
    """A client that takes each row for a task finds five broken ones."""
    base = feishu.add_base()
    [table] = base.tables.values()

    _, tables = await client.call("GET", f"{path_of(base)}/tables")
    _, fields = await client.call("GET", f"{path_of(table)}/fields")
    data = await client.data(table, "search")

    assert [table.table_id] == [one["table_id"] for one in tables["data"]["items"]]
    assert (1, True) == (fields["data"]["items"][0]["type"], fields["data"]["items"][0]["is_primary"])
    assert [{}] * 5 == [item["fields"] for item in data["items"]]


async def test_a_table_is_created_with_fields_and_no_rows(feishu: FakeBitable, client: Client) -> None:
    base = feishu.add_base()
    fields = [{"field_name": "Task", "type": 1}, {"field_name": "Next", "type": 2}]
    body = {"table": {"name": " Tasks ", "fields": fields}}

    _, answer = await client.call("POST", f"{path_of(base)}/tables", body=body)
    _, again = await client.call("POST", f"{path_of(base)}/tables", body=body)

    table = base.table("Tasks")
    assert table.table_id == answer["data"]["table_id"]
    assert ["Task", "Next"] == [column.name for column in table.columns]
    assert (True, ()) == (table.columns[0].primary, table.rows)
    assert 1254013 == again["code"]


@pytest.mark.parametrize(
    ("table", "code"),
    [
        (None, 1254001),
        ({"name": ""}, 99992402),
        ({"name": "T", "fields": [{"field_name": "State", "type": 3}]}, 1254012),
        ({"name": "T", "fields": [{"field_name": "Task", "type": 4711}]}, 1254012),
        ({"name": "T", "fields": [{"field_name": "Task", "type": 1}] * 2}, 1254014),
        ({"name": "T", "fields": [{"field_name": " ", "type": 1}]}, 1254028),
    ],
)
async def test_a_bad_table_is_not_created(feishu: FakeBitable, client: Client, table: Any, code: int) -> None:
    base = feishu.add_base()

    _, answer = await client.call("POST", f"{path_of(base)}/tables", body={"table": table})

    assert (code, 1) == (answer["code"], len(base.tables))


async def test_a_base_has_at_most_a_hundred_tables(feishu: FakeBitable, client: Client) -> None:
    base = feishu.add_base()
    for number in range(99):
        base.add_table(str(number), blank_rows=0)

    _, answer = await client.call("POST", f"{path_of(base)}/tables", body={"table": {"name": "Tasks"}})

    assert 1254100 == answer["code"]


async def test_a_table_has_at_most_three_hundred_fields(table: Table, client: Client) -> None:
    for number in range(300 - len(table.columns)):
        table.add_field(str(number), FieldType.TEXT)

    body = {"field_name": "Note", "type": 1}
    _, answer = await client.call("POST", f"{path_of(table)}/fields", body=body)

    assert 1254105 == answer["code"]


async def test_a_field_is_created_once(table: Table, client: Client) -> None:
    body = {"field_name": " Note ", "type": 1}

    _, first = await client.call("POST", f"{path_of(table)}/fields", body=body)
    _, again = await client.call("POST", f"{path_of(table)}/fields", body=body)

    assert first["data"]["field"]["field_id"] == table.field("Note").id
    assert (0, 1254014) == (first["code"], again["code"])


async def test_lists_of_fields_have_pages(table: Table, client: Client) -> None:
    """Their last page has no token, as its page says."""
    seen, query, more = [], {"page_size": "5"}, True
    while more:
        _, answer = await client.call("GET", f"{path_of(table)}/fields", query=query)
        data = answer["data"]
        seen.append([one["field_name"] for one in data["items"]])
        query["page_token"], more = data.get("page_token", ""), data["has_more"]

    names = [column.name for column in table.columns]
    assert [names[:5], names[5:10], names[10:]] == seen
    assert ("", len(names)) == (query["page_token"], data["total"])


async def test_a_list_knows_its_own_tokens(table: Table, client: Client) -> None:
    _, answer = await client.call("GET", f"{path_of(table)}/fields", query={"page_token": "fldwrong"})

    assert 1254030 == answer["code"]


async def test_a_person_edits_at_any_moment(table: Table, client: Client) -> None:
    """In people's form: words, dates and names, not pieces and milliseconds."""
    row = table.add_row({"Task": "See https://a.example now", "When": date(2026, 11, 20), "State": "waits"})
    row.set("When", datetime(2026, 11, 20, 21, 30))  # noqa: DTZ001  # as a person says it, in his own zone
    row.set("Page", "https://a.example")
    row.set("Who", "ou_1")
    row.set("Sum", "✅")
    row.clear("State")
    table.rename_field("When", "Due")

    [item] = (await client.data(table, "search"))["items"]

    text = [
        {"type": "text", "text": "See "},
        {"type": "url", "text": "https://a.example", "link": "https://a.example"},
        {"type": "text", "text": " now"},
    ]
    fields = item["fields"]
    assert text == fields["Task"]
    assert datetime(2026, 11, 20, 13, 30, tzinfo=UTC).timestamp() * 1000 == fields["Due"]
    assert {"text": "https://a.example", "link": "https://a.example"} == fields["Page"]
    assert {"type": 1, "value": [{"type": "text", "text": "✅"}]} == fields["Sum"]
    assert "ou_1" == fields["Who"][0]["id"]
    assert {"State", "When"}.isdisjoint(fields)


async def test_a_removed_column_takes_its_cells_along(table: Table, client: Client) -> None:
    row = table.add_row({"Task": "Water", "Next": 5})
    table.remove_field("Next")

    changes = [{"record_id": row.record_id, "fields": {"Next": 6}}]
    assert 1254045 == await client.code(table, "batch_update", records=changes)
    table.add_field("Next", FieldType.NUMBER)
    assert "" == row.text("Next")


async def test_a_deleted_row_is_gone(table: Table, client: Client) -> None:
    row = table.add_row({"Task": "Water"})
    row.delete()
    row.delete()

    assert [] == (await client.data(table, "search"))["items"]
