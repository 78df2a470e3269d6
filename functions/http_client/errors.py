"""Errors of aiohttp, TLS and the system: one plain sentence each, as an error that is httpx's too.

A task type may catch what it knows of httpx (`httpx.HTTPError`, `httpx.TimeoutException`), or let the error
pass: the registry makes it a failure with our sentence.
"""

import errno
import socket
import ssl

import aiohttp

from functions.http_client import BlockedRequestError, FetchError, request_sent
from functions.http_client.addresses import parse_ip
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


def timeout_error(timeout_s: float, request: httpx.Request, *, is_answered: bool = False) -> FetchError:
    """Return the error of a call that took longer than *timeout_s*.

    Args:
        is_answered: Whether the headers of an answer came in time.
    """
    limit = f"{round(timeout_s, 1 if timeout_s >= 1 else 3):g} s"  # it may be what was left of a longer one
    reason = f"The answer had not ended after {limit}" if is_answered else f"No answer within {limit}"
    error = TransportTimeoutError(reason, is_sent=request_sent.get())
    error.request = request
    return error


ADDRESS_NOT_ALLOWED = "The address is private, local or reserved, and so not allowed"
ONLY_HTTP2 = "The server speaks only HTTP/2: switch on HTTP/1.1 there, or call an address that has it"

TOO_MANY_FILES = (
    "Too many files are open where the scheduler runs, so that it could not connect: "
    "raise the limit there (ulimit -n), or lower MAX_CONCURRENCY"
)
_CONNECT_MESSAGES = {
    errno.ECONNREFUSED: "The connection was refused",
    errno.ECONNRESET: "The connection was broken off",
    errno.EHOSTUNREACH: "The host cannot be reached",
    errno.ENETUNREACH: "The host cannot be reached",
    errno.ETIMEDOUT: "The host did not answer in time",
    errno.EMFILE: TOO_MANY_FILES,
    errno.ENFILE: TOO_MANY_FILES,
}
_LOOKUP_MESSAGES = {
    socket.EAI_NONAME: "does not resolve: no such name is known",
    socket.EAI_NODATA: "does not resolve: it has no address",
    socket.EAI_AGAIN: "could not be looked up: no name server answered, try again later",
    socket.EAI_FAIL: "could not be looked up: the name server failed",
}
_UNTRUSTED = (
    "is signed by an authority unknown here: let the server send its whole chain, or trust the authority "
    "(SSL_CERT_FILE)"
)
_CERTIFICATE_MESSAGES = {  # OpenSSL's X509_V_ERR_* numbers; its own texts may hold the address
    9: "is not valid yet: check the clocks of both machines",
    10: "has expired: renew it on the server",
    18: "is signed by itself: use one of a known authority, or trust it (SSL_CERT_FILE)",
    19: _UNTRUSTED,
    20: _UNTRUSTED,
    21: _UNTRUSTED,
    23: "was revoked: renew it on the server",
    62: "is for other names: add this one to it, or call one of those",
    64: "is not for an address in numbers: call the server by a name that is in it",
    66: "has a key that is too weak: make a new one",
}
_CLIENT_CERTIFICATE = "The server asks for a client certificate, which tasks cannot show"
_TLS_MESSAGES = (  # parts of OpenSSL's names for what went wrong, the first that is found counts
    (("NO_APPLICATION_PROTOCOL",), ONLY_HTTP2),
    (("CERTIFICATE_REQUIRED",), _CLIENT_CERTIFICATE),
    (
        ("UNRECOGNIZED_NAME",),
        "The server has no {site}: it refused the TLS handshake for that name",
    ),
    (
        ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE"),
        "Port {port} of the server does not speak TLS: {remedy}",
    ),
    (
        ("PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL", "WRONG_SSL_VERSION", "INSUFFICIENT_SECURITY"),
        "The server speaks no TLS that is safe: switch on TLS 1.2 or 1.3 there",
    ),
    (
        ("HANDSHAKE_FAILURE",),
        "The server refused the TLS handshake: no cipher in common, or no site at this name",
    ),
    (("EOF", "UNEXPECTED_EOF"), "The connection was broken off during the TLS handshake"),
)


