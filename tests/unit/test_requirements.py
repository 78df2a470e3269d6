"""The requirements say all that is imported, and the locks say the same as the requirements."""

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # many requests, or many files: seconds of a processor together

ROOT = Path(__file__).parents[2]
RUNTIME = ("requirements.txt", "requirements-apprise.txt", "requirements-otel.txt")
DEVELOPMENT = (*RUNTIME, "requirements-dev.txt")
LOCKS = {"requirements.lock": "requirements.txt", "requirements-dev.lock": "requirements-dev.txt"}
ADDED = {  # by scripts/deploy, where a setting needs them
    "requirements-apprise.lock": "requirements-apprise.txt",
    "requirements-otel.lock": "requirements-otel.txt",
}
OURS = {"functions", "main", "tests"}

# Of an extra that the tests do without: not installed, so nothing can say which package a module is of.
OPTIONAL = {
    "opentelemetry": {"opentelemetry-api", "opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http"}
}
# Run in an environment of their own, which the benchmark or the test makes.
ELSEWHERE = ("tests/harness/bench/competitors/", "tests/fakes/cloud_tasks_bridge.py")
# Needed by a library of ours without an import of our own.
NOT_IMPORTED = {
    "python-multipart",  # starlette's forms
}

DIRECT = re.compile(
    r"(?P<name>[A-Za-z0-9._-]+)(\[[a-z0-9,-]+\])?==(?P<version>[^\s;]+)(\s*;[^#]+)?\s*(?P<why>#.*)?"
)
LOCKED = re.compile(
    r"(?P<name>[a-z0-9.-]+)==(?P<version>[^\s;]+)( ; [^\\]+?)?( \\\n    --hash=sha256:[0-9a-f]{64})+"
)


def canonical(name: str) -> str:
    """pip takes `PyJWT`, `pyjwt` and `typing_extensions`, `typing-extensions` for the same."""
    return re.sub(r"[-_.]+", "-", name).lower()


def requirement_lines(name: str) -> list[str]:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith(("#", "-r "))]


def direct(names: Iterable[str]) -> dict[str, str]:
    """The versions of the packages that requirements files name."""
    found = (DIRECT.fullmatch(line) for name in names for line in requirement_lines(name))
    return {canonical(one["name"]): one["version"] for one in found if one}


def locked(text: str) -> dict[str, str]:
    """The versions in a lock; raises AssertionError for a line that is not name, version and hashes."""
    body = re.sub(r"^#.*\n", "", text, flags=re.M).rstrip("\n")
    entries = re.split(r"\n(?! )", body)
    found = [LOCKED.fullmatch(entry) for entry in entries]
    assert [] == [entry[:80] for entry, match in zip(entries, found, strict=True) if match is None]
    return {canonical(match["name"]): match["version"] for match in found if match}


def lock_text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


# -- what is declared ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DEVELOPMENT)
def test_each_requirement_is_pinned_exactly(name: str) -> None:
    """Otherwise two installations of one commit may differ, and only one of them was tested."""
    assert [] == [line for line in requirement_lines(name) if DIRECT.fullmatch(line) is None]


def test_each_package_that_is_deployed_has_its_reason() -> None:
    lines = requirement_lines("requirements.txt")

    assert [] == [line for line in lines if not (found := DIRECT.fullmatch(line)) or not found["why"]]


def test_development_installs_what_is_deployed() -> None:
    assert "-r requirements.txt" == lock_text("requirements-dev.txt").splitlines()[0]


def test_what_the_product_imports_is_declared() -> None:
    """A package that comes by chance goes by chance: with the next version of what brings it."""
    assert set() == set(imported([ROOT / "main.py", ROOT / "functions"])) - set(direct(RUNTIME))


def test_what_the_tests_import_is_declared() -> None:
    made = {"cronfire-client"}  # by a generator, in tests/e2e

    assert set() == set(imported([ROOT / "tests"])) - set(direct(DEVELOPMENT)) - made


def test_what_is_declared_is_imported() -> None:
    declared = set(direct(["requirements.txt"]))

    assert set() == declared - NOT_IMPORTED - set(imported([ROOT / "main.py", ROOT / "functions"]))


# -- what is locked --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("lock", "requirements"), LOCKS.items())
def test_a_lock_has_each_requirement_in_its_version(lock: str, requirements: str) -> None:
    wanted = direct(["requirements.txt", requirements]).items()

    assert set() == wanted - locked(lock_text(lock)).items(), "run scripts/lock"


