"""axe-core, which finds what keeps people out of a page: from its npm package, pinned, for tests alone."""

import base64
import hashlib
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

PACKAGE = "axe-core@4.14.1"
INTEGRITY = "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ=="
TIMEOUT_S = 60


def axe_script(folder: Path) -> str:
    """The script. Without npm or the registry the test is skipped, unless REQUIRE_BROWSER is 1."""
    refuse = pytest.fail if os.environ.get("REQUIRE_BROWSER") == "1" else pytest.skip
    npm = shutil.which("npm")
    if npm is None:
        refuse("npm is not installed, so there is no axe-core")
    folder.mkdir(parents=True, exist_ok=True)
    words = [str(npm), "pack", "--silent", "--pack-destination", str(folder), PACKAGE]
    done = subprocess.run(words, capture_output=True, check=False, timeout=TIMEOUT_S)
    if done.returncode:
        refuse(f"npm has no {PACKAGE}: {done.stderr.decode()[-200:]}")
    archive = folder / done.stdout.decode().split()[-1]
    digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    assert INTEGRITY == digest, "the package is not the pinned one"
    with tarfile.open(archive) as packed:
        member = packed.extractfile("package/axe.min.js")
        assert member is not None
        return member.read().decode()
