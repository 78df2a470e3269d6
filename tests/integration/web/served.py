"""The real entry point with a stand-in for the application, for a real server to load."""

import os
import sys
from collections.abc import Mapping
from types import ModuleType

from functions.config.settings import Settings
from functions.domain.capacity.time_budget import TimeBudget
from functions.errors import StoreUnavailableError

IMPORTED_IN = os.getpid()
built_in: list[int] = []


class Behind:
    async def tick(self, _: TimeBudget) -> Mapping[str, object]:
        return {"status": "ok", "importedIn": IMPORTED_IN, "builtIn": built_in, "servedIn": os.getpid()}

    async def status(self) -> Mapping[str, object]:
        raise StoreUnavailableError(f"nobody there for {os.environ['CRON_SECRET']}")


class Wiring(ModuleType):
    @staticmethod
    def build_app(_: Settings) -> Behind:
        built_in.append(os.getpid())
        return Behind()


sys.modules["functions.app.application"] = Wiring("functions.app.application")

from main import scheduler  # noqa: E402  # the stand-in must be there before

__all__ = ["scheduler"]
