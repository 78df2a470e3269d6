"""Workflows and units of deployments: no more rights than they use, and no code that may change."""

import re
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


# -- images -------------------------------------------------------------------------------------------------

PINNED = re.compile(r"[a-z0-9./-]+:[\w.-]+@sha256:[0-9a-f]{64}")
# Of images, wherever a command or a text names them: a tag without a digest behind it.
MOVABLE = re.compile(
    r"\b(?:python|curlimages/curl|google-cloud-cli|node|debian|alpine):(?!\S*@sha256:)[\w.-]+"
)
DEFAULT = re.compile(r"\$\{\w+:-(.+)\}")  # compose's
FOLDERS = ("infra", ".github", "docs/guide", "docs/how-to", "scripts")


def images_of_dockerfile(text: str) -> list[str]:
    """What it builds on, but for its own stages and the argument that names one of them."""
    stages = set(re.findall(r"(?m)^FROM .* AS (\S+)$", text))
    defaults = dict(re.findall(r"(?m)^ARG (\w+)=(\S+)$", text))
    bases = [
        defaults.get(base.strip("${}"), base)
        for base in re.findall(r"(?m)^(?:FROM|COPY --from=)\s*(\S+)", text)
    ]
    return [base for base in bases if base not in stages]


def images_in(document: object) -> list[str]:
    """Each `image` and `container` of a YAML document, and each action that is an image."""
    if isinstance(document, list):
        return [image for one in document for image in images_in(one)]
    if not isinstance(document, dict):
        return []
    found = [
        DEFAULT.sub(r"\1", value.removeprefix("docker://"))
        for name, value in document.items()
        if isinstance(value, str) and (name in ("image", "container") or value.startswith("docker://"))
    ]
    return found + [image for one in document.values() for image in images_in(one)]


def test_each_image_is_pinned_by_its_digest() -> None:
    """A tag can be moved to another image, which would then run with the secrets of the scheduler."""
    dockerfiles = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*Dockerfile")]
    documents = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.y*ml")]
    images = [image for path in dockerfiles for image in images_of_dockerfile(path.read_text())]
    images += [image for path in documents for image in images_in(yaml.safe_load(path.read_text()))]

    assert {"python", "curlimages/curl"} <= {image.partition(":")[0] for image in images}
    assert [] == [image for image in images if not PINNED.fullmatch(image)]


def test_no_command_or_text_names_an_image_by_a_tag_alone() -> None:
    texts = [
        path
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and path.suffix != ".zip"
    ]

    assert [] == [
        f"{path.relative_to(ROOT)}: {found}"
        for path in [*texts, ROOT / "README.md"]
        for found in MOVABLE.findall(path.read_text(encoding="utf-8", errors="replace"))
    ]


def test_dependabot_moves_the_images_on() -> None:
    """It reads FROM only without a variable, and the default of one in `image`."""
    updates = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text())["updates"]
    watched = {(one["package-ecosystem"], one["directory"]) for one in updates}
    dockerfile = (ROOT / "infra" / "container" / "Dockerfile").read_text()

    assert {("docker", "/infra/container"), ("docker-compose", "/infra/container")} <= watched
    assert re.search(r"(?m)^FROM [a-z/]+:[\w.-]+@sha256:[0-9a-f]{64} AS pinned$", dockerfile)


@pytest.mark.parametrize(
    ("dockerfile", "images"),
    [
        ("ARG A=one\nFROM x:1@sha256:0 AS one\nFROM ${A} AS two\nCOPY --from=two / /\n", ["x:1@sha256:0"]),
        ("ARG A=y:2\nFROM $A\nCOPY --from=z:3 / /\n", ["y:2", "z:3"]),
    ],
)
def test_images_of_a_dockerfile_are_found(dockerfile: str, images: list[str]) -> None:
    assert images == images_of_dockerfile(dockerfile)


def test_images_of_yaml_and_of_texts_are_found() -> None:
    document = {
        "jobs": {"a": {"container": "x:1", "steps": [{"uses": "docker://y:2"}]}},
        "image": "${Z:-z:3}",
    }

    assert ["z:3", "x:1", "y:2"] == images_in(document)
    assert ["python:3.12-slim"] == MOVABLE.findall("docker run python:3.12-slim")
    assert [] == MOVABLE.findall("docker run python:3.12-slim@sha256:0")
