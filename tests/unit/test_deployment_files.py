"""Workflows and units of deployments: no more rights than they use, and no code that may change."""

from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = [*ROOT.glob(".github/workflows/*.yml"), *ROOT.glob("infra/pingers/github/*.yml")]
UNITS = list(ROOT.glob("infra/pingers/systemd/*.service"))


def steps_of(workflow: Path) -> list[dict[str, Any]]:
    jobs = yaml.safe_load(workflow.read_text())["jobs"].values()
    return [step for job in jobs for step in job["steps"]]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_by_the_digest_of_their_commit(workflow: Path) -> None:
    """A tag can be moved to other code, which would then run with the secrets of the workflow."""
    for step in steps_of(workflow):
        if "uses" in step:
            digest = step["uses"].partition("@")[2]
            assert 40 == len(digest), step["uses"]
            assert int(digest, 16)


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_says_its_permissions_and_keeps_a_token_only_to_push(workflow: Path) -> None:
    permissions = yaml.safe_load(workflow.read_text())["permissions"]
    pushes = any("git push" in step.get("run", "") for step in steps_of(workflow))

    assert permissions in ({}, {"contents": "write" if pushes else "read"})
    for step in steps_of(workflow):
        if step.get("uses", "").startswith("actions/checkout@") and not pushes:
            assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_what_a_unit_writes_is_read_by_its_user_alone(unit: Path) -> None:
    lines = unit.read_text().splitlines()

    assert "UMask=0077" in lines
    for folder in ("StateDirectory", "LogsDirectory"):
        if any(line.startswith(f"{folder}=") for line in lines):
            assert f"{folder}Mode=0700" in lines


def test_each_image_can_be_named_by_its_digest() -> None:
    """The repository names none, as it takes a registry to look one up. See docs/guide/deploy.md."""
    container = ROOT / "infra" / "container"
    lines = (container / "Dockerfile").read_text().splitlines()
    services = yaml.safe_load((container / "compose.yaml").read_text())["services"]

    assert {"FROM ${PYTHON_IMAGE} AS build", "FROM ${PYTHON_IMAGE}"} == {
        line for line in lines if line.startswith("FROM ")
    }
    assert "PYTHON_IMAGE" in services["cronfire"]["build"]["args"]
    assert services["pinger"]["image"].startswith("${CURL_IMAGE:-")
