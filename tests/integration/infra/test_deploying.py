"""`scripts/deploy` with stand-ins for gcloud and terraform; the container as far as a machine allows."""

import json
import os
import re
import shutil
import subprocess
import textwrap
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from functions.config.settings import Settings
from tests.support.shared import one_at_a_time

pytestmark = pytest.mark.timeout(400)  # some wait for others, which pack the same file of the checkout

ROOT = Path(__file__).parents[3]
CONTAINER = ROOT / "infra" / "container"
# Cloud Scheduler's attempts: one of before the deploy, and from the second look after it a newer one.
GCLOUD = r"""#!/usr/bin/env bash
printf '%s\n' "gcloud $*" >>"$CALLS"
[[ -n "${CLOUDSDK_CORE_DISABLE_PROMPTS:-}" ]] || read -r # as the real one may ask
case "$*" in
    "auth print-access-token") [[ -z "${SIGNED_OUT:-}" ]] || { echo "ERROR: $SIGNED_OUT" >&2 && exit 1; } ;;
    "auth application-default print-access-token")
        [[ -z "${WITHOUT_DEFAULT:-}" ]] || { echo "ERROR: $WITHOUT_DEFAULT" >&2 && exit 1; }
        ;;
    "config get-value project") echo "${GCLOUD_PROJECT:-}" ;;
    "config get-value run/region") echo "" ;;
    "projects describe"*) echo 123456789012 ;;
    "billing projects describe"*) echo "${BILLING:-True}" ;;
    "scheduler jobs describe"*)
        [[ -z "${UNSEEN:-}" ]] || { echo "ERROR: $UNSEEN" >&2 && exit 1; }
        looks="$(grep -c 'scheduler jobs describe' "$CALLS")"
        if ((looks > ${STALE_LOOKS:-2})); then
            echo "2026-11-20T12:01:00.5Z	${TICK_CODE:-}"
        else
            echo "2026-11-20T12:00:00.9Z	${STALE_CODE:-}"
        fi
        ;;
esac
"""
TERRAFORM = r"""#!/usr/bin/env bash
printf '%s\n' "terraform $*" >>"$CALLS"
for word in "$@"; do
    [[ "$word" == -out=* ]] && echo plan >"${word#-out=}"
    [[ "$word" == -var-file=* ]] && cat "${word#-var-file=}" >>"$CALLS.given"
done
case "$2" in
    plan) exit "${PLAN_CODE:-0}" ;;
    show) printf '%s' "${PLANNED:-{\}}" ;;
esac
"""
SLEEP = "#!/usr/bin/env bash\n"


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    """The file in which the stand-ins write how they were called."""
    for name, text in (("gcloud", GCLOUD), ("terraform", TERRAFORM), ("sleep", SLEEP)):
        write_program(tmp_path / name, text)
    file = tmp_path / "calls"
    file.touch()
    return file


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A checkout whose scheduler is one line, and packed and tried at once."""
    root = tmp_path / "checkout"
    for folder in ("scripts", "infra", "functions/cli"):
        (root / folder).mkdir(parents=True)
    shutil.copy(ROOT / "scripts" / "deploy", root / "scripts")
    write_program(root / "scripts" / "environment", "#!/usr/bin/env bash\n")
    shutil.copy(ROOT / "infra" / "variables.tf", root / "infra")
    (root / ".venv").symlink_to(ROOT / ".venv")
    for file in ("main.py", "functions/__init__.py", "functions/cli/__init__.py"):
        (root / file).touch()
    for lock in ("requirements.lock", "requirements-apprise.lock", "requirements-otel.lock"):
        shutil.copy(ROOT / lock, root)
    for part in ("config", "domain", "errors.py"):  # what knows the settings
        (root / "functions" / part).symlink_to(ROOT / "functions" / part)
    (root / "functions" / "cli" / "__main__.py").write_text("print('Tick: 0 due')\n")
    return root


@pytest.fixture
def whole() -> Iterator[Path]:
    """This checkout; one test at a time, in all processes."""
    variables = variables_of(ROOT)
    with one_at_a_time("deploying"):
        kept = variables.read_bytes() if variables.exists() else None
        variables.unlink(missing_ok=True)
        yield ROOT
        variables.unlink(missing_ok=True)
        if kept is not None:
            variables.write_bytes(kept)


def write_program(file: Path, text: str) -> None:
    file.write_text(text)
    file.chmod(0o755)


def variables_of(root: Path) -> Path:
    return root / "infra" / "terraform.tfvars"


def deploy(
    calls: Path, root: Path, *words: str, given: str = "", folder: Path | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    path = f"{calls.parent}:{os.environ['PATH']}"
    return subprocess.run(
        [str(root / "scripts" / "deploy"), *words],
        input=given,
        cwd=folder or root,
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": path, "CALLS": str(calls), **variables},
        timeout=100,
        check=False,
    )


def left_behind(root: Path) -> list[Path]:
    """What a deploy keeps for itself while it lasts."""
    return list((root / ".cronfire").glob("plan*"))


WHERE = ("--project", "example-project", "--region", "europe-west1", "--no-checks")


def test_it_packs_tries_asks_applies_what_was_shown_and_ticks_in_this_order(calls: Path, whole: Path) -> None:
    done = deploy(calls, whole, *WHERE, "--yes", "--", "-lock-timeout=30s")

    assert 0 == done.returncode, done.stderr
    said = calls.read_text()
    [plan] = set(re.findall(rf"{re.escape(str(ROOT))}/\.cronfire/plan\.\d+", said))
    steps = [
        "projects describe",
        "init",
        f"plan -input=false -out={plan} -var-file={plan}.tfvars -lock-timeout=30s",
        f"apply -input=false {plan}\n",
        "scheduler jobs describe",
        "scheduler jobs run cronfire-tick",
        "output -raw next",
    ]
    places = [said.index(step) for step in steps]
    assert sorted(places) == places
    assert "Tick: 0 due" in done.stdout
    assert [] == left_behind(whole)


def test_what_was_given_once_is_remembered(calls: Path, small: Path) -> None:
    first = deploy(
        calls,
        small,
        *WHERE,
        "--plan",
        "--",
        "-var",
        "bearer_pingers=true",
        '-var=secrets={SLACK_WEBHOOK_URL="slack"}',
        "-var",
        "alarm_email=a${b}%{c}",
    )
    remembered = variables_of(small).read_text()
    variables_of(small).write_text(remembered + 'max_instances = 9 # mine\nsettings = {\n  A = "b"\n}\n')
    second = deploy(calls, small, "--no-checks", "--plan", "--", "-var", "bearer_pingers=false")

    assert (0, 0) == (first.returncode, second.returncode), first.stderr + second.stderr
    assert [
        "# Kept by scripts/deploy; yours to edit.",
        'project_id = "example-project"',
        'project_number = "123456789012"',
        'region = "europe-west1"',
        'name = "cronfire"',
        'source_zip = "../.cronfire/source.zip"',
        'bearer_pingers = "true"',
        'secrets = {SLACK_WEBHOOK_URL="slack"}',
        'alarm_email = "a$${b}%%{c}"',
    ] == remembered.splitlines()
    expected = remembered.replace('bearer_pingers = "true"', 'bearer_pingers = "false"')
    expected += 'max_instances = 9 # mine\nsettings = {\n  A = "b"\n}\n'
    assert expected == variables_of(small).read_text()


def test_what_terraform_refuses_is_not_remembered(calls: Path, small: Path) -> None:
    """Else each deploy after it would be refused as well."""
    deploy(calls, small, *WHERE, "--plan")
    before = variables_of(small).read_text()

    refused = deploy(calls, small, *WHERE, "--plan", "--", "-var", "memory_mib=999", PLAN_CODE="1")

    assert 1 == refused.returncode
    assert 'memory_mib = "999"' in Path(f"{calls}.given").read_text()
    assert (before, []) == (variables_of(small).read_text(), left_behind(small))


def test_a_variable_that_is_none_is_told_before_terraform_is_asked(calls: Path, small: Path) -> None:
    """In a file Terraform only warns of it: it would be remembered, and never change anything."""
    done = deploy(calls, small, *WHERE, "--plan", "--", "-var", "bearer_pinger=true")

    assert 1 == done.returncode
    assert "-var bearer_pinger: there is no such variable" in done.stderr
    assert "perhaps bearer_pingers" in done.stderr
    assert (False, "terraform" in calls.read_text()) == (variables_of(small).exists(), False)


@pytest.mark.slow
def test_what_is_given_twice_is_the_last(calls: Path, small: Path) -> None:
    """The file of what was given would set it twice, which Terraform refuses by that file's name."""
    words = (
        "-var",
        "memory_mib=1024",
        "-var",
        "memory_mib=2048",
        "-var=name=second",
        "-var",
        "region=us-west1",
    )

    done = deploy(calls, small, *WHERE, "--yes", "--", *words)

    assert 0 == done.returncode, done.stderr
    given = Path(f"{calls}.given").read_text().splitlines()
    assert ['region = "us-west1"', 'name = "second"', 'memory_mib = "2048"'] == [
        line for line in given if line.startswith(("region", "name", "memory_mib"))
    ]
    assert "scheduler jobs run second-tick --location us-west1" in calls.read_text()


