"""Terraform and the code tell one story, and Terraform's own tests see what is wrong with it."""

import os
import re
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path

import pytest

from functions.config.settings import Settings
from functions.domain.capacity.time_budget import CLOUD_SCHEDULER_BUDGET, TimeBudget
from functions.domain.lifecycle.decide import CLAIM_MARGIN
from functions.stores.firestore.queries import INDEXES
from functions.web.app import worker_time_budget
from tests.support.shared import once_per_run

ROOT = Path(__file__).parents[3]
INFRA = ROOT / "infra"
TEXT = "\n".join(file.read_text(encoding="utf-8") for file in sorted(INFRA.glob("*.tf")))
COLLECTION = re.compile(r'^    "(\w+)" = \{\n(.*?)^    \}', re.M | re.S)
COMPOSITE = re.compile(r'\[((?:\["\w+", "\w+"\](?:, )?)+)\]')
PAIR = re.compile(r'\["(\w+)", "(\w+)"\]')
BY_DEFAULT = "what_is_made_by_default"
RESOURCE = re.compile(r'^resource "(\w+)" "(\w+)" \{\n(.*?)^\}', re.M | re.S)
RUN = re.compile(r'^run "(\w+)" \{\n.*?^\}\n', re.M | re.S)
CLOUD_TASKS_WAITS_S = 600  # for an answer, when a message does not say otherwise


def seconds(pattern: str) -> timedelta:
    """The number of seconds that *pattern* finds in Terraform."""
    found = re.search(pattern, TEXT)
    assert found, pattern
    return timedelta(seconds=int(found[1]))


def default_of(variable: str) -> str:
    found = re.search(rf'variable "{variable}" \{{.*?default\s+= (\S+)', TEXT, re.S)
    assert found, variable
    return found[1]


# -- one story ---------------------------------------------------------------------------------------------


def test_terraform_makes_the_indexes_that_the_code_asks_for_and_no_others() -> None:
    """The emulator answers queries without an index; Firestore itself refuses them."""
    made = {
        name: (
            {field: (mode,) for field, mode in re.findall(r'"(\w+)"\s+= "(\w+)"', body)}
            | {field: (mode,) for field, mode in re.findall(r'"(\w+)" = "(\w+)"', body)},
            tuple(tuple(PAIR.findall(fields)) for fields in COMPOSITE.findall(body)),
            next(iter(re.findall(r'ttl\s+= "(\w+)"', body)), None),
        )
        for name, body in COLLECTION.findall(TEXT)
    }

    assert made == {name: (dict(one.single), one.composite, one.ttl) for name, one in INDEXES.items()}


def test_every_variable_that_terraform_sets_is_a_setting() -> None:
    block = re.search(r"environment = merge\(\s*\{(.*?)\n    \}", TEXT, re.S)
    secrets = re.search(r"own_secrets = \{(.*?)\n  \}", TEXT, re.S)
    assert block
    assert secrets

    names = re.findall(r"^\s+([A-Z][A-Z0-9_]+)\s+=", block[1] + secrets[1], re.M)

    known = {name.upper() for name in Settings.model_fields}
    assert 11 <= len(names)
    assert [] == [name for name in names if name not in known]


def test_the_settings_that_terraform_makes_are_accepted() -> None:
    """With what resources really look like, the function starts."""
    url = "https://cronfire-123456789012.europe-west1.run.app"
    account = "cronfire-invoker@example-project.iam.gserviceaccount.com"

    settings = Settings.from_env(
        {
            "CRON_SECRET": "s" * 32,
            "STORE_URL": "firestore://example-project/cronfire",
            "OIDC_AUDIENCE": url,
            "OIDC_SERVICE_ACCOUNTS": account,
            "PUBLIC_URL": url,
            "WORKER_URL": f"{url}/work",
            "WORKER_QUEUE": "projects/example-project/locations/europe-west1/queues/cronfire-work",
            "WORKER_SERVICE_ACCOUNT": account,
            "WORKER_BUDGET_SECONDS": "280",
            "EVENTS_TOPIC": "projects/example-project/topics/cronfire-events",
            "LATE_AFTER_MINUTES": "5",
        }
    )

    assert "projects/example-project/topics/cronfire-events" == settings.events_topic


def test_what_alarms_count_is_what_the_code_logs() -> None:
    counted = re.search(r"counted = \{(.*?)\n  \}", TEXT, re.S)
    assert counted
    code = "\n".join(file.read_text(encoding="utf-8") for file in (ROOT / "functions").rglob("*.py"))

    names = re.findall(r'"(\w+)"', counted[1])

    assert {"tick_done", "tick_degraded", "claim_expired"} <= set(names)
    assert [] == [name for name in names if f'"{name}"' not in code]


