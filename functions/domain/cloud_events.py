"""CloudEvents 1.0: an event as programs outside see it, and its encoding as JSON or as headers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from functions.domain.types import format_instant

ATTRIBUTES = ("id", "type", "source", "subject", "time")
DEFAULT_SOURCE = "cronfire"  # the scheduler itself, where no other name is configured
_HEADER_PREFIX = "ce-"
PUBLISHER_ATTRIBUTE = "cronfire-publisher"  # of a message on the topic: the id of the scheduler it is from


@dataclass(frozen=True, slots=True)
class CloudEvent:
    """One event. Together with its source its id is unique; an event sent twice has the same one.

    Attributes:
        subject: What it is about, such as a task's id; empty for nothing in particular.
        data: JSON values.
        source: The sender; empty for the scheduler itself.
    """

    id: str
    type: str
    subject: str
    time: datetime
    data: Mapping[str, Any]
    source: str = ""

    def attributes(self, *, default_source: str = DEFAULT_SOURCE) -> dict[str, str]:
        """The context attributes as text; one that would be empty is left out."""
        given = {
            "specversion": "1.0",
            "id": self.id,
            "type": self.type,
            "source": self.source or default_source,
            "subject": self.subject,
            "time": format_instant(self.time),
        }
        return {name: value for name, value in given.items() if value}

    def to_headers(self, *, default_source: str = DEFAULT_SOURCE) -> dict[str, str]:
        """The attributes in binary mode, e.g. `{"ce-id": "order-7", ...}`; the data is the body."""
        attributes = self.attributes(default_source=default_source)
        return {f"{_HEADER_PREFIX}{name}": value for name, value in attributes.items()}

    def to_structured_json(self) -> dict[str, Any]:
        """Attributes and data in one JSON object."""
        return {**self.attributes(), "datacontenttype": "application/json", "data": dict(self.data)}


def parse_headers(get_header: Callable[[str], str | None]) -> dict[str, str]:
    """The attributes of an event in binary mode; those without a header are left out."""
    values = {name: get_header(f"{_HEADER_PREFIX}{name}") for name in ATTRIBUTES}
    return {name: value for name, value in values.items() if value is not None}