def a_plan(
    settings: dict[str, str] | None = None, secrets: dict[str, str] | None = None, **changes: Any
) -> str:
    """As `terraform show -json` shows it; *changes* are the actions for a resource of each type."""
    return json.dumps(
        {
            "variables": {"settings": {"value": settings or {}}, "secrets": {"value": secrets or {}}},
            "resource_changes": [
                {"address": f"{kind}.main", "change": {"actions": actions}}
                for kind, actions in changes.items()
            ],
        }
    )


def test_a_setting_that_the_function_refuses_ends_a_deploy_before_its_build(calls: Path, small: Path) -> None:
    """Cloud Run says minutes later that the container did not listen, and names no setting."""
    plan = a_plan({"DEFAULT_TIMEZONE": "CET", "MAX_CONCURRENCY": "many", "ALLOW_PORTS": "80,443"})

    done = deploy(calls, small, *WHERE, "--yes", PLANNED=plan)

    assert 1 == done.returncode
    assert "scripts/deploy: settings: DEFAULT_TIMEZONE must be a place such as Europe/Riga" in done.stderr
    assert "scripts/deploy: settings: MAX_CONCURRENCY must be" in done.stderr
    assert "ALLOW_PORTS" not in done.stderr
    assert (False, []) == (variables_of(small).exists(), left_behind(small))
    assert "apply" not in calls.read_text()


