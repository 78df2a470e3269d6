"""The scheduler, as the API and the dashboard use it."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from functions.domain.alerts.model import Notification
from functions.domain.capacity.time_budget import TimeBudget
from functions.domain.events import Event
from functions.domain.lifecycle.permissions import Capabilities
from functions.domain.task import Task, TaskSpec
from functions.interfaces import Store
from functions.services.access.accounts import AccountStore
from functions.services.access.keys import KeyStore
from functions.services.access.limits import OwnerLimits
from functions.services.access.signing import Signer
from functions.services.channels import ChannelService
from functions.services.events import PublishResult
from functions.task_types.support.trial import Trial


class SendResult(Protocol):
    """The vendor's response to a test message."""

    @property
    def ok(self) -> bool: ...

    @property
    def permanent(self) -> bool: ...

    @property
    def detail(self) -> str: ...


class ChannelTester(Protocol):
    """Sends test messages."""

    async def test(self, name: str, *, within: timedelta) -> SendResult:
        """Send a test message on the channel *name*."""
        ...


class ApiDependencies(Protocol):
    """The operations behind the API and the dashboard.

    Raises, from every method:
        StoreUnavailableError: The store could not be reached in time.
        StoreError: The store refused.
    """

    @property
    def store(self) -> Store: ...

    @property
    def channels(self) -> ChannelService: ...

    async def find_warnings(self, task: Task) -> list[str]:
        """Return one sentence, with its field or its remedy, for all of *task* that will not work here."""
        ...

    def message_text(self, notifications: Sequence[Notification]) -> str:
        """Return the message that *notifications*, at least one, make, as plain text."""
        ...

    @property
    def accounts(self) -> AccountStore: ...

    @property
    def owner_limits(self) -> OwnerLimits: ...

    @property
    def signer(self) -> Signer: ...

    @property
    def keys(self) -> KeyStore: ...

    @property
    def dispatcher(self) -> ChannelTester: ...

    @property
    def default_timezone(self) -> str:
        """The zone of a task that names none."""
        ...

    @property
    def language(self) -> str:
        """The tag of the language of pages, e.g. `zh`; empty means English."""
        ...

    @property
    def last_tick_ms(self) -> int | None:
        """How long the last tick of this process took; None before its first one."""
        ...

    @property
    def now(self) -> Callable[[], datetime]:
        """The clock."""
        ...

    @property
    def scheduler_id(self) -> str:
        """By which it recognises its own events when they return from a topic."""
        ...

    @property
    def redact(self) -> Callable[[str], str]:
        """Masks the installation's secrets in a text."""
        ...

    @property
    def new_id(self) -> Callable[[], str]:
        """Returns 64 random bits as lower-case letters and digits."""
        ...

    @property
    def new_secret(self) -> Callable[[], str]:
        """Returns 256 random bits as text that a header can carry."""
        ...

    async def run_tasks(self, ids: Collection[str], budget: TimeBudget) -> Mapping[str, object]:
        """Run those of the tasks that are due, now; return the report."""
        ...

    async def try_request(self, spec: TaskSpec) -> Trial:
        """Make the request of *spec* once, now, without storing anything; return what came of it."""
        ...

    async def publish_event(
        self, event: Event, *, forward: bool = True, sender: Capabilities | None = None
    ) -> PublishResult:
        """Start the tasks that subscribe to *event* and that *sender* may start, which is None for all.

        With *forward*, publish it to the topic as well.
        """
        ...

    async def metrics(self) -> str:
        """Return the text of `GET /metrics`."""
        ...

    async def status(self) -> Mapping[str, object]:
        """Return the figures of `GET /status`."""
        ...
