"""Builds each optional part that the settings ask for: store, credits, queue, topic, heartbeat."""

import signal
from collections.abc import Callable
from datetime import datetime, timedelta
from hashlib import sha256
from socket import gethostname
from threading import Event
from types import FrameType
from typing import TYPE_CHECKING, Any, cast

from functions.config.settings import Settings
from functions.config.stores import BITABLE_SCHEME, FILE_SCHEMES
from functions.domain.capacity.time_budget import CLOUD_SCHEDULER_BUDGET, FINISH_MARGIN
from functions.errors import InputError
from functions.http_client.trusted import PostRequest
from functions.interfaces import CreditLedger, NoCredits
from functions.stores import create_store

if TYPE_CHECKING:
    from functions import interfaces
    from functions.gcp.api import GoogleApi
    from functions.gcp.cloud_tasks import CloudTasksWorkerPool
    from functions.gcp.pubsub import PubSubPublisher
    from functions.observability.heartbeat import Heartbeat
    from functions.services.access.accounts import AccountStore
    from functions.stores import Store


def build_credit_ledger(
    settings: Settings, accounts: "Callable[[], AccountStore]", *, clock: Callable[[], datetime]
) -> CreditLedger:
    """Return the credit ledger of a tick; one that does nothing when there are no prices."""
    if not settings.credits_per_run and not settings.credits_per_1k_tokens:
        return NoCredits()
    from functions.domain.costs.credits import PriceList
    from functions.services.access.credits import StoredCreditLedger

    rates = PriceList(settings.credits_per_run, settings.credits_per_1k_tokens)
    return StoredCreditLedger(accounts(), rates, clock=clock) if rates.has_prices else NoCredits()


def build_store(settings: Settings) -> "Store":
    """Return the store of `STORE_URL`. Nothing is connected yet."""
    url, emulator = settings.store_url, settings.firestore_emulator_host
    if not url.startswith(BITABLE_SCHEME):
        return create_store(url, emulator=emulator)
    from functions.stores.bitable.config import CellParser, FeishuCredentials

    app, secret = None, settings.feishu_app_secret
    if settings.feishu_app_id and secret:
        app = FeishuCredentials(settings.feishu_app_id, secret.get_secret_value(), settings.feishu_base_url)
    return create_store(url, feishu=app, cell_parser=CellParser(parse_cell, settings.default_timezone))


def settled_view(store: "interfaces.Store") -> "interfaces.Store":
    """Return what all but ticks see of *store*: tasks are settled there whose settlement is deferred."""
    from functions.services.access.settled_store import SettledStore  # few defer them

    return cast("interfaces.Store", SettledStore(store))


def parse_cell(text: str) -> Any:
    """Return the value of a cell's text, read as YAML by the rules of task files.

    Raises:
        ValueError: It is none; the text says why.
    """
    from functions.taskfiles.parser import parse_text  # 20 ms, and only where a cell holds no JSON

    try:
        document = parse_text(text, as_json=False)
    except InputError as exc:
        raise ValueError(f"this is neither YAML nor JSON: {exc}") from None
    for problem in document.problems:
        raise ValueError(f"{problem.field}: {problem.reason}" if problem.path else problem.reason)
    return document.value


def build_workers(
    settings: Settings, post: PostRequest, *, clock: Callable[[], datetime]
) -> "CloudTasksWorkerPool | None":
    """Return the workers behind `WORKER_QUEUE`; None when it is not set."""
    if settings.worker_queue is None:
        return None
    from functions.gcp.cloud_tasks import BASE_URL, CloudTasksWorkerPool, QueueTarget

    emulator = settings.cloud_tasks_emulator_host
    # An emulator makes no ID tokens: its calls authenticate with the shared secret.
    secret = settings.cron_secret.get_secret_value() if emulator and settings.cron_secret else ""
    to = QueueTarget(
        queue=settings.worker_queue,
        url=settings.worker_url or f"{(settings.public_url or '').rstrip('/')}/work",
        service_account="" if emulator else settings.worker_service_account or "",
        audience=settings.oidc_audience[0] if settings.oidc_audience else "",
        headers={"Authorization": f"Bearer {secret}"} if secret else {},
    )
    api = build_google_api(BASE_URL, emulator, post, clock=clock)
    time = timedelta(seconds=settings.worker_budget_seconds)
    return CloudTasksWorkerPool(api, to, worker_timeout=time, worker_count=settings.worker_shares)