_FOR_URLS = "write http:// or the port that does"
_FOR_PORTS = "choose one that does from the start, such as 465 or 993, as STARTTLS is not spoken here"


class AddressNotAllowedError(OSError):
    """The guard's refusal, shaped so that it passes through the connecting code of aiohttp."""


def to_fetch_error(exc: BaseException, *, method: str = "GET", names_hosts: bool = False) -> FetchError:
    """Return *exc* as the task's owner reads it: no address, no URL, no text of the other side.

    Args:
        method: That of the request.
        names_hosts: Whether the host may be named. It helps, as a redirect may have led to one that the task
            does not name; but the host of a webhook in the settings may be the secret itself.
    """
    host = host_name(exc.host) if names_hosts and isinstance(exc, aiohttp.ClientConnectorError) else None
    match exc:
        case FetchError():
            return exc
        case aiohttp.ClientConnectorCertificateError():
            return _certificate_error(exc.certificate_error, host)
        case aiohttp.ClientConnectorSSLError():
            site = f"site called {host}" if host else "site of that name"
            return _handshake_error(exc.os_error, site=site, port=exc.port, remedy=_FOR_URLS)
        case aiohttp.ClientConnectorDNSError():
            return lookup_error(host, exc.os_error.errno)
        case aiohttp.ClientConnectorError():
            return _connect_error(exc.os_error)
        case aiohttp.ServerDisconnectedError():
            return FetchError("The connection was closed before an answer came")
        case aiohttp.ClientPayloadError():
            return FetchError("The answer ended too early")
        case aiohttp.ClientResponseError():
            return _protocol_error(exc.message, method)
        case aiohttp.InvalidURL() | ValueError():
            return BlockedRequestError("The URL's host is not a valid name or address")
        case _ if _wants_certificate(exc) or _wants_certificate(exc.__cause__):
            return FetchError(_CLIENT_CERTIFICATE)  # TLS 1.3 says so after the handshake
        case _:
            return FetchError("The connection was broken off")


def host_name(host: str | None) -> str | None:
    """Return *host* when it is a name; an address is not named."""
    if not host or parse_ip(host) is not None:
        return None
    return host if all(sign.isalnum() or sign in "-._" for sign in host) else None


def lookup_error(host: str | None, code: int | None = None) -> FetchError:
    """Return the error of a name without an address.

    Args:
        host: The name; None when it is not to be named.
        code: One of `socket.EAI_*`.
    """
    what = _LOOKUP_MESSAGES.get(code or 0, "does not resolve")
    return FetchError(f"The name {host} {what}" if host else f"The name {what}", is_sent=False)


def socket_error(exc: OSError, *, host: str, port: int) -> FetchError:
    """Return what the task's owner is shown about *exc*, met on the way to *host*, which the task names."""
    match exc:
        case ssl.SSLCertVerificationError():
            return _certificate_error(exc, host_name(host))
        case ssl.SSLError():
            return _handshake_error(exc, site=f"site called {host}", port=port, remedy=_FOR_PORTS)
        case socket.gaierror():
            return lookup_error(host_name(host), exc.errno)
        case _:
            return _connect_error(exc)


def _connect_error(exc: OSError) -> FetchError:
    if isinstance(exc, AddressNotAllowedError):
        return BlockedRequestError(ADDRESS_NOT_ALLOWED)
    if isinstance(exc, ConnectionResetError) and exc.errno is None:  # asyncio's, in a handshake
        return FetchError("The connection was broken off during the TLS handshake", is_sent=False)
    return FetchError(_CONNECT_MESSAGES.get(exc.errno or 0, "Could not connect"), is_sent=False)