def test_each_rung_of_time_is_longer_than_the_one_before() -> None:
    """Starting ends before answering, that before who waits gives up, and that before the request ends."""
    deadline = seconds(r'attempt_deadline = "(\d+)s"')
    timeout = timedelta(seconds=int(default_of("timeout_s")))
    work = worker_time_budget(timedelta(seconds=int(default_of("worker_budget_s"))))
    rungs: Callable[[TimeBudget], list[timedelta]] = lambda budget: [  # noqa: E731  # a name for two uses
        one for one in (budget.start_limit, budget.response_limit) if one is not None
    ]

    tick = [*rungs(CLOUD_SCHEDULER_BUDGET), deadline, timeout]
    worker = [*rungs(work), timeout, timedelta(seconds=CLOUD_TASKS_WAITS_S)]

    assert sorted(tick) == tick
    assert sorted(worker) == worker
    assert 4 == len(set(tick)) == len(set(worker))
    assert deadline <= timedelta(minutes=1)
    assert timedelta(seconds=10) < CLAIM_MARGIN


# -- the order of a first apply, which a plan does not show -------------------------------------------------


def waits_for(kind: str, name: str) -> str:
    """What a resource names in depends_on."""
    [body] = [body for one, own, body in RESOURCE.findall(TEXT) if (one, own) == (kind, name)]
    found = re.search(r"depends_on\s+= \[(.*?)\]", body, re.S)
    return found[1] if found else ""


@pytest.mark.parametrize(
    ("kind", "name", "first"),
    [
        ("google_project_service", "needed", "google_project_service.first"),
        ("google_service_account", "runtime", "google_project_service.first"),
        ("google_service_account", "invoker", "google_project_service.first"),
        ("google_service_account", "deployer", "google_project_service.first"),
        ("google_cloudfunctions2_function", "main", "google_secret_manager_secret_version.first"),
        ("google_cloudfunctions2_function", "main", "google_project_iam_member.deployer"),
        ("google_cloud_scheduler_job", "tick", "google_cloudfunctions2_function.main"),
        ("google_cloud_scheduler_job", "tick", "google_cloud_run_service_iam_member.invoker"),
        ("google_monitoring_alert_policy", "silent", "terraform_data.metrics_known"),
        ("google_monitoring_alert_policy", "counted", "terraform_data.metrics_known"),
        ("google_storage_bucket", "source", "google_project_service.needed"),
        ("google_billing_budget", "month", "google_project_service.needed"),
    ],
)
def test_what_must_be_there_before(kind: str, name: str, first: str) -> None:
    assert first in waits_for(kind, name)


@pytest.mark.parametrize(
    ("kind", "name", "argument"),
    [
        ("google_cloud_scheduler_job", "tick", "paused"),  # as for cron-job.org alone
        ("google_secret_manager_secret", "own", "replication"),  # to change it is to lose the values
        ("google_secret_manager_secret_version", "first", "enabled"),  # a retired one is disabled
    ],
)
def test_a_deploy_leaves_alone_what_people_may_change(kind: str, name: str, argument: str) -> None:
    [body] = [body for one, own, body in RESOURCE.findall(TEXT) if (one, own) == (kind, name)]

    assert [argument] == re.findall(r"ignore_changes = \[(.*)\]", body)


def test_whoever_deploys_is_told_a_role_for_each_kind_of_resource() -> None:
    """The table of infra/README.md: a resource without a row is a role that somebody is refused for."""
    table = (INFRA / "README.md").read_text(encoding="utf-8").split("## Who deploys")[1].split("\n## ")[0]

    made = {kind for kind, _, _ in RESOURCE.findall(TEXT) if kind.startswith("google_")}

    assert 20 <= len(made)
    assert [] == sorted(kind for kind in made if f"`{kind}`" not in table)


def test_the_provider_is_pinned_for_every_platform() -> None:
    text = (INFRA / ".terraform.lock.hcl").read_text(encoding="utf-8")

    [version] = re.findall(r'version     = "(.*)"', text)
    assert version.startswith("7.")
    [wanted] = re.findall(r'(?m)^ +version = "(.*)"', (INFRA / "versions.tf").read_text(encoding="utf-8"))
    assert [wanted] == re.findall(r'constraints = "(.*)"', text)
    assert "~> 7.0" == wanted  # what version 8 will change nobody knows
    assert 11 <= len(re.findall(r'"zh:[0-9a-f]{64}"', text))


def test_calls_of_the_budget_are_counted_for_the_project() -> None:
    """The API of budgets refuses those that are counted for gcloud's own client: a mock takes either."""
    providers = re.findall(r'provider "google" \{(.*?)\n\}', TEXT, re.S)
    [own] = [one for one in providers if re.search(r'alias += "billing"', one)]
    [budget] = [body for kind, _, body in RESOURCE.findall(TEXT) if kind == "google_billing_budget"]

    assert re.search(r"billing_project += var\.project_id", own)
    assert re.search(r"user_project_override += true", own)
    assert re.search(r"provider += google\.billing", budget)


# -- Terraform's own tests ---------------------------------------------------------------------------------


def checked(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(ROOT / "scripts" / "terraform"), str(folder)],
        capture_output=True,
        text=True,
        env=dict(os.environ),
        timeout=110,
        check=False,
    )


