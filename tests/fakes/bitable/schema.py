"""The calls on tables and on their fields: what there is, and one more of them."""

from collections.abc import Mapping
from typing import Any

from tests.fakes.bitable.call import Call, Data
from tests.fakes.bitable.cells import FieldType
from tests.fakes.bitable.refusals import Refusal
from tests.fakes.bitable.tables import Table

MOST_TABLES = 100
MOST_LETTERS = 100  # of a table's name
FIRST = {FieldType.TEXT, FieldType.NUMBER, FieldType.DATE, FieldType.PHONE, FieldType.URL, FieldType.FORMULA}


def list_tables(call: Call) -> Data:
    """GET .../tables."""
    tables = call.base.tables.values()
    return _page(call, [{"table_id": one.table_id, "revision": 1, "name": one.name} for one in tables])


def create_table(call: Call) -> Data:
    """POST .../tables: an empty one; the first of its fields is the primary one."""
    given = call.body.get("table")
    if not isinstance(given, dict) or not isinstance(given.get("name"), str):
        raise Refusal(1254001, "table")
    name = given["name"].strip()
    if not 0 < len(name) <= MOST_LETTERS:
        raise Refusal(99992402, "table.name")
    if any(table.name == name for table in call.base.tables.values()):
        raise Refusal(1254013, name)
    if len(call.base.tables) >= MOST_TABLES:
        raise Refusal(1254100)
    fields = given.get("fields")
    table = Table(call.base, call.base.ids("tbl"), name)
    for one in fields or [{"field_name": "文本", "type": FieldType.TEXT}]:
        _add(table, one)
    call.base.tables[table.table_id] = table
    if not fields:
        return {"table_id": table.table_id}
    columns = [column.id for column in table.columns]
    return {"table_id": table.table_id, "default_view_id": call.base.ids("vew"), "field_id_list": columns}


def list_fields(call: Call) -> Data:
    """GET .../fields."""
    return _page(call, [column.described() for column in call.table.columns])


def create_field(call: Call) -> Data:
    """POST .../fields."""
    return {"field": _add(call.table, call.body)}


def _add(table: Table, given: Mapping[str, Any]) -> Data:
    name, kind = given.get("field_name"), given.get("type")
    if not isinstance(name, str) or not name.strip():
        raise Refusal(1254028)
    if kind not in set(FieldType) or (not table.columns and kind not in FIRST):
        raise Refusal(1254012, f"type {kind}")  # assumed: the code
    return table.add_field(name, int(kind), property=given.get("property")).described()


def _page(call: Call, items: list[Data]) -> Data:
    """The part of *items* that was asked for; its token is the id of its last item, the last has none."""
    size = call.size(call.limits.items)
    ids = [next(iter(item.values())) for item in items]
    token = call.query.get("page_token")
    if token and token not in ids:
        raise Refusal(1254030)
    start = ids.index(token) + 1 if token else 0
    page, more = items[start : start + size], start + size < len(items)
    data: Data = {"has_more": more, "items": page, "total": len(items)}
    return data | ({"page_token": ids[start + size - 1]} if more else {})
