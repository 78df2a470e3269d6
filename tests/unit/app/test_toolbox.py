"""What attempts need of the process: as many open files as they may take at once."""

import resource
from collections.abc import Iterator

import pytest

from functions.app.toolbox import FILES_PER_ATTEMPT, OTHER_FILES, Toolbox
from functions.config.settings import Settings
from functions.stores.sqlite.store import SqliteStore


@pytest.fixture
def limits() -> Iterator[tuple[int, int]]:
    """The soft and the hard limit of open files; the soft one is as macOS begins."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
    yield resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize("at_once", [10, 60])
async def test_as_many_files_may_be_open_as_all_attempts_take(at_once: int, limits: tuple[int, int]) -> None:
    settings = Settings.from_env({"CRON_SECRET": "s" * 40, "MAX_CONCURRENCY": str(at_once)})

    toolbox = Toolbox(settings, SqliteStore(":memory:"), redact=str, capabilities=NotImplemented)

    wanted = at_once * FILES_PER_ATTEMPT + OTHER_FILES
    assert (wanted, limits[1]) == resource.getrlimit(resource.RLIMIT_NOFILE)
    await toolbox.close()


async def test_a_limit_that_is_enough_stays(limits: tuple[int, int]) -> None:
    enough = (FILES_PER_ATTEMPT + OTHER_FILES + 1, limits[1])
    resource.setrlimit(resource.RLIMIT_NOFILE, enough)
    settings = Settings.from_env({"CRON_SECRET": "s" * 40, "MAX_CONCURRENCY": "1"})

    toolbox = Toolbox(settings, SqliteStore(":memory:"), redact=str, capabilities=NotImplemented)

    assert enough == resource.getrlimit(resource.RLIMIT_NOFILE)
    await toolbox.close()
