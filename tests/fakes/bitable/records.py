"""The calls on records: search, and what is done to a batch of them."""

import base64
from collections.abc import Mapping
from typing import Any

from tests.fakes.bitable.call import Call, Data
from tests.fakes.bitable.cells import taken
from tests.fakes.bitable.filters import chosen, sorted_rows
from tests.fakes.bitable.refusals import Refusal
from tests.fakes.bitable.tables import Row, Table, milliseconds

TOO_MANY = 1254104
APP = {"id": "ou_fake_app", "name": "Cronfire", "en_name": "Cronfire", "email": "", "avatar_url": ""}


def search(call: Call) -> Data:
    """POST .../records/search: one page of the rows that pass the filter.

    Every page looks at the table as it is then. Unsorted, a page begins after the last row of the one before,
    in the order rows were made; sorted, after as many rows as were given already (assumed). The last page has
    a token too (seen in the wild): only `has_more` says that it is the last.
    """
    size = call.size(call.limits.page)
    names = call.body.get("field_names") or None
    if names is not None and not set(names) <= {column.name for column in call.table.columns}:
        raise Refusal(1254024)
    rows = chosen(call.table, call.body.get("filter"), call.limits)
    total = len(rows)
    order = call.body.get("sort")
    given, last = _place(call)
    if order:
        rows = sorted_rows(call.table, rows, order)[given:]
    else:
        rows = [row for row in rows if row.record_id > last]
    if call.base.advanced_permissions:
        rows, total = [], 0
    page = rows[:size]
    last = page[-1].record_id if page else last
    return {
        "has_more": len(rows) > size,
        "items": [_record(row, names, automatic=bool(call.body.get("automatic_fields"))) for row in page],
        "page_token": _token(call.table, given + len(page), last),
        "total": total,
    }


def batch_get(call: Call) -> Data:
    """POST .../records/batch_get: those rows that are there."""
    wanted = call.items("record_ids", str, most=call.limits.ids, too_many=99992402)
    if call.base.advanced_permissions:
        return {"records": [], "forbidden_record_ids": wanted, "absent_record_ids": []}
    rows = [call.table.records[name] for name in dict.fromkeys(wanted) if name in call.table.records]
    automatic = bool(call.body.get("automatic_fields"))
    return {
        "records": [_record(row, automatic=automatic) for row in rows],
        "forbidden_record_ids": [],
        "absent_record_ids": [name for name in dict.fromkeys(wanted) if name not in call.table.records],
    }


def batch_create(call: Call) -> Data:
    """POST .../records/batch_create: all of them, or none."""
    records = call.items("records", dict, most=call.limits.batch, too_many=TOO_MANY)
    cells = [_cells(call.table, record) for record in records]
    if len(call.table.records) + len(records) > call.limits.records:
        raise Refusal(1254103)
    rows = [call.table.add_row() for _ in records]
    for row, changes in zip(rows, cells, strict=True):
        row.put(changes)
    return _echo(rows, records)


def batch_update(call: Call) -> Data:
    """POST .../records/batch_update: all of them, or none; what is not named stays."""
    records = call.items("records", dict, most=call.limits.batch, too_many=TOO_MANY)
    rows = _rows(call.table, [record.get("record_id") for record in records])
    cells = [_cells(call.table, record) for record in records]
    for row, changes in zip(rows, cells, strict=True):
        row.put(changes)
    return _echo(rows, records)


def batch_delete(call: Call) -> Data:
    """POST .../records/batch_delete: all of them, or none."""
    wanted = call.items("records", str, most=call.limits.batch, too_many=TOO_MANY)
    for row in _rows(call.table, wanted):
        row.delete()
    return {"records": [{"deleted": True, "record_id": name} for name in wanted]}


def _rows(table: Table, names: list[Any]) -> list[Row]:
    if len(set(names)) < len(names):
        raise Refusal(1254001, "the same record twice")  # assumed: that it is refused at all
    for name in names:
        if name not in table.records:
            raise Refusal(1254043, str(name))
    return [table.records[name] for name in names]


def _cells(table: Table, record: Mapping[str, Any]) -> dict[str, Any]:
    fields = record.get("fields")
    if not isinstance(fields, dict):
        raise Refusal(1254001, "fields")
    return {(column := table.field(name)).id: taken(column, value) for name, value in fields.items()}


def _record(row: Row, names: list[str] | None = None, *, automatic: bool = False) -> Data:
    fields = {name: value for name, value in row.fields().items() if names is None or name in names}
    if not automatic:
        return {"record_id": row.record_id, "fields": fields}
    return {
        "record_id": row.record_id,
        "fields": fields,
        "created_time": milliseconds(row.created_at),
        "last_modified_time": milliseconds(row.modified_at),
        "created_by": APP,
        "last_modified_by": APP,
    }


def _echo(rows: list[Row], records: list[Mapping[str, Any]]) -> Data:
    """What a write answers: the values as they were sent, text not in pieces."""
    return {
        "records": [
            {"record_id": row.record_id, "id": row.record_id, "fields": dict(record["fields"])}
            for row, record in zip(rows, records, strict=True)
        ]
    }


def _token(table: Table, given: int, last: str) -> str:
    return base64.b64encode(f"{table.table_id}|{given}|{last}".encode()).decode()


def _place(call: Call) -> tuple[int, str]:
    """How many rows were given before this page, and the last of them."""
    token = call.query.get("page_token")
    if not token:
        return 0, ""
    try:
        table_id, given, last = base64.b64decode(token).decode().split("|")
    except ValueError:
        raise Refusal(1254030) from None
    if table_id != call.table.table_id or not given.isdigit():
        raise Refusal(1254030)
    return int(given), last
