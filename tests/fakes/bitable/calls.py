"""What the API answers to each call on tables, fields and records, once it has let the caller in."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from tests.fakes.bitable.cells import taken
from tests.fakes.bitable.refusals import Refusal
from tests.fakes.bitable.tables import Base, Row, Table, Written

Data = dict[str, Any]
BATCH = 200  # the strictest of the limits its pages name: 200, 500 and 1,000
PAGE = 500
MOST_RECORDS = 20_000


@dataclass(frozen=True)
class Call:
    """One request, let in."""

    base: Base
    on: Table | None
    query: Mapping[str, str]
    given: Any

    @property
    def table(self) -> Table:
        """The table the call is about."""
        assert self.on is not None, "this call is about the base"
        return self.on

    @property
    def written(self) -> Written:
        """What a write of this call changes: the table, or the base's list of them."""
        return self.base if self.on is None else self.on

    @property
    def body(self) -> Mapping[str, Any]:
        """The body, which must be an object.

        Raises:
            Refusal: It is something else.
        """
        if not isinstance(self.given, dict):
            raise Refusal(1254000)
        return self.given


def search(call: Call) -> Data:
    """POST .../records/search."""
    names = call.body.get("field_names")
    rows = list(call.table.rows)
    size = int(call.query.get("page_size", 20))
    start = int(call.query.get("page_token", "0"))
    page = rows[start : start + size]
    more = start + size < len(rows)
    items = [_record(row, names) for row in page]
    data: Data = {"has_more": more, "items": items, "total": len(rows)}
    return data | ({"page_token": str(start + size)} if more else {})


def batch_get(call: Call) -> Data:
    """POST .../records/batch_get."""
    wanted = call.body["record_ids"]
    found = [call.table.records[name] for name in wanted if name in call.table.records]
    absent = [name for name in wanted if name not in call.table.records]
    return {
        "records": [_record(row) for row in found],
        "forbidden_record_ids": [],
        "absent_record_ids": absent,
    }


def batch_create(call: Call) -> Data:
    """POST .../records/batch_create."""
    new: list[Row] = []
    for record in call.body["records"]:
        row = Row(call.table, call.base.ids("rec"))
        row.put(_cells(call.table, record["fields"]))
        new.append(row)
    call.table.records |= {row.record_id: row for row in new}
    return _echo(new, call.body["records"])


def batch_update(call: Call) -> Data:
    """POST .../records/batch_update."""
    changes: list[tuple[Row, dict[str, Any]]] = []
    for record in call.body["records"]:
        if record["record_id"] not in call.table.records:
            raise Refusal(1254043, record["record_id"])
        row = call.table.records[record["record_id"]]
        changes.append((row, _cells(call.table, record["fields"])))
    for row, cells in changes:
        row.put(cells)
    return _echo([row for row, _ in changes], call.body["records"])


def batch_delete(call: Call) -> Data:
    """POST .../records/batch_delete."""
    wanted = call.body["records"]
    for name in wanted:
        if name not in call.table.records:
            raise Refusal(1254043, name)
    for name in wanted:
        call.table.records.pop(name, None)
    return {"records": [{"deleted": True, "record_id": name} for name in wanted]}


def list_fields(call: Call) -> Data:
    """GET .../fields."""
    return {
        "has_more": False,
        "items": [column.described() for column in call.table.columns],
        "total": len(call.table.columns),
    }


def create_field(call: Call) -> Data:
    """POST .../fields."""
    column = call.table.add_field(
        call.body["field_name"], call.body["type"], property=call.body.get("property")
    )
    return {"field": column.described()}


def list_tables(call: Call) -> Data:
    """GET .../tables."""
    items = [{"table_id": one.table_id, "revision": 1, "name": one.name} for one in call.base.tables.values()]
    return {"has_more": False, "items": items, "total": len(items)}


def create_table(call: Call) -> Data:
    """POST .../tables."""
    base, given = call.base, call.body["table"]
    if any(table.name == given["name"] for table in base.tables.values()):
        raise Refusal(1254013, given["name"])
    table = base.add_table(given["name"], {"文本": 1} if not given.get("fields") else None, blank_rows=0)
    if given.get("fields"):
        table.columns.clear()
    for one in given.get("fields", ()):
        table.add_field(one["field_name"], one["type"], property=one.get("property"))
    return {
        "table_id": table.table_id,
        "default_view_id": base.ids("vew"),
        "field_id_list": [column.id for column in table.columns],
    }


def _cells(table: Table, fields: Mapping[str, Any]) -> dict[str, Any]:
    return {(column := table.field(name)).id: taken(column, value) for name, value in fields.items()}


def _record(row: Row, names: list[str] | None = None) -> Data:
    fields = row.fields()
    if names:
        fields = {name: value for name, value in fields.items() if name in names}
    return {"record_id": row.record_id, "fields": fields}


def _echo(rows: list[Row], records: list[Mapping[str, Any]]) -> Data:
    """What a write answers: the values as they were sent, text not in pieces."""
    return {
        "records": [
            {"record_id": row.record_id, "id": row.record_id, "fields": dict(record["fields"])}
            for row, record in zip(rows, records, strict=True)
        ]
    }


def is_uuid4(text: str) -> bool:
    """Whether *text* is what the vendor wants for a `client_token`."""
    try:
        return UUID(text).version == 4
    except ValueError:
        return False
