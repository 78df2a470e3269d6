"""The layout of the product is enforced: who imports whom, who reads the clock, how large a module gets."""

from collections.abc import Callable, Iterator

import pytest

from tests import rooms
from tests.rooms import Module

Rule = Callable[[Module], Iterator[str]]

# For each rule sources that break it: a rule that cannot fail is no rule.
BROKEN: list[tuple[Rule, str, str]] = [
    (rooms.imports_only_downwards, "functions/rules/retry.py", "from functions.store import open_store"),
    (rooms.imports_only_downwards, "functions/rules/retry.py", "from functions import settings"),
    (rooms.imports_only_downwards, "functions/store/sqlite.py", "import functions.tick"),
    (rooms.imports_only_downwards, "functions/store/sqlite.py", "from functions.ports import Store"),
    (rooms.imports_only_downwards, "functions/tick.py", "from functions.store import open_store"),
    (rooms.imports_only_downwards, "functions/actions/http.py", "def f():\n    import functions.notices"),
    (rooms.imports_only_downwards, "functions/web/door.py", "from functions.cli import main"),
    (rooms.imports_only_downwards, "functions/web/door.py", "import main"),
    (rooms.imports_only_downwards, "functions/web/door.py", "from . import gate"),
    (rooms.imports_only_downwards, "functions/cellar.py", "import json"),
    (rooms.imports_libraries_of_its_own, "functions/tick.py", "import aiohttp"),
    (rooms.imports_libraries_of_its_own, "functions/store/sqlite.py", "from google.cloud import firestore"),
    (rooms.imports_libraries_of_its_own, "functions/wiring.py", "import sqlite3"),
    (
        rooms.imports_libraries_of_its_own,
        "functions/actions/http.py",
        "from starlette.requests import Request",
    ),
    (rooms.imports_libraries_of_its_own, "functions/settings.py", "import yaml.nodes"),
    (rooms.imports_libraries_of_its_own, "functions/control.py", "from croniter import croniter"),
    (rooms.imports_libraries_of_its_own, "functions/notices/feishu.py", "import aiohttp"),
    (rooms.imports_libraries_of_its_own, "functions/rules/redact.py", "import feedparser"),
    (rooms.reads_no_clock, "functions/tick.py", "from datetime import datetime\ndatetime.now()"),
    (rooms.reads_no_clock, "functions/tick.py", "import datetime\nclock = datetime.datetime.utcnow"),
    (rooms.reads_no_clock, "functions/tick.py", "import time\ntime.time()"),
    (rooms.reads_no_clock, "functions/tick.py", "from time import time"),
    (rooms.reads_no_clock, "functions/rules/task.py", "from datetime import date\ndate.today()"),
    (rooms.reads_no_environment, "functions/settings.py", "import os\nos.environ['X']"),
    (rooms.reads_no_environment, "functions/wiring.py", "import os\nos.getenv('X')"),
    (rooms.reads_no_environment, "functions/wiring.py", "from os import environ"),
    (rooms.sleeps_never, "functions/commands/serving.py", "import time\ntime.sleep(1)"),
    (rooms.sleeps_never, "functions/commands/serving.py", "from time import sleep"),
    (rooms.prints_nothing, "functions/tick.py", "print('hello')"),
    (rooms.is_small, "functions/tick.py", "pass\n" * 251),
    (rooms.says_what_it_owns, "functions/tick.py", "import json"),
    (rooms.says_what_it_owns, "functions/tick.py", '"""  """'),
    (rooms.has_a_name_that_says_something, "functions/rules/utils.py", ""),
    (rooms.has_a_name_that_says_something, "functions/helpers/words.py", ""),
    (rooms.has_a_name_that_says_something, "functions/store/sqlite_common.py", ""),
]

FINE: list[tuple[Rule, str, str]] = [
    (rooms.imports_only_downwards, "functions/store/sqlite.py", "from functions.rules.task import Task"),
    (rooms.imports_only_downwards, "functions/store/sqlite.py", "from functions.store.meter import count"),
    (rooms.imports_only_downwards, "functions/wiring_store.py", "from functions.store import open_store"),
    (rooms.imports_libraries_of_its_own, "functions/store/firestore_credentials.py", "import google.auth"),
    (rooms.reads_no_clock, "functions/wiring.py", "from datetime import datetime\ndatetime.now()"),
    (rooms.reads_no_clock, "functions/tick.py", "import time\ntime.monotonic()"),
    (rooms.reads_no_clock, "functions/tick.py", "parts.clock.now()"),
    (rooms.reads_no_environment, "main.py", "import os\nos.environ"),
    (rooms.sleeps_never, "functions/tick.py", "import asyncio\nasyncio.sleep(1)"),
    (rooms.prints_nothing, "functions/commands/screen.py", "print('hello')"),
    (rooms.is_small, "functions/tick.py", "pass\n" * 250),
    (rooms.has_a_name_that_says_something, "functions/rules/database.py", ""),
]


@pytest.mark.parametrize("rule", rooms.RULES, ids=lambda rule: rule.__name__)
def test_every_module_keeps_the_rule(rule: Rule) -> None:
    faults = [f"{module.path}: {fault}" for module in rooms.product() for fault in rule(module)]

    assert [] == faults


@pytest.mark.parametrize(("rule", "path", "source"), BROKEN)
def test_a_module_that_breaks_a_rule_is_found(rule: Rule, path: str, source: str) -> None:
    assert list(rule(Module(path, source)))


@pytest.mark.parametrize(("rule", "path", "source"), FINE)
def test_what_a_rule_allows_passes(rule: Rule, path: str, source: str) -> None:
    assert [] == list(rule(Module(path, source)))


def test_every_rule_has_a_source_that_breaks_it() -> None:
    assert {rule.__name__ for rule in rooms.RULES} == {rule.__name__ for rule, _, _ in BROKEN}


def test_the_rules_look_at_the_whole_product() -> None:
    """A glob that finds nothing would keep every rule."""
    seen = {module.path for module in rooms.product()}

    assert {
        "main.py",
        "functions/tick.py",
        "functions/rules/task.py",
        "functions/actions/net/client.py",
    } <= seen
