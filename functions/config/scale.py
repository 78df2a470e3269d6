"""The settings of several instances and of monitoring: worker queue, event topic, traces, heartbeat."""

from collections.abc import Mapping

from pydantic import Field

from functions.config.types import (
    HOST_AND_PORT,
    HTTP_URL,
    SERVICE_ACCOUNT,
    HttpUrl,
    SecretHttpUrl,
    ServiceAccount,
    SettingsGroup,
)

SECONDS = "a number of seconds from 30 to 3300"


class ScaleSettings(SettingsGroup):
    """The variables that a single function with a single caller of its ticks does not need.

    Attributes:
        worker_queue: The Cloud Tasks queue that long tasks and backlogs are handed to; None for none.
        worker_url: The address that the queue calls; None means `/work` of `public_url`.
        worker_service_account: The account of the queue's ID token; one of `oidc_service_accounts` there.
        worker_budget_seconds: A worker answers within it; at least 20 less than the function's time-out.
        worker_shares: How many workers a backlog is divided among.
        cloud_tasks_emulator_host: `host:port` of an emulator to use instead of Google.
        events_topic: The Pub/Sub topic that finished runs and paused tasks are published to; None for none.
        pubsub_emulator_host: `host:port` of an emulator to use instead of Google.
        otel_exporter_otlp_endpoint: The OpenTelemetry collector that gets a span for each run; None for none.
        heartbeat_url: Requested after each complete tick, for an outside dead-man's switch; None for none.
        late_after_minutes: A tick notifies when due tasks waited longer than this; 0 for never.
    """

    worker_queue: str | None = Field(
        None,
        pattern=r"^projects/[^/]+/locations/[^/]+/queues/[^/]+$",
        description="projects/PROJECT/locations/LOCATION/queues/QUEUE",
    )
    worker_url: HttpUrl | None = Field(None, description=HTTP_URL)
    worker_service_account: ServiceAccount | None = Field(None, description=SERVICE_ACCOUNT)
    worker_budget_seconds: float = Field(280.0, ge=30, le=3300, description=SECONDS)
    worker_shares: int = Field(4, ge=1, le=64, description="a whole number from 1 to 64")
    cloud_tasks_emulator_host: str | None = Field(None, pattern=HOST_AND_PORT, description="host:port")
    events_topic: str | None = Field(
        None, pattern=r"^projects/[^/]+/topics/[^/]+$", description="projects/PROJECT/topics/TOPIC"
    )
    pubsub_emulator_host: str | None = Field(None, pattern=HOST_AND_PORT, description="host:port")
    otel_exporter_otlp_endpoint: HttpUrl | None = Field(None, description=HTTP_URL)
    heartbeat_url: SecretHttpUrl | None = Field(None, description=HTTP_URL)
    late_after_minutes: float = Field(
        0.0, ge=0, le=1440, description="a number of minutes from 0 (never) to 1440"
    )


def queue_problems(values: Mapping[str, str]) -> list[str]:
    """Return which variables a worker queue lacks."""
    if "worker_queue" not in values:
        return []
    problems = []
    if not {"worker_url", "public_url"} & values.keys():
        problems.append("WORKER_URL is missing: WORKER_QUEUE sends work there (PUBLIC_URL would do as well).")
    if not {"worker_service_account", "cloud_tasks_emulator_host"} & values.keys():
        problems.append("WORKER_SERVICE_ACCOUNT is missing: WORKER_QUEUE authenticates with its ID token.")
    return problems + _own_worker_problems(values)


def _own_worker_problems(values: Mapping[str, str]) -> list[str]:
    """Return why this very function, where it is the worker, would refuse what the queue sends to it."""
    account = values.get("worker_service_account")
    if not account or {"worker_url", "cloud_tasks_emulator_host"} & values.keys():
        return []
    if account in str(values.get("oidc_service_accounts")).replace(",", " ").split():
        return []
    return [
        "WORKER_SERVICE_ACCOUNT must be one of OIDC_SERVICE_ACCOUNTS: "
        "without WORKER_URL the queue calls this function, which accepts no other account."
    ]
