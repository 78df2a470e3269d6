"""Tests that run in several processes come to what they come to in one (`--processes`)."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PROGRAM = """
import os, signal, sys, time, warnings
from pathlib import Path
import pytest

@pytest.fixture(scope="module")
def made_once():
    print("MADE")
    yield
    with Path(os.environ["TORN_DOWN"]).open("a") as file:
        file.write("x")

@pytest.mark.parametrize("number", range(20))
def test_passes(number, made_once, tmp_path):
    assert not list(tmp_path.iterdir())
    (tmp_path / "mine").touch()

def test_fails(made_once):
    os.write(1, b"written by a child")
    assert 1 == 2

def test_is_skipped():
    pytest.skip("for this reason")

@pytest.mark.xfail(strict=True)
def test_is_expected_to_fail():
    assert False

@pytest.mark.timeout(0.5)
def test_hangs():
    time.sleep(60)

def test_kills_its_process():
    os.kill(os.getpid(), signal.SIGKILL)

@pytest.fixture
def wrong_at_the_end():
    yield
    raise ValueError("at the end")

def test_is_torn_down_wrongly(wrong_at_the_end):
    pass

def test_leaves_a_file_open():
    open(os.devnull)
"""
EXPECTED = {
    "test_fails": "FAILED",
    "test_hangs": "FAILED",
    "test_kills_its_process": "FAILED",
    "test_leaves_a_file_open": "FAILED",
    "test_is_torn_down_wrongly": "ERROR",
    "test_is_skipped": "SKIPPED",
    "test_is_expected_to_fail": "XFAIL",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "test_odd.py").write_text(PROGRAM)
    (tmp_path / "test_usual.py").write_text(
        "import pytest\n@pytest.mark.parametrize('n', range(9))\ndef test_usual(n): pass\n"
    )
    monkeypatch.setenv("TORN_DOWN", str(tmp_path / "torn-down"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def run(folder: Path, *words: str) -> str:
    """What pytest writes about the tests in *folder*, with our settings."""
    plugin = ("-c", str(ROOT / "pyproject.toml"), "--rootdir", str(folder), "-p", "tests.support.processes")
    command = [sys.executable, "-m", "pytest", *plugin, "-p", "no:cacheprovider", *words, str(folder)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=100).stdout


def test_every_test_is_run_once_and_what_went_wrong_is_shown(folder: Path) -> None:
    output = run(folder, "--processes", "3", "-v", "-rA")
    summary = output.partition("short test summary info")[2]

    assert "4 failed, 30 passed, 1 skipped, 1 xfailed, 1 error" in summary
    for name, outcome in EXPECTED.items():
        assert re.search(rf"^{outcome}.*({name}|for this reason)", summary, re.MULTILINE), name
    assert "the process that ran this test died (exit code -9)" in output
    assert "Timeout (>0.5s)" in output
    assert "written by a child" in output.partition("Captured stdout call")[2]
    assert "unclosed file" in output
    assert re.search(r"s to collect, .* s for 35 tests", output)
    kept = re.search(r"are kept: (.*)", output)
    assert kept
    assert Path(kept[1]).is_dir()


def test_fixtures_are_torn_down_in_each_process_and_nothing_is_kept_of_what_passed(folder: Path) -> None:
    output = run(folder, "--processes", "2", "-k", "test_passes or usual")

    assert "29 passed" in output
    assert (folder / "torn-down").read_text() in ("x", "xx")
    assert [] == list(folder.glob("cronfire-*"))


def test_after_a_failure_no_test_is_begun_where_one_is_enough(folder: Path) -> None:
    output = run(folder, "--processes", "1", "-x", "-k", "passes or fails or usual")

    assert "stopping after 1 failures" in output
    passed = re.search(r"(\d+) passed", output)
    assert passed
    assert 20 <= int(passed[1]) <= 22
