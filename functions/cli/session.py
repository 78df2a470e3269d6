"""The context of one command: its settings, store and screen, each made when it is first needed."""

import asyncio
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from functions.app import application
from functions.app.application import App
from functions.cli.console import Screen
from functions.cli.local.secret_files import read_or_create_secret, secret_file
from functions.config.settings import Settings
from functions.config.stores import FILE_SCHEMES
from functions.domain.lifecycle.executions import Execution
from functions.domain.task import Task
from functions.errors import InputError, NotFoundError, SettingsError, UnreadableError
from functions.interfaces import Store
from functions.services.access.flow_control import find_wait_reason
from functions.services.executions import list_executions
from functions.task_types.registry import register

if TYPE_CHECKING:
    from functions.cli.api_client import ApiClient

SIGNING_FILE = "signing-secret"  # for a store on this machine, whose users set no SIGNING_SECRET


class CliContext:
    """The context of a command.

    Attributes:
        environment: The variables, those of `.env` included.
        screen: The output.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        screen: Screen,
        *,
        clock: Callable[[], datetime] = application.now,
    ) -> None:
        self.environment = environment
        self.screen = screen
        self._clock = clock
        self._settings: Settings | None = None
        self._app: App | None = None

    def now(self) -> datetime:
        """Return the current instant."""
        return self._clock()

    def new_id(self) -> str:
        """Return a new random id."""
        return application.new_id()

    @property
    def settings(self) -> Settings:
        """The settings; raises SettingsError when one is wrong. The types of TASK_TYPES are then known."""
        if self._settings is None:
            self._settings = Settings.from_env(
                {**self.environment, **self.local_signing_secret()}, serves_http=False
            )
            try:
                for module in self._settings.task_types:
                    register(module)
            except InputError as exc:
                raise SettingsError(f"TASK_TYPES: {exc}") from None
        return self._settings

    def load_task_types(self) -> None:
        """Make the task types of TASK_TYPES known; raises InputError when one is no type."""
        assert self.settings is not None

    def local_signing_secret(self, *, create: bool = False) -> Mapping[str, str]:
        """Return SIGNING_SECRET as it is kept in a file for stores on this machine; empty where it is set.

        `serve` and the other commands take the same one. A deployed function does not see the file, so for
        its store the setting is needed.

        Args:
            create: Whether to make the file when there is none.
        """
        if self._is_set("SIGNING_SECRET") or not self._has_local_store():
            return {}
        if create:
            made = self.local_secret(SIGNING_FILE, "SIGNING_SECRET")
            self._settings = None  # they may have been read when the file was not there
            return {"SIGNING_SECRET": made}
        with suppress(OSError):
            if kept := secret_file(self._store_url(), SIGNING_FILE).read_text().strip():
                return {"SIGNING_SECRET": kept}
        return {}

    def make_signing_secret(self) -> None:
        """Make the file of `local_signing_secret` where otherwise nothing could be signed."""
        if not self._is_set("API_KEY"):
            self.local_signing_secret(create=True)

    def local_secret(self, file_name: str, name: str) -> str:
        """Return the secret for the setting *name* that is kept for this store; made the first time.

        Raises:
            SettingsError: It cannot be read or made.
        """
        return read_or_create_secret(secret_file(self._store_url(), file_name), name)

    def _is_set(self, name: str) -> bool:
        return any(self.environment.get(one, "").strip() for one in (name, f"{name}_FILE"))

    def _store_url(self) -> str:
        default: str = Settings.model_fields["store_url"].default
        return self.environment.get("STORE_URL", "").strip() or default

    def _has_local_store(self) -> bool:
        return self._store_url().startswith(FILE_SCHEMES)

    @property
    def app(self) -> App:
        """The scheduler."""
        if self._app is None:
            self._app = application.build_app(self.settings)
        return self._app

    @property
    def is_remote(self) -> bool:
        """Whether commands call a deployed function instead of a store."""
        return bool(self.environment.get("SCHEDULER_URL", "").strip())

    @property
    def store(self) -> Store:
        """The store that `STORE_URL` names, or the API at `SCHEDULER_URL` as a store."""
        if not self.is_remote:
            return self.app.store
        from functions.cli.api_client import RemoteStore  # as in `cli`

        return cast("Store", RemoteStore(self.api))

    @property
    def api(self) -> "ApiClient":
        """The API at `SCHEDULER_URL`; for commands that are remote."""
        from functions.cli.api_client import create_api_client  # imports an HTTP client

        found = create_api_client(self.environment)
        assert found is not None, "SCHEDULER_URL is set"
        return found

    def describe_store(self) -> str:
        """Return which store the command looks at: a file by its whole path; nothing that opens one."""
        if self.is_remote:
            return f"the function at {self.environment['SCHEDULER_URL'].strip()}"
        return describe_store_url(self.settings.store_url)

    def show_store(self) -> None:
        """Say which store was looked at, beside what is printed: an empty answer may be another store's."""
        self.screen.note(f"Store: {self.describe_store()}")

    async def executions(self, task_id: str) -> list[Execution]:
        """Return what has not finished of a task; of all with an empty *task_id*.

        Raises:
            NotFoundError: There is no such task.
        """
        if self.is_remote:
            found: list[Execution] = await cast("Any", self.store).executions(task_id)
            return found
        return await list_executions(self.store, task_id=task_id, now=self.now())

    async def get_task(self, task_id: str) -> Task:
        """Return a task.

        Raises:
            NotFoundError: There is none of this id.
            UnreadableError: It cannot be read.
        """
        found = await self.store.get_tasks([task_id])
        if found.invalid:
            raise UnreadableError(f"{task_id} cannot be read: {found.invalid[0].reason}")
        if not found.tasks:
            raise NotFoundError(f"there is no task {task_id!r}")
        return found.tasks[0].task

    async def find_wait_reason(self, task: Task) -> str:
        """Return why *task* is due and has not started, where its group is the reason; else empty."""
        if task.group is None or task.next_run_at is None or task.next_run_at > self.now():
            return ""
        if self.is_remote:
            return str((await self.api.request("GET", f"/api/tasks/{task.id}")).get("waiting", ""))
        return str(await find_wait_reason(self.store, task, now=self.now()) or "")

    async def close(self) -> None:
        """Close what was opened."""
        if self._app is not None:
            await self._app.close()


