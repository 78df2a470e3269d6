"""What came back from a user's address."""

from collections.abc import Mapping

from functions.rules.values import value


@value
class Response:
    """One answer, whatever its status: a 500 is an answer too.

    Attributes:
        headers: Lower-case names; of a repeated header the last one.
        body: Decompressed, at most as long as was asked for.
        truncated: True when the body was longer than that.
        url: Where the answer came from, after redirects; may hold a query, so do not log it.
        elapsed_ms: From the start of the call, redirects included, to the headers of this answer.
        certificate_days_left: Whole days until the TLS certificate ends; None on plain http.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    truncated: bool
    url: str
    elapsed_ms: int
    certificate_days_left: int | None