def copied(folder: Path) -> Path:
    """The Terraform, to be spoiled, with the plan of what is made by default alone.

    Each of its tests costs a plan of its own, and `scripts/check` runs them all.
    """
    shutil.copytree(INFRA, folder, ignore=shutil.ignore_patterns("pingers", ".terraform*"))
    file = folder / "tests" / "main.tftest.hcl"
    kept = RUN.sub(lambda block: block[0] if BY_DEFAULT == block[1] else "", file.read_text(encoding="utf-8"))
    assert [BY_DEFAULT] == [block[1] for block in RUN.finditer(kept)]
    file.write_text(kept, encoding="utf-8")
    return folder


def spoiled(folder: Path, mistakes: Iterable[tuple[str, str, str]]) -> Path:
    for file, old, new in mistakes:
        text = (folder / file).read_text(encoding="utf-8")
        assert 1 == text.count(old), f"{file}: {old}"
        (folder / file).write_text(text.replace(old, new), encoding="utf-8")
    subprocess.run(
        ["terraform", f"-chdir={folder}", "fmt", "-recursive"], capture_output=True, check=False, timeout=60
    )
    return folder


def said(done: subprocess.CompletedProcess[str]) -> str:
    """What was shown, in one line; the test is skipped by name where it cannot be run."""
    if done.stdout.startswith("SKIPPED"):
        pytest.skip(done.stdout.strip())
    return " ".join((done.stdout + done.stderr).replace("│", " ").split())


@pytest.fixture(scope="module")
def right(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """What Terraform says of the files as they are."""
    return once_per_run(
        tmp_path_factory, "right", lambda: checked(copied(tmp_path_factory.mktemp("right") / "infra"))
    )


@pytest.fixture(scope="module")
def wrong(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """What it says of the files with every one of the MISTAKES: each is told by words of its own."""
    folder = tmp_path_factory.mktemp("wrong") / "infra"
    return once_per_run(
        tmp_path_factory,
        "wrong",
        lambda: checked(spoiled(copied(folder), [mistake[:3] for mistake in MISTAKES.values()])),
    )


# Of each the file, what is there, what is put in its place, and what must be said.
MISTAKES = {
    "a wrong deadline": (
        "schedule.tf",
        '"60s"',
        '"180s"',
        "A tick must be given up before the next minute's",
    ),
    "a missing index": (
        "store.tf",
        '        [["shard", "ASCENDING"], ["nextRunAt", "ASCENDING"]]\n',
        "",
        "have no index",
    ),
    "a role too great": (
        "identity.tf",
        "roles/datastore.user",
        "roles/datastore.owner",
        "its own database alone",
    ),
    "a build that cannot read its source": (
        "identity.tf",
        ', "roles/storage.objectViewer"',
        "",
        "own bucket of sources",
    ),
    "an API too late": (
        "function.tf",
        '"iam.googleapis.com"]',
        '"run.googleapis.com"]',
        "and accounts made, are off",
    ),
    "a secret without a value": (
        "secrets.tf",
        "= local.own_secrets\n  secret  ",
        '= { API_KEY = "a" }\n  secret  ',
        "has no version",
    ),
    "a database that destroy stops at": (
        "store.tf",
        'var.protect_database ? "ABANDON" : "DELETE"',
        '"DELETE"',
        "destroy stops at the database",
    ),
    "an API that destroy switches off": (
        "function.tf",
        "  disable_on_destroy = false\n  depends_on",
        "  disable_on_destroy = true\n  depends_on",
        "switches off APIs that others",
    ),
    "a bucket that grows": (
        "function.tf",
        "days_since_noncurrent_time = 30",
        "num_newer_versions = 5",
        "kept for ever",
    ),
}
NEEDS_TERRAFORM = pytest.mark.skipif(shutil.which("terraform") is None, reason="terraform is not installed")


@NEEDS_TERRAFORM
def test_what_is_right_passes(right: subprocess.CompletedProcess[str]) -> None:
    """Else it would tell nothing that these runs see what is wrong."""
    shown = said(right)

    assert 0 == right.returncode, shown
    assert "1 passed, 0 failed" in shown


@NEEDS_TERRAFORM
@pytest.mark.parametrize("name", MISTAKES)
def test_what_is_wrong_is_seen(
    right: subprocess.CompletedProcess[str], wrong: subprocess.CompletedProcess[str], name: str
) -> None:
    seen, shown = MISTAKES[name][3], said(wrong)

    assert 0 != wrong.returncode
    assert seen in shown
    assert seen not in said(right)


@NEEDS_TERRAFORM
def test_a_misspelt_argument_is_seen(tmp_path: Path) -> None:
    mistake = ("schedule.tf", "attempt_deadline = ", "attempt_deadlin  = ")

    done = checked(spoiled(copied(tmp_path / "infra"), [mistake]))

    assert "attempt_deadlin" in said(done)
    assert 0 != done.returncode


@NEEDS_TERRAFORM
def test_no_mistake_hides_another(wrong: subprocess.CompletedProcess[str]) -> None:
    """Each is one failed claim of the plan, the missing index two, as they are counted; nothing else is."""
    assert len(MISTAKES) + 1 == said(wrong).count("Test assertion failed"), said(wrong)


def test_the_stand_in_for_the_source_is_a_zip() -> None:
    assert zipfile.is_zipfile(INFRA / "tests" / "source.zip")