def longest_attempt(settings: Settings) -> timedelta:
    """Return how long an attempt can take: in a worker, where there are some, else in a tick."""
    limit = timedelta(seconds=settings.tick_budget_seconds)
    if settings.worker_queue is not None:
        limit = timedelta(seconds=settings.worker_budget_seconds)
    elif settings.oidc_audience:  # Cloud Scheduler may call, and waits longer than others
        assert CLOUD_SCHEDULER_BUDGET.response_limit is not None
        limit = max(limit, CLOUD_SCHEDULER_BUDGET.response_limit)
    return limit - FINISH_MARGIN


def build_publisher(
    settings: Settings, post: PostRequest, *, clock: Callable[[], datetime]
) -> "PubSubPublisher | None":
    """Return the publisher of `EVENTS_TOPIC`; None when it is not set."""
    if settings.events_topic is None:
        return None
    from functions.gcp.pubsub import BASE_URL, PubSubPublisher

    api = build_google_api(BASE_URL, settings.pubsub_emulator_host, post, clock=clock)
    return PubSubPublisher(
        api,
        settings.events_topic,
        source=settings.public_url or "cronfire",
        scheduler_id=scheduler_id(settings),
    )


def scheduler_id(settings: Settings) -> str:
    """Return the id of this scheduler on a topic that others may share: all its processes have one store.

    A file of one name is on many machines, each with a store of its own. Where the machine's name changes, as
    with each new container, an event may return that is not ignored: its tasks know that they have it.
    """
    store = settings.store_url
    if store.startswith(FILE_SCHEMES):
        store = f"{store} {settings.public_url or gethostname()}"
    return sha256(store.encode("utf-8", "replace")).hexdigest()[:16]


def build_heartbeat(settings: Settings, post: PostRequest) -> "Heartbeat | None":
    """Return the client of `HEARTBEAT_URL`; None when it is not set."""
    if settings.heartbeat_url is None:
        return None
    from functions.observability.heartbeat import Heartbeat

    return Heartbeat(settings.heartbeat_url.get_secret_value(), post)


def build_google_api(
    address: str, emulator: str | None, post: PostRequest, *, clock: Callable[[], datetime]
) -> "GoogleApi":
    """Return the client of the service at *address*, or of its emulator at `host:port`."""
    from functions.gcp.api import GoogleApi, fetch_access_token

    if emulator:
        return GoogleApi(f"http://{emulator}", post=post, fetch_token=None, clock=clock)
    return GoogleApi(address, post=post, fetch_token=fetch_access_token, clock=clock)


class ShutdownSignal:
    """Remembers SIGTERM, and passes it on to the server's own handler.

    Attributes:
        received: Set once SIGTERM has been received.
    """

    def __init__(self) -> None:
        self.received = Event()
        self._is_installed = False

    def install(self) -> None:
        """Handle SIGTERM from now on. Called when serving, because the server installs its handlers late."""
        if self._is_installed:
            return
        self._is_installed = True
        before = signal.getsignal(signal.SIGTERM)

        def handle(number: int, frame: FrameType | None) -> None:
            self.received.set()
            if callable(before):
                before(number, frame)
            elif before is signal.SIG_DFL:
                raise SystemExit(128 + number)

        try:
            signal.signal(signal.SIGTERM, handle)
        except ValueError:  # not the main thread: whoever owns that one handles its signals
            return
