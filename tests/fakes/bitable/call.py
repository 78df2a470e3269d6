"""One request as the calls see it: where it goes, what it holds, and the limits it must keep."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from tests.fakes.bitable.refusals import Refusal
from tests.fakes.bitable.tables import Base, Table, Written

Data = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one call may hold, and a table.

    Attributes:
        batch: Records of one write. The vendor's pages and tools name 200, 500 and 1,000; this is the
            strictest of them.
        page: Records on a page of search.
        items: Tables or fields on a page of their lists.
        ids: Records of one batch_get.
        records: Records of one table.
        filter_characters: Of a filter as JSON.
        conditions: Of a filter.
    """

    batch: int = 200
    page: int = 500
    items: int = 100
    ids: int = 100
    records: int = 20_000
    filter_characters: int = 2_000
    conditions: int = 50


@dataclass(frozen=True, slots=True)
class Call:
    """One request, let in."""

    base: Base
    on: Table | None
    query: Mapping[str, str]
    given: Any
    limits: Limits

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

    def size(self, most: int) -> int:
        """How many things are wanted on a page."""
        try:
            size = int(self.query.get("page_size", "20"))
        except ValueError:
            raise Refusal(99992402, "page_size") from None
        if size <= 0:
            raise Refusal(1254011)
        if size > most:
            raise Refusal(99992402, f"page_size: the max value is {most}")  # assumed: the code
        return size

    def items(self, name: str, kind: type, *, most: int, too_many: int) -> list[Any]:
        """The list of that name in the body, of values of one kind.

        Raises:
            Refusal: It is no such list, it is empty, or (with the code *too_many*) longer than *most*.
        """
        found = self.body.get(name)
        if not isinstance(found, list) or not found or not all(isinstance(one, kind) for one in found):
            raise Refusal(1254001, name)  # assumed: the code
        if len(found) > most:
            raise Refusal(too_many, f"{name}: more than {most}")
        return found


def is_uuid4(text: str) -> bool:
    """Whether *text* is what the vendor wants for a `client_token`."""
    try:
        return UUID(text).version == 4 and str(UUID(text)) == text.lower()
    except ValueError:
        return False