def test_what_needs_a_setting_that_terraform_makes_is_no_mistake(calls: Path, small: Path) -> None:
    plan = a_plan(
        {"OIDC_SERVICE_ACCOUNTS": "a@b.iam.gserviceaccount.com", "STORE_URL": "bitable://bascn1/tbl1"}
    )

    done = deploy(calls, small, *WHERE, "--plan", PLANNED=plan)

    assert (0, False) == (done.returncode, "CAUTION" in done.stdout), done.stderr


def test_a_misspelt_setting_is_named_before_the_question(calls: Path, small: Path) -> None:
    """Whoever runs `doctor` on another machine does not see the function's settings."""
    plan = a_plan({"MAX_CONCURENCY": "9", "OTEL_SERVICE_NAME": "x"}, {"SLACK_WEBHOOK_ULR": "slack-webhook"})

    done = deploy(calls, small, *WHERE, given="no\n", PLANNED=plan)

    assert "CAUTION: MAX_CONCURENCY is no setting, and has no effect; perhaps MAX_CONCURRENCY" in done.stdout
    assert "CAUTION: SLACK_WEBHOOK_ULR is no setting" in done.stdout
    assert 2 == done.stdout.count("CAUTION")


def test_that_an_installation_would_be_replaced_is_named_before_the_question(
    calls: Path, small: Path
) -> None:
    """As by another --region or --name in the same checkout."""
    replaced, changed = ["delete", "create"], ["update"]
    plan = a_plan(google_firestore_database=replaced, google_cloudfunctions2_function=changed)

    done = deploy(calls, small, *WHERE, given="no\n", PLANNED=plan)
    ordinary = deploy(calls, small, *WHERE, given="no\n", PLANNED=a_plan(google_firestore_database=changed))

    assert "CAUTION: this takes google_firestore_database.main away, and makes another." in done.stdout
    assert "CAUTION" not in ordinary.stdout


