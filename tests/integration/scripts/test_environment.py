"""`scripts/environment` where it cannot do its work: with a stand-in for the Python that installs."""

import os
import subprocess
from pathlib import Path
from shutil import copy

import pytest

from tests.support.serving import ROOT

# It starts, it has pip, and whatever it is to install fails with the words in FAILURE.
PYTHON = """#!/bin/sh
case "$*" in
    *" install "*) echo "$FAILURE" >&2; exit 1 ;;
esac
"""


@pytest.mark.parametrize(
    ("failure", "remedy", "is_kept"),
    [
        ("OSError: [Errno 28] No space left on device", "free some 300 MB", False),
        ("ReadTimeoutError: the connection timed out", "Is the package index reachable?", True),
    ],
)
def test_what_a_full_disk_cut_off_is_not_kept(
    tmp_path: Path, failure: str, remedy: str, is_kept: bool
) -> None:
    programs = tmp_path / ".venv" / "bin"
    for folder in (tmp_path / "scripts", programs):
        folder.mkdir(parents=True)
    copy(ROOT / "scripts" / "environment", tmp_path / "scripts")
    for lock in ("requirements.lock", "requirements-dev.lock"):
        copy(ROOT / lock, tmp_path)
    for name in ("python", "uv"):
        (programs / name).write_text(PYTHON)
        (programs / name).chmod(0o755)

    done = subprocess.run(
        [str(tmp_path / "scripts" / "environment")],
        env={"PATH": f"{programs}:{os.environ['PATH']}", "FAILURE": failure},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert 1 == done.returncode
    assert failure in done.stderr
    assert remedy in done.stderr
    assert is_kept == programs.exists()
