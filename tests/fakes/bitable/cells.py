"""One cell: what the API takes for each type of field, what it gives back, and what a person types."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from enum import IntEnum
from typing import Any
from zoneinfo import ZoneInfo

from tests.fakes.bitable.refusals import Refusal

MOST_CHARACTERS = 100_000
ADDRESS = re.compile(r"https?://\S+")
PHONE = re.compile(r"\+?\d{0,64}")


class FieldType(IntEnum):
    """The types of fields this base knows, by the vendor's numbers."""

    TEXT = 1
    NUMBER = 2
    SINGLE_SELECT = 3
    MULTI_SELECT = 4
    DATE = 5
    CHECKBOX = 7
    USER = 11
    PHONE = 13
    URL = 15
    FORMULA = 20  #: Computed; here a person says what it shows.
    CREATED_TIME = 1001
    MODIFIED_TIME = 1002


UI_TYPES = {
    FieldType.TEXT: "Text", FieldType.NUMBER: "Number", FieldType.SINGLE_SELECT: "SingleSelect",
    FieldType.MULTI_SELECT: "MultiSelect", FieldType.DATE: "DateTime", FieldType.CHECKBOX: "Checkbox",
    FieldType.USER: "User", FieldType.PHONE: "Phone", FieldType.URL: "Url", FieldType.FORMULA: "Formula",
    FieldType.CREATED_TIME: "CreatedTime", FieldType.MODIFIED_TIME: "ModifiedTime",
}  # fmt: skip


@dataclass
class Field:
    """A column. Its name may change, its id does not.

    Attributes:
        options: What a select field offers; who writes another adds it.
    """

    id: str
    name: str
    type: FieldType
    primary: bool = False
    options: list[str] = field(default_factory=list)
    property: dict[str, Any] = field(default_factory=dict)

    def offer(self, kept: Any) -> None:
        """Add to the options what the cell holds and they do not."""
        if self.type is FieldType.SINGLE_SELECT and kept not in self.options:
            self.options.append(kept)
        elif self.type is FieldType.MULTI_SELECT:
            self.options += [name for name in kept if name not in self.options]

    def described(self) -> dict[str, Any]:
        """The field as the list of fields shows it."""
        shown = dict(self.property)
        if self.type in (FieldType.SINGLE_SELECT, FieldType.MULTI_SELECT):
            shown["options"] = [
                {"id": f"opt{number}{self.id[3:]}", "name": name, "color": number % 54}
                for number, name in enumerate(self.options)
            ]
        return {
            "field_id": self.id,
            "field_name": self.name,
            "type": int(self.type),
            "ui_type": UI_TYPES[self.type],
            "is_primary": self.primary,
            "is_hidden": False,
            "property": shown or None,
        }


def taken(column: Field, value: Any) -> Any:
    """*value* of a request as it is kept; None where it empties the cell.

    Raises:
        Refusal: The field takes no such value. Its code names the type of the field.
    """
    match column.type:
        case FieldType.FORMULA | FieldType.CREATED_TIME | FieldType.MODIFIED_TIME:
            raise Refusal(1254015, f"{column.name} is computed")  # assumed: the code
        case _ if value is None:
            return None
        case FieldType.TEXT if isinstance(value, str):  # not even the pieces that reading gives
            return _text(column, value)
        case FieldType.NUMBER if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
        case FieldType.SINGLE_SELECT if isinstance(value, str):
            return value or None
        case FieldType.MULTI_SELECT if _is_list_of(value, str):
            return tuple(value) or None
        case FieldType.DATE if isinstance(value, int) and not isinstance(value, bool):
            return value
        case FieldType.CHECKBOX if isinstance(value, bool):
            return value
        case FieldType.USER if _is_list_of(value, Mapping) and all(_text_in(one, "id") for one in value):
            return tuple(user["id"] for user in value) or None
        case FieldType.PHONE if isinstance(value, str) and PHONE.fullmatch(value):
            return value or None
        case FieldType.URL if isinstance(value, Mapping) and _text_in(value, "link"):
            return {"text": str(value.get("text") or value["link"]), "link": value["link"]}
    raise Refusal(_CODES[column.type], f"the value of {column.name} is of another type: {value!r}")