def test_a_function_whose_first_deploy_failed_is_replaced_without_a_word(calls: Path, small: Path) -> None:
    plan = json.loads(a_plan(google_cloudfunctions2_function=["delete", "create"]))
    plan["resource_changes"][0]["action_reason"] = "replace_because_tainted"

    done = deploy(calls, small, *WHERE, "--plan", PLANNED=json.dumps(plan))

    assert (0, False) == (done.returncode, "CAUTION" in done.stdout), done.stderr


@pytest.mark.slow
def test_a_plan_of_another_project_than_is_asked_about_is_refused(calls: Path, small: Path) -> None:
    """A -var-file comes last, and wins; number, question and tick were those of the other project."""
    (small / "prod.tfvars").write_text('project_id = "shop-prod"\n')
    plan = json.dumps({"variables": {"project_id": {"value": "shop-prod"}}})

    done = deploy(calls, small, *WHERE, "--yes", "--", "-var-file", "prod.tfvars", PLANNED=plan)

    assert 1 == done.returncode
    assert "project_id is shop-prod by a -var-file, and example-project here" in done.stderr
    assert "give --project shop-prod too" in done.stderr
    assert ("apply" in calls.read_text(), variables_of(small).exists()) == (False, False)


def a_function(variables: dict[str, str], *secrets: str) -> dict[str, Any]:
    references = [{"key": name, "secret": "its-id", "version": "latest"} for name in secrets]
    return {
        "service_config": [{"environment_variables": variables, "secret_environment_variables": references}]
    }


@pytest.mark.slow
def test_what_another_checkout_was_given_is_named_before_it_is_taken_back(calls: Path, small: Path) -> None:
    """infra/terraform.tfvars is in no repository: a second person's plan has the defaults instead."""
    plan = {
        "resource_changes": [
            {
                "address": "google_cloud_run_service_iam_member.anybody[0]",
                "change": {"actions": ["delete"], "after": None},
            },
            {
                "address": "google_storage_bucket_object.source",
                "change": {"actions": ["delete", "create"], "before": {}, "after": {}},
            },
            {
                "address": "google_cloudfunctions2_function.main",
                "change": {
                    "actions": ["update"],
                    "before": a_function({"A": "1", "B": "2", "C": "3"}, "API_KEY", "SLACK_WEBHOOK_URL"),
                    "after": a_function({"A": "9"}, "API_KEY"),
                    "after_unknown": {"service_config": [{"environment_variables": {"C": True}}]},
                },
            },
        ]
    }

    done = deploy(calls, small, *WHERE, given="no\n", PLANNED=json.dumps(plan))

    assert (
        "CAUTION: this takes away google_cloud_run_service_iam_member.anybody[0], B, SLACK_WEBHOOK_URL\n"
        in done.stdout
    ), done.stderr
    assert "in its infra/terraform.tfvars" in done.stdout
    assert 1 == done.stdout.count("CAUTION")


