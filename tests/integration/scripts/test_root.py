"""Every script finds the checkout that it is in, however it is started."""

import os
import subprocess
from pathlib import Path
from shutil import copy

import pytest

ROOT = Path(__file__).parents[3]
SCRIPTS = [
    file
    for file in sorted([*(ROOT / "scripts").iterdir(), *(ROOT / ".ci").iterdir()])
    if file.is_file() and file.read_text().startswith("#!/usr/bin/env bash")
]
NEEDED = "BASH_SOURCE"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with a space, and one of the same name where CDPATH leads."""
    folder = tmp_path / "a checkout"
    (folder / "scripts").mkdir(parents=True)
    (tmp_path / "elsewhere" / "scripts").mkdir(parents=True)
    return folder


def said(*words: str, folder: Path, **variables: str) -> str:
    env = {"PATH": os.environ["PATH"], **variables}
    done = subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert (0, "") == (done.returncode, done.stderr)
    return done.stdout.rstrip("\n")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda file: file.name)
def test_a_script_knows_its_checkout(script: Path, checkout: Path, tmp_path: Path) -> None:
    """By its path, with CDPATH exported, from its own folder, by sh, and through a link in PATH."""
    text = script.read_text()
    [line] = [one for one in text.splitlines() if NEEDED in one]
    before, found_line, _ = text.partition(line)
    file = checkout / "scripts" / script.name
    file.write_text(f"{before}{found_line}\nprintf '%s\\n' \"$root\"\n")
    file.chmod(0o755)
    (tmp_path / "link").symlink_to(file)
    elsewhere = str(tmp_path / "elsewhere")

    found = [
        said(f"scripts/{script.name}", folder=checkout),
        said(f"scripts/{script.name}", folder=checkout, CDPATH=f"{elsewhere}:."),
        said(f"scripts/{script.name}", folder=checkout, CDPATH="."),
        said("bash", script.name, folder=file.parent),
        said("sh", f"scripts/{script.name}", folder=checkout),
        said(str(tmp_path / "link"), folder=tmp_path),
    ]

    assert [str(checkout)] * 6 == found


def test_a_checkout_of_git_for_windows_runs_in_bash(tmp_path: Path) -> None:
    """Its `core.autocrlf` ends each line of a file with CRLF, and `bash\\r` is not found."""
    git = ("git", "-c", "core.autocrlf=true")
    subprocess.run([*git, "init", "--quiet"], cwd=tmp_path, check=True)
    copy(ROOT / ".gitattributes", tmp_path)
    files = ["scripts/run", "samples/local.yaml", "infra/container/Dockerfile"]
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        copy(ROOT / name, tmp_path / name)
    subprocess.run([*git, "add", *files], cwd=tmp_path, check=True)
    for name in files:
        (tmp_path / name).unlink()

    subprocess.run([*git, "checkout", "--quiet", "--", *files], cwd=tmp_path, check=True)

    assert [] == [name for name in files if b"\r" in (tmp_path / name).read_bytes()]
