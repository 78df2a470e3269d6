"""The context of one command: its settings, store and screen, each made when it is first needed."""

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import cast

from functions.app import application
from functions.app.application import App
from functions.cli.console import Screen
from functions.config.settings import Settings
from functions.domain.task import Task
from functions.errors import InputError
from functions.interfaces import Store

PROJECT_ROOT = Path(__file__).resolve().parents[2]
STATE_FOLDER = PROJECT_ROOT / ".cronfire"  # local state, never committed


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
        """The settings; raises SettingsError when one is wrong."""
        if self._settings is None:
            self._settings = Settings.from_env(self.environment, serves_http=False)
        return self._settings

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
        from functions.cli.api_client import RemoteStore, create_api_client  # as in `cli`

        api = create_api_client(self.environment)
        assert api is not None
        return cast("Store", RemoteStore(api))

    async def get_task(self, task_id: str) -> Task:
        """Return a task; raises InputError when there is none of this id, or it cannot be read."""
        found = await self.store.get_tasks([task_id])
        if found.invalid:
            raise InputError(f"{task_id} cannot be read: {found.invalid[0].reason}")
        if not found.tasks:
            raise InputError(f"there is no task {task_id!r}: scheduler list shows all")
        return found.tasks[0].task

    async def close(self) -> None:
        """Close what was opened."""
        if self._app is not None:
            await self._app.close()
