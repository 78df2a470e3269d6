"""`scripts/deploy` with stand-ins for gcloud and terraform; the container as far as a machine allows."""

import os
import re
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from functions.config.settings import Settings
from tests.support.shared import one_at_a_time

pytestmark = pytest.mark.timeout(400)  # each waits for the others: all pack the same file of the checkout

ROOT = Path(__file__).parents[3]
CONTAINER = ROOT / "infra" / "container"
GCLOUD = r"""#!/usr/bin/env bash
printf '%s\n' "gcloud $*" >>"$CALLS"
case "$*" in
    "projects describe"*) echo 123456789012 ;;
    "secrets versions list cronfire-api-key"*) echo 1 ;;
    "secrets versions add"*) printf '%s\n' "value $(wc -c)" >>"$CALLS" ;;
    "scheduler jobs describe"*) echo "2026-11-20T12:00:00Z	${TICK_CODE:-}" ;;
esac
"""
TERRAFORM = r"""#!/usr/bin/env bash
printf '%s\n' "terraform $*" >>"$CALLS"
"""


@pytest.fixture
def calls(tmp_path: Path) -> Iterator[Path]:
    """The file in which the stand-ins write how they were called; one test at a time, in all processes."""
    for name, text in (("gcloud", GCLOUD), ("terraform", TERRAFORM)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    file = tmp_path / "calls"
    file.touch()
    with one_at_a_time("deploying"):
        yield file


def deploy(calls: Path, *words: str, given: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    path = f"{calls.parent}:{os.environ['PATH']}"
    return subprocess.run(
        [str(ROOT / "scripts" / "deploy"), *words],
        input=given,
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": path, "CALLS": str(calls), **variables},
        timeout=100,
        check=False,
    )


WHERE = ("--project", "example-project", "--region", "europe-west1", "--no-checks")


def test_it_packs_tries_asks_applies_and_ticks_in_this_order(calls: Path) -> None:
    done = deploy(calls, *WHERE, "--yes", "--", "-var", "rotating=true")

    assert 0 == done.returncode, done.stderr
    said = calls.read_text()
    steps = [
        "projects describe",
        "init",
        "plan -input=false",
        "-target=google_secret_manager_secret.own",
        "secrets versions add cronfire-cron-secret ",
        "apply -input=false -auto-approve -var project_id=example-project -var project_number=123456789012",
        "scheduler jobs run cronfire-tick",
    ]
    places = [said.index(step) for step in steps]
    assert sorted(places) == places
    assert "-var rotating=true" in said
    assert "Tick: 0 due" in done.stdout


def test_secrets_that_have_a_value_keep_it_and_others_get_a_long_one(calls: Path) -> None:
    done = deploy(calls, *WHERE, "--yes")

    assert 0 == done.returncode, done.stderr
    added = re.findall(r"secrets versions add (\S+)", calls.read_text())
    lengths = [int(text) for text in re.findall(r"^value (\d+)$", calls.read_text(), re.M)]
    assert ["cronfire-cron-secret", "cronfire-cron-secret-previous"] == added
    assert all(length >= 36 for length in lengths)


def test_only_yes_changes_anything(calls: Path) -> None:
    refused = deploy(calls, *WHERE, given="y\n")
    shown = deploy(calls, *WHERE, "--plan")

    assert (1, 0) == (refused.returncode, shown.returncode)
    assert "Nothing was changed." in refused.stdout
    assert "apply" not in calls.read_text()


def test_a_tick_that_fails_is_the_end_of_it(calls: Path) -> None:
    done = deploy(calls, *WHERE, "--yes", TICK_CODE="13")

    assert 1 == done.returncode
    assert "the tick failed (code 13)" in done.stderr


def test_wrong_words_are_told(calls: Path) -> None:
    done = deploy(calls, "--region", "europe-west1")

    assert 2 == done.returncode
    assert "--project is missing" in done.stderr


def test_the_same_source_makes_the_same_zip_of_what_is_deployed_alone(calls: Path) -> None:
    zips = []
    for _ in range(2):
        deploy(calls, *WHERE, "--plan")
        zips.append((ROOT / ".cronfire" / "source.zip").read_bytes())

    packed = zipfile.ZipFile(ROOT / ".cronfire" / "source.zip")
    names = packed.namelist()
    assert zips[0] == zips[1]
    assert {"main.py", "requirements.txt", "functions/engine/tick.py"} <= set(names)
    assert [] == [name for name in names if name.startswith("tests") or "__pycache__" in name]
    assert [] == [
        name for name in names if not name.startswith(("functions/", "main.py", "requirements.txt"))
    ]


def test_google_installs_what_was_tested(calls: Path) -> None:
    """It reads requirements.txt; the lock in its place has every package with version and hashes."""
    deploy(calls, *WHERE, "--plan")

    packed = zipfile.ZipFile(ROOT / ".cronfire" / "source.zip").read("requirements.txt")
    assert (ROOT / "requirements.lock").read_bytes() == packed
    # So Google's builder finds that the framework is among them, and adds none of its own.
    assert re.search(rb"(?m)^functions-framework\b([^-]|$)", packed)


# -- the container -----------------------------------------------------------------------------------------


def test_the_image_runs_as_a_user_of_its_own_and_holds_what_is_deployed() -> None:
    text = (CONTAINER / "Dockerfile").read_text()
    kept = (CONTAINER / "Dockerfile.dockerignore").read_text().split()

    assert text.index("USER cronfire") < text.index('CMD ["sh"')
    assert {"*", "!main.py", "!requirements.lock", "!functions"} <= set(kept)
    for source in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.M):
        assert all((ROOT / one).exists() for one in source.split())


def test_what_compose_sets_are_settings_and_its_command_is_a_shell_script(tmp_path: Path) -> None:
    services = yaml.safe_load((CONTAINER / "compose.yaml").read_text())["services"]
    known = {name.upper() for name in Settings.model_fields}
    [script] = services["pinger"]["command"]
    (tmp_path / "pinger").write_text(script.replace("$$", "$"))

    done = subprocess.run(["sh", "-n", str(tmp_path / "pinger")], capture_output=True, check=False)

    assert set(services["cronfire"]["environment"]) <= known
    assert (0, True) == (done.returncode, services["cronfire"]["read_only"])
    assert "${CRON_SECRET:?" in services["cronfire"]["environment"]["CRON_SECRET"]
