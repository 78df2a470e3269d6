"""A voice: the language we speak in, and the address we call our own; what every rendering needs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from functions.notices.wording.digest import Digest, Limits, digest
from functions.notices.wording.table import Words, words_for
from functions.rules.notice import Notice

VOICE_SETTINGS = ("NOTICE_LANGUAGE", "PUBLIC_URL")


@dataclass(frozen=True, slots=True)
class Voice:
    """How a channel speaks.

    Attributes:
        public_url: Where people reach this service; empty for notices without links to it.
    """

    words: Words
    public_url: str = ""

    @classmethod
    def of(cls, settings: Mapping[str, str]) -> Self:
        """The voice that *settings* ask for."""
        return cls(words_for(settings.get("NOTICE_LANGUAGE", "")), settings.get("PUBLIC_URL", ""))

    def digest(self, notices: Sequence[Notice], limits: Limits) -> Digest:
        """*notices*, at least one and the most important first, in this voice."""
        return digest(notices, self.words, limits, public_url=self.public_url)
