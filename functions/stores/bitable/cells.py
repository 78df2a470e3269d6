"""What is in a cell as a value, and a value as what goes into a cell."""

import base64
import json
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from functions.domain.types import instant_text
from functions.errors import StoreError
from functions.stores.bitable.config import Reading
from functions.stores.bitable.schema import BY_NAME, FILLED_IN, Column, Kind
from functions.stores.editable.model import Part, moment
from functions.stores.json_text import mapping, pretty

MOST_CHARACTERS = 100_000  # of one cell
PACKED = "z:"  # begins notes that are compressed
PACKED_FROM = 80_000
EARLIEST_MS, LATEST_MS = 0, 4_102_444_800_000  # the app shows no dates but those of 1970 to 2100
TOO_LONG = "(too long for a cell: scheduler show has it)"

Fields = Mapping[str, Any]


def value(column: Column, raw: Any) -> Any:
    """What the API gave for a cell of *column*, as a plain value; None for an empty cell."""
    match column.kind:
        case Kind.TEXT | Kind.SELECT:
            return text(raw) or None
        case Kind.TAGS:
            names = [text(one) for one in raw] if isinstance(raw, list) else [text(raw)]
            return [name for name in names if name] or None
        case Kind.CHECKBOX:
            return raw if isinstance(raw, bool) else None
        case _:
            return _number(raw)


def text(raw: Any) -> str:
    """The text of a cell: one piece or several, links and mentions as they are shown."""
    match raw:
        case str():
            shown = raw
        case list():
            shown = "".join(_piece(one) for one in raw)
        case bool() | None:
            return ""
        case int() | float():
            shown = json.dumps(raw)
        case _:
            shown = _piece(raw)
    return shown.replace("\r\n", "\n").strip()


def _piece(raw: Any) -> str:
    if isinstance(raw, str):
        return raw
    shown = mapping(raw).get("text", mapping(raw).get("name"))
    return shown if isinstance(shown, str) else ""


def _number(raw: Any) -> int | float | None:
    if isinstance(raw, str):
        try:
            raw = float(raw)
        except ValueError:
            return None
    if isinstance(raw, bool) or not isinstance(raw, int | float) or raw != raw:
        return None
    return int(raw) if float(raw).is_integer() else raw


def written_in(fields: Fields, *, taken: bool, reads: Reading) -> tuple[dict[str, Any], dict[str, str]]:
    """What a person wrote, as in a task file, and what is wrong with cells that cannot be read.

    Args:
        taken: Whether the scheduler has taken the row in. Before, a checkbox that is not checked was not
            touched; after, it was unchecked, however the API shows that.
    """
    found: dict[str, Any] = {}
    faults: dict[str, str] = {}
    for column in FILLED_IN:
        one = value(column, fields.get(column.name))
        if column.kind is Kind.CHECKBOX:
            one = False if taken and one is not True else None
        if column.kind is Kind.DATE and one is not None:
            one = _instant(one)
        if column.holds_json and one is not None:
            try:
                one = _parts(one, reads)
            except ValueError as exc:
                faults[column.name] = f"{column.name}: {exc}"
        if one is None and column.name == "timezone" and not taken and reads.timezone != "UTC":
            one = reads.timezone
        if one is not None:
            found[column.name] = one
    return found, faults


def cells_of(written: Part) -> dict[str, Any]:
    """The cells that say *written*; None for those that are to be empty."""
    return {column.name: _cell(column, written.get(column.name)) for column in FILLED_IN}


def _cell(column: Column, given: Any) -> Any:
    match column.kind:
        case Kind.CHECKBOX:
            return given is not False
        case Kind.DATE:
            at = moment(given)
            return None if at is None else milliseconds(at)
        case Kind.NUMBER:
            return given if isinstance(given, int | float) else None
        case Kind.TAGS:
            # A name twice would become two options of the same name.
            return (
                list(dict.fromkeys(one for one in given if isinstance(one, str) and one)) if given else None
            )
        case _ if given is None:
            return None
        case _ if isinstance(given, str) and not column.holds_json:
            return fit(given)
        case _:
            return fit(pretty(given))


def fit(given: str) -> str | None:
    """*given* as a cell takes it: no control characters, not too long; None for nothing."""
    kept = "".join(one for one in given if one >= " " or one in "\n\t")
    kept = kept.encode(errors="replace").decode()
    return (kept if len(kept) <= MOST_CHARACTERS else TOO_LONG) or None


def milliseconds(at: datetime) -> int | None:
    """*at* as a date column takes it; None where the app could not show it."""
    number = round(at.timestamp() * 1000)
    return number if EARLIEST_MS <= number < LATEST_MS else None


def seconds(at: datetime) -> int:
    """The second *at* is in."""
    return int(at.timestamp() // 1)


def pack(notes: Mapping[str, Any], *, what: str) -> str:
    """*notes* as the text of a cell.

    Raises:
        StoreError: They are too long, even compressed.
    """
    plain = json.dumps(notes, ensure_ascii=False, separators=(",", ":"))
    plain = plain.encode(errors="replace").decode()
    if len(plain) <= PACKED_FROM:
        return plain
    packed = PACKED + base64.b64encode(zlib.compress(plain.encode(), 9)).decode()
    if len(packed) > MOST_CHARACTERS:
        raise StoreError(f"{what}: more than a cell holds (100,000 characters, compressed); make it smaller")
    return packed


def unpack(kept: str) -> Mapping[str, Any] | None:
    """The notes that a cell holds; None when it cannot be read."""
    try:
        if kept.startswith(PACKED):
            kept = zlib.decompress(base64.b64decode(kept.removeprefix(PACKED), validate=True)).decode()
        notes = json.loads(kept)
    except (ValueError, zlib.error):
        return None
    return notes if isinstance(notes, dict) else None


def _instant(given: int | float) -> Any:
    try:
        return instant_text(datetime.fromtimestamp(given / 1000, tz=UTC))
    except (ValueError, OverflowError, OSError):
        return given


def _parts(given: str, reads: Reading) -> Any:
    try:
        return json.loads(given, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return reads.text(given)


def _no_number(name: str) -> Any:
    raise ValueError(name)


def differing(wanted: Mapping[str, Any], there: Fields) -> dict[str, Any]:
    """Those of the cells *wanted* that say something else than *there*."""
    return {name: one for name, one in wanted.items() if not _same(BY_NAME[name], one, there.get(name))}


def _same(column: Column, wanted: Any, raw: Any) -> bool:
    found = value(column, raw)
    if isinstance(wanted, str):
        return bool(found == (text(wanted) or None))
    if column.kind is Kind.CHECKBOX:
        return bool((found is True) == (wanted is True)) and found is not None
    return bool(found == wanted)
