"""How often each call may be made in a second, for the whole app; off until a test sets it."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType

from tests.fakes.bitable.refusals import Refusal

WINDOW = timedelta(seconds=1)
# Named on the vendor's page of each call; for batch_delete one page says 50, a newer one 10.
PUBLISHED: Mapping[str, int] = MappingProxyType(
    {
        "POST /records/search": 20,
        "POST /records/batch_get": 20,
        "POST /records/batch_create": 50,
        "POST /records/batch_update": 50,
        "POST /records/batch_delete": 10,
        "GET /fields": 20,
        "POST /fields": 10,
        "GET /tables": 20,
        "POST /tables": 10,
    }
)


class Rates:
    """Counts calls by the vendor's clock.

    Attributes:
        limits: Calls in a second, by method and end of the path; what is not named is free.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self.limits: dict[str, int] = {}
        self._windows: dict[str, tuple[datetime, int]] = {}

    def count(self, name: str) -> None:
        """Take one call in.

        Raises:
            Refusal: There were too many in this second; its headers say how many are allowed, and how long
                to wait.
        """
        most = self.limits.get(name)
        if most is None:
            return
        now = self._clock()
        start, calls = self._windows.get(name, (now, 0))
        if now - start >= WINDOW:
            start, calls = now, 0
        if calls >= most:
            headers = {"x-ogw-ratelimit-limit": str(most), "x-ogw-ratelimit-reset": "1"}
            raise Refusal(99991400, headers=headers)
        self._windows[name] = (start, calls + 1)
