"""The version of a document as its server names it: ETag and Last-Modified, by which a 304 is asked for."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Self

MAX_VALIDATOR_CHARS = 1000


@dataclass(frozen=True, slots=True)
class DocumentVersion:
    """What was said of a document when it was last read as a whole.

    Attributes:
        etag: Empty when there was none.
        last_modified: Empty when there was none.
        read_on: The number of the day, from the year 1; 0 where the server names no version.
    """

    etag: str = ""
    last_modified: str = ""
    read_on: int = 0

    @classmethod
    def of(cls, headers: Mapping[str, str], *, now: datetime) -> Self:
        """Return the version that the *headers* of a response name; what is no use later is left out."""
        etag = _bounded(headers.get("etag", ""))
        last_modified = _past_date(_bounded(headers.get("last-modified", "")), now)
        return cls(etag, last_modified, now.toordinal() if etag or last_modified else 0)

    @classmethod
    def from_stored(cls, memory: Mapping[str, Any]) -> Self:
        """Return what is in a task's memory of it."""
        read_on = memory.get("readOn")
        return cls(
            etag=str(memory.get("etag", "")),
            last_modified=str(memory.get("lastModified", "")),
            read_on=read_on if isinstance(read_on, int) else 0,
        )

    def to_stored(self) -> dict[str, Any]:
        """Return the fields of a task's memory."""
        return {"etag": self.etag, "lastModified": self.last_modified, "readOn": self.read_on}

    def conditional_headers(self, now: datetime) -> dict[str, str]:
        """Return the headers by which the server responds 304 when nothing has changed.

        None on the first run of a day: some servers name the same version for ever.
        """
        if self.read_on != now.toordinal():
            return {}
        validators = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in validators.items() if value}


UNKNOWN_VERSION = DocumentVersion()


def _bounded(validator: str) -> str:
    return validator if len(validator) <= MAX_VALIDATOR_CHARS and validator.isprintable() else ""


def _past_date(date: str, now: datetime) -> str:
    """Return *date* unless it is in the future: the document would be unchanged until then."""
    try:
        return "" if parsedate_to_datetime(date) > now + timedelta(days=1) else date
    except (TypeError, ValueError, OverflowError):
        return date
