"""Cell values of Feishu as Python values, and back."""

import base64
import json
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from functions.domain.json_depth import GIVEN_TWICE, RepeatedNames
from functions.domain.older_names import STOPPED_STATUSES
from functions.domain.types import format_instant, parse_stored_instant
from functions.domain.validation import Problem
from functions.errors import InvalidWriteError
from functions.stores.bitable.config import CellParser
from functions.stores.bitable.schema import TASK_COLUMNS_BY_NAME, USER_COLUMNS, Column, ColumnType
from functions.stores.editable.model import Section
from functions.stores.json_text import as_mapping, dump_json

MAX_CELL_CHARACTERS = 100_000  # of one cell
COMPRESSED_PREFIX = "z:"  # begins notes that are compressed
COMPRESS_ABOVE_CHARACTERS = 80_000
MIN_DATE_MS, MAX_DATE_MS = 0, 4_102_444_800_000  # the app shows no dates but those of 1970 to 2100
TOO_LONG_NOTICE = "(too long for a cell: scheduler show has it)"

Fields = Mapping[str, Any]


def decode_cell(column: Column, raw: Any) -> Any:
    """What the API gave for a cell of *column*, as a plain value; None for an empty cell."""
    match column.type:
        case ColumnType.TEXT | ColumnType.SELECT:
            return to_text(raw) or None
        case ColumnType.TAGS:
            names = [to_text(one) for one in raw] if isinstance(raw, list) else [to_text(raw)]
            return [name for name in names if name] or None
        case ColumnType.CHECKBOX:
            return raw if isinstance(raw, bool) else None
        case _:
            return _to_number(raw)


def to_text(raw: Any) -> str:
    """The text of a cell: one piece or several, links and mentions as they are shown."""
    match raw:
        case str():
            shown = raw
        case list():
            shown = "".join(_piece_text(one) for one in raw)
        case bool() | None:
            return ""
        case int() | float():
            shown = json.dumps(raw)
        case _:
            shown = _piece_text(raw)
    return shown.replace("\r\n", "\n").strip()


def _piece_text(raw: Any) -> str:
    if isinstance(raw, str):
        return raw
    shown = as_mapping(raw).get("text", as_mapping(raw).get("name"))
    return shown if isinstance(shown, str) else ""


def _to_number(raw: Any) -> int | float | None:
    if isinstance(raw, str):
        try:
            raw = float(raw)
        except ValueError:
            return None
    if isinstance(raw, bool) or not isinstance(raw, int | float) or raw != raw:
        return None
    return int(raw) if float(raw).is_integer() else raw