def test_what_is_tested_is_what_is_deployed() -> None:
    deployed, tested = (locked(lock_text(name)) for name in LOCKS)

    assert set() == deployed.items() - tested.items(), "run scripts/lock"


@pytest.mark.parametrize(("lock", "requirements"), ADDED.items())
def test_what_is_added_to_a_deployment_has_its_versions(lock: str, requirements: str) -> None:
    added, deployed = locked(lock_text(lock)), locked(lock_text("requirements.lock"))

    assert set() == direct([requirements]).items() - added.items(), "run scripts/lock"
    assert {} == {
        name: version for name, version in added.items() if deployed.get(name, version) != version
    }, "run scripts/lock"


@pytest.mark.parametrize("lock", [*LOCKS, *ADDED])
def test_a_lock_names_no_place_to_install_from(lock: str) -> None:
    """Everybody installs from where their own pip is told to."""
    assert [] == [
        word for word in ("http:", "https:", "--index", "--extra", "--find", "@") if word in lock_text(lock)
    ]


# -- the rules can fail ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line", ["aiohttp", "aiohttp>=3", "aiohttp==3.*, <4", "aiohttp~=3.1", "aiohttp @ file:x"]
)
def test_a_requirement_that_leaves_a_choice_is_no_pin(line: str) -> None:
    assert DIRECT.fullmatch(line) is None


@pytest.mark.parametrize(
    "text",
    [
        "aiohttp==3.14.5\n",
        "--index-url x\naiohttp==3.14.5 \\\n    --hash=sha256:" + "0" * 64 + "\n",
        "aiohttp==3.14.5 \\\n    --hash=md5:" + "0" * 32 + "\n",
        "aiohttp>=3.14.5 \\\n    --hash=sha256:" + "0" * 64 + "\n",
    ],
)
def test_a_line_of_a_lock_without_version_or_hash_is_a_fault(text: str) -> None:
    with pytest.raises(AssertionError):
        locked(text)


def test_a_lock_is_read_with_markers_and_all_hashes() -> None:
    one = " \\\n    --hash=sha256:" + "0" * 64
    text = f"# made\nA_b==1 ; os_name == 'nt'{one}{one}\nc==2.0{one}\n".replace("A_b", "a-b")

    assert {"a-b": "1", "c": "2.0"} == locked(text)


def test_a_module_of_a_shared_namespace_is_of_the_package_that_has_it(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text(
        "def late():\n    import google.auth.jwt\n    from google.protobuf import message\n"
    )

    assert ["google-auth", "protobuf"] == sorted(imported([tmp_path]))


def test_a_module_of_no_package_is_shown_by_its_own_name(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text("import os, nowhere.deep\nfrom . import near\n")

    assert {"nowhere"} == imported([tmp_path])


# -- who imports what ------------------------------------------------------------------------------------


def imported(places: Iterable[Path]) -> set[str]:
    """The packages whose modules the files at *places* import, also inside functions and for types."""
    found: set[str] = set()
    for name in {name for place in places for file in _files(place) for name in _imports(file)}:
        top = name.partition(".")[0]
        if top not in sys.stdlib_module_names and top not in OURS:
            found |= OPTIONAL.get(top) or {_package_of(name)}
    return found


def _files(place: Path) -> Iterator[Path]:
    for file in [place] if place.is_file() else place.rglob("*.py"):
        if not file.as_posix().startswith(tuple(f"{ROOT.as_posix()}/{one}" for one in ELSEWHERE)):
            yield file


@cache
def _imports(file: Path) -> frozenset[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(found)


@cache
def _packages() -> dict[str, list[str]]:
    return {top: sorted(set(names)) for top, names in metadata.packages_distributions().items()}


def _package_of(name: str) -> str:
    """The package that has the module *name*; its first part when none is installed."""
    top = name.partition(".")[0]
    packages = _packages().get(top, [])
    if len(packages) < 2:
        return canonical(packages[0] if packages else top)
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        module = "/".join(parts[:length])
        for package in packages:
            if {f"{module}.py", f"{module}/__init__.py"} & _files_of(package):
                return canonical(package)
    return top


@cache
def _files_of(package: str) -> frozenset[str]:
    return frozenset(file.as_posix() for file in metadata.files(package) or ())
