"""What the settings ask for, as it is built."""

import pytest

from functions.app import factories
from functions.app.factories import parse_cell, scheduler_id
from functions.config.settings import Settings


@pytest.mark.parametrize(
    ("url", "is_one_store"),
    [("sqlite:////srv/s.db", False), ("json:///tasks.json", False), ("firestore://example/jobs", True)],
)
@pytest.mark.parametrize("is_public", [True, False])
def test_stores_in_files_of_one_name_are_two_schedulers_on_a_topic(
    monkeypatch: pytest.MonkeyPatch, url: str, is_one_store: bool, is_public: bool
) -> None:
    """Each would ignore the other's events as its own."""

    def id_on(machine: str) -> str:
        public = {"PUBLIC_URL": f"https://{machine}.example.com"} if is_public else {}
        monkeypatch.setattr(factories, "gethostname", lambda: "same" if is_public else machine)
        return scheduler_id(Settings.from_env({"STORE_URL": url} | public, serves_http=False))

    barn, barn_again, stable = id_on("barn"), id_on("barn"), id_on("stable")

    assert (True, is_one_store) == (barn == barn_again, barn == stable)


def test_a_cell_is_read_by_the_rules_of_task_files() -> None:
    assert {"url": "https://example.com", "status": [200, 204]} == parse_cell(
        "url: https://example.com\nstatus: [200, 204]"
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("expect: {status: 200, status: 204}", "expect.status: is given twice"),
        ("status: 200\nstatus: 204", "status: is given twice"),
        ("{status: 200", "this is neither YAML nor JSON"),
    ],
)
def test_a_cell_that_cannot_be_read_is_named_with_its_path(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^{reason}"):
        parse_cell(text)
