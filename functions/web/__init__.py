"""Requests: the only room that knows headers and status codes."""

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, cast

from starlette.types import ASGIApp

from functions.settings import Settings
from functions.web.bearer import SharedSecrets
from functions.web.certificates import Certificates
from functions.web.door import Door, Wired
from functions.web.gate import Gate
from functions.web.oidc import IdTokens

if TYPE_CHECKING:
    from functions.web.api.parts import ApiParts


def open_door(settings: Settings, wire: Callable[[], Wired]) -> Door:
    """Return the door that *settings* ask for. Nothing is connected, and *wire* not called, before a request.

    Raises:
        ValueError: There is no shared secret; such settings are for the command line.
    """
    if settings.cron_secret is None:
        raise ValueError("a door without CRON_SECRET would be open to nobody")
    previous = settings.cron_secret_previous
    secrets = SharedSecrets(
        settings.cron_secret.get_secret_value(), previous.get_secret_value() if previous else None
    )
    id_tokens = IdTokens(
        audiences=settings.oidc_audience,
        accounts=settings.oidc_service_accounts,
        certificates=Certificates(),
    )
    google = id_tokens if settings.oidc_audience else None
    return Door(
        gate=Gate(secrets, google),
        wire=wire,
        answer_by=timedelta(seconds=settings.tick_budget_seconds),
        work_by=timedelta(seconds=settings.worker_budget_seconds),
        rest=_Rest(settings, google),
    )


class _Rest:
    """The application that people use. FastAPI takes 250 ms to import, and no tick needs it."""

    def __init__(self, settings: Settings, google: IdTokens | None) -> None:
        self._settings = settings
        self._google = google
        self._built: tuple[Wired, ASGIApp] | None = None

    def __call__(self, wired: Wired) -> ASGIApp:
        if self._built is None or self._built[0] is not wired:
            from functions.web.rest import build_rest

            self._built = (wired, build_rest(self._settings, cast("ApiParts", wired), self._google))
        return self._built[1]
