"""A walk through all tasks, page by page, over one reading of the table."""

import asyncio

from functions.rules.storage import Found
from functions.store.hand_table import Tasks

GOES_ON_FOR_S = 10.0  # a page asked for later is a question of its own


class Walk:
    """Remembers what the last page was cut from, for who asks for the next one at once.

    Each page would else cost a reading of the whole table.
    """

    def __init__(self) -> None:
        self._tasks: Tasks | None = None
        self._last = ""
        self._at = 0.0

    def goes_on(self, after: str) -> Tasks | None:
        """The tasks to cut the next page from, if *after* is where the last page ended."""
        late = asyncio.get_running_loop().time() - self._at > GOES_ON_FOR_S
        return None if not after or after != self._last or late else self._tasks

    def stands_at(self, found: Found, tasks: Tasks) -> None:
        """A page ended with *found*, cut from *tasks*."""
        names = [stored.task.id for stored in found.tasks] + [one.id for one in found.broken]
        self._tasks, self._last = (tasks, max(names)) if names else (None, "")
        self._at = asyncio.get_running_loop().time()

    def end(self) -> None:
        """Something was written: the next page is of what there is now."""
        self._tasks, self._last = None, ""