def describe_store_url(url: str) -> str:
    """Return *url* as people know the store: with the whole path of a file, without the token of a base."""
    scheme, _, rest = url.partition("://")
    if url.startswith(FILE_SCHEMES):
        file = rest.removeprefix("/")
        return url if file.startswith(":") else f"{scheme}:///{Path(file).absolute()}"
    return f"{scheme}://.../{rest.partition('/')[2]}" if scheme == "bitable" else url


@contextmanager
def ending_in_order() -> Iterator[None]:
    """Let SIGTERM, and SIGHUP of a terminal that closes, end attempts of this block as Ctrl-C does.

    By themselves they end Python at once: a program that a task started would run on, and its attempt be made
    again beside it. A second one still does. One that the caller ignores, as below `nohup`, stays ignored.

    Raises:
        SystemExit: One was received.
    """
    loop, command = asyncio.get_running_loop(), asyncio.current_task()
    assert command is not None
    received: list[int] = []

    def end(number: int) -> None:
        received.append(number)
        loop.remove_signal_handler(number)
        command.cancel()

    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    for number in numbers:
        if signal.getsignal(number) is signal.SIG_DFL:
            with suppress(NotImplementedError, RuntimeError, ValueError):  # on Windows; not the main thread
                loop.add_signal_handler(number, end, number)
    try:
        yield
    except asyncio.CancelledError:
        if not received:
            raise
        raise SystemExit(128 + received[0]) from None  # as a shell says it
    finally:
        for number in numbers:
            with suppress(NotImplementedError):
                loop.remove_signal_handler(number)
