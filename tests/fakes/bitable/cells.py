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


class FieldType(IntEnum):
    """The types of fields this base knows."""

    TEXT = 1
    NUMBER = 2
    SINGLE_SELECT = 3
    MULTI_SELECT = 4
    DATE = 5
    CHECKBOX = 7
    USER = 11
    URL = 15
    CREATED_TIME = 1001
    MODIFIED_TIME = 1002

    @property
    def read_only(self) -> bool:
        return self in (FieldType.CREATED_TIME, FieldType.MODIFIED_TIME)


UI_TYPES = {
    FieldType.TEXT: "Text", FieldType.NUMBER: "Number", FieldType.SINGLE_SELECT: "SingleSelect",
    FieldType.MULTI_SELECT: "MultiSelect", FieldType.DATE: "DateTime", FieldType.CHECKBOX: "Checkbox",
    FieldType.USER: "User", FieldType.URL: "Url", FieldType.CREATED_TIME: "CreatedTime",
    FieldType.MODIFIED_TIME: "ModifiedTime",
}  # fmt: skip


@dataclass
class Field:
    """A column. Its name may change, its id does not.

    Attributes:
        options: What a select field offers; a write that names another adds it.
    """

    id: str
    name: str
    type: FieldType
    primary: bool = False
    options: list[str] = field(default_factory=list)
    property: dict[str, Any] = field(default_factory=dict)

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


def taken(field: Field, value: Any) -> Any:
    """*value* of a request as it is kept; None where it empties the cell.

    Raises:
        Refusal: The field takes no such value.
    """
    if field.type.read_only:
        raise Refusal(1254015, f"{field.name} is computed")
    if value is None:
        return None
    return _TAKERS[field.type](field, value)


def shown(field: Field, kept: Any) -> Any:
    """What reading gives for a cell that is not empty."""
    match field.type:
        case FieldType.TEXT:
            return [dict(segment) for segment in kept]
        case FieldType.NUMBER:
            return int(kept) if kept == int(kept) else kept
        case FieldType.MULTI_SELECT:
            return list(kept)
        case FieldType.USER:
            return [{"id": user, "name": user, "en_name": user, "email": ""} for user in kept]
        case FieldType.URL:
            return dict(kept)
        case _:
            return kept


def typed(field: Field, value: Any, zone: ZoneInfo) -> Any:
    """What a person put into a cell, as it is kept.

    Text and links are plain text, dates are `date` or `datetime` (a naive one is in the document's zone),
    selects are names. A link inside text becomes a piece of its own, as the app makes it.
    """
    match field.type:
        case FieldType.TEXT if isinstance(value, str):
            return _pieces(value) or None
        case FieldType.TEXT:
            return tuple(dict(segment) for segment in value) or None
        case FieldType.DATE if isinstance(value, datetime):
            aware = value if value.tzinfo else value.replace(tzinfo=zone)
            return round(aware.timestamp() * 1000)
        case FieldType.DATE if isinstance(value, date):
            return round(datetime.combine(value, time(), zone).timestamp() * 1000)
        case FieldType.URL if isinstance(value, str):
            return {"text": value, "link": value} if value else None
        case FieldType.USER if isinstance(value, str):
            return (value,)
        case FieldType.SINGLE_SELECT if value == "":
            return None
        case _:
            return taken(field, value)


def plain(field: Field, kept: Any) -> str:
    """The cell as the text a person sees."""
    match field.type:
        case FieldType.TEXT:
            return "".join(segment["text"] for segment in kept)
        case FieldType.URL:
            return str(kept["text"])
        case FieldType.MULTI_SELECT | FieldType.USER:
            return ", ".join(kept)
        case _:
            return str(shown(field, kept))


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


def _take_text(field: Field, value: Any) -> Any:
    if not isinstance(value, str):  # not even what reading gave: that is a list
        raise Refusal(1254060, f"{field.name} wants a string")
    if len(value) > MOST_CHARACTERS:
        raise Refusal(1254130, f"{field.name} is too long")
    return ({"type": "text", "text": value},) if value else None


def _take_number(field: Field, value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refusal(1254061, f"{field.name} wants a number")
    return float(value)


def _take_option(field: Field, value: Any) -> Any:
    if not isinstance(value, str):
        raise Refusal(1254062, f"{field.name} wants the name of an option")
    if value and value not in field.options:
        field.options.append(value)
    return value or None


def _take_options(field: Field, value: Any) -> Any:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise Refusal(1254063, f"{field.name} wants a list of names of options")
    field.options += [name for name in dict.fromkeys(value) if name not in field.options]
    return tuple(dict.fromkeys(value)) or None


def _take_date(field: Field, value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int):
        raise Refusal(1254064, f"{field.name} wants milliseconds since 1970")
    return value


def _take_checkbox(field: Field, value: Any) -> Any:
    if not isinstance(value, bool):
        raise Refusal(1254065, f"{field.name} wants true or false")
    return value


def _take_users(field: Field, value: Any) -> Any:
    good = isinstance(value, list) and all(
        isinstance(user, Mapping) and isinstance(user.get("id"), str) for user in value
    )
    if not good:
        raise Refusal(1254066, f"{field.name} wants a list of ids")
    return tuple(user["id"] for user in value) or None


def _take_url(field: Field, value: Any) -> Any:
    if not isinstance(value, Mapping) or not isinstance(value.get("link"), str):
        raise Refusal(1254068, f"{field.name} wants text and link")
    return {"text": str(value.get("text") or value["link"]), "link": value["link"]}


_TAKERS = {
    FieldType.TEXT: _take_text,
    FieldType.NUMBER: _take_number,
    FieldType.SINGLE_SELECT: _take_option,
    FieldType.MULTI_SELECT: _take_options,
    FieldType.DATE: _take_date,
    FieldType.CHECKBOX: _take_checkbox,
    FieldType.USER: _take_users,
    FieldType.URL: _take_url,
}
