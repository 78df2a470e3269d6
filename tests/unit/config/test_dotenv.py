"""The environment: a `.env` file completes it on a person's machine, and nowhere else."""

from pathlib import Path

import pytest

from functions.config.dotenv import parse_dotenv, read_environment
from functions.errors import SettingsError

CANARY = "canary-in-a-file"
SECRET = "0123456789abcdef0123456789abcdef"
PREVIOUS = "fedcba9876543210fedcba9876543210"


def test_a_dotenv_file_is_read() -> None:
    text = f"""\
# a comment
PLAIN=value

export EXPORTED = spaced out   # with a comment
HASH=a#b
SINGLE='as # it \\n is'
DOUBLE="{SECRET}\\n{PREVIOUS}"  # two lines
ESCAPED="say \\"yes\\" \\\\ no"
EMPTY=
EMPTY_WITH_COMMENT= # nothing
EQUALS=a=b==
DOLLAR=$PLAIN-${{PLAIN}}
LINES="{SECRET}
{PREVIOUS}"
"""

    assert {
        "PLAIN": "value",
        "EXPORTED": "spaced out",
        "HASH": "a#b",
        "SINGLE": "as # it \\n is",
        "DOUBLE": f"{SECRET}\n{PREVIOUS}",
        "ESCAPED": 'say "yes" \\ no',
        "EMPTY": "",
        "EMPTY_WITH_COMMENT": "",
        "EQUALS": "a=b==",
        "DOLLAR": "$PLAIN-${PLAIN}",
        "LINES": f"{SECRET}\n{PREVIOUS}",
    } == parse_dotenv(text)


@pytest.mark.parametrize(
    "line", [CANARY, f"={CANARY}", f"1A={CANARY}", f'A="{CANARY}', f"A='{CANARY}", f"A='{CANARY}' x", "A B=c"]
)
def test_a_line_that_is_no_assignment_is_named_by_its_number(line: str) -> None:
    with pytest.raises(SettingsError, match=r"Line 2 of \.env") as caught:
        parse_dotenv(f"GOOD=1\n{line}\n")

    assert CANARY not in str(caught.value)


def test_the_number_of_a_line_counts_lines_that_are_empty_or_within_quotes() -> None:
    with pytest.raises(SettingsError, match=r"Line 6 of \.env"):
        parse_dotenv('A="1\n2"\n\n# a comment\n\nlonely\n')


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=file\r\nB=file\r\nC=file\r\n", encoding="utf-8-sig")

    found = read_environment({"A": "environment", "B": "", "D": "environment"}, tmp_path / ".env")

    assert {"A": "environment", "B": "file", "C": "file", "D": "environment"} == found


def test_the_file_is_not_read_on_cloud_run(tmp_path: Path) -> None:
    """A file deployed by mistake must not change a production service."""
    (tmp_path / ".env").write_text("A=file")

    assert {"K_SERVICE": "cronfire"} == read_environment({"K_SERVICE": "cronfire"}, tmp_path / ".env")


def test_no_file_is_fine_and_an_unreadable_one_is_not(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()

    assert {"A": "1"} == read_environment({"A": "1"}, tmp_path / ".env")
    with pytest.raises(SettingsError, match="folder exists but cannot be read"):
        read_environment({}, tmp_path / "folder")


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("json:///tasks.json", "json:///{folder}/tasks.json"),
        ("sqlite:///data/a.db", "sqlite:///{folder}/data/a.db"),
        ("sqlite:////srv/a.db", "sqlite:////srv/a.db"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
        ("firestore://p/d", "firestore://p/d"),
        ("nonsense", "nonsense"),
    ],
)
def test_a_relative_store_counts_from_the_folder_of_the_file(
    tmp_path: Path, written: str, found: str
) -> None:
    (tmp_path / ".env").write_text(f"STORE_URL={written}")

    read = read_environment({}, tmp_path / ".env")

    assert {"STORE_URL": found.format(folder=tmp_path)} == read


def test_a_name_that_is_set_twice_has_one_value() -> None:
    """A copy of `.env.example` has each name without a value; a value is often appended to it."""
    assert {"A": "1", "B": "2"} == parse_dotenv("A=\nB=2\nA=1\nB=\nA='1'\n")

    with pytest.raises(SettingsError) as refused:
        parse_dotenv("A=c4nary-1\n\nA=c4nary-2\n")

    assert (
        str(refused.value)
        == "Line 3 of .env sets A to another value than a line before it; keep one of them."
    )
