"""aiohttp's, TLS's and the system's errors, each as one plain sentence."""

import errno
import ssl

import aiohttp

from functions.actions.net.errors import FetchError, RefusedError

NOT_ALLOWED = "The address is private, local or reserved, and so not allowed"

_CONNECT = {
    errno.ECONNREFUSED: "The connection was refused",
    errno.ECONNRESET: "The connection was broken off",
    errno.EHOSTUNREACH: "The host cannot be reached",
    errno.ENETUNREACH: "The host cannot be reached",
    errno.ETIMEDOUT: "The host did not answer in time",
}
_CERTIFICATE = {  # OpenSSL's X509_V_ERR_* numbers; its own texts may hold the address
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


class AddressNotAllowed(OSError):
    """The guard's refusal, shaped so that it passes through the connecting code of aiohttp."""


def fault(exc: BaseException) -> FetchError:
    """Return what to tell the task's owner about *exc*: no address, no URL, no text of the other side."""
    match exc:
        case FetchError():
            return exc
        case aiohttp.ClientConnectorCertificateError():
            return _certificate(exc.certificate_error)
        case aiohttp.ClientConnectorSSLError():
            return FetchError("The TLS handshake failed")
        case aiohttp.ClientConnectorDNSError():
            return FetchError("The name does not resolve")
        case aiohttp.ClientConnectorError():
            return _connect(exc.os_error)
        case aiohttp.ServerDisconnectedError():
            return FetchError("The connection was closed before an answer came")
        case aiohttp.ClientPayloadError():
            return FetchError("The answer ended too early")
        case aiohttp.ClientResponseError():
            return _unreadable(exc.message)
        case aiohttp.InvalidURL() | ValueError():
            return RefusedError("The URL's host is not a valid name or address")
        case _:
            return FetchError("The connection was broken off")


def _connect(exc: OSError) -> FetchError:
    if isinstance(exc, AddressNotAllowed):
        return RefusedError(NOT_ALLOWED)
    return FetchError(_CONNECT.get(exc.errno or 0, "Could not connect"))


def _certificate(exc: BaseException) -> FetchError:
    code = exc.verify_code if isinstance(exc, ssl.SSLCertVerificationError) else 0
    why = _CERTIFICATE.get(code)
    return FetchError(
        f"The TLS certificate is not valid: {why}" if why else "The TLS certificate is not valid"
    )


def _unreadable(message: str) -> FetchError:
    if "Got more than" in message or "Too many" in message:
        return FetchError("The answer's headers are too long")
    return FetchError("The answer is not valid HTTP")
