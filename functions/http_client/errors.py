"""Errors of aiohttp, TLS and the system: one plain sentence each, as an error that is httpx's too.

A task type may catch what it knows of httpx (`httpx.HTTPError`, `httpx.TimeoutException`), or let the error
pass: the registry makes it a failure with our sentence.
"""

import errno
import ssl

import aiohttp

from functions.http_client import BlockedRequestError, FetchError
from functions.http_client.httpx import httpx


class TransportFetchError(FetchError, httpx.TransportError):
    """No usable answer came."""


class TransportTimeoutError(FetchError, httpx.TimeoutException):
    """No answer came in time."""


class TransportBlockedError(BlockedRequestError, httpx.TransportError):
    """The call was not made, because something about it is not allowed."""


class UnreadableUrlError(BlockedRequestError, httpx.InvalidURL):
    """The URL cannot be read, so no request was built."""

    def __init__(self) -> None:
        super().__init__("The URL cannot be read; write it like https://example.com/path")


def as_httpx_error(exc: FetchError, request: httpx.Request) -> FetchError:
    """Return *exc* as an error that is httpx's too."""
    error: TransportBlockedError | TransportFetchError
    if isinstance(exc, BlockedRequestError):
        error = TransportBlockedError(exc.reason)
    else:
        error = TransportFetchError(exc.reason, permanent=exc.permanent, is_sent=exc.is_sent)
    error.request = request
    return error


def timeout_error(timeout_s: float, request: httpx.Request) -> FetchError:
    """Return the error of a call that took longer than *timeout_s*."""
    error = TransportTimeoutError(f"No answer within {timeout_s:g} s")
    error.request = request
    return error


ADDRESS_NOT_ALLOWED = "The address is private, local or reserved, and so not allowed"

_CONNECT_MESSAGES = {
    errno.ECONNREFUSED: "The connection was refused",
    errno.ECONNRESET: "The connection was broken off",
    errno.EHOSTUNREACH: "The host cannot be reached",
    errno.ENETUNREACH: "The host cannot be reached",
    errno.ETIMEDOUT: "The host did not answer in time",
}
_CERTIFICATE_MESSAGES = {  # OpenSSL's X509_V_ERR_* numbers; its own texts may hold the address
    9: "not valid yet",
    10: "expired",
    18: "self-signed",
    19: "signed by an authority that is not trusted",
    20: "signed by an authority that is not trusted",
    21: "its chain is incomplete",
    23: "revoked",
    62: "issued for another host name",
    64: "issued for another address",
}


class AddressNotAllowedError(OSError):
    """The guard's refusal, shaped so that it passes through the connecting code of aiohttp."""


def to_fetch_error(exc: BaseException) -> FetchError:
    """Return what to tell the task's owner about *exc*: no address, no URL, no text of the other side."""
    match exc:
        case FetchError():
            return exc
        case aiohttp.ClientConnectorCertificateError():
            return _certificate_error(exc.certificate_error)
        case aiohttp.ClientConnectorSSLError():
            return FetchError("The TLS handshake failed", is_sent=False)
        case aiohttp.ClientConnectorDNSError():
            return FetchError("The name does not resolve", is_sent=False)
        case aiohttp.ClientConnectorError():
            return _connect_error(exc.os_error)
        case aiohttp.ServerDisconnectedError():
            return FetchError("The connection was closed before an answer came")
        case aiohttp.ClientPayloadError():
            return FetchError("The answer ended too early")
        case aiohttp.ClientResponseError():
            return _protocol_error(exc.message)
        case aiohttp.InvalidURL() | ValueError():
            return BlockedRequestError("The URL's host is not a valid name or address")
        case _:
            return FetchError("The connection was broken off")


def _connect_error(exc: OSError) -> FetchError:
    if isinstance(exc, AddressNotAllowedError):
        return BlockedRequestError(ADDRESS_NOT_ALLOWED)
    return FetchError(_CONNECT_MESSAGES.get(exc.errno or 0, "Could not connect"), is_sent=False)


def _certificate_error(exc: BaseException) -> FetchError:
    code = exc.verify_code if isinstance(exc, ssl.SSLCertVerificationError) else 0
    why = _CERTIFICATE_MESSAGES.get(code)
    return FetchError(
        f"The TLS certificate is not valid: {why}" if why else "The TLS certificate is not valid",
        is_sent=False,
    )


def _protocol_error(message: str) -> FetchError:
    if "Got more than" in message or "Too many" in message:
        return FetchError("The answer's headers are too long")
    return FetchError("The answer is not valid HTTP")