def shown(column: Field, kept: Any) -> Any:
    """What reading gives for a cell that is not empty."""
    match column.type:
        case FieldType.TEXT:
            return [dict(piece) for piece in kept]
        case FieldType.NUMBER:
            return int(kept) if kept.is_integer() else kept
        case FieldType.MULTI_SELECT:
            return list(kept)
        case FieldType.USER:
            return [{"id": user, "name": user, "en_name": user, "email": ""} for user in kept]
        case FieldType.URL:
            return dict(kept)
        case FieldType.FORMULA:
            return {"type": 1, "value": [{"type": "text", "text": kept}]}
        case _:
            return kept


def typed(column: Field, value: Any, zone: ZoneInfo) -> Any:
    """What a person put into a cell, as it is kept.

    Text and links are plain text, dates are `date` or `datetime` (a naive one is in the document's zone),
    selects are names, users ids. An address inside text becomes a piece of its own, as in the app; pieces
    may be given instead of text, for mentions.
    """
    match column.type:
        case FieldType.TEXT if isinstance(value, str):
            return _pieces(value) or None
        case FieldType.TEXT:
            return tuple(dict(piece) for piece in value) or None
        case FieldType.DATE if isinstance(value, datetime):
            aware = value if value.tzinfo else value.replace(tzinfo=zone)
            return round(aware.timestamp() * 1000)
        case FieldType.DATE if isinstance(value, date):
            return round(datetime.combine(value, time(), zone).timestamp() * 1000)
        case FieldType.URL if isinstance(value, str):
            return {"text": value, "link": value} if value else None
        case FieldType.USER if isinstance(value, str):
            return (value,)
        case FieldType.FORMULA:
            return str(value) or None
        case _:
            return taken(column, value)


def plain(column: Field, kept: Any) -> str:
    """The cell as the text a person sees."""
    match column.type:
        case FieldType.TEXT:
            return "".join(piece["text"] for piece in kept)
        case FieldType.URL:
            return str(kept["text"])
        case FieldType.MULTI_SELECT | FieldType.USER:
            return ", ".join(kept)
        case FieldType.FORMULA:
            return str(kept)
        case _:
            return str(shown(column, kept))


_CODES = {
    FieldType.TEXT: 1254060,
    FieldType.NUMBER: 1254061,
    FieldType.SINGLE_SELECT: 1254062,
    FieldType.MULTI_SELECT: 1254063,
    FieldType.DATE: 1254064,
    FieldType.CHECKBOX: 1254065,
    FieldType.USER: 1254066,
    FieldType.PHONE: 1254072,
    FieldType.URL: 1254068,
}


def _text(column: Field, value: str) -> Any:
    if len(value) > MOST_CHARACTERS:
        raise Refusal(1254130, f"{column.name} is too long")
    return ({"type": "text", "text": value},) if value else None


def _pieces(text: str) -> tuple[dict[str, str], ...]:
    pieces: list[dict[str, str]] = []
    at = 0
    for found in ADDRESS.finditer(text):
        if found.start() > at:
            pieces.append({"type": "text", "text": text[at : found.start()]})
        pieces.append({"type": "url", "text": found.group(), "link": found.group()})
        at = found.end()
    if at < len(text):
        pieces.append({"type": "text", "text": text[at:]})
    return tuple(pieces)


def _is_list_of(value: Any, kind: type) -> bool:
    return isinstance(value, list) and all(isinstance(one, kind) for one in value)


def _text_in(value: Mapping[str, Any], name: str) -> bool:
    return isinstance(value.get(name), str)