def _certificate_error(exc: BaseException, host: str | None) -> FetchError:
    code = exc.verify_code if isinstance(exc, ssl.SSLCertVerificationError) else 0
    why = _CERTIFICATE_MESSAGES.get(code)
    if why is None:
        why = "is not valid"
        if isinstance(exc, ssl.SSLCertVerificationError) and exc.verify_message:
            why += f" (OpenSSL: {exc.verify_message})"  # a constant of OpenSSL's, without an address
    subject = f"The TLS certificate of {host}" if host else "The TLS certificate"
    return FetchError(f"{subject} {why}", is_sent=False)


def _handshake_error(exc: OSError, **words: object) -> FetchError:
    """Return the error of a handshake; *words* are what its message may name: `site`, `port`, `remedy`."""
    reason = _tls_reason(exc) if isinstance(exc, ssl.SSLError) else ""
    for parts, message in _TLS_MESSAGES:
        if any(part in reason for part in parts):
            return FetchError(message.format_map(words), is_sent=False)
    unknown = _openssl_words(exc)
    return FetchError(
        "The TLS handshake failed" + (f" (OpenSSL: {unknown})" if unknown else ""), is_sent=False
    )


def _wants_certificate(exc: BaseException | None) -> bool:
    return isinstance(exc, ssl.SSLError) and "CERTIFICATE_REQUIRED" in _tls_reason(exc)


def _tls_reason(exc: ssl.SSLError) -> str:
    """Return OpenSSL's name for it, with its words in the same spelling: some have no name, but words."""
    return f"{exc.reason} {_openssl_words(exc).upper().replace(' ', '_')}"


def _openssl_words(exc: BaseException) -> str:
    """Return the words in `[SSL: EE_KEY_TOO_SMALL] ee key too small (_ssl.c:992)`, OpenSSL's constants."""
    text = str(exc.args[1]) if len(exc.args) > 1 else ""
    return text.partition("] ")[2].partition(" (_ssl")[0]


_NO_HTTP = "The answer is not valid HTTP"
_WRONG_CHUNKS = "The answer's body is framed wrongly: its chunks are not as long as they say"

# aiohttp's parser says what it expected, and then shows the bytes that it met as Python writes bytes.
_BEGINNING = "Expected HTTP/"
_TLS_RECORD = "b'\\x15\\x03"
_HTTP2_FRAME = "\\x04\\x00\\x00\\x00\\x00\\x00"  # SETTINGS, with which each HTTP/2 server begins
_SHOUTCAST = "b'ICY "


def _protocol_error(message: str, method: str) -> FetchError:
    if "Got more than" in message:
        return FetchError("The answer's headers are too long")
    said, _, met = message.partition("\n\n")
    if "Too many headers" in said:
        return FetchError("The answer has too many headers")
    return FetchError(_syntax_problem(said, met.strip(), method))


def _syntax_problem(said: str, met: str, method: str) -> str:
    if "chunk" in said:
        return _WRONG_CHUNKS
    if "Content-Length" in said:
        return f"{_NO_HTTP}: its length is given twice, or is none (Content-Length, Transfer-Encoding)"
    if "Invalid header token" in said:
        return f"{_NO_HTTP}: the name of a header has a character that no name may have"
    if method == "HEAD" and ("Data after" in said or _BEGINNING in said):
        return f"{_NO_HTTP}: a body follows the answer to HEAD, which may have none: use GET"
    if "Data after" in said:
        return (
            f"{_NO_HTTP}: something follows that belongs to no answer, such as a body where there may be none"
        )
    return _strange_beginning(met) if _BEGINNING in said else _NO_HTTP


def _strange_beginning(met: str) -> str:
    if met.startswith(_TLS_RECORD):
        return "The answer is not HTTP but TLS: write https://"
    if met.startswith("b'\\x00") and _HTTP2_FRAME in met:
        return ONLY_HTTP2
    if met.startswith(_SHOUTCAST):
        return (
            "The answer is a SHOUTcast stream (ICY), not HTTP: give the task a header User-Agent that begins "
            "with Mozilla, and it answers a page"
        )
    return f"{_NO_HTTP}: what came does not begin like an answer"
