"""The layout of the product is enforced: who imports whom, who reads the clock, how large a module gets."""

from collections.abc import Callable, Iterator

import pytest

from tests.unit import architecture as rules
from tests.unit.architecture import Module

Rule = Callable[[Module], Iterator[str]]

# For each rule sources that break it: a rule that cannot fail is no rule.
BROKEN: list[tuple[Rule, str, str]] = [
    (
        rules.imports_only_downwards,
        "functions/domain/lifecycle/complete.py",
        "from functions.stores import create_store",
    ),
    (
        rules.imports_only_downwards,
        "functions/domain/lifecycle/complete.py",
        "from functions import settings",
    ),
    (rules.imports_only_downwards, "functions/stores/sqlite/store.py", "import functions.engine.tick"),
    (
        rules.imports_only_downwards,
        "functions/stores/sqlite/store.py",
        "from functions.interfaces import TickStore",
    ),
    (
        rules.imports_only_downwards,
        "functions/engine/tick.py",
        "from functions.stores import create_store",
    ),
    (
        rules.imports_only_downwards,
        "functions/task_types/http.py",
        "def f():\n    import functions.notifications",
    ),
    (rules.imports_only_downwards, "functions/web/app.py", "from functions.cli.main import main"),
    (rules.imports_only_downwards, "functions/web/app.py", "import main"),
    (rules.imports_only_downwards, "functions/web/app.py", "from . import gate"),
    (rules.imports_only_downwards, "functions/cellar.py", "import json"),
    (rules.imports_no_stranger, "functions/stores/sqlite/store.py", "import functions.stores.jsonfile.files"),
    (rules.imports_no_stranger, "functions/task_types/http.py", "from functions.task_types import rss_watch"),
    (rules.imports_libraries_of_its_own, "functions/engine/tick.py", "import aiohttp"),
    (
        rules.imports_libraries_of_its_own,
        "functions/stores/sqlite/store.py",
        "from google.cloud import firestore",
    ),
    (rules.imports_libraries_of_its_own, "functions/app/application.py", "import sqlite3"),
    (rules.imports_libraries_of_its_own, "functions/http_client/client.py", "import httpx2"),
    (rules.imports_libraries_of_its_own, "functions/task_types/http.py", "from httpx2 import AsyncClient"),
    (
        rules.imports_libraries_of_its_own,
        "functions/task_types/http.py",
        "from starlette.requests import Request",
    ),
    (rules.imports_libraries_of_its_own, "functions/config/settings.py", "import yaml.nodes"),
    (
        rules.imports_libraries_of_its_own,
        "functions/services/tasks.py",
        "from croniter import croniter",
    ),
    (
        rules.imports_libraries_of_its_own,
        "functions/notifications/channels/feishu.py",
        "import aiohttp",
    ),
    (rules.imports_libraries_of_its_own, "functions/domain/redaction.py", "import feedparser"),
    (
        rules.reads_no_clock,
        "functions/engine/tick.py",
        "from datetime import datetime\ndatetime.now()",
    ),
    (
        rules.reads_no_clock,
        "functions/engine/tick.py",
        "import datetime\nclock = datetime.datetime.utcnow",
    ),
    (rules.reads_no_clock, "functions/engine/tick.py", "import time\ntime.time()"),
    (rules.reads_no_clock, "functions/engine/tick.py", "from time import time"),
    (rules.reads_no_clock, "functions/domain/task.py", "from datetime import date\ndate.today()"),
    (
        rules.opens_no_zone,
        "functions/domain/alerts/routing.py",
        "from zoneinfo import ZoneInfo\nZoneInfo('UTC')",
    ),
    (rules.opens_no_zone, "functions/domain/alerts/routing.py", "import zoneinfo\nzoneinfo.ZoneInfo(name)"),
    (rules.opens_no_zone, "functions/cli/options.py", "from zoneinfo import available_timezones as a\na()"),
    (rules.opens_no_zone, "functions/cli/options.py", "from zoneinfo import ZoneInfo as Z\nZ('UTC')"),
    (rules.opens_no_zone, "functions/cli/options.py", "at.astimezone()"),
    (rules.opens_no_zone, "functions/cli/options.py", "at.astimezone(None)"),
    (rules.opens_no_zone, "functions/cli/options.py", "datetime.fromtimestamp(0)"),
    (rules.opens_no_zone, "functions/cli/options.py", "import time\ntime.localtime(0)"),
    (rules.opens_no_zone, "functions/cli/options.py", "from dateutil import tz"),
    (rules.opens_no_zone, "functions/cli/options.py", "import tzdata"),
    (rules.reads_no_environment, "functions/config/settings.py", "import os\nos.environ['X']"),
    (rules.reads_no_environment, "functions/app/application.py", "import os\nos.getenv('X')"),
    (rules.reads_no_environment, "functions/app/application.py", "from os import environ"),
    (rules.sleeps_never, "functions/cli/serve/command.py", "import time\ntime.sleep(1)"),
    (rules.sleeps_never, "functions/cli/serve/command.py", "from time import sleep"),
    (rules.prints_nothing, "functions/engine/tick.py", "print('hello')"),
    (rules.is_small, "functions/engine/tick.py", "pass\n" * 501),
    (rules.says_what_it_owns, "functions/engine/tick.py", "import json"),
    (rules.says_what_it_owns, "functions/engine/tick.py", '"""  """'),
    (rules.has_a_name_that_says_something, "functions/rules/utils.py", ""),
    (rules.has_a_name_that_says_something, "functions/helpers/words.py", ""),
    (rules.has_a_name_that_says_something, "functions/store/sqlite_common.py", ""),
]