def parse_user_cells(
    fields: Fields, *, imported: bool, parser: CellParser
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what the user wrote, as in a task file, and the problems of unreadable cells.

    Args:
        imported: Whether the scheduler has taken the row in. Before, a checkbox that is not checked was not
            touched; after, it was unchecked, however the API shows that.
    """
    found: dict[str, Any] = {}
    faults: dict[str, str] = {}
    defaults = {} if imported or parser.timezone == "UTC" else {"timezone": parser.timezone}
    for column in USER_COLUMNS:
        raw = fields.get(column.name)
        if column.is_json:
            value = decode_cell(column, raw)
            try:
                value = None if value is None else _parse_json(value, parser)
            except ValueError as exc:
                faults[column.name] = f"{column.name}: {exc}"
        else:
            value = _parse_plain_cell(column, raw, imported=imported)
        if value is None:
            value = defaults.get(column.name)
        if value is not None:
            found[column.name] = value
    return {**found, **_older_cells(fields, found)}, faults


def _parse_plain_cell(column: Column, raw: Any, *, imported: bool) -> Any:
    value = decode_cell(column, raw)
    match column.type:
        case ColumnType.CHECKBOX:
            return False if imported and value is not True else None
        case ColumnType.DATE:
            return None if value is None else _format_date(value)
        case _:
            return value


def _older_cells(fields: Fields, found: Section) -> dict[str, Any]:
    """What a base of an older scheduler says in columns that have other names here.

    A `frequency` counts where there is no schedule. A `status` is the user's until the row is taken in; from
    then on it is ours.
    """
    given: dict[str, Any] = {}
    if "schedule" not in found and (frequency := to_text(fields.get("frequency"))):
        given["schedule"] = frequency
    is_untouched = not to_text(fields.get("state"))
    if is_untouched and to_text(fields.get("status")).strip().lower() in STOPPED_STATUSES:
        given["enabled"] = False
    return given


def encode_cells(written: Section) -> dict[str, Any]:
    """The cells that say *written*; None for those that are to be empty."""
    return {column.name: _encode_cell(column, written.get(column.name)) for column in USER_COLUMNS}


def _encode_cell(column: Column, given: Any) -> Any:
    match column.type:
        case ColumnType.CHECKBOX:
            return given is not False
        case ColumnType.DATE:
            at = parse_stored_instant(given)
            return None if at is None else to_milliseconds(at)
        case ColumnType.NUMBER:
            return given if isinstance(given, int | float) else None
        case ColumnType.TAGS:
            # A name twice would become two options of the same name.
            return (
                list(dict.fromkeys(one for one in given if isinstance(one, str) and one)) if given else None
            )
        case _ if given is None:
            return None
        case _ if isinstance(given, str) and not column.is_json:
            return sanitize(given)
        case _:
            return sanitize(dump_json(given))


def sanitize(given: str) -> str | None:
    """*given* as a cell takes it: no control characters, not too long; None for nothing."""
    kept = "".join(one for one in given if one >= " " or one in "\n\t")
    kept = kept.encode(errors="replace").decode()
    return (kept if len(kept) <= MAX_CELL_CHARACTERS else TOO_LONG_NOTICE) or None


def to_milliseconds(at: datetime) -> int | None:
    """*at* as a date column takes it; None where the app could not show it."""
    number = round(at.timestamp() * 1000)
    return number if MIN_DATE_MS <= number < MAX_DATE_MS else None


def to_seconds(at: datetime) -> int:
    """The second *at* is in."""
    return int(at.timestamp() // 1)


def encode_notes(notes: Mapping[str, Any], *, subject: str) -> str:
    """*notes* as the text of a cell.

    Raises:
        InvalidWriteError: They are too long, even compressed.
    """
    plain = json.dumps(notes, ensure_ascii=False, separators=(",", ":"))
    plain = plain.encode(errors="replace").decode()
    if len(plain) <= COMPRESS_ABOVE_CHARACTERS:
        return plain
    packed = COMPRESSED_PREFIX + base64.b64encode(zlib.compress(plain.encode(), 9)).decode()
    if len(packed) > MAX_CELL_CHARACTERS:
        raise InvalidWriteError(
            f"{subject}: more than a cell holds (100,000 characters, compressed); make it smaller"
        )
    return packed


def decode_notes(kept: str) -> Mapping[str, Any] | None:
    """The notes that a cell holds; None when it cannot be read."""
    try:
        if kept.startswith(COMPRESSED_PREFIX):
            kept = zlib.decompress(
                base64.b64decode(kept.removeprefix(COMPRESSED_PREFIX), validate=True)
            ).decode()
        notes = json.loads(kept)
    except (ValueError, zlib.error):
        return None
    return notes if isinstance(notes, dict) else None


def _format_date(given: int | float) -> Any:
    try:
        return format_instant(datetime.fromtimestamp(given / 1000, tz=UTC))
    except (ValueError, OverflowError, OSError):
        return given


def _parse_json(given: str, parser: CellParser) -> Any:
    repeated = RepeatedNames()
    try:
        value = json.loads(given, object_pairs_hook=repeated, parse_constant=_reject_constant)
    except (ValueError, RecursionError):
        return parser.parse_text(given)
    for path in repeated.paths_in(value):
        raise ValueError(f"{Problem(path, '').field}: {GIVEN_TWICE}")
    return value


def _reject_constant(name: str) -> Any:
    raise ValueError(name)


def changed_cells(target: Mapping[str, Any], there: Fields) -> dict[str, Any]:
    """Return the cells of *target* whose value differs from *there*."""
    return {
        name: one
        for name, one in target.items()
        if not _is_same_value(TASK_COLUMNS_BY_NAME[name], one, there.get(name))
    }


def _is_same_value(column: Column, target: Any, raw: Any) -> bool:
    found = decode_cell(column, raw)
    if isinstance(target, str):
        return bool(found == (to_text(target) or None))
    if column.type is ColumnType.CHECKBOX:
        return bool((found is True) == (target is True)) and found is not None
    return bool(found == target)
