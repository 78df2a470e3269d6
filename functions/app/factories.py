"""Builds each optional part that the settings ask for: store, model, accounts, queue, topic, heartbeat."""

import signal
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from threading import Event
from types import FrameType
from typing import TYPE_CHECKING, Any, cast

from functions.config.settings import Settings
from functions.domain.capacity.time_budget import CLOUD_SCHEDULER_BUDGET, FINISH_MARGIN
from functions.domain.costs.credits import PriceList
from functions.errors import InputError
from functions.gcp.api import GoogleApi, fetch_access_token
from functions.gcp.cloud_tasks import BASE_URL, CloudTasksWorkerPool, QueueTarget
from functions.gcp.pubsub import BASE_URL as TOPICS
from functions.gcp.pubsub import PubSubPublisher
from functions.http_client.lazy import LazyClient, single_origin_client
from functions.http_client.trusted import PostRequest
from functions.interfaces import CreditLedger, NoCredits
from functions.observability.heartbeat import Heartbeat
from functions.stores import create_store
from functions.stores.bitable.config import CellParser, FeishuCredentials
from functions.task_types.support.context import LanguageModel
from functions.task_types.support.mcp_servers import McpServer, know_servers

if TYPE_CHECKING:
    from functions import interfaces
    from functions.services.access.accounts import AccountStore
    from functions.stores import Store


class ModelClient:
    """The language model and the MCP servers that the settings name, and their connections.

    Args:
        secrets: What headers of MCP servers refer to, by name.

    Attributes:
        model: None when there is none.
        mcp_servers: The MCP servers of agents, by name.
    """

    def __init__(self, settings: Settings, secrets: Mapping[str, str]) -> None:
        self.model: LanguageModel | None = None
        self._clients: list[LazyClient] = []
        self.mcp_servers = {
            name: McpServer(self._open(one.url), one.url, one.resolved_headers(secrets))
            for name, one in settings.agent_mcp_servers.items()
        }
        know_servers(self.mcp_servers if settings.llm_base_url is not None else None)
        if settings.llm_base_url is not None:
            self.model = LanguageModel(
                open_http=self._open(settings.llm_base_url),
                url=settings.llm_base_url,
                api_key=settings.llm_api_key.get_secret_value() if settings.llm_api_key else "",
                default_model=settings.llm_model or "",
                provider=settings.llm_provider,
            )

    async def close(self) -> None:
        """Release the connections."""
        for client in self._clients:
            await client.close()

    def _open(self, url: str) -> LazyClient:
        client = single_origin_client(url)
        self._clients.append(client)
        return client


def build_credit_ledger(
    settings: Settings, accounts: "Callable[[], AccountStore]", *, clock: Callable[[], datetime]
) -> CreditLedger:
    """Return the credit ledger of a tick; one that does nothing when there are no prices."""
    rates = PriceList(settings.credits_per_run, settings.credits_per_1k_tokens)
    if rates.has_prices:
        from functions.services.access.credits import StoredCreditLedger  # 2 ms, and most have no prices

        return StoredCreditLedger(accounts(), rates, clock=clock)
    return NoCredits()


def build_store(settings: Settings) -> "Store":
    """Return the store of `STORE_URL`. Nothing is connected yet."""
    secret = settings.feishu_app_secret
    app = None
    if settings.feishu_app_id and secret:
        app = FeishuCredentials(settings.feishu_app_id, secret.get_secret_value(), settings.feishu_base_url)
    reading = CellParser(parse_cell, settings.default_timezone)
    emulator = settings.firestore_emulator_host
    return create_store(settings.store_url, feishu=app, cell_parser=reading, emulator=emulator)


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
        raise ValueError(problem.reason)
    return document.value


def build_workers(
    settings: Settings, post: PostRequest, *, clock: Callable[[], datetime]
) -> CloudTasksWorkerPool | None:
    """Return the workers behind `WORKER_QUEUE`; None when it is not set."""
    if settings.worker_queue is None:
        return None
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
) -> PubSubPublisher | None:
    """Return the publisher of `EVENTS_TOPIC`; None when it is not set."""
    if settings.events_topic is None:
        return None
    api = build_google_api(TOPICS, settings.pubsub_emulator_host, post, clock=clock)
    return PubSubPublisher(api, settings.events_topic, source=settings.public_url or "cronfire")


def build_heartbeat(settings: Settings, post: PostRequest) -> Heartbeat | None:
    """Return the client of `HEARTBEAT_URL`; None when it is not set."""
    url = settings.heartbeat_url
    return Heartbeat(url.get_secret_value(), post) if url else None


def build_google_api(
    address: str, emulator: str | None, post: PostRequest, *, clock: Callable[[], datetime]
) -> GoogleApi:
    """Return the client of the service at *address*, or of its emulator at `host:port`."""
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
