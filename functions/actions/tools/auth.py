"""Proving to another side who asks: a bearer token or a password, both known by reference only."""

import base64
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from functions.rules.words import Model

ONLY_REFERENCES = ("auth.bearer", "auth.basic.password")
_Secret = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4096)]


class Basic(Model):
    """A user name and a reference to the password."""

    user: Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^:\x00-\x1f\x7f]+$")]
    password: Annotated[str, Field(min_length=1, max_length=4096)]


class Auth(Model):
    """One way of proving who asks."""

    bearer: _Secret | None = None
    basic: Basic | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.bearer is None) == (self.basic is None):
            raise ValueError("give either bearer or basic")
        return self

    def header(self) -> str:
        """The value of the Authorization header."""
        if self.basic is None:
            return f"Bearer {self.bearer}"
        pair = f"{self.basic.user}:{self.basic.password}".encode("utf-8", "replace")
        return f"Basic {base64.b64encode(pair).decode()}"