@pytest.mark.slow
def test_a_first_plan_takes_nothing_away(calls: Path, small: Path) -> None:
    change = {
        "actions": ["create"],
        "before": None,
        "after": a_function({"A": "1"}, "API_KEY"),
        "after_unknown": {"id": True, "service_config": [{"uri": True}]},
    }
    plan = {
        "variables": {"settings": {"value": {"MAX_CONCURRENCY": None}}},  # null is not given
        "resource_changes": [{"address": "google_cloudfunctions2_function.main", "change": change}],
    }

    done = deploy(calls, small, *WHERE, "--plan", PLANNED=json.dumps(plan))

    assert (0, False) == (done.returncode, "CAUTION" in done.stdout), done.stderr


def test_nobody_who_answers_is_no_yes(calls: Path, small: Path) -> None:
    """As in a job of continuous integration without --yes: it ended without a word."""
    done = deploy(calls, small, *WHERE, given="")

    assert (1, []) == (done.returncode, left_behind(small))
    assert "Nothing was changed." in done.stdout
    assert "apply" not in calls.read_text()


def test_what_a_person_wrote_over_several_lines_is_left_to_them(calls: Path, small: Path) -> None:
    variables_of(small).write_text('settings = {\n  A = "b"\n}\n')

    done = deploy(calls, small, *WHERE, "--plan", "--", "-var", 'settings={A="c"}')

    assert 1 == done.returncode
    assert "settings is written over several lines" in done.stderr
    assert variables_of(small).read_text() == 'settings = {\n  A = "b"\n}\n'


def test_a_file_of_variables_is_looked_for_where_the_person_stands(
    calls: Path, small: Path, tmp_path: Path
) -> None:
    (tmp_path / "prod.tfvars").write_text("max_instances = 2\n")

    found = deploy(calls, small, *WHERE, "--plan", "--", "-var-file", "prod.tfvars", folder=tmp_path)
    missing = deploy(calls, small, *WHERE, "--plan", "--", "-var-file=prod.tfvars")

    assert 0 == found.returncode, found.stderr
    assert f"-var-file={tmp_path}/prod.tfvars" in calls.read_text()
    assert (2, True) == (missing.returncode, "there is no file prod.tfvars here" in missing.stderr)


def test_the_project_of_gcloud_is_taken_where_none_is_given(calls: Path, small: Path) -> None:
    done = deploy(calls, small, "--region", "europe-west1", "--no-checks", "--plan", GCLOUD_PROJECT="my-own")

    assert 0 == done.returncode, done.stderr
    assert 'project_id = "my-own"' in variables_of(small).read_text()


@pytest.mark.parametrize(
    ("variable", "value", "remedy"),
    [("SIGNED_OUT", "1", "gcloud auth login"), ("BILLING", "False", "has no billing account")],
)
def test_what_would_fail_late_is_said_first(
    calls: Path, small: Path, variable: str, value: str, remedy: str
) -> None:
    done = deploy(calls, small, *WHERE, "--yes", given="", folder=small, **{variable: value})

    assert 2 == done.returncode
    assert remedy in done.stderr
    assert "terraform" not in calls.read_text()


@pytest.mark.parametrize("variable", ["SIGNED_OUT", "WITHOUT_DEFAULT"])
def test_why_gcloud_shows_no_token_is_said(calls: Path, small: Path, variable: str) -> None:
    """A network that is away is not mended by signing in."""
    reason = "unable to find the server at oauth2.googleapis.com"

    done = deploy(calls, small, *WHERE, "--yes", given="", folder=small, **{variable: reason})

    assert (2, True) == (done.returncode, reason in done.stderr)


