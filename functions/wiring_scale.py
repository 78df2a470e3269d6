"""Builds what lies beyond one instance, as far as the settings ask for it: nothing of it is opened yet."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Protocol

from functions.fanout.cloud_tasks import ADDRESS, Addressed, CloudTasksWorkers
from functions.fanout.google_api import GoogleApi, Post, own_token
from functions.fanout.heartbeat import Heartbeat
from functions.fanout.pubsub import ADDRESS as TOPICS
from functions.fanout.pubsub import PubSubPublisher
from functions.notices.channel import Answer, PostError
from functions.settings import Settings


class Sends(Protocol):
    """The call to a vendor; see `functions.notices.post`."""

    async def __call__(
        self, url: str, *, headers: Mapping[str, str], body: bytes, timeout_s: float
    ) -> Answer: ...


def workers(settings: Settings, post: Sends, *, clock: Callable[[], datetime]) -> CloudTasksWorkers | None:
    """The workers behind `WORKER_QUEUE`; None when it is not set."""
    if settings.worker_queue is None:
        return None
    emulator = settings.cloud_tasks_emulator_host
    # An emulator makes no ID tokens: its calls get past the door with the shared secret.
    secret = settings.cron_secret.get_secret_value() if emulator and settings.cron_secret else ""
    to = Addressed(
        queue=settings.worker_queue,
        url=settings.worker_url or f"{(settings.public_url or '').rstrip('/')}/work",
        account="" if emulator else settings.worker_service_account or "",
        audience=settings.oidc_audience[0] if settings.oidc_audience else "",
        headers={"Authorization": f"Bearer {secret}"} if secret else {},
    )
    api = google_api(ADDRESS, emulator, post, clock=clock)
    time = timedelta(seconds=settings.worker_budget_seconds)
    return CloudTasksWorkers(api, to, time=time, shares=settings.worker_shares)


def publisher(settings: Settings, post: Sends, *, clock: Callable[[], datetime]) -> PubSubPublisher | None:
    """The topic of `EVENTS_TOPIC`; None when it is not set."""
    if settings.events_topic is None:
        return None
    api = google_api(TOPICS, settings.pubsub_emulator_host, post, clock=clock)
    return PubSubPublisher(api, settings.events_topic, source=settings.public_url or "cronfire")


def heartbeat(settings: Settings, post: Sends) -> Heartbeat | None:
    """The outside watch of `HEARTBEAT_URL`; None when it is not set."""
    url = settings.heartbeat_url
    return Heartbeat(url.get_secret_value(), _posting(post)) if url else None


def google_api(
    address: str, emulator: str | None, post: Sends, *, clock: Callable[[], datetime]
) -> GoogleApi:
    """The service at *address*, or its emulator at `host:port`."""
    call = _posting(post)
    if emulator:
        return GoogleApi(f"http://{emulator}", post=call, token=None, clock=clock)
    return GoogleApi(address, post=call, token=own_token, clock=clock)


def _posting(post: Sends) -> Post:
    """*post*, as this room's neighbours want it."""

    async def call(url: str, **how: Any) -> tuple[int, bytes]:
        try:
            answer = await post(url, **how)
        except PostError as exc:
            raise OSError(str(exc)) from None
        return answer.status, answer.body

    return call
