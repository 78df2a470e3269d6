"""Where a request comes from, and the address that it was sent to."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from fastapi import Request


def client_address(request: Request) -> str:
    """Return the address that *request* comes from; of IPv6 the network that one customer has.

    A peer without a public address is a proxy, such as Cloud Run's, which adds the caller's address at the
    end of X-Forwarded-For. What stands before it the caller may have written.
    """
    peer = _parse_address(request.client.host if request.client else "")
    if peer is None or not peer.is_global:
        forwarded = ",".join(request.headers.getlist("x-forwarded-for")).rpartition(",")[2].strip()
        peer = _parse_address(forwarded) or peer
    if isinstance(peer, IPv6Address):
        return str(IPv6Network((peer, 64), strict=False))
    return str(peer)


def mount_path(request: Request) -> str:
    """Return where the application is mounted in somebody's own, such as `/scheduler`; else nothing."""
    root: str = request.scope.get("root_path", "")
    return root.rstrip("/")


def base_url(request: Request) -> str:
    """Return what all addresses of the application begin with; https where a proxy says so."""
    scheme = "https" if is_https(request) else "http"
    return f"{scheme}://{request.base_url.netloc}{mount_path(request)}"


def is_https(request: Request) -> bool:
    """Whether the client uses TLS: to us, or to the first of the proxies before us."""
    first_proxy = request.headers.get("x-forwarded-proto", "").partition(",")[0]
    return request.url.scheme == "https" or first_proxy.strip().lower() == "https"


def _parse_address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None