@pytest.mark.slow
def test_a_question_that_nobody_sees_is_never_waited_for(calls: Path, small: Path) -> None:
    """gcloud asks on standard error whether to enable an API, which is kept from the screen."""
    done = deploy(calls, small, *WHERE, given="yes\n")

    assert 0 == done.returncode, done.stdout  # gcloud has not read the answer to the one question


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variable", "code"), [("A", 2), ("GOOGLE_CREDENTIALS", 0), ("GOOGLE_OAUTH_ACCESS_TOKEN", 0)]
)
def test_terraform_may_have_been_signed_in_by_its_own_variables(
    calls: Path, small: Path, variable: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As pipelines do; gcloud knows nothing of them."""
    monkeypatch.setenv(variable, "given")

    done = deploy(calls, small, *WHERE, "--plan", WITHOUT_DEFAULT="1")

    assert code == done.returncode, done.stderr


def test_what_cannot_be_tried_goes_nowhere(calls: Path, small: Path, tmp_path: Path) -> None:
    (small / "functions" / "cli" / "__main__.py").write_text("raise SystemExit('no store')\n")
    temporary = tmp_path / "temporary"
    temporary.mkdir()

    done = deploy(calls, small, *WHERE, "--yes", TMPDIR=str(temporary))

    assert (1, True) == (done.returncode, "no store" in done.stderr)
    assert "terraform" not in calls.read_text()
    assert [] == list(temporary.iterdir())  # six megabytes each time


def test_only_yes_changes_anything(calls: Path, small: Path) -> None:
    refused = deploy(calls, small, *WHERE, given="y\n")
    shown = deploy(calls, small, *WHERE, "--plan")

    assert (1, 0) == (refused.returncode, shown.returncode)
    assert "Nothing was changed." in refused.stdout
    assert "apply" not in calls.read_text()


def test_a_tick_that_fails_is_the_end_of_it(calls: Path, small: Path) -> None:
    done = deploy(calls, small, *WHERE, "--yes", TICK_CODE="13")

    assert 1 == done.returncode
    assert "the tick failed (code 13)" in done.stderr


def test_an_attempt_of_before_the_deploy_says_nothing(calls: Path, small: Path) -> None:
    """It had failed, as it does until the function is there; the new one has not."""
    done = deploy(calls, small, *WHERE, "--yes", STALE_CODE="13", STALE_LOOKS="5")

    assert 0 == done.returncode, done.stderr
    assert "the function answered" in done.stdout


def test_no_attempt_at_all_is_an_error(calls: Path, small: Path) -> None:
    done = deploy(calls, small, *WHERE, "--yes", STALE_LOOKS="1000")

    assert 1 == done.returncode
    assert "made no attempt within two minutes" in done.stderr


@pytest.mark.slow
def test_an_attempt_that_gcloud_cannot_show_is_no_paused_job(calls: Path, small: Path) -> None:
    done = deploy(calls, small, *WHERE, "--yes", given="", folder=small, UNSEEN="Reauthentication failed")

    assert (1, True) == (done.returncode, "Reauthentication failed" in done.stderr)
    assert "all was applied" in done.stderr
    assert "paused" not in done.stderr


def test_wrong_words_are_told(calls: Path, small: Path) -> None:
    done = deploy(calls, small, "--region", "europe-west1")
    without = deploy(calls, small, "--project")

    assert (2, 2) == (done.returncode, without.returncode)
    assert "--project is missing" in done.stderr
    assert "--project takes a value" in without.stderr


def test_the_same_source_makes_the_same_zip_of_what_is_deployed_alone(calls: Path, whole: Path) -> None:
    zips = []
    for _ in range(2):
        done = deploy(calls, whole, "--pack")
        assert 0 == done.returncode, done.stderr
        zips.append((ROOT / ".cronfire" / "source.zip").read_bytes())

    packed = zipfile.ZipFile(ROOT / ".cronfire" / "source.zip")
    names = packed.namelist()
    assert zips[0] == zips[1]
    own = [
        file.relative_to(ROOT).as_posix()
        for file in (ROOT / "functions").rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    ]
    assert sorted(["main.py", "requirements.txt", *own]) == sorted(names)
    assert {0o644} == {entry.external_attr >> 16 & 0o777 for entry in packed.infolist()}


def test_what_lies_about_in_the_source_is_not_packed(calls: Path, whole: Path) -> None:
    stray = [ROOT / "functions" / name for name in (".env", "tasks.json", "my.tfvars", "scheduler.db")]
    for file in stray:
        file.write_text("SECRET=1")
    try:
        done = deploy(calls, whole, "--pack")
    finally:
        for file in stray:
            file.unlink()

    packed = zipfile.ZipFile(ROOT / ".cronfire" / "source.zip").namelist()
    assert (0, ".cronfire/source.zip\n") == (done.returncode, done.stdout)
    assert [] == [file.name for file in stray if f"functions/{file.name}" in packed]


def test_gcloud_uploads_the_same_files(tmp_path: Path) -> None:
    """`gcloud run deploy --source .` takes what .gcloudignore leaves; each rule is tried as git reads it."""
    for name in (
        "main.py", "requirements.txt", "functions/engine/tick.py", "functions/web/a.html",
        ".env", "tasks.json", "scheduler.db", "infra/terraform.tfvars", "functions/.env",
        "functions/__pycache__/a.pyc", "tests/a.py", "requirements-dev.txt", "functions/tasks.state.json",
    ):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / ".gitignore").write_bytes((ROOT / ".gcloudignore").read_bytes())
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)

    left = subprocess.run(
        ["git", "ls-files", "--others", "--exclude-standard"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip

    assert ["functions/engine/tick.py", "functions/web/a.html", "main.py", "requirements.txt"] == sorted(left)


def test_the_real_gcloud_lists_the_same_files(tmp_path: Path) -> None:
    """Its reading of .gcloudignore is its own; where it is installed, it is asked (without the network)."""
    gcloud = shutil.which("gcloud")
    if gcloud is None:
        assert (ROOT / ".gcloudignore").read_text().startswith("# What the function needs")
        return
    tracked = subprocess.run(
        ["git", "ls-files", "main.py", "requirements.txt", "functions"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    strays = [
        "functions/.env",
        "functions/tasks.json",
        "infra/terraform.tfvars",
        "scheduler.db",
        "tests/a.py",
    ]
    for name in (*tracked, ".gcloudignore", *strays):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes((ROOT / name).read_bytes() if name not in strays else b"")

    listed = subprocess.run(
        [gcloud, "meta", "list-files-for-upload"],
        cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60,
        env={**os.environ, "CLOUDSDK_CONFIG": str(tmp_path / ".gcloud")},
    ).stdout.split()  # fmt: skip

    assert sorted(tracked) == sorted(listed)


SHELL_BLOCK = re.compile(r"^( *)```sh\n(.*?)^\1```$", re.M | re.S)
GUIDES = ("docs/guide/deploy.md", "docs/how-to/daemon.md")


@pytest.mark.parametrize("guide", GUIDES)
def test_blocks_of_the_guides_are_shell(guide: str) -> None:
    blocks = [textwrap.dedent(body) for _, body in SHELL_BLOCK.findall((ROOT / guide).read_text())]

    wrong = [
        (block, done.stderr)
        for block in blocks
        if (
            done := subprocess.run(["bash", "-n"], input=block, capture_output=True, text=True, check=False)
        ).stderr
    ]

    assert blocks
    assert [] == wrong


def test_the_file_of_the_state_that_the_guide_writes_is_terraform(tmp_path: Path) -> None:
    """HCL takes no block within a block of one line."""
    [line] = re.findall(r"^ +(printf '.*) >infra/backend.tf$", (ROOT / GUIDES[0]).read_text(), re.M)
    made = subprocess.run(
        ["bash", "-c", f"PROJECT=my; {line}"], capture_output=True, text=True, check=True
    ).stdout

    assert 'terraform {\n  backend "gcs" {\n    bucket = "my-state"\n  }\n}\n' == made


def test_google_installs_what_was_tested(calls: Path, whole: Path) -> None:
    """It reads requirements.txt; the lock in its place has every package with version and hashes."""
    done = deploy(calls, whole, "--pack")

    assert 0 == done.returncode, done.stderr
    packed = zipfile.ZipFile(ROOT / ".cronfire" / "source.zip").read("requirements.txt")
    assert (ROOT / "requirements.lock").read_bytes() == packed
    # So Google's builder finds that the framework is among them, and adds none of its own.
    assert re.search(rb"(?m)^functions-framework\b([^-]|$)", packed)


@pytest.mark.parametrize(
    ("variables", "remembered", "added"),
    [
        ((), "", ()),
        ((), 'settings = {OTEL_EXPORTER_OTLP_ENDPOINT = "http://collector:4318"}\n', ("opentelemetry-sdk",)),
        (("-var", "memory_mib=1024"), '{"settings": {"APPRISE_URLS": "in-json"}}', ("apprise",)),
        (("-var", 'secrets={APPRISE_URLS="apprise-urls"}'), "", ("apprise",)),
        (("-var-file", "mine.tfvars"), "", ("apprise", "opentelemetry-sdk")),
    ],
)
def test_a_setting_brings_the_libraries_along_that_it_needs(
    calls: Path, small: Path, variables: tuple[str, ...], remembered: str, added: tuple[str, ...]
) -> None:
    """Without them the function refuses its settings when it starts, after a build of minutes."""
    file = variables_of(small)
    (file.with_suffix(".tfvars.json") if remembered.startswith("{") else file).write_text(remembered)
    (small / "mine.tfvars").write_text(
        'settings = {\n  APPRISE_URLS = "x"\n  OTEL_EXPORTER_OTLP_ENDPOINT = "y"\n}'
    )

    done = deploy(calls, small, "--pack", "--", *variables)

    assert 0 == done.returncode, done.stderr
    packed = zipfile.ZipFile(small / ".cronfire" / "source.zip").read("requirements.txt").decode()
    names = re.findall(r"(?m)^([a-z0-9.-]+)==.+\\\n    --hash", packed)
    assert set(added) == {"apprise", "opentelemetry-sdk"} & set(names)
    assert sorted(set(names)) == sorted(names)  # pip refuses a package that is named twice
    assert packed.startswith((ROOT / "requirements.lock").read_text())


# -- the container -----------------------------------------------------------------------------------------


def test_the_image_runs_as_a_user_of_its_own_and_holds_what_is_deployed() -> None:
    text = (CONTAINER / "Dockerfile").read_text()
    kept = (CONTAINER / "Dockerfile.dockerignore").read_text().split()

    [number] = re.findall(r"^USER (.*)$", text, re.M)  # runAsNonRoot of Kubernetes refuses a name
    assert f"--uid {number} " in text
    assert "10001" == number
    assert text.index(f"USER {number}") < text.index('CMD ["sh"')
    assert {"*", "!main.py", "!requirements.lock", "!functions"} <= set(kept)
    installs = [line for line in text.splitlines() if "pip install" in line]
    assert 1 == len(installs)
    assert installs[0].endswith("--require-hashes -r requirements.lock")
    assert "COPY requirements.lock ." in text
    [check] = re.findall(r"^HEALTHCHECK (?:.*\\\n)?\s*CMD (\[.*\])$", text, re.M)
    *program, script = json.loads(check)
    assert ["python", "-c"] == program
    assert "/healthz" in script
    compile(script, "HEALTHCHECK", "exec")
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


def test_a_shell_of_compose_is_not_the_first_process() -> None:
    """Process 1 gets no signal that it does not handle: each stop would wait until it is killed."""
    services = yaml.safe_load((CONTAINER / "compose.yaml").read_text())["services"].values()

    shells = [one for one in services if one.get("entrypoint", [""])[0] == "sh"]

    assert [True] == [one.get("init") for one in shells]
