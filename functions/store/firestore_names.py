"""How the documents of one database are named, and which names Firestore can take."""

import re
from dataclasses import dataclass

from functions.errors import SettingsError

PROJECT = re.compile(r"([a-z0-9.-]+:)?[a-z][a-z0-9-]{1,61}[a-z0-9]")
DATABASE = re.compile(r"\(default\)|[a-z][a-z0-9-]{2,61}[a-z0-9]")
PREFIX = re.compile(r"[A-Za-z0-9_-]{0,100}")
DOCUMENT = re.compile(r"(?!__.*__$)(?!\.{1,2}$)[^/]{1,1500}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Names:
    """The names within one database. Collections carry a prefix, so that two schedulers may share it."""

    database: str
    prefix: str

    @property
    def tasks(self) -> str:
        """The collection of tasks."""
        return f"{self.prefix}tasks"

    @property
    def runs(self) -> str:
        """The collection of ledger entries."""
        return f"{self.prefix}runs"

    @property
    def documents(self) -> str:
        """The parent of all collections."""
        return f"{self.database}/documents"

    def task(self, task_id: str) -> str:
        """The full name of a task's document."""
        return f"{self.database}/documents/{self.tasks}/{task_id}"

    def beside(self, kind: str, document_id: str) -> str:
        """The full name of a small document beside the tasks."""
        return f"{self.database}/documents/{self.prefix}{kind}/{document_id}"

    def entry(self, entry_id: str) -> str:
        """The full name of a ledger entry's document."""
        return f"{self.database}/documents/{self.runs}/{entry_id}"


def names(project: str, database: str, prefix: str) -> Names:
    """The names within *database* of *project*.

    Raises:
        SettingsError: One of them is no name Google gives. An upper-case letter in a project, above
            all: calls would fail one by one, with an error that says nothing.
    """
    if not PROJECT.fullmatch(project):
        raise SettingsError(
            "STORE_URL: the project must be a Google Cloud project id: lower-case letters, digits and "
            "hyphens, beginning with a letter"
        )
    if not DATABASE.fullmatch(database):
        raise SettingsError(
            "STORE_URL: the database must be (default), or 4 to 63 lower-case letters, digits and hyphens, "
            "beginning with a letter"
        )
    if not PREFIX.fullmatch(prefix) or prefix.startswith("__"):
        raise SettingsError("The prefix of collections must be letters, digits, hyphens and underscores")
    return Names(f"projects/{project}/databases/{database}", prefix)


def is_document_id(given: str) -> bool:
    """Whether a document can have this id; asking for another is an error, not a missing document."""
    return DOCUMENT.fullmatch(given) is not None
