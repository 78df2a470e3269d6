"""Settings for more than one instance: the queue of workers, the topic of events, the outside watch."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field

from functions.setting_kinds import ADDRESS, HOST, Address, SecretAddress

SECONDS = "a number of seconds from 30 to 3300"


class ScaleSettings(BaseModel):
    """What a single function with a single pinger does not need.

    Attributes:
        worker_queue: The Cloud Tasks queue that long tasks and backlogs are handed to; None for none.
        worker_url: Where the queue sends work; None means `/work` of `public_url`.
        worker_service_account: Whose ID token the queue sends along; one of `oidc_service_accounts` there.
        worker_budget_seconds: A worker answers within it: at least 20 less than the function's time-out.
        worker_shares: How many workers a backlog is divided among.
        cloud_tasks_emulator_host: `host:port` of an emulator to use instead of Google.
        events_topic: The Pub/Sub topic that finished runs and paused tasks are published to; None for none.
        pubsub_emulator_host: `host:port` of an emulator to use instead of Google.
        otel_exporter_otlp_endpoint: The OpenTelemetry collector that gets a span for each run; None for none.
        heartbeat_url: What is asked for after each complete tick, so that somebody outside notices silence.
        late_after_minutes: A tick that finds the one before it older than this tells people; 0 for never.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, defer_build=True)

    worker_queue: str | None = Field(
        None,
        pattern=r"^projects/[^/]+/locations/[^/]+/queues/[^/]+$",
        description="projects/PROJECT/locations/LOCATION/queues/QUEUE",
    )
    worker_url: Address | None = Field(None, description=ADDRESS)
    worker_service_account: str | None = Field(
        None, pattern=r"^[^@\s]+@[^@\s]+$", description="the e-mail address of a service account"
    )
    worker_budget_seconds: float = Field(280.0, ge=30, le=3300, description=SECONDS)
    worker_shares: int = Field(4, ge=1, le=64, description="a whole number from 1 to 64")
    cloud_tasks_emulator_host: str | None = Field(None, pattern=HOST, description="host:port")
    events_topic: str | None = Field(
        None, pattern=r"^projects/[^/]+/topics/[^/]+$", description="projects/PROJECT/topics/TOPIC"
    )
    pubsub_emulator_host: str | None = Field(None, pattern=HOST, description="host:port")
    otel_exporter_otlp_endpoint: Address | None = Field(None, description=ADDRESS)
    heartbeat_url: SecretAddress | None = Field(None, description=ADDRESS)
    late_after_minutes: float = Field(
        0.0, ge=0, le=1440, description="a number of minutes from 0 (never) to 1440"
    )


def queue_faults(values: Mapping[str, str]) -> list[str]:
    """What is missing for a queue to be of use."""
    if "worker_queue" not in values:
        return []
    faults = []
    if not {"worker_url", "public_url"} & values.keys():
        faults.append("WORKER_URL is missing: WORKER_QUEUE sends work there (PUBLIC_URL would do as well).")
    if not {"worker_service_account", "cloud_tasks_emulator_host"} & values.keys():
        faults.append("WORKER_SERVICE_ACCOUNT is missing: with its ID token WORKER_QUEUE gets past the door.")
    return faults