FINE: list[tuple[Rule, str, str]] = [
    (
        rules.imports_only_downwards,
        "functions/stores/sqlite/store.py",
        "from functions.domain.task import Task",
    ),
    (
        rules.imports_only_downwards,
        "functions/stores/sqlite/store.py",
        "from functions.stores.metering import add_operations",
    ),
    (
        rules.imports_only_downwards,
        "functions/app/factories.py",
        "from functions.stores import create_store",
    ),
    (rules.imports_libraries_of_its_own, "functions/stores/firestore/client.py", "import google.auth"),
    (
        rules.reads_no_clock,
        "functions/app/application.py",
        "from datetime import datetime\ndatetime.now()",
    ),
    (rules.reads_no_clock, "functions/engine/tick.py", "import time\ntime.monotonic()"),
    (rules.reads_no_clock, "functions/engine/tick.py", "parts.clock.now()"),
    (rules.opens_no_zone, "functions/cli/options.py", "at.astimezone(zone)"),
    (
        rules.opens_no_zone,
        "functions/cli/options.py",
        "from zoneinfo import ZoneInfo\nzone: ZoneInfo = find()",
    ),
    (rules.opens_no_zone, "functions/domain/types.py", "ZoneInfo.from_file(file)"),
    (rules.reads_no_environment, "main.py", "import os\nos.environ"),
    (rules.sleeps_never, "functions/engine/tick.py", "import asyncio\nasyncio.sleep(1)"),
    (rules.prints_nothing, "functions/cli/console.py", "print('hello')"),
    (rules.is_small, "functions/engine/tick.py", "pass\n" * 500),
    (rules.has_a_name_that_says_something, "functions/rules/database.py", ""),
]


@pytest.mark.slow
@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.__name__)
def test_every_module_keeps_the_rule(rule: Rule) -> None:
    faults = [f"{module.path}: {fault}" for module in rules.product() for fault in rule(module)]

    assert [] == faults


@pytest.mark.parametrize(("rule", "path", "source"), BROKEN)
def test_a_module_that_breaks_a_rule_is_found(rule: Rule, path: str, source: str) -> None:
    assert list(rule(Module(path, source)))


@pytest.mark.parametrize(("rule", "path", "source"), FINE)
def test_what_a_rule_allows_passes(rule: Rule, path: str, source: str) -> None:
    assert [] == list(rule(Module(path, source)))


def test_every_rule_has_a_source_that_breaks_it() -> None:
    assert {rule.__name__ for rule in rules.RULES} == {rule.__name__ for rule, _, _ in BROKEN}


def test_the_rules_look_at_the_whole_product() -> None:
    """A glob that finds nothing would keep every rule."""
    seen = {module.path for module in rules.product()}

    assert {
        "main.py",
        "functions/engine/tick.py",
        "functions/domain/task.py",
        "functions/http_client/client.py",
    } <= seen
