"""Builds the web application from settings: what answers ticks, and with its first request the API."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, cast

from starlette.types import ASGIApp

from functions import __version__
from functions.config.settings import Settings
from functions.web.app import (
    SchedulerApp,
    TriggerApp,
    with_failures,
    with_head,
    with_limits,
    with_text_addresses,
)
from functions.web.auth import (
    Authenticator,
    GoogleTokenVerifier,
    SharedSecrets,
)
from functions.web.google_keys import GoogleKeys

if TYPE_CHECKING:
    from functions.web.api.scheduler import ApiDependencies


def create_app(settings: Settings, build_app: Callable[[], SchedulerApp]) -> TriggerApp:
    """Return the application for *settings*. Nothing is connected, nor *build_app* called, before a request.

    Raises:
        ValueError: There is no shared secret; such settings are for the command line.
    """
    if settings.cron_secret is None:
        raise ValueError("without CRON_SECRET no caller could be authenticated")
    previous = settings.cron_secret_previous
    secrets = SharedSecrets(
        settings.cron_secret.get_secret_value(), previous.get_secret_value() if previous else None
    )
    token_verifier = None
    if settings.oidc_audience:
        token_verifier = GoogleTokenVerifier(
            audiences=settings.oidc_audience, accounts=settings.oidc_service_accounts, keys=GoogleKeys()
        )

    def build_api(app: SchedulerApp) -> ASGIApp:
        return build_api_app(settings, cast("ApiDependencies", app), token_verifier)

    return TriggerApp(
        authenticator=Authenticator(secrets, token_verifier),
        build_app=build_app,
        response_limit=timedelta(seconds=settings.tick_budget_seconds),
        worker_limit=timedelta(seconds=settings.worker_budget_seconds),
        build_api=build_api,
    )


def build_api_app(
    settings: Settings,
    dependencies: "ApiDependencies",
    token_verifier: GoogleTokenVerifier | None = None,
    *,
    clock: Callable[[], float] = time.monotonic,
) -> ASGIApp:
    """Return the API and the dashboard.

    Args:
        token_verifier: Authenticates Pub/Sub's pushes of events; None when none are accepted.
        clock: A monotonic clock in seconds, for the rate of each key.

    The imports are here because FastAPI takes 250 ms to import, and no tick needs it.
    """
    from functions.web import assistants, reference
    from functions.web.api import build_api
    from functions.web.api.dependencies import add_routes
    from functions.web.dashboard import add_dashboard

    api = build_api(
        dependencies,
        admin_key=None if settings.api_key is None else settings.api_key.get_secret_value(),
        version=__version__,
        clock=clock,
        token_verifier=token_verifier,
    )
    add_dashboard(api, dependencies)
    add_routes(api, assistants.router, reference.router)
    return with_failures(with_head(with_limits(with_text_addresses(api))))
