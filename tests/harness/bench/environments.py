"""Scratch environments for the competitors: made once under `.cronfire/bench`, never the project's own."""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.harness.bench.processes import ROOT, Failed

FOLDER = ROOT / ".cronfire" / "bench"
INSTALL_WITHIN_S = 300


def python_with(name: str, packages: Sequence[str]) -> Path:
    """The interpreter of an environment that has *packages* and nothing else.

    Raises:
        Failed: They could not be installed.
    """
    folder = FOLDER / name
    python = folder / "bin" / "python"
    if not _made(folder, packages):
        shutil.rmtree(folder, ignore_errors=True)
        _run([sys.executable, "-m", "venv", str(folder)], name)
        _run([str(python), "-m", "pip", "install", "--quiet", "--no-input", *packages], name)
        _remember(folder, packages)
    return python


def node_folder_with(name: str, packages: Sequence[str]) -> Path:
    """A folder whose `node_modules` has *packages*.

    Raises:
        Failed: There is no npm, or they could not be installed.
    """
    folder = FOLDER / name
    if shutil.which("npm") is None or shutil.which("node") is None:
        raise Failed("node and npm are not installed")
    if not _made(folder, packages):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "package.json").write_text('{"private": true}\n', encoding="utf-8")
        _run(["npm", "install", "--silent", "--ignore-scripts", "--prefix", str(folder), *packages], name)
        _remember(folder, packages)
    return folder


def _made(folder: Path, packages: Sequence[str]) -> bool:
    stamp = folder / "made-of"
    return stamp.exists() and stamp.read_text(encoding="utf-8") == "\n".join(packages)


def _remember(folder: Path, packages: Sequence[str]) -> None:
    (folder / "made-of").write_text("\n".join(packages), encoding="utf-8")


def _run(command: Sequence[str], name: str) -> None:
    print(f"Making {name} ...", file=sys.stderr)  # noqa: T201  # the first run takes minutes
    try:
        done = subprocess.run(
            command, capture_output=True, check=False, text=True, timeout=INSTALL_WITHIN_S, cwd=ROOT
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise Failed(f"not installed: {type(exc).__name__}") from None
    if done.returncode:
        last = (done.stderr.strip() or "no message").splitlines()[-1]
        raise Failed(f"not installed: {last[:120]}")
