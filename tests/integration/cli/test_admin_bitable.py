"""The command line over a table of Feishu: set up, filled by hand and by files, ticked, looked at."""

from collections.abc import Iterator

import pytest

from functions.stores.bitable.schema import TASK_COLUMNS, USER_COLUMNS, document_table_name, run_table_name
from tests.fakes.bitable import Base, FakeBitable, Table
from tests.support.bitable_places import credentials, served
from tests.unit.cli.conftest import Scheduler, WriteTasks
from tests.unit.cli.local.test_doctor import SECRET, findings


@pytest.fixture
def feishu() -> Iterator[FakeBitable]:
    with served() as feishu:
        yield feishu


@pytest.fixture
def base(feishu: FakeBitable) -> Base:
    """A base as a person makes it, with its default table."""
    return feishu.add_base()


@pytest.fixture
def table(base: Base) -> Table:
    [table] = base.tables.values()
    return table


@pytest.fixture
def environment(feishu: FakeBitable, base: Base, table: Table) -> dict[str, str]:
    url = f"bitable://{base.app_token}/{table.table_id}"
    return {"STORE_URL": url, "ALLOW_PRIVATE_NETWORKS": "1", **credentials(feishu)}


def test_setup_makes_what_is_missing_once(scheduler: Scheduler, base: Base, table: Table) -> None:
    dry = scheduler("bitable", "setup", "--dry-run")
    columns_before = [column.name for column in table.columns]
    first = scheduler("bitable", "setup")
    made = {column.name: column for column in table.columns}
    again = scheduler("bitable", "setup", "--json")

    assert (1, ["文本", "单选", "日期"]) == (dry.code, columns_before)
    assert f"{len(TASK_COLUMNS) + 2} to create" in dry.out
    assert (0, 0) == (first.code, again.code)
    assert {"there"} == {step["state"] for step in again.data}
    assert {column.name: int(column.type) for column in TASK_COLUMNS} == {
        name: int(column.type) for name, column in made.items() if name not in columns_before
    }
    assert "http" in made["type"].options
    assert {table.name, run_table_name(table.table_id), document_table_name(table.table_id)} == {
        one.name for one in base.tables.values()
    }


def test_setup_touches_no_column_of_a_persons_own_and_refuses_one_of_another_type(
    scheduler: Scheduler, table: Table, base: Base
) -> None:
    table.add_field("schedule", 5)

    said = scheduler("bitable", "setup")

    assert 1 == said.code
    assert "column schedule" in said.out
    assert "it is of the type Date: change it to Text in the app, or rename it" in said.out
    assert (4, 1) == (len(table.columns), len(base.tables))


def test_a_column_of_text_does_for_options_and_an_older_base_is_taken_in(
    scheduler: Scheduler, table: Table, site: str
) -> None:
    for name in ("id", "type", "frequency", "status"):
        table.add_field(name, 1)
    older = {"type": "http", "frequency": "hourly"}
    for name, status in (("shop", "active"), ("old", "cancelled")):
        table.add_row({**older, "id": name, "status": status})

    assert 0 == scheduler("bitable", "setup").code
    for row in (table.row("id", "shop"), table.row("id", "old")):
        row.set("params", f"url: {site}")
    assert 0 == scheduler("tick").code

    assert ["scheduled", "paused"] == [table.row("id", name).text("status") for name in ("shop", "old")]


def test_setup_of_another_store_is_refused(scheduler: Scheduler, tmp_path: object) -> None:
    said = scheduler("bitable", "setup", STORE_URL=f"sqlite:///{tmp_path}/x.db")

    assert (2, "STORE_URL: names no Feishu table" in said.err) == (said.code, True)


def test_without_setup_every_command_says_so(scheduler: Scheduler, base: Base) -> None:
    for words in (("tick",), ("list",), ("runs",), ("status",)):
        said = scheduler(*words)

        assert (1, True) == (said.code, "scheduler bitable setup" in said.err), words
        assert base.app_token not in said.out + said.err


def test_a_row_written_by_hand_runs_and_tells_in_the_table(
    scheduler: Scheduler, table: Table, base: Base, site: str
) -> None:
    scheduler("bitable", "setup")
    row = table.add_row(
        {"title": "Shop front", "type": "health_check_url", "schedule": "0 0 1 1 *", "params": f"url: {site}"}
    )

    assert 0 == scheduler("tick").code
    assert ("shop-front", "scheduled") == (row.text("id"), row.text("status"))
    assert 0 == scheduler("run", "shop-front").code
    assert 0 == scheduler("tick").code

    assert ("scheduled", "succeeded") == (row.text("status"), row.text("lastOutcome"))
    assert row.text("lastResultSummary").startswith("Answered 200")
    assert f"url: {site}" == row.text("params")
    [run] = scheduler("runs", "--json").data
    assert "shop-front" == run["taskId"]
    [kept] = base.table(run_table_name(table.table_id)).rows
    assert kept.text("summary").startswith("shop-front: succeeded; Answered 200")
    assert ["shop-front"] == [task["id"] for task in scheduler("list", "--json").data]


def test_files_are_applied_into_the_table_and_taken_out_again(
    scheduler: Scheduler, write_tasks: WriteTasks, table: Table, site: str
) -> None:
    scheduler("bitable", "setup")

    first = scheduler("apply", write_tasks({"id": "one", "params": {"url": site}}, {"id": "two"}))
    second = scheduler("apply", write_tasks({"id": "one", "params": {"url": site}}))

    assert (0, 0) == (first.code, second.code), first.err + second.err
    assert ["one"] == [row.text("id") for row in table.rows if row.text("id")]
    assert 0 == scheduler("pause", "one", "--note", "Holiday").code
    assert "paused" == table.row("id", "one").text("status")


def test_doctor_looks_at_the_base(scheduler: Scheduler, table: Table) -> None:
    scheduler("bitable", "setup")
    well = scheduler("doctor", "--json", CRON_SECRET=SECRET)
    table.remove_field("startAt")
    spoiled = scheduler("doctor", "--json", CRON_SECRET=SECRET)

    [(verdict, text)] = findings(well)["base"]
    assert ("ok", True) == (verdict, "columns and tables exist, with the right types" in text)
    assert ("FAIL", "column startAt missing -> scheduler bitable setup") == findings(spoiled)["base"][0]


def test_an_app_the_base_is_not_shared_with_is_told_what_to_do(
    scheduler: Scheduler, base: Base, feishu: FakeBitable
) -> None:
    scheduler("bitable", "setup")
    base.collaborator = False

    said = scheduler("list")

    assert (1, True) == (said.code, "add the app to the base" in said.err)
    assert base.app_token not in said.err
    assert feishu.app_secret not in said.err


def test_every_column_that_people_fill_in_is_a_field_of_a_task() -> None:
    from functions.stores.editable.model import USER_FIELDS

    assert USER_FIELDS - {"after", "onEvent"} == {column.name for column in USER_COLUMNS}
