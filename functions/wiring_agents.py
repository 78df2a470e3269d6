"""Builds what agents need, as far as the settings ask for it: a model's server and the accounts."""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from functions.actions.net.origin import OriginClient
from functions.actions.tools import LanguageModel
from functions.rules.credits import TOKEN_TYPES, Rates
from functions.settings import Settings
from functions.spending import Free, Spending

if TYPE_CHECKING:
    from functions.owners import Owners


class Models:
    """The language model that the settings name, and its connections.

    Attributes:
        model: None when there is none.
    """

    def __init__(self, settings: Settings, *, clock: Callable[[], datetime]) -> None:
        self.model: LanguageModel | None = None
        self._client: OriginClient | None = None
        if settings.llm_base_url is not None:
            self._client = OriginClient(settings.llm_base_url, clock=lambda: clock().timestamp())
            self.model = LanguageModel(
                http=self._client,
                url=settings.llm_base_url,
                key=settings.llm_api_key.get_secret_value() if settings.llm_api_key else "",
                name=settings.llm_model or "",
            )

    async def close(self) -> None:
        """Let go of connections."""
        if self._client is not None:
            await self._client.close()


def spending(
    settings: Settings, owners: "Callable[[], Owners]", *, clock: Callable[[], datetime]
) -> Spending:
    """The accounts for a tick; without prices there is nothing to keep."""
    rates = Rates(settings.credits_per_run, settings.credits_per_1k_tokens)
    if any(rates.priced(name) for name in (*rates.per_run, *TOKEN_TYPES)):
        from functions.credits import Credits  # 2 ms, and most have no prices

        return Credits(owners(), rates, clock=clock)
    return Free()
